//! Pages, cursors, targets and the other short reads.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Params};
use uuid::Uuid;

use super::remove::{find_msgid, stream_of};
use super::rows::{self, Tokens, buffer_name, epoch_token, signed, unpack};
use super::sql;
use crate::{
    AccountId, Anchor, Buffer, CursorPage, DayCount, DeviceCursor, Entry, Epoch, Error, Hole, Kinds,
    Position, Range, Result, Since, StreamId, Target,
};

type Answer<T> = rusqlite::Result<Result<T>>;

/// A buffer and which of its entries are asked for.
pub(super) struct Page {
    pub account: AccountId,
    pub stream: StreamId,
    pub buffer: Buffer,
    pub range: Range,
    pub kinds: Kinds,
    pub limit: usize,
}

/// The numbers of a buffer while a page is read.
struct Reading<'a> {
    conn: &'a Connection,
    stream: i64,
    buffer: i64,
    kinds: Kinds,
}

impl Reading<'_> {
    /// Entries strictly between two times, the first ones or the last ones, oldest first.
    fn slice(&self, from: i64, to: i64, first: bool, limit: usize) -> rusqlite::Result<Vec<Entry>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let statement = if first { sql::PAGE_UP } else { sql::PAGE_DOWN };
        let bounds = (self.stream, self.buffer, from, to, self.kinds.0, limit as i64);
        let mut entries = entries(self.conn, self.stream, statement, bounds)?;
        if !first {
            entries.reverse();
        }
        Ok(entries)
    }

    fn time(&self, anchor: Anchor) -> Answer<i64> {
        match anchor {
            Anchor::Time(ts) => Ok(Ok(ts)),
            Anchor::Msgid(msgid) => {
                Ok(find_msgid(self.conn, self.stream, &msgid)?.map(|e| e.ts_ms).ok_or(Error::NoSuchMessage))
            }
        }
    }
}

/// The entries a statement finds in one stream, complete.
fn entries(
    conn: &Connection,
    stream: i64,
    statement: &'static str,
    bounds: impl Params,
) -> rusqlite::Result<Vec<Entry>> {
    let mut tokens = Tokens::default();
    let mut statement = conn.prepare_cached(statement)?;
    let mut rows = statement.query(bounds)?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let mut entry = rows::entry(row, 0)?;
        tokens.complete(conn, stream, &mut entry)?;
        entries.push(entry);
    }
    Ok(entries)
}

