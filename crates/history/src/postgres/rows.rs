//! Rows to values.

use bytes::Bytes;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::{Entry, Epoch, Kind, Position, text};

/// The columns of `entry_columns!`.
pub(super) fn entry(row: &PgRow) -> sqlx::Result<Entry> {
    let position = Position {
        epoch: Epoch { number: number(row, 0)?, token: number(row, 11)? },
        offset: row.try_get::<i64, _>(1)?.cast_unsigned(),
    };
    let kind: i64 = row.try_get(4)?;
    let msgid: Option<String> = row.try_get(10)?;
    Ok(Entry {
        position,
        id: Uuid::from_slice(row.try_get(2)?).map_err(|cause| sqlx::Error::Decode(cause.into()))?,
        ts_ms: row.try_get(3)?,
        kind: Kind::from_code(kind).ok_or_else(|| sqlx::Error::Decode("an unknown kind of entry".into()))?,
        redacted: row.try_get(5)?,
        source: blob(row, 6)?,
        target: blob(row, 7)?,
        body: blob(row, 8)?,
        meta: blob(row, 9)?,
        msgid: msgid.unwrap_or_else(|| text::own_msgid(position)),
    })
}

pub(super) fn blob(row: &PgRow, at: usize) -> sqlx::Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.try_get::<&[u8], _>(at)?))
}

/// An epoch's number or random bits.
pub(super) fn number(row: &PgRow, at: usize) -> sqlx::Result<u32> {
    u32::try_from(row.try_get::<i64, _>(at)?).map_err(|cause| sqlx::Error::Decode(cause.into()))
}
