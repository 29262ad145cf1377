//! The one thread that writes. It takes all that waits, commits it once, and answers when the commit is on disk.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::append::State;
use super::shared::Shared;
use super::{index, sql};
use crate::Error;

/// The most entries one commit carries: more would make everybody wait for the last one.
const MAX_GROUP: usize = 2_000;
/// How long the writer stands still for a checkpoint at most.
const PAUSE: Duration = Duration::from_secs(5);

/// Something to be done within a commit.
pub(super) trait Work: Send {
    /// How many entries it counts as.
    fn weight(&self) -> usize;
    /// Nobody waits for it any more.
    fn abandoned(&self) -> bool;
    /// Does it. May be called again after the transaction of an earlier call was rolled back.
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;
    /// Answers whoever waits: the commit is on disk, or nothing of it is.
    fn finish(self: Box<Self>, outcome: Result<(), Error>);
}

/// What reaches the writer.
pub(super) enum Message {
    /// Work for the next commit.
    Work(Box<dyn Work>),
    /// Stand still between two commits until the other side is done.
    Pause(Sender<()>, Receiver<()>),
}

/// What a piece of work has at hand.
pub(super) struct Tx<'a> {
    pub conn: &'a Connection,
    pub state: &'a mut State,
    /// A row was refused before: guard each one with a savepoint, so that it fails alone.
    pub careful: bool,
    pub now_ms: i64,
}

pub(super) struct Writer {
    pub conn: Connection,
    pub shared: Arc<Shared>,
    pub state: State,
    pub index_delay: Duration,
    pub last_index: Instant,
}

thread_local! {
    /// The log's length after this thread's last commit, in pages.
    static LOG_PAGES: Cell<u64> = const { Cell::new(0) };
}

/// Told by the engine after each commit.
#[expect(clippy::unnecessary_wraps, reason = "the engine's signature")]
fn committed(_: &rusqlite::hooks::Wal, pages: std::ffi::c_int) -> rusqlite::Result<()> {
    LOG_PAGES.set(u64::try_from(pages).unwrap_or_default());
    Ok(())
}

impl Writer {
    /// Serves until every sender is gone.
    pub(super) fn serve(mut self, queue: &Receiver<Message>) {
        self.conn.wal_hook(Some(committed));
        loop {
            let waits = if self.state.unindexed() > 0 { self.index_delay } else { Duration::from_secs(3600) };
            let first = match queue.recv_timeout(waits) {
                Ok(Message::Work(work)) => Some(work),
                Ok(Message::Pause(standing, done)) => {
                    if standing.send(()).is_ok() {
                        // An error means the other side is gone, which is as good as done.
                        let _ = done.recv_timeout(PAUSE);
                    }
                    None
                }
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if let Some(first) = first {
                let (group, pause) = gather(first, queue);
                self.commit(group);
                if let Some((standing, done)) = pause
                    && standing.send(()).is_ok()
                {
                    let _ = done.recv_timeout(PAUSE);
                }
            }
            if self.state.unindexed() >= index::CHUNK
                || (self.state.unindexed() > 0 && self.last_index.elapsed() >= self.index_delay)
            {
                self.index();
            }
        }
        while self.state.unindexed() > 0 && self.index() {}
        // Statistics for the planner; a failure costs nothing but speed.
        let _ = self.conn.execute_batch("PRAGMA optimize");
    }

    /// Commits the group and answers everybody in it.
    fn commit(&mut self, mut group: Vec<Box<dyn Work>>) {
        self.shared.begin_commit();
        let weight: usize = group.iter().map(|work| work.weight()).sum();
        group.retain(|work| !work.abandoned());
        let before = self.state.appended;
        let mut outcome = if group.is_empty() { Ok(()) } else { self.attempt(&mut group, false) };
        if outcome.as_ref().is_err_and(is_row) {
            outcome = self.attempt(&mut group, true);
        }
        let outcome = outcome.map_err(|cause| {
            tracing::warn!(error = %cause, entries = weight, "history: a commit failed");
            self.state.appended = before;
            Error::Unavailable(explain(&cause))
        });
        self.shared.note_log(LOG_PAGES.get());
        self.shared.end_commit(weight, self.state.appended, outcome.as_ref().err().map(ToString::to_string));
        for work in group {
            work.finish(outcome.clone());
        }
    }

    fn attempt(&mut self, group: &mut [Box<dyn Work>], careful: bool) -> rusqlite::Result<()> {
        let now_ms = self.shared.now_ms();
        let result = (|| {
            let transaction =
                rusqlite::Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
            for work in group {
                let mut tx = Tx { conn: &transaction, state: &mut self.state, careful, now_ms };
                work.run(&mut tx)?;
            }
            self.state.flush_daily(&transaction)?;
            transaction.commit()
        })();
        if result.is_err() {
            self.recover();
        }
        result
    }

    /// After a failure: nothing remembered may be ahead of the file.
    fn recover(&mut self) {
        if !self.conn.is_autocommit() {
            // The engine rolls back by itself on a full disk; if it did not, this does.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        self.state.forget(&self.conn);
    }

    /// Brings the search index one chunk forward. Answers whether that worked.
    fn index(&mut self) -> bool {
        self.last_index = Instant::now();
        let result = (|| {
            let transaction =
                rusqlite::Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
            let reached = index::chunk(&transaction, &self.state)?;
            transaction.prepare_cached(sql::INDEXED_SET)?.execute([reached])?;
            transaction.commit()?;
            Ok::<_, rusqlite::Error>(reached)
        })();
        match result {
            Ok(reached) => {
                self.state.indexed_to = reached;
                true
            }
            Err(cause) => {
                tracing::warn!(error = %cause, "history: the search index could not follow");
                self.recover();
                false
            }
        }
    }
}

type PauseEnds = (Sender<()>, Receiver<()>);

/// Everything that waits, up to the size of a group. A wish to pause ends the group.
fn gather(first: Box<dyn Work>, queue: &Receiver<Message>) -> (Vec<Box<dyn Work>>, Option<PauseEnds>) {
    let mut weight = first.weight();
    let mut group = vec![first];
    while weight < MAX_GROUP {
        match queue.try_recv() {
            Ok(Message::Work(work)) => {
                weight += work.weight();
                group.push(work);
            }
            Ok(Message::Pause(standing, done)) => return (group, Some((standing, done))),
            Err(_) => break,
        }
    }
    (group, None)
}

/// Whether the engine refused a row rather than the whole transaction.
pub(super) fn is_row(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(code, _) => {
            matches!(code.code, ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
        }
        _ => false,
    }
}

/// What the user may be told.
pub(super) fn explain(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(ErrorCode::SystemIoFailure) => "the disk does not take writes".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another process holds it".to_owned(),
        _ => error.to_string(),
    }
}
