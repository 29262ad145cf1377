//! The embedded store: one SQLite file, one thread that writes, a few that read, one that checkpoints and one for long
//! reads.

mod append;
mod backup;
mod checkpoint;
mod index;
mod pages;
mod readers;
mod remove;
mod rows;
mod search;
mod shared;
mod sql;
mod task;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use crate::store::Store;
use crate::{
    AccountId, Buffer, CursorPage, DayCount, DeviceCursor, Entry, Error, Found, Health, Kinds, NewEntry,
    Options, Position, Range, Refused, Result, Search, Since, Stored, StreamId, StreamWriter, Target,
};

pub(crate) use backup::restore;
use readers::{Readers, closed};
use shared::Shared;
use task::Task;
use writer::{Message, Tx, Work, explain};

const DAY_MS: i64 = 86_400_000;

/// The SQLite store.
pub(crate) struct SqliteStore {
    shared: Arc<Shared>,
    patience: Duration,
    search_looks: u64,
    writer: Mutex<Option<Sender<Message>>>,
    truncate: Mutex<Option<Sender<checkpoint::Truncate>>>,
    pages: Readers,
    long: Readers,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl SqliteStore {
    pub(crate) async fn open(path: &Path, options: Options) -> Result<Self> {
        let path = path.to_owned();
        blocking(move || Self::start(&path, &options)).await
    }

    fn start(path: &Path, options: &Options) -> Result<Self> {
        let conn = open_connection(path, false)?;
        migrate(&conn).map_err(unusable)?;
        let state = append::State::load(&conn).map_err(unusable)?;
        let shared = Arc::new(Shared::new(options));
        let (pages, mut threads) = Readers::start(path, "history-read", options.readers)?;
        let (long, more) = Readers::start(path, "history-long", 1)?;
        threads.extend(more);

        let (writer, queue) = channel();
        let (truncate, asks) = channel();
        let side = open_connection(path, false)?;
        let (to_writer, seen) = (writer.clone(), shared.clone());
        threads.push(thread("history-checkpoint", move || {
            checkpoint::serve(&side, &seen, &to_writer, &asks);
        })?);
        let index_delay = options.index_delay;
        let seen = shared.clone();
        threads.push(thread("history-write", move || {
            writer::Writer { conn, shared: seen, state, index_delay, last_index: Instant::now() }
                .serve(&queue);
        })?);
        Ok(Self {
            shared,
            patience: options.patience,
            search_looks: options.search_looks,
            writer: Mutex::new(Some(writer)),
            truncate: Mutex::new(Some(truncate)),
            pages,
            long,
            threads: Mutex::new(threads),
        })
    }

    /// Hands work to the writer and waits for its commit.
    async fn commit<T>(&self, work: Box<dyn Work>, waits: oneshot::Receiver<Result<T>>) -> Result<T> {
        let weight = work.weight();
        {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let writer = writer.as_ref().ok_or_else(closed)?;
            self.shared.admit(weight)?;
            if writer.send(Message::Work(work)).is_err() {
                self.shared.release(weight);
                return Err(closed());
            }
        }
        match tokio::time::timeout(self.patience, waits).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(Error::Unavailable("the disk does not answer".to_owned())),
        }
    }

