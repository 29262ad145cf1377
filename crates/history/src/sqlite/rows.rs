//! Rows to values and back.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::sql;
use crate::{Buffer, Entry, Epoch, Kind, Position, text};

/// Reads the columns of `entry_columns!` from `at` on. The epoch's token is filled in by [`Tokens`].
pub(super) fn entry(row: &Row<'_>, at: usize) -> rusqlite::Result<Entry> {
    let blob = |index: usize| row.get_ref(at + index).and_then(|v| Ok(Bytes::copy_from_slice(v.as_blob()?)));
    let kind: i64 = row.get(at + 4)?;
    Ok(Entry {
        position: Position {
            epoch: Epoch { number: row.get(at)?, token: 0 },
            offset: u64::try_from(row.get::<_, i64>(at + 1)?).unwrap_or_default(),
        },
        id: Uuid::from_bytes(row.get(at + 2)?),
        ts_ms: row.get(at + 3)?,
        kind: Kind::from_code(kind).ok_or(rusqlite::Error::IntegralValueOutOfRange(at + 4, kind))?,
        redacted: row.get(at + 5)?,
        source: blob(6)?,
        target: blob(7)?,
        body: blob(8)?,
        meta: blob(9)?,
        msgid: row.get::<_, Option<String>>(at + 10)?.unwrap_or_default(),
    })
}

/// The random bits of a stream's epochs, looked up once each.
#[derive(Default)]
pub(super) struct Tokens(Vec<(i64, u32, u32)>);

impl Tokens {
    /// Fills in the epoch's token, and the msgid of an entry that has none of its own.
    pub(super) fn complete(
        &mut self,
        conn: &Connection,
        stream: i64,
        entry: &mut Entry,
    ) -> rusqlite::Result<()> {
        let number = entry.position.epoch.number;
        let known = self.0.iter().find(|(s, n, _)| (*s, *n) == (stream, number)).map(|(_, _, token)| *token);
        let token = match known {
            Some(token) => token,
            None => {
                let token = epoch_token(conn, stream, number)?.unwrap_or_default();
                self.0.push((stream, number, token));
                token
            }
        };
        entry.position.epoch.token = token;
        if entry.msgid.is_empty() {
            entry.msgid = text::own_msgid(entry.position);
        }
        Ok(())
    }
}

/// The random bits of one epoch; `None` if the stream never had it.
pub(super) fn epoch_token(conn: &Connection, stream: i64, number: u32) -> rusqlite::Result<Option<u32>> {
    conn.prepare_cached(sql::EPOCH_TOKEN)?.query_row((stream, number), |row| row.get(0)).optional()
}

/// Offsets are stored as SQLite's signed integers.
pub(super) fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// Buffer ids, seven bits a byte, lowest first.
pub(super) fn pack(ids: &[i64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ids.len() * 3);
    for id in ids {
        let mut rest = id.cast_unsigned();
        loop {
            let low = (rest & 0x7f) as u8;
            rest >>= 7;
            if rest == 0 {
                out.push(low);
                break;
            }
            out.push(low | 0x80);
        }
    }
    out
}

/// What [`pack`] made.
pub(super) fn unpack(packed: &[u8]) -> Vec<i64> {
    let mut ids = Vec::new();
    let (mut id, mut shift) = (0u64, 0);
    for byte in packed {
        id |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        shift += 7;
        if byte & 0x80 == 0 {
            ids.push(id.cast_signed());
            (id, shift) = (0, 0);
        }
    }
    ids
}

/// The search scope of an entry.
pub(super) fn scope(account: i64, stream: i64, buffers: &[i64]) -> String {
    use std::fmt::Write as _;
    let mut scope = format!("a{account} s{stream}");
    for buffer in buffers {
        // Writing to a String cannot fail.
        let _ = write!(scope, " b{buffer}");
    }
    scope
}

/// The name of a buffer.
pub(super) fn buffer_name(conn: &Connection, id: i64) -> rusqlite::Result<Option<Buffer>> {
    conn.prepare_cached(sql::BUFFER_NAME)?
        .query_row([id], |row| Ok(Buffer(Bytes::from(row.get::<_, Vec<u8>>(0)?))))
        .optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_ids_come_back() {
        let ids = vec![1, 127, 128, 300, i64::from(u32::MAX), i64::MAX];
        assert_eq!(unpack(&pack(&ids)), ids);
        assert_eq!(pack(&[5]).len(), 1);
    }
}
