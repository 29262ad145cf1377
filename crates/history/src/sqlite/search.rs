//! Searching: the index for what it has reached, a scan for the tail behind it.

use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::remove::stream_of;
use super::rows::{self, Tokens, buffer_name, scope, unpack};
use super::sql;
use crate::{AccountId, Buffer, Entry, Hit, Result, Search, StreamId, text};

/// How many matches are looked at before the newest are chosen: bounds what one common word can cost.
const MATCHES: i64 = 20_000;
/// How many entries a search without words looks at.
const SCANNED: usize = 50_000;

/// A match before its names are looked up.
struct Found {
    stream: i64,
    buffers: Vec<i64>,
    entry: Entry,
}

/// What the search is confined to, in the store's numbers.
struct Within {
    account: i64,
    streams: Vec<i64>,
    stream: Option<i64>,
    buffer: Option<i64>,
}

pub(super) fn search(
    conn: &Connection,
    account: AccountId,
    search: &Search,
) -> rusqlite::Result<Result<Vec<Hit>>> {
    let Some(within) = within(conn, account, search)? else { return Ok(Ok(Vec::new())) };
    let mut found = match &search.text {
        Some(query) => {
            let terms = text::terms(query);
            if terms.is_empty() {
                return Ok(Ok(Vec::new()));
            }
            let mut found = indexed(conn, &within, search, &terms)?;
            found.extend(tail(conn, &within, search, &terms)?);
            found
        }
        None => scanned(conn, &within, search)?,
    };
    found.retain(|found| within.streams.contains(&found.stream));
    found.sort_by_key(|found| (found.entry.ts_ms, found.entry.position));
    let skip = found.len().saturating_sub(search.limit);
    name(conn, found.into_iter().skip(skip), within.buffer, search.buffer.as_ref()).map(Ok)
}

fn within(conn: &Connection, account: AccountId, search: &Search) -> rusqlite::Result<Option<Within>> {
    let account_bytes = account.0.as_bytes();
    let id: Option<i64> =
        conn.prepare_cached(sql::ACCOUNT_ID)?.query_row([account_bytes], |row| row.get(0)).optional()?;
    let Some(account_id) = id else { return Ok(None) };
    let stream = match search.stream {
        Some(stream) => match stream_of(conn, account, stream)? {
            Some(stream) => Some(stream),
            None => return Ok(None),
        },
        None => None,
    };
    let buffer = match (&search.buffer, stream) {
        (Some(Buffer(name)), Some(stream)) => {
            let found: Option<i64> = conn
                .prepare_cached(sql::BUFFER_ID)?
                .query_row((stream, &name[..]), |row| row.get(0))
                .optional()?;
            match found {
                Some(buffer) => Some(buffer),
                None => return Ok(None),
            }
        }
        _ => None,
    };
    let streams = match stream {
        Some(stream) => vec![stream],
        None => conn
            .prepare_cached(sql::STREAM_IDS_OF)?
            .query_map([account_bytes], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?,
    };
    Ok(Some(Within { account: account_id, streams, stream, buffer }))
}

fn bounds(search: &Search) -> (i64, i64) {
    (search.after_ms.unwrap_or(i64::MIN), search.before_ms.unwrap_or(i64::MAX))
}

fn wanted(search: &Search, entry: &Entry) -> bool {
    search.from.as_ref().is_none_or(|nick| text::is_from(&entry.source, nick))
}

/// Reads a row that begins with stream and buffers.
fn read(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        stream: row.get(0)?,
        buffers: unpack(row.get_ref(1)?.as_blob()?),
        entry: rows::entry(row, 2)?,
    })
}

fn indexed(
    conn: &Connection,
    within: &Within,
    search: &Search,
    terms: &[text::Term],
) -> rusqlite::Result<Vec<Found>> {
    let scope = match (within.buffer, within.stream) {
        (Some(buffer), _) => format!("b{buffer}"),
        (None, Some(stream)) => format!("s{stream}"),
        (None, None) => format!("a{}", within.account),
    };
    let (after, before) = bounds(search);
    let mut statement = conn.prepare_cached(sql::SEARCH_WORDS)?;
    let mut rows = statement.query((text::fts5(&scope, terms), MATCHES, after, before))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let match_ = read(row)?;
        if wanted(search, &match_.entry) {
            found.push(match_);
        }
    }
    Ok(found)
}

