//! Append, page, prune and search messages; SQLite with FTS5 and PostgreSQL with tsvector behind one store.
//!
//! Start at [`History`]. [`History::open_stream`] makes a caller the one writer of a stream and raises its epoch;
//! [`History::append`] answers once its group commit is on disk. Pages ([`History::page`]) follow time within a buffer,
//! cursors ([`History::since`]) follow positions within a stream.
//!
//! Under pressure: at most [`Options::queue_entries`] entries wait for a commit; a call that finds the queue full is
//! answered [`Error::Busy`] at once, and nothing of it is kept. A call that waits longer than [`Options::patience`] is
//! answered [`Error::Unavailable`]; if its turn had not come, it is dropped, else it may still land, and the same msgid
//! sent again finds it. Reads have a queue of their own with the same rule.

mod error;
mod export;
#[doc(hidden)]
pub mod fuzz;
mod model;
mod options;
mod store;
mod text;

mod postgres;
mod sqlite;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;

pub use error::{Error, Result};
pub use model::{
    AccountId, Anchor, Buffer, CursorPage, DayCount, DeviceCursor, Entry, Epoch, Found, Gap, Health, Hit,
    Hole, Kind, Kinds, NewEntry, Position, Range, Refused, Search, Since, Stored, StreamId, StreamWriter,
    Target,
};
pub use options::Options;

use store::Store;

/// The most bytes of source, target, body, meta, msgid and buffer names one entry may have together.
pub const MAX_ENTRY_BYTES: usize = 64 * 1024;
/// The most entries one append may carry.
pub const MAX_BATCH: usize = 1_000;
/// The most entries one page, cursor read or search returns, whatever it asks for.
pub const MAX_PAGE: usize = 1_000;

/// The store, as everybody holds it: cheap to clone, usable from any task.
#[derive(Clone)]
pub struct History {
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").finish_non_exhaustive()
    }
}