    async fn write<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Tx<'_>) -> rusqlite::Result<Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (task, waits) = Task::new(run);
        self.commit(task, waits).await
    }

    async fn truncate(&self) -> Result<()> {
        let (answer, waits) = oneshot::channel();
        {
            let ask = self.truncate.lock().unwrap_or_else(PoisonError::into_inner);
            ask.as_ref().ok_or_else(closed)?.send(answer).map_err(|_| closed())?;
        }
        match waits.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Unavailable("the write-ahead log could not be emptied".to_owned())),
            Err(_) => Err(closed()),
        }
    }

    /// Removes a stream step by step. The log still holds it afterwards.
    async fn remove_stream(&self, account: AccountId, stream: StreamId) -> Result<()> {
        let token = rand::random();
        let id = self.write(move |tx| remove::begin_delete(tx, account, stream, token).map(Ok)).await?;
        let Some(id) = id else { return Ok(()) };
        while !self.write(move |tx| remove::delete_step(tx, id).map(Ok)).await? {}
        Ok(())
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn open_stream(&self, account: AccountId, stream: StreamId) -> Result<StreamWriter> {
        let token = rand::random();
        self.write(move |tx| append::open_stream(tx, account, stream, token)).await
    }

    async fn append(
        &self,
        writer: StreamWriter,
        entries: Vec<NewEntry>,
    ) -> Result<Vec<Result<Stored, Refused>>> {
        let (answer, waits) = oneshot::channel();
        let results = Vec::with_capacity(entries.len());
        self.commit(Box::new(append::Append { writer, entries, results, answer }), waits).await
    }

    async fn page(
        &self,
        account: AccountId,
        stream: StreamId,
        buffer: Buffer,
        range: Range,
        kinds: Kinds,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        let page = pages::Page { account, stream, buffer, range, kinds, limit };
        self.pages.run(move |conn| pages::page(conn, page)).await
    }

    async fn targets(
        &self,
        account: AccountId,
        stream: StreamId,
        between: (i64, i64),
        kinds: Kinds,
        limit: usize,
    ) -> Result<Vec<Target>> {
        self.pages.run(move |conn| pages::targets(conn, account, stream, between, kinds, limit)).await
    }

    async fn since(
        &self,
        account: AccountId,
        stream: StreamId,
        since: Since,
        kinds: Kinds,
        limit: usize,
    ) -> Result<CursorPage> {
        self.pages.run(move |conn| pages::since(conn, account, stream, since, kinds, limit)).await
    }

    async fn latest_position(&self, account: AccountId, stream: StreamId) -> Result<Option<Position>> {
        self.pages.run(move |conn| pages::latest_position(conn, account, stream)).await
    }

    async fn by_msgid(&self, account: AccountId, stream: StreamId, msgid: String) -> Result<Option<Entry>> {
        self.pages.run(move |conn| pages::by_msgid(conn, account, stream, &msgid)).await
    }

    async fn set_read_marker(
        &self,
        account: AccountId,
        stream: StreamId,
        buffer: Buffer,
        ts_ms: i64,
    ) -> Result<i64> {
        self.write(move |tx| {
            let Some(stream) = remove::stream_of(tx.conn, account, stream)? else {
                return Ok(Err(Error::NoSuchStream));
            };
            tx.conn
                .prepare_cached(sql::MARKER_SET)?
                .query_row((stream, &buffer.0[..], ts_ms), |row| row.get(0))
                .map(Ok)
        })
        .await
    }

    async fn read_markers(&self, account: AccountId, stream: StreamId) -> Result<Vec<(Buffer, i64)>> {
        self.pages.run(move |conn| pages::read_markers(conn, account, stream)).await
    }

    async fn set_device_cursor(
        &self,
        account: AccountId,
        stream: StreamId,
        device: Bytes,
        position: Position,
    ) -> Result<()> {
        self.write(move |tx| {
            let Some(stream) = remove::stream_of(tx.conn, account, stream)? else {
                return Ok(Err(Error::NoSuchStream));
            };
            let Position { epoch, offset } = position;
            tx.conn.prepare_cached(sql::CURSOR_SET)?.execute((
                stream,
                &device[..],
                epoch.number,
                epoch.token,
                rows::signed(offset),
                tx.now_ms,
            ))?;
            Ok(Ok(()))
        })
        .await
    }

    async fn device_cursors(&self, account: AccountId, stream: StreamId) -> Result<Vec<DeviceCursor>> {
        self.pages.run(move |conn| pages::device_cursors(conn, account, stream)).await
    }

    async fn forget_device(&self, account: AccountId, device: Bytes) -> Result<()> {
        self.write(move |tx| {
            let mut drop = tx.conn.prepare_cached(sql::CURSOR_DROP)?;
            for stream in remove::stream_ids(tx.conn, account)? {
                drop.execute((stream, &device[..]))?;
            }
            Ok(Ok(()))
        })
        .await
    }

    async fn redact(&self, account: AccountId, stream: StreamId, msgid: String) -> Result<Position> {
        self.write(move |tx| remove::redact(tx, account, stream, &msgid)).await
    }

    async fn prune(&self, account: AccountId, before_ms: i64) -> Result<u64> {
        let streams = self.write(move |tx| remove::stream_ids(tx.conn, account).map(Ok)).await?;
        let mut removed = 0;
        for stream in streams {
            loop {
                match self.write(move |tx| remove::prune(tx, stream, before_ms).map(Ok)).await? {
                    0 => break,
                    more => removed += more,
                }
            }
        }
        Ok(removed)
    }

    async fn search(&self, account: AccountId, search: Search) -> Result<Found> {
        let mut walk = search::Walk::new(account, search);
        // A step at a time, so that nobody waits for the whole of it.
        while walk.goes_on(self.search_looks) {
            walk = self.long.run(move |conn| walk.step(conn).map(Ok)).await?;
        }
        self.long.run(move |conn| walk.found(conn).map(Ok)).await
    }

    async fn streams(&self, account: AccountId) -> Result<Vec<StreamId>> {
        self.pages.run(move |conn| pages::streams(conn, account)).await
    }

    async fn counts(&self, account: AccountId, since_day: i64) -> Result<Vec<DayCount>> {
        let today = self.shared.now_ms().div_euclid(DAY_MS);
        self.long.run(move |conn| pages::counts(conn, account, since_day, today)).await
    }

    async fn about(&self, account: AccountId) -> Result<u64> {
        self.long.run(move |conn| pages::about(conn, account)).await
    }

    async fn export(
        &self,
        account: AccountId,
        stream: StreamId,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Entry, Vec<Buffer>)>> {
        self.long.run(move |conn| pages::export(conn, account, stream, after, limit)).await
    }

    async fn delete_stream(&self, account: AccountId, stream: StreamId) -> Result<()> {
        self.remove_stream(account, stream).await?;
        self.truncate().await
    }

    async fn delete_account(&self, account: AccountId) -> Result<()> {
        let streams = self.write(move |tx| remove::streams_to_delete(tx.conn, account).map(Ok)).await?;
        for stream in streams {
            self.remove_stream(account, stream).await?;
        }
        self.write(move |tx| remove::delete_account(tx, account).map(Ok)).await?;
        self.truncate().await
    }

    async fn backup(&self, into: PathBuf) -> Result<()> {
        self.long.run(move |conn| Ok(backup::copy(conn, &into))).await
    }

    async fn raise_epochs(&self) -> Result<()> {
        self.write(move |tx| {
            tx.state.forget_streams();
            backup::raise_all(tx.conn).map(Ok)
        })
        .await
    }

    async fn health(&self) -> Health {
        self.shared.health()
    }

    async fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + self.patience;
        loop {
            let behind = self.write(|tx| Ok(Ok(tx.state.unindexed()))).await?;
            if behind == 0 {
                return self.truncate().await;
            }
            if Instant::now() > deadline {
                return Err(Error::Unavailable("the search index does not catch up".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn close(&self) {
        self.truncate.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.pages.stop();
        self.long.stop();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // A thread that panicked has said so already.
        let _ =
            tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())))
                .await;
    }
}

/// Starts a named thread.
fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|cause| Error::Unavailable(format!("no thread for history: {cause}")))
}

