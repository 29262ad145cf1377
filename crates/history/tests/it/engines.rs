//! A fresh store of each engine, with a clock the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use history::{
    AccountId, Buffer, History, Kind, Kinds, NewEntry, Options, Range, Search, Stored, StreamId, StreamWriter,
};
use uuid::Uuid;

/// Runs each promise on a fresh store of each engine.
macro_rules! on_every_engine {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(crate::engines::Fixture::sqlite().await).await; })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() {
                if let Some(fixture) = crate::engines::Fixture::postgres().await { super::$name(fixture).await; }
            })*
        }
    };
}

/// When every test begins.
pub const START: i64 = 1_700_000_000_000;

/// A store, its clock, and what must outlive it.
pub struct Fixture {
    pub history: History,
    pub account: AccountId,
    pub stream: StreamId,
    pub clock: Arc<AtomicI64>,
    pub folder: tempfile::TempDir,
}

/// Options with a clock of the test's own.
pub fn options(clock: &Arc<AtomicI64>) -> Options {
    let clock = clock.clone();
    Options { clock: Arc::new(move || clock.load(Ordering::SeqCst)), ..Options::default() }
}

impl Fixture {
    pub async fn sqlite() -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let folder = tempfile::tempdir().unwrap();
        let history = History::open_sqlite(&folder.path().join("history.db"), options(&clock)).await.unwrap();
        Self::with(history, clock, folder)
    }

    /// `None`, said loudly, where there is no PostgreSQL to be had.
    pub async fn postgres() -> Option<Self> {
        testkit::Part::Postgres.find_or_skip()?;
        let clock = Arc::new(AtomicI64::new(START));
        let url = testkit::postgres::database().unwrap();
        let history = History::open_postgres(&url, options(&clock)).await.unwrap();
        Some(Self::with(history, clock, tempfile::tempdir().unwrap()))
    }

    fn with(history: History, clock: Arc<AtomicI64>, folder: tempfile::TempDir) -> Self {
        Self { history, account: Uuid::new_v4().into(), stream: Uuid::new_v4().into(), clock, folder }
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("history.db")
    }

    pub fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    pub async fn writer(&self) -> StreamWriter {
        self.history.open_stream(self.account, self.stream).await.unwrap()
    }

    /// Appends one entry that must be taken.
    pub async fn put(&self, writer: &StreamWriter, entry: NewEntry) -> Stored {
        self.history.append(writer, vec![entry]).await.unwrap().remove(0).unwrap()
    }
}

/// A message in `#a`, said now.
pub fn message(body: &str) -> NewEntry {
    said_in("#a", body)
}

pub fn said_in(buffer: &str, body: &str) -> NewEntry {
    NewEntry::new(
        Kind::Privmsg,
        Buffer::from(buffer),
        "ann!ann@example.org".into(),
        buffer.to_owned().into(),
        body.to_owned().into(),
    )
}

pub async fn bodies(f: &Fixture, buffer: &str, range: Range, limit: usize) -> Vec<String> {
    f.history
        .page(f.account, f.stream, &Buffer::from(buffer), range, Kinds::ALL, limit)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| String::from_utf8_lossy(&entry.body).into_owned())
        .collect()
}

pub async fn found(f: &Fixture, text: &str) -> Vec<String> {
    let search = Search { text: Some(text.to_owned()), limit: 100, ..Search::default() };
    hits(f, search).await
}

pub async fn hits(f: &Fixture, search: Search) -> Vec<String> {
    let found = f.history.search(f.account, search).await.unwrap();
    assert!(!found.more, "nothing here is so much that a search is given up");
    found.hits.into_iter().map(|hit| String::from_utf8_lossy(&hit.entry.body).into_owned()).collect()
}