impl History {
    /// Opens what `url` names: `sqlite:/path/history.db` or `postgres://…`. Makes it if it is not there.
    pub async fn open(url: &str, options: Options) -> Result<Self> {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Self::open_postgres(url, options).await;
        }
        match url.strip_prefix("sqlite:") {
            Some(path) => {
                Self::open_sqlite(Path::new(path.strip_prefix("//").unwrap_or(path)), options).await
            }
            None => Err(Error::Invalid("a history address begins with sqlite: or postgres:")),
        }
    }

    /// Opens or makes a SQLite file. It is history's own: nothing else may lie in it.
    pub async fn open_sqlite(path: &Path, options: Options) -> Result<Self> {
        Ok(Self { store: Arc::new(sqlite::SqliteStore::open(path, options).await?) })
    }

    /// Opens a PostgreSQL database and brings its tables up to date (in the schema `history`).
    pub async fn open_postgres(url: &str, options: Options) -> Result<Self> {
        Ok(Self { store: Arc::new(postgres::PostgresStore::open(url, options).await?) })
    }

    /// Makes the caller the one writer of a stream: its epoch is raised durably, and whoever wrote before is refused
    /// from now on. Makes the stream if it is not there.
    pub async fn open_stream(&self, account: AccountId, stream: StreamId) -> Result<StreamWriter> {
        self.store.open_stream(account, stream).await
    }

    /// Appends in order, in one group commit with all that waits. The answer has one result for each entry and comes
    /// when they are on disk.
    pub async fn append(
        &self,
        writer: &StreamWriter,
        entries: Vec<NewEntry>,
    ) -> Result<Vec<Result<Stored, Refused>>> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        if entries.len() > MAX_BATCH {
            return Err(Error::Invalid("too many entries in one append"));
        }
        self.store.append(*writer, entries).await
    }

    /// A part of a buffer, oldest first. An unknown stream or buffer is an empty one; an unknown msgid is
    /// [`Error::NoSuchMessage`].
    pub async fn page(
        &self,
        account: AccountId,
        stream: StreamId,
        buffer: &Buffer,
        range: Range,
        kinds: Kinds,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        let limit = limit.min(MAX_PAGE);
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.store.page(account, stream, buffer.clone(), range, kinds, limit).await
    }

    /// The buffers whose newest entry lies strictly between the two times (in either order), oldest first.
    pub async fn targets(
        &self,
        account: AccountId,
        stream: StreamId,
        between_ms: (i64, i64),
        kinds: Kinds,
        limit: usize,
    ) -> Result<Vec<Target>> {
        let between = (between_ms.0.min(between_ms.1), between_ms.0.max(between_ms.1));
        self.store.targets(account, stream, between, kinds, limit.min(MAX_PAGE)).await
    }

    /// A stream across all its buffers in position order: what refills a lagging or returning device.
    pub async fn since(
        &self,
        account: AccountId,
        stream: StreamId,
        since: Since,
        kinds: Kinds,
        limit: usize,
    ) -> Result<CursorPage> {
        self.store.since(account, stream, since, kinds, limit.clamp(1, MAX_PAGE)).await
    }

    /// The newest position of a stream, or `None` if it is empty.
    pub async fn latest_position(&self, account: AccountId, stream: StreamId) -> Result<Option<Position>> {
        self.store.latest_position(account, stream).await
    }

    /// The entry with this msgid.
    pub async fn by_msgid(&self, account: AccountId, stream: StreamId, msgid: &str) -> Result<Option<Entry>> {
        self.store.by_msgid(account, stream, msgid.to_owned()).await
    }

    /// Moves a read marker forward and answers where it stands then: it never goes back.
    pub async fn set_read_marker(
        &self,
        account: AccountId,
        stream: StreamId,
        buffer: &Buffer,
        ts_ms: i64,
    ) -> Result<i64> {
        self.store.set_read_marker(account, stream, buffer.clone(), ts_ms).await
    }

    /// Every read marker of a stream.
    pub async fn read_markers(&self, account: AccountId, stream: StreamId) -> Result<Vec<(Buffer, i64)>> {
        self.store.read_markers(account, stream).await
    }

    /// Notes what a device has seen of a stream. It never goes back.
    pub async fn set_device_cursor(
        &self,
        account: AccountId,
        stream: StreamId,
        device: &[u8],
        position: Position,
    ) -> Result<()> {
        self.store.set_device_cursor(account, stream, Bytes::copy_from_slice(device), position).await
    }

    /// Every device's cursor in a stream.
    pub async fn device_cursors(&self, account: AccountId, stream: StreamId) -> Result<Vec<DeviceCursor>> {
        self.store.device_cursors(account, stream).await
    }

    /// Forgets a device in every stream of the account.
    pub async fn forget_device(&self, account: AccountId, device: &[u8]) -> Result<()> {
        self.store.forget_device(account, Bytes::copy_from_slice(device)).await
    }

    /// Takes a message back: its body and meta are gone from the row and from the search index when this returns.
    /// Answers where it lies; `Err(NoSuchMessage)` if there is none.
    pub async fn redact(&self, account: AccountId, stream: StreamId, msgid: &str) -> Result<Position> {
        self.store.redact(account, stream, msgid.to_owned()).await
    }

    /// Removes what was said before `before_ms` in all streams of the account, in chunks that let appends pass.
    /// Answers how many entries went.
    pub async fn prune(&self, account: AccountId, before_ms: i64) -> Result<u64> {
        self.store.prune(account, before_ms).await
    }

    /// Finds the newest entries that fit, newest last.
    pub async fn search(&self, account: AccountId, mut search: Search) -> Result<Found> {
        search.limit = search.limit.min(MAX_PAGE);
        if search.buffer.is_some() && search.stream.is_none() {
            return Err(Error::Invalid("a search in a buffer names its stream"));
        }
        if search.limit == 0 {
            return Ok(Found::default());
        }
        self.store.search(account, search).await
    }

    /// The account's streams.
    pub async fn streams(&self, account: AccountId) -> Result<Vec<StreamId>> {
        self.store.streams(account).await
    }

    /// Everything of the account as JSON lines, in pieces that end at a line's end.
    pub fn export(&self, account: AccountId) -> BoxStream<'static, Result<Bytes>> {
        export::lines(self.clone(), account)
    }

    /// A piece of a stream in position order, with the buffers each entry belongs to: what is carried to another store.
    pub async fn entries(
        &self,
        account: AccountId,
        stream: StreamId,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Entry, Vec<Buffer>)>> {
        self.store.export(account, stream, after, limit.clamp(1, MAX_PAGE)).await
    }

    /// Entries taken for the account, a row a day, oldest first, from `since_day` (days since 1970) on.
    pub async fn counts(&self, account: AccountId, since_day: i64) -> Result<Vec<DayCount>> {
        self.store.counts(account, since_day).await
    }

    /// About how many entries the account has: what was pruned in between is counted too, so that nobody waits for the
    /// answer.
    pub async fn about(&self, account: AccountId) -> Result<u64> {
        self.store.about(account).await
    }

    /// Deletes a stream with everything in it. Writers are refused from the first moment on; no byte of it is in any
    /// file of a SQLite store when this returns. A PostgreSQL store is swept by `VACUUM` right behind it, which leaves
    /// what the engine keeps: its log, and freed space until that is written again. May be repeated.
    pub async fn delete_stream(&self, account: AccountId, stream: StreamId) -> Result<()> {
        self.store.delete_stream(account, stream).await
    }

    /// Deletes every stream of an account, and its counts. May be repeated.
    pub async fn delete_account(&self, account: AccountId) -> Result<()> {
        self.store.delete_account(account).await
    }

    /// Writes a consistent copy to a new file while everything goes on. SQLite only: PostgreSQL has its own tools.
    pub async fn backup(&self, into: &Path) -> Result<()> {
        self.store.backup(into.to_owned()).await
    }

    /// Puts a backup where no store is yet and raises every stream's epoch, so that cursors from the time after the
    /// backup are known to be lost.
    pub async fn restore_sqlite(backup: &Path, into: &Path) -> Result<()> {
        sqlite::restore(backup.to_owned(), into.to_owned()).await
    }

    /// Raises every stream's epoch: the last step of a restore made with the engine's own tools.
    pub async fn raise_epochs(&self) -> Result<()> {
        self.store.raise_epochs().await
    }

    /// How the store feels.
    pub async fn health(&self) -> Health {
        self.store.health().await
    }

    /// Brings the search index up to what is committed, and truncates the write-ahead log (SQLite); waits for the sweep
    /// behind a deletion (PostgreSQL). For tests and shutdown.
    pub async fn settle(&self) -> Result<()> {
        self.store.settle().await
    }

    /// Finishes what waits, then lets go of the files. Later calls are [`Error::Unavailable`].
    pub async fn close(&self) {
        self.store.close().await;
    }
}

/// What can be refused without asking the engine.
fn entry_check(entry: &NewEntry) -> Result<(), Refused> {
    if entry.buffers.is_empty() {
        return Err(Refused::NoBuffer);
    }
    let names: usize = entry.buffers.iter().map(|buffer| buffer.0.len()).sum();
    let msgid = entry.msgid.as_ref().map_or(0, String::len);
    let size = names + msgid + entry.source.len() + entry.target.len() + entry.body.len() + entry.meta.len();
    if size > MAX_ENTRY_BYTES { Err(Refused::TooLarge) } else { Ok(()) }
}
