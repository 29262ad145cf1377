//! Redaction, retention and deletion, in chunks that let appends pass.

use rusqlite::{Connection, OptionalExtension};

use super::rows::{epoch_token, scope, signed, unpack};
use super::writer::Tx;
use super::{rows, sql};
use crate::{AccountId, Entry, Error, Position, Result, StreamId, text};

/// How many entries one step removes: as much as an append may be made to wait for.
const CHUNK: i64 = 200;
/// How many pages one step gives back to the file system.
const VACUUM: &str = "PRAGMA incremental_vacuum(2000)";

/// Takes an entry's text out of the search index, whether it has reached it or not.
fn unindex(
    tx: &Tx<'_>,
    doc: Option<i64>,
    stream: i64,
    account: i64,
    buffers: &[i64],
    text: &str,
) -> rusqlite::Result<()> {
    let Some(doc) = doc else { return Ok(()) };
    if doc <= tx.state.indexed_to {
        // The index holds no text of its own: it forgets what it is told again.
        let scope = scope(account, stream, buffers);
        tx.conn.prepare_cached(sql::WORDS_DROP)?.execute((doc, scope, text))?;
    }
    tx.conn.prepare_cached(sql::DOC_DROP)?.execute([doc])?;
    Ok(())
}

/// What has to be known of an entry to take it away.
struct Full {
    ts: i64,
    doc: Option<i64>,
    buffers: Vec<i64>,
    text: String,
    account: i64,
}

fn full(conn: &Connection, at: (i64, u32, i64)) -> rusqlite::Result<Option<Full>> {
    conn.prepare_cached(sql::ENTRY_FULL)?
        .query_row(at, |row| {
            let doc: Option<i64> = row.get(1)?;
            Ok(Full {
                ts: row.get(0)?,
                doc,
                buffers: unpack(row.get_ref(2)?.as_blob()?),
                // Only what is searched is known to be text.
                text: if doc.is_some() { row.get(3)? } else { String::new() },
                account: row.get(4)?,
            })
        })
        .optional()
}

/// Removes an entry from everywhere.
fn remove(tx: &Tx<'_>, stream: i64, epoch: u32, offset: i64) -> rusqlite::Result<bool> {
    let Some(entry) = full(tx.conn, (stream, epoch, offset))? else { return Ok(false) };
    unindex(tx, entry.doc, stream, entry.account, &entry.buffers, &entry.text)?;
    let mut drop_place = tx.conn.prepare_cached(sql::PLACE_DROP)?;
    for buffer in &entry.buffers {
        drop_place.execute((buffer, entry.ts, epoch, offset))?;
    }
    tx.conn.prepare_cached(sql::ENTRY_DROP)?.execute((stream, epoch, offset))?;
    Ok(true)
}

/// Empties an entry; what was there is known, what it said is not.
pub(super) fn redact(
    tx: &Tx<'_>,
    account: AccountId,
    stream: StreamId,
    msgid: &str,
) -> rusqlite::Result<Result<Position>> {
    let Some(stream) = stream_of(tx.conn, account, stream)? else { return Ok(Err(Error::NoSuchStream)) };
    let Some(entry) = find_msgid(tx.conn, stream, msgid)? else { return Ok(Err(Error::NoSuchMessage)) };
    let at = (stream, entry.position.epoch.number, signed(entry.position.offset));
    if let Some(entry) = full(tx.conn, at)? {
        unindex(tx, entry.doc, stream, entry.account, &entry.buffers, &entry.text)?;
    }
    tx.conn.prepare_cached(sql::ENTRY_REDACT)?.execute(at)?;
    Ok(Ok(entry.position))
}

/// The internal number of an account's stream.
pub(super) fn stream_of(
    conn: &Connection,
    account: AccountId,
    stream: StreamId,
) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(sql::STREAM_OF)?
        .query_row((stream.0.as_bytes(), account.0.as_bytes()), |row| row.get(0))
        .optional()
}

/// The entry a msgid names: one that came with it, else one whose place it is.
pub(super) fn find_msgid(conn: &Connection, stream: i64, msgid: &str) -> rusqlite::Result<Option<Entry>> {
    let mut tokens = rows::Tokens::default();
    let mut found = conn
        .prepare_cached(sql::BY_MSGID)?
        .query_row((stream, msgid), |row| rows::entry(row, 0))
        .optional()?;
    if found.is_none()
        && let Some(position) = text::position_of(msgid)
        && epoch_token(conn, stream, position.epoch.number)? == Some(position.epoch.token)
    {
        let at = (stream, position.epoch.number, signed(position.offset));
        found = conn
            .prepare_cached(sql::BY_POSITION)?
            .query_row(at, |row| rows::entry(row, 0))
            .optional()?
            .filter(|entry| entry.msgid.is_empty());
    }
    if let Some(entry) = &mut found {
        tokens.complete(conn, stream, entry)?;
    }
    Ok(found)
}