/// Runs what blocks away from the runtime's threads.
async fn blocking<T: Send + 'static>(run: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(run).await {
        Ok(result) => result,
        Err(cause) => Err(Error::Unavailable(cause.to_string())),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn unusable(cause: rusqlite::Error) -> Error {
    match cause.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull | rusqlite::ErrorCode::SystemIoFailure) => {
            Error::Unavailable(explain(&cause))
        }
        _ => Error::Unusable(cause.to_string()),
    }
}

/// A connection as every part of the store uses it.
fn open_connection(path: &Path, read_only: bool) -> Result<Connection> {
    let flags = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX
    };
    (|| {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(Duration::from_secs(5))?;
        conn.set_prepared_statement_cache_capacity(128);
        conn.execute_batch("PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;")?;
        if !read_only {
            // The last pages of ten thousand buffers and a thousand streams are 48 MiB: they stay at hand.
            // auto_vacuum counts only before the first table; the log is moved by the checkpoint thread alone.
            conn.execute_batch(
                "PRAGMA cache_size = -65536; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON;
                 PRAGMA wal_autocheckpoint = 0;",
            )?;
        }
        Ok(conn)
    })()
    .map_err(unusable)
}

/// Brings the tables up to date.
fn migrate(conn: &Connection) -> rusqlite::Result<()> {
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (number, migration) in (1..).zip(sql::MIGRATIONS).filter(|(number, _)| *number > version) {
        let transaction =
            rusqlite::Transaction::new_unchecked(conn, rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}
