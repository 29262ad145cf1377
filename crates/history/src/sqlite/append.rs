//! Appending within the writer's transaction: fencing, duplicates, times, places.

use std::collections::HashMap;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use smallvec::SmallVec;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::rows::{pack, signed};
use super::writer::{Tx, Work, is_row};
use super::{rows, sql};
use crate::{
    AccountId, Buffer, Epoch, Error, NewEntry, Position, Refused, Result, Stored, StreamId, StreamWriter,
    entry_check, text,
};

const DAY_MS: i64 = 86_400_000;
/// Past so many remembered streams, all are forgotten: they are read again when they write.
const MAX_REMEMBERED: usize = 100_000;

/// What the writer remembers between commits. Never ahead of the file: [`State::forget`] after each failure.
#[derive(Default)]
pub(super) struct State {
    streams: HashMap<StreamId, Stream>,
    daily: HashMap<(i64, i64), i64>,
    pub next_doc: i64,
    pub indexed_to: i64,
    pub appended: u64,
}

struct Stream {
    id: i64,
    account_id: i64,
    account: AccountId,
    epoch: Epoch,
    deleting: bool,
    next_offset: u64,
    buffers: HashMap<Bytes, Place>,
}

/// What is remembered of a buffer: enough to find a free millisecond without asking.
#[derive(Clone, Copy)]
struct Place {
    id: i64,
    last_ts: i64,
    /// Every millisecond in this range (end excluded) is taken.
    taken: (i64, i64),
}

impl State {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let indexed_to: i64 = conn.query_row(sql::INDEXED_TO, [], |row| row.get(0))?;
        let last: Option<i64> = conn.query_row(sql::DOC_LAST, [], |row| row.get(0))?;
        let next_doc = last.unwrap_or_default().max(indexed_to) + 1;
        Ok(Self { indexed_to, next_doc, ..Self::default() })
    }

    /// How many documents the search index is behind.
    pub(super) fn unindexed(&self) -> i64 {
        self.next_doc - 1 - self.indexed_to
    }

    pub(super) fn forget(&mut self, conn: &Connection) {
        self.streams.clear();
        self.daily.clear();
        // Left as it is if the file cannot be read now: numbers that are not used again do no harm.
        if let Ok(fresh) = Self::load(conn) {
            self.indexed_to = fresh.indexed_to;
        }
    }

    pub(super) fn forget_stream(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
    }

    pub(super) fn forget_streams(&mut self) {
        self.streams.clear();
    }

    /// Retention has removed entries of this stream: milliseconds that were taken may be free.
    pub(super) fn forget_taken(&mut self, stream: i64) {
        for known in self.streams.values_mut().filter(|known| known.id == stream) {
            for place in known.buffers.values_mut() {
                place.taken = (0, 0);
            }
        }
    }

    pub(super) fn flush_daily(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        if self.daily.is_empty() {
            return Ok(());
        }
        let mut add = conn.prepare_cached(sql::DAILY_ADD)?;
        for ((day, account), entries) in self.daily.drain() {
            add.execute((day, account, entries))?;
        }
        Ok(())
    }
}

/// One append call.
pub(super) struct Append {
    pub writer: StreamWriter,
    pub entries: Vec<NewEntry>,
    pub results: Vec<Result<Stored, Refused>>,
    pub answer: oneshot::Sender<Result<Vec<Result<Stored, Refused>>>>,
}

impl Work for Append {
    fn weight(&self) -> usize {
        self.entries.len()
    }

    fn abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        self.results.clear();
        for entry in &self.entries {
            self.results.push(guarded(tx, &self.writer, entry)?);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<()>) {
        let Self { results, answer, .. } = *self;
        // Whoever asked may have given up meanwhile.
        let _ = answer.send(outcome.map(|()| results));
    }
}

/// Appends one entry so that, if the engine refuses the row, it fails alone.
fn guarded(
    tx: &mut Tx<'_>,
    writer: &StreamWriter,
    entry: &NewEntry,
) -> rusqlite::Result<Result<Stored, Refused>> {
    if !tx.careful {
        return append(tx, writer, entry);
    }
    tx.conn.execute_batch("SAVEPOINT row")?;
    match append(tx, writer, entry) {
        Ok(result) => {
            tx.conn.execute_batch("RELEASE row")?;
            Ok(result)
        }
        Err(cause) if is_row(&cause) => {
            tx.conn.execute_batch("ROLLBACK TO row; RELEASE row")?;
            tx.state.forget_stream(writer.stream);
            Ok(Err(Refused::Row(cause.to_string())))
        }
        Err(cause) => Err(cause),
    }
}