macro_rules! known {
    ($answer:expr) => {
        match $answer {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}

pub(super) fn page(conn: &Connection, page: Page) -> Answer<Vec<Entry>> {
    let ids: Option<(i64, i64)> = conn
        .prepare_cached(sql::BUFFER_OF)?
        .query_row((page.stream.0.as_bytes(), page.account.0.as_bytes(), &page.buffer.0[..]), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((stream, buffer)) = ids else { return Ok(Ok(Vec::new())) };
    let reading = Reading { conn, stream, buffer, kinds: page.kinds };
    let limit = page.limit;
    let entries = match page.range {
        Range::Latest => reading.slice(i64::MIN, i64::MAX, false, limit)?,
        Range::LatestAfter(anchor) => reading.slice(known!(reading.time(anchor)?), i64::MAX, false, limit)?,
        Range::Before(anchor) => reading.slice(i64::MIN, known!(reading.time(anchor)?), false, limit)?,
        Range::After(anchor) => reading.slice(known!(reading.time(anchor)?), i64::MAX, true, limit)?,
        Range::Around(anchor) => {
            let ts = known!(reading.time(anchor)?);
            let mut entries = reading.slice(i64::MIN, ts, false, limit / 2)?;
            entries.extend(reading.slice(ts.saturating_sub(1), i64::MAX, true, limit - limit / 2)?);
            entries
        }
        Range::Between(first, second) => {
            let (first, second) = (known!(reading.time(first)?), known!(reading.time(second)?));
            reading.slice(first.min(second), first.max(second), first <= second, limit)?
        }
    };
    Ok(Ok(entries))
}

pub(super) fn targets(
    conn: &Connection,
    account: AccountId,
    stream: StreamId,
    between: (i64, i64),
    kinds: Kinds,
    limit: usize,
) -> Answer<Vec<Target>> {
    let Some(stream) = stream_of(conn, account, stream)? else { return Ok(Ok(Vec::new())) };
    conn.prepare_cached(sql::TARGETS)?
        .query_map((stream, kinds.0, between.0, between.1, limit as i64), |row| {
            Ok(Target { buffer: Buffer(Bytes::from(row.get::<_, Vec<u8>>(0)?)), latest_ms: row.get(1)? })
        })?
        .collect::<rusqlite::Result<_>>()
        .map(Ok)
}

pub(super) fn since(
    conn: &Connection,
    account: AccountId,
    stream: StreamId,
    since: Since,
    kinds: Kinds,
    limit: usize,
) -> Answer<CursorPage> {
    let Some(stream) = stream_of(conn, account, stream)? else { return Ok(Ok(CursorPage::default())) };
    let mut hole = None;
    let (epoch, offset) = match since {
        Since::Start => (0, 0),
        Since::Position(at) => {
            if epoch_token(conn, stream, at.epoch.number)? != Some(at.epoch.token) {
                let page = CursorPage { hole: Some(Hole::UnknownEpoch), ..CursorPage::default() };
                return Ok(Ok(page));
            }
            let at = (at.epoch.number, signed(at.offset));
            let pruned: (u32, i64) = conn
                .prepare_cached(sql::STREAM_PRUNED)?
                .query_row([stream], |row| Ok((row.get(0)?, row.get(1)?)))?;
            hole = (at < pruned).then_some(Hole::Pruned);
            at
        }
        Since::Time(ts) => {
            let first: Option<(u32, i64)> = conn
                .prepare_cached(sql::FIRST_SINCE_TIME)?
                .query_row((stream, ts), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            match first {
                Some((epoch, offset)) => (epoch, offset - 1),
                None => return Ok(Ok(CursorPage::default())),
            }
        }
    };
    let entries = entries(conn, stream, sql::SINCE, (stream, epoch, offset, kinds.0, limit as i64))?;
    let next = entries.last().filter(|_| entries.len() == limit).map(|entry| entry.position);
    Ok(Ok(CursorPage { entries, next, hole }))
}

pub(super) fn latest_position(
    conn: &Connection,
    account: AccountId,
    stream: StreamId,
) -> Answer<Option<Position>> {
    let Some(stream) = stream_of(conn, account, stream)? else { return Ok(Ok(None)) };
    let last: Option<(u32, i64)> = conn
        .prepare_cached(sql::LATEST_POSITION)?
        .query_row([stream], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((number, offset)) = last else { return Ok(Ok(None)) };
    let token = epoch_token(conn, stream, number)?.unwrap_or_default();
    let offset = u64::try_from(offset).unwrap_or_default();
    Ok(Ok(Some(Position { epoch: Epoch { number, token }, offset })))
}

pub(super) fn by_msgid(
    conn: &Connection,
    account: AccountId,
    stream: StreamId,
    msgid: &str,
) -> Answer<Option<Entry>> {
    let Some(stream) = stream_of(conn, account, stream)? else { return Ok(Ok(None)) };
    find_msgid(conn, stream, msgid).map(Ok)
}

pub(super) fn read_markers(
    conn: &Connection,
    account: AccountId,
    stream: StreamId,
) -> Answer<Vec<(Buffer, i64)>> {
    let Some(stream) = stream_of(conn, account, stream)? else { return Ok(Ok(Vec::new())) };
    conn.prepare_cached(sql::MARKERS)?
        .query_map([stream], |row| Ok((Buffer(Bytes::from(row.get::<_, Vec<u8>>(0)?)), row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()
        .map(Ok)
}

pub(super) fn device_cursors(
    conn: &Connection,
    account: AccountId,
    stream: StreamId,
) -> Answer<Vec<DeviceCursor>> {
    let Some(stream) = stream_of(conn, account, stream)? else { return Ok(Ok(Vec::new())) };
    conn.prepare_cached(sql::CURSORS)?
        .query_map([stream], |row| {
            let epoch = Epoch { number: row.get(1)?, token: row.get(2)? };
            let offset = u64::try_from(row.get::<_, i64>(3)?).unwrap_or_default();
            Ok(DeviceCursor {
                device: Bytes::from(row.get::<_, Vec<u8>>(0)?),
                position: Position { epoch, offset },
                updated_ms: row.get(4)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()
        .map(Ok)
}

pub(super) fn streams(conn: &Connection, account: AccountId) -> Answer<Vec<StreamId>> {
    conn.prepare_cached(sql::STREAMS_OF)?
        .query_map([account.0.as_bytes()], |row| Ok(StreamId(Uuid::from_bytes(row.get(0)?))))?
        .collect::<rusqlite::Result<_>>()
        .map(Ok)
}

pub(super) fn about(conn: &Connection, account: AccountId) -> Answer<u64> {
    let found: i64 = conn.prepare_cached(sql::ABOUT)?.query_row([account.0.as_bytes()], |row| row.get(0))?;
    Ok(Ok(found.unsigned_abs()))
}

pub(super) fn counts(
    conn: &Connection,
    account: AccountId,
    since_day: i64,
    today: i64,
) -> Answer<Vec<DayCount>> {
    let id: Option<i64> = conn
        .prepare_cached(sql::ACCOUNT_ID)?
        .query_row([account.0.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(Ok(Vec::new())) };
    conn.prepare_cached(sql::DAILY_OF)?
        .query_map((id, since_day, today), |row| {
            Ok(DayCount {
                day: row.get(0)?,
                entries: u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default(),
            })
        })?
        .collect::<rusqlite::Result<_>>()
        .map(Ok)
}

pub(super) fn export(
    conn: &Connection,
    account: AccountId,
    stream: StreamId,
    after: Option<Position>,
    limit: usize,
) -> Answer<Vec<(Entry, Vec<Buffer>)>> {
    let Some(stream) = stream_of(conn, account, stream)? else { return Ok(Ok(Vec::new())) };
    let (epoch, offset) = after.map_or((0, 0), |at| (at.epoch.number, signed(at.offset)));
    let mut tokens = Tokens::default();
    let mut statement = conn.prepare_cached(sql::EXPORT)?;
    let mut found = statement.query((stream, epoch, offset, limit as i64))?;
    let mut out = Vec::new();
    while let Some(row) = found.next()? {
        let mut entry = rows::entry(row, 0)?;
        tokens.complete(conn, stream, &mut entry)?;
        let mut buffers = Vec::new();
        for id in unpack(row.get_ref(11)?.as_blob()?) {
            buffers.extend(buffer_name(conn, id)?);
        }
        out.push((entry, buffers));
    }
    Ok(Ok(out))
}