/// One step of retention. Answers how many entries went; none means done.
pub(super) fn prune(tx: &mut Tx<'_>, stream: i64, before_ms: i64) -> rusqlite::Result<u64> {
    let mut next = tx.conn.prepare_cached(sql::PRUNE_NEXT)?;
    let found: Vec<(u32, i64)> = next
        .query_map((stream, before_ms, CHUNK), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut removed = 0;
    for (epoch, offset) in &found {
        // An entry of several buffers is listed once for each of them.
        removed += u64::from(remove(tx, stream, *epoch, *offset)?);
    }
    if let Some((epoch, offset)) = found.iter().max() {
        tx.conn.prepare_cached(sql::PRUNE_NOTE)?.execute((stream, epoch, offset))?;
        tx.state.forget_taken(stream);
    }
    vacuum(tx.conn)?;
    Ok(removed)
}

/// The streams of an account, for retention.
pub(super) fn stream_ids(conn: &Connection, account: AccountId) -> rusqlite::Result<Vec<i64>> {
    conn.prepare_cached(sql::STREAM_IDS_OF)?.query_map([account.0.as_bytes()], |row| row.get(0))?.collect()
}

/// The streams of an account, those half deleted included.
pub(super) fn streams_to_delete(conn: &Connection, account: AccountId) -> rusqlite::Result<Vec<StreamId>> {
    conn.prepare_cached(sql::DELETE_FIND_ALL)?
        .query_map([account.0.as_bytes()], |row| Ok(StreamId(uuid::Uuid::from_bytes(row.get(0)?))))?
        .collect()
}

/// Hides a stream from everybody and takes it from its writer. `None` if it is not there.
pub(super) fn begin_delete(
    tx: &mut Tx<'_>,
    account: AccountId,
    stream: StreamId,
    token: u32,
) -> rusqlite::Result<Option<i64>> {
    let id: Option<i64> = tx
        .conn
        .prepare_cached(sql::DELETE_FIND)?
        .query_row((stream.0.as_bytes(), account.0.as_bytes()), |row| row.get(0))
        .optional()?;
    if let Some(id) = id {
        tx.conn.prepare_cached(sql::DELETE_MARK)?.execute((id, token))?;
        tx.state.forget_stream(stream);
    }
    Ok(id)
}

/// One step of a deletion. Answers whether nothing is left.
pub(super) fn delete_step(tx: &Tx<'_>, stream: i64) -> rusqlite::Result<bool> {
    let found: Vec<(u32, i64)> = tx
        .conn
        .prepare_cached(sql::DELETE_NEXT)?
        .query_map((stream, CHUNK), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (epoch, offset) in &found {
        remove(tx, stream, *epoch, *offset)?;
    }
    vacuum(tx.conn)?;
    if !found.is_empty() {
        return Ok(false);
    }
    for statement in [
        sql::DELETE_PLACES,
        sql::DELETE_BUFFERS,
        sql::DELETE_MARKERS,
        sql::DELETE_CURSORS,
        sql::DELETE_EPOCHS,
        sql::DELETE_STREAM,
    ] {
        tx.conn.prepare_cached(statement)?.execute([stream])?;
    }
    Ok(true)
}

/// The account's own rows, once its streams are gone.
pub(super) fn delete_account(tx: &Tx<'_>, account: AccountId) -> rusqlite::Result<()> {
    let id: Option<i64> = tx
        .conn
        .prepare_cached(sql::ACCOUNT_ID)?
        .query_row([account.0.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(()) };
    tx.conn.prepare_cached(sql::DELETE_DAILY)?.execute([id])?;
    let left: i64 = tx.conn.prepare_cached(sql::ACCOUNT_STREAMS)?.query_row([id], |row| row.get(0))?;
    if left == 0 {
        tx.conn.prepare_cached(sql::ACCOUNT_DROP)?.execute([id])?;
    }
    Ok(())
}

fn vacuum(conn: &Connection) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(VACUUM)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