fn append(
    tx: &mut Tx<'_>,
    writer: &StreamWriter,
    entry: &NewEntry,
) -> rusqlite::Result<Result<Stored, Refused>> {
    if let Err(refused) = entry_check(entry) {
        return Ok(Err(refused));
    }
    let Tx { conn, state, now_ms, .. } = tx;
    let State { streams, daily, next_doc, appended, .. } = &mut **state;
    let Some(stream) = remembered(conn, streams, writer.stream)? else {
        return Ok(Err(Refused::NoSuchStream));
    };
    if stream.account != writer.account || stream.deleting {
        return Ok(Err(Refused::NoSuchStream));
    }
    if stream.epoch != writer.epoch {
        return Ok(Err(Refused::StaleEpoch));
    }
    let mut msgid = text::usable_msgid(entry.msgid.as_deref());
    if let Some(wanted) = msgid {
        match same(conn, stream, wanted, entry)? {
            Same::No => {}
            Same::Line(stored) => return Ok(Ok(stored)),
            Same::Other => msgid = None,
        }
    }

    let places = places(conn, stream, &entry.buffers)?;
    let ts = free_ms(conn, stream, &places, entry.ts_ms.map_or(*now_ms, |ts| ts.min(*now_ms)))?;
    let position = Position { epoch: stream.epoch, offset: stream.next_offset };
    let id = Uuid::now_v7();
    let searched = entry.kind.is_searched() && !entry.body.is_empty();
    let text = searched.then(|| text::searched(&entry.body)).flatten();
    let ids: SmallVec<[i64; 4]> = places.iter().map(|(_, id)| *id).collect();
    let (epoch, offset, kind) = (position.epoch.number, signed(position.offset), entry.kind as i64);

    conn.prepare_cached(sql::ENTRY_ADD)?.execute(params![
        stream.id,
        epoch,
        offset,
        id.as_bytes(),
        ts,
        kind,
        searched.then_some(*next_doc),
        pack(&ids),
        &entry.source[..],
        &entry.target[..],
        &entry.body[..],
        &entry.meta[..],
        msgid,
        text,
    ])?;
    let mut add_place = conn.prepare_cached(sql::PLACE_ADD)?;
    for id in &ids {
        add_place.execute((id, ts, epoch, offset, kind))?;
    }
    if searched {
        conn.prepare_cached(sql::DOC_ADD)?.execute((*next_doc, stream.id, epoch, offset))?;
        *next_doc += 1;
    }

    stream.next_offset += 1;
    for (name, _) in &places {
        if let Some(place) = stream.buffers.get_mut(*name) {
            place.take(ts);
        }
    }
    *daily.entry((now_ms.div_euclid(DAY_MS), stream.account_id)).or_default() += 1;
    *appended += 1;
    let msgid = msgid.map_or_else(|| text::own_msgid(position), str::to_owned);
    Ok(Ok(Stored { position, id, ts_ms: ts, msgid, duplicate: false }))
}

fn remembered<'a>(
    conn: &Connection,
    streams: &'a mut HashMap<StreamId, Stream>,
    wanted: StreamId,
) -> rusqlite::Result<Option<&'a mut Stream>> {
    if !streams.contains_key(&wanted) {
        if streams.len() >= MAX_REMEMBERED {
            streams.clear();
        }
        let Some(stream) = load(conn, wanted)? else { return Ok(None) };
        streams.insert(wanted, stream);
    }
    Ok(streams.get_mut(&wanted))
}

fn load(conn: &Connection, wanted: StreamId) -> rusqlite::Result<Option<Stream>> {
    let found = conn
        .prepare_cached(sql::STREAM_LOAD)?
        .query_row([wanted.0.as_bytes()], |row| {
            let pruned: (u32, i64) = (row.get(5)?, row.get(6)?);
            let stream = Stream {
                id: row.get(0)?,
                account_id: row.get(1)?,
                account: AccountId(Uuid::from_bytes(row.get(2)?)),
                epoch: Epoch { number: row.get(3)?, token: row.get(4)? },
                deleting: row.get(7)?,
                next_offset: 1,
                buffers: HashMap::new(),
            };
            Ok((stream, pruned))
        })
        .optional()?;
    let Some((mut stream, pruned)) = found else { return Ok(None) };
    let last: Option<i64> = conn
        .prepare_cached(sql::STREAM_LAST_OFFSET)?
        .query_row((stream.id, stream.epoch.number), |row| row.get(0))?;
    // What retention has removed must not be given out a second time.
    let pruned = if pruned.0 == stream.epoch.number { pruned.1 } else { 0 };
    stream.next_offset = u64::try_from(last.unwrap_or_default().max(pruned)).unwrap_or_default() + 1;
    Ok(Some(stream))
}

/// What the store knows of a msgid.
enum Same {
    No,
    Line(Stored),
    Other,
}

/// Whether the msgid is taken, and if so, by the same line. A line that was taken back counts as the same one: it must
/// not return through a second relay.
fn same(conn: &Connection, stream: &Stream, msgid: &str, entry: &NewEntry) -> rusqlite::Result<Same> {
    let found = conn
        .prepare_cached(sql::MSGID_FIND)?
        .query_row((stream.id, msgid), |row| {
            let redacted: bool = row.get(4)?;
            let same = row.get_ref(5)?.as_blob()? == &entry.source[..]
                && row.get_ref(6)?.as_blob()? == &entry.target[..]
                && (redacted || row.get_ref(7)?.as_blob()? == &entry.body[..])
                && row.get::<_, i64>(8)? == entry.kind as i64;
            let position = Position {
                epoch: Epoch { number: row.get(0)?, token: 0 },
                offset: u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default(),
            };
            let stored = Stored {
                position,
                id: Uuid::from_bytes(row.get(2)?),
                ts_ms: row.get(3)?,
                msgid: msgid.to_owned(),
                duplicate: true,
            };
            Ok(same.then_some(stored))
        })
        .optional()?;
    Ok(match found {
        None => Same::No,
        Some(None) => Same::Other,
        Some(Some(mut stored)) => {
            let number = stored.position.epoch.number;
            stored.position.epoch.token = rows::epoch_token(conn, stream.id, number)?.unwrap_or_default();
            Same::Line(stored)
        }
    })
}

