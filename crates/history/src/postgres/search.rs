//! Searching. The indexes (words, and trigrams for what lies inside them) are filled within the commit, so there is no
//! tail to scan.

use std::collections::HashMap;

use bytes::Bytes;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::{rows, sql};
use crate::{AccountId, Buffer, Found, Hit, Search, StreamId, text};

pub(super) async fn search(pool: &PgPool, account: AccountId, search: &Search) -> sqlx::Result<Found> {
    let streams = streams(pool, account, search.stream).await?;
    let ids: Vec<i64> = streams.iter().map(|(id, _)| *id).collect();
    let buffer = match (&search.buffer, ids.first()) {
        (Some(Buffer(name)), Some(stream)) => {
            let found: Option<i64> =
                sqlx::query_scalar(sql::BUFFER_OF).bind(stream).bind(&name[..]).fetch_optional(pool).await?;
            match found {
                Some(id) => Some(id),
                None => return Ok(Found::default()),
            }
        }
        _ => None,
    };
    let asked = search.text.as_deref().map(text::query);
    if ids.is_empty() || asked.as_ref().is_some_and(text::Query::is_empty) {
        return Ok(Found::default());
    }
    // What an index is asked for, and what is looked at in the rows it gives.
    let (statement, first, rest) = match &asked {
        None => (sql::SEARCH_ALL, None, None),
        Some(query) => match query.parts.split_first() {
            Some((longest, others)) if query.terms.is_empty() => {
                (sql::SEARCH_PARTS, Some(like(longest)), Some(others))
            }
            _ => (sql::SEARCH_WORDS, Some(text::tsquery(&query.terms)), Some(&query.parts[..])),
        },
    };
    let mut query = sqlx::query(statement)
        .bind(&ids)
        .bind(buffer)
        .bind(search.after_ms.unwrap_or(i64::MIN))
        .bind(search.before_ms.unwrap_or(i64::MAX))
        .bind(search.from.as_ref().map(|nick| nick.to_vec()))
        .bind(search.limit as i64);
    if let (Some(first), Some(rest)) = (first, rest) {
        query = query.bind(first).bind(rest.iter().map(|part| like(part)).collect::<Vec<_>>());
    }
    let found = query.fetch_all(pool).await?;

    let firsts: Vec<Vec<i64>> = found.iter().map(|row| row.try_get(12)).collect::<sqlx::Result<_>>()?;
    let wanted: Vec<i64> = firsts.iter().filter_map(|ids| ids.first().copied()).collect();
    let names = buffer_names(pool, &wanted).await?;
    let mut hits = Vec::with_capacity(found.len());
    for (row, buffers) in found.iter().zip(&firsts) {
        let stream: i64 = row.try_get(13)?;
        let named = search.buffer.clone().or_else(|| buffers.first().and_then(|id| names.get(id).cloned()));
        let stream = streams.iter().find(|(id, _)| *id == stream).map(|(_, stream)| *stream);
        if let (Some(buffer), Some(stream)) = (named, stream) {
            hits.push(Hit { stream, buffer, entry: rows::entry(row)? });
        }
    }
    hits.reverse();
    Ok(Found { hits, more: false })
}

/// A part as a pattern. It holds only letters, digits and spaces, so nothing in it means more than itself.
fn like(part: &str) -> String {
    format!("%{part}%")
}

/// The account's streams, or the one that is asked for.
pub(super) async fn streams(
    pool: &PgPool,
    account: AccountId,
    only: Option<StreamId>,
) -> sqlx::Result<Vec<(i64, StreamId)>> {
    let rows = sqlx::query(sql::STREAMS_OF).bind(&account.0.as_bytes()[..]).fetch_all(pool).await?;
    let mut streams = Vec::with_capacity(rows.len());
    for row in &rows {
        let stream =
            StreamId(Uuid::from_slice(row.try_get(1)?).map_err(|cause| sqlx::Error::Decode(cause.into()))?);
        if only.is_none_or(|only| only == stream) {
            streams.push((row.try_get(0)?, stream));
        }
    }
    Ok(streams)
}

/// The names of buffers.
pub(super) async fn buffer_names(pool: &PgPool, ids: &[i64]) -> sqlx::Result<HashMap<i64, Buffer>> {
    let rows = sqlx::query(sql::BUFFER_NAMES).bind(ids).fetch_all(pool).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, Buffer(Bytes::copy_from_slice(row.try_get::<&[u8], _>(1)?)))))
        .collect()
}