/// What the index has not reached yet goes through an index of its own, made for this query, so that both understand the
/// words in the same way.
fn tail(
    conn: &Connection,
    within: &Within,
    search: &Search,
    terms: &[text::Term],
) -> rusqlite::Result<Vec<Found>> {
    let indexed_to: i64 = conn.prepare_cached(sql::INDEXED_TO)?.query_row([], |row| row.get(0))?;
    let (after, before) = bounds(search);
    let mut statement = conn.prepare_cached(sql::SEARCH_TAIL)?;
    let mut rows = statement.query((indexed_to, after, before))?;
    let mut candidates: Vec<Found> = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    while let Some(row) = rows.next()? {
        if !within.streams.contains(&row.get(0)?) {
            continue;
        }
        let candidate = read(row)?;
        let in_buffer = within.buffer.is_none_or(|buffer| candidate.buffers.contains(&buffer));
        if in_buffer && wanted(search, &candidate.entry) {
            candidates.push(candidate);
            texts.push(row.get(14)?);
        }
    }
    if candidates.is_empty() {
        return Ok(candidates);
    }
    let small = Connection::open_in_memory()?;
    small.execute_batch(
        "CREATE VIRTUAL TABLE words USING fts5 (scope, text, tokenize = 'unicode61 remove_diacritics 0')",
    )?;
    let everything = scope(0, 0, &[]);
    let mut add = small.prepare("INSERT INTO words (rowid, scope, text) VALUES (?1, ?2, ?3)")?;
    for (number, text) in (0i64..).zip(&texts) {
        add.execute((number, &everything, text))?;
    }
    let mut matches = small.prepare("SELECT rowid FROM words WHERE words MATCH ?1")?;
    let numbers: Vec<usize> = matches
        .query_map([text::fts5("s0", terms)], |row| Ok(usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut number = 0;
    candidates.retain(|_| {
        number += 1;
        numbers.contains(&(number - 1))
    });
    Ok(candidates)
}

/// A search without words: the newest entries that fit.
fn scanned(conn: &Connection, within: &Within, search: &Search) -> rusqlite::Result<Vec<Found>> {
    let (after, before) = bounds(search);
    let mut found = Vec::new();
    for stream in &within.streams {
        let mut statement;
        let mut rows = match within.buffer {
            Some(buffer) => {
                statement = conn.prepare_cached(sql::SEARCH_BUFFER)?;
                statement.query((stream, buffer, after, before))?
            }
            None => {
                statement = conn.prepare_cached(sql::SEARCH_ALL)?;
                statement.query((stream, after, before))?
            }
        };
        let (mut seen, mut taken) = (0, 0);
        while taken < search.limit
            && seen < SCANNED
            && let Some(row) = rows.next()?
        {
            let candidate = read(row)?;
            seen += 1;
            if wanted(search, &candidate.entry) {
                taken += 1;
                found.push(candidate);
            }
        }
    }
    Ok(found)
}

/// Puts the names to the numbers.
fn name(
    conn: &Connection,
    found: impl Iterator<Item = Found>,
    in_buffer: Option<i64>,
    asked: Option<&Buffer>,
) -> rusqlite::Result<Vec<Hit>> {
    let mut tokens = Tokens::default();
    let mut names: Vec<(i64, StreamId)> = Vec::new();
    let mut hits = Vec::new();
    for mut found in found {
        tokens.complete(conn, found.stream, &mut found.entry)?;
        let stream = match names.iter().find(|(id, _)| *id == found.stream) {
            Some((_, stream)) => *stream,
            None => {
                let bytes =
                    conn.prepare_cached(sql::STREAM_NAME)?.query_row([found.stream], |row| row.get(0))?;
                let stream = StreamId(Uuid::from_bytes(bytes));
                names.push((found.stream, stream));
                stream
            }
        };
        let first = in_buffer.or_else(|| found.buffers.first().copied());
        let buffer = match (asked, first) {
            (Some(asked), _) => Some(asked.clone()),
            (None, Some(id)) => buffer_name(conn, id)?,
            (None, None) => None,
        };
        if let Some(buffer) = buffer {
            hits.push(Hit { stream, buffer, entry: found.entry });
        }
    }
    Ok(hits)
}