type Named<'a> = SmallVec<[(&'a Bytes, i64); 4]>;

/// The entry's buffers, each once, made if they are new.
fn places<'a>(conn: &Connection, stream: &mut Stream, buffers: &'a [Buffer]) -> rusqlite::Result<Named<'a>> {
    let mut named = Named::new();
    for Buffer(name) in buffers {
        let id = match stream.buffers.get(name) {
            Some(place) => place.id,
            None => {
                let place = load_place(conn, stream.id, name)?;
                stream.buffers.insert(name.clone(), place);
                place.id
            }
        };
        if !named.iter().any(|(_, other)| *other == id) {
            named.push((name, id));
        }
    }
    Ok(named)
}

fn load_place(conn: &Connection, stream: i64, name: &Bytes) -> rusqlite::Result<Place> {
    let found: Option<i64> =
        conn.prepare_cached(sql::BUFFER_ID)?.query_row((stream, &name[..]), |row| row.get(0)).optional()?;
    let Some(id) = found else {
        conn.prepare_cached(sql::BUFFER_ADD)?.execute((stream, &name[..]))?;
        return Ok(Place { id: conn.last_insert_rowid(), last_ts: i64::MIN, taken: (0, 0) });
    };
    let last: Option<i64> = conn.prepare_cached(sql::BUFFER_LAST_TS)?.query_row([id], |row| row.get(0))?;
    Ok(Place { id, last_ts: last.unwrap_or(i64::MIN), taken: (0, 0) })
}

/// The first millisecond from `ts` on that is free in all of the buffers.
fn free_ms(conn: &Connection, stream: &mut Stream, places: &Named<'_>, mut ts: i64) -> rusqlite::Result<i64> {
    loop {
        let start = ts;
        for (name, _) in places {
            if let Some(place) = stream.buffers.get_mut(*name) {
                ts = place.free_from(conn, ts)?;
            }
        }
        if ts == start {
            return Ok(ts);
        }
    }
}

impl Place {
    fn free_from(&mut self, conn: &Connection, mut ts: i64) -> rusqlite::Result<i64> {
        loop {
            if ts > self.last_ts {
                return Ok(ts);
            }
            if (self.taken.0..self.taken.1).contains(&ts) {
                ts = self.taken.1;
                continue;
            }
            let mut end = ts;
            let mut statement = conn.prepare_cached(sql::PLACE_FROM)?;
            let mut rows = statement.query((self.id, ts))?;
            while let Some(row) = rows.next()? {
                if row.get::<_, i64>(0)? != end {
                    break;
                }
                end += 1;
            }
            if end > ts {
                self.taken = (ts, end);
            }
            return Ok(end);
        }
    }

    fn take(&mut self, ts: i64) {
        self.last_ts = self.last_ts.max(ts);
        if ts == self.taken.1 {
            self.taken.1 += 1;
        } else {
            self.taken = (ts, ts + 1);
        }
    }
}

/// Raises a stream's epoch, and makes the stream if it is not there.
pub(super) fn open_stream(
    tx: &mut Tx<'_>,
    account: AccountId,
    stream: StreamId,
    token: u32,
) -> rusqlite::Result<Result<StreamWriter>> {
    let (conn, account_bytes, stream_bytes) = (tx.conn, account.0.as_bytes(), stream.0.as_bytes());
    conn.prepare_cached(sql::ACCOUNT_ADD)?.execute([account_bytes])?;
    let account_id: i64 =
        conn.prepare_cached(sql::ACCOUNT_ID)?.query_row([account_bytes], |row| row.get(0))?;
    conn.prepare_cached(sql::STREAM_ADD)?.execute((stream_bytes, account_id))?;
    tx.state.forget_stream(stream);
    let Some(found) = load(conn, stream)? else { return Ok(Err(Error::NoSuchStream)) };
    if found.account != account || found.deleting {
        return Ok(Err(Error::NoSuchStream));
    }
    let number = raise(conn, found.id, token)?;
    Ok(Ok(StreamWriter { account, stream, epoch: Epoch { number, token } }))
}

/// Begins a new epoch of a stream.
pub(super) fn raise(conn: &Connection, stream: i64, token: u32) -> rusqlite::Result<u32> {
    let number: u32 = conn.prepare_cached(sql::STREAM_RAISE)?.query_row((stream, token), |row| row.get(0))?;
    conn.prepare_cached(sql::EPOCH_ADD)?.execute((stream, number, token))?;
    Ok(number)
}
