//! Moving the write-ahead log into the file, on a connection and a thread of its own.
//!
//! While appends go on, an ordinary checkpoint never meets the log's end, and the log would grow for ever. So once the
//! log is long, the bulk is moved beside the appends, and only for the little that came meanwhile the writer stands still.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rusqlite::Connection;

use super::shared::Shared;
use super::writer::Message;

/// How often the log's length is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// Log pages past which it is moved at once (128 MiB): later costs reads and the time to start again, earlier costs the
/// disk, which sees the same thousands of pages again and again.
pub(super) const LONG: u64 = 32_768;
/// A shorter log is moved once nothing was committed for so many looks.
const QUIET: u32 = 10;
/// How often a truncation is tried while readers hold the log.
const TRIES: usize = 200;

/// Asks for a truncating checkpoint; the answer says whether the log is empty now.
pub(super) type Truncate = tokio::sync::oneshot::Sender<bool>;

pub(super) fn serve(
    conn: &Connection,
    shared: &Arc<Shared>,
    writer: &Sender<Message>,
    asks: &Receiver<Truncate>,
) {
    let (mut at, mut quiet, mut moved) = (0, 0, 0);
    loop {
        match asks.recv_timeout(EVERY) {
            Ok(answer) => {
                // Whoever asked may have given up meanwhile.
                let _ = answer.send(standing(writer, || truncate(conn)).unwrap_or(false));
            }
            Err(RecvTimeoutError::Timeout) => {
                let commits = shared.commits();
                quiet = if commits == at { quiet + 1 } else { 0 };
                at = commits;
                if shared.log_pages() > LONG {
                    tend(conn, writer);
                    moved = at;
                } else if quiet >= QUIET && moved != at {
                    passive(conn);
                    moved = at;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Moves a long log. What comes meanwhile is short, and the writer stands still for it: the next commit begins the log
/// anew only once all of it has been moved.
fn tend(conn: &Connection, writer: &Sender<Message>) {
    passive(conn);
    standing(writer, || passive(conn));
}

/// Does it while the writer stands between two commits.
fn standing<T>(writer: &Sender<Message>, then: impl FnOnce() -> T) -> Option<T> {
    let (stands, standing) = channel();
    let (done, waits) = channel();
    writer.send(Message::Pause(stands, waits)).ok()?;
    standing.recv().ok()?;
    let result = then();
    // An error means the writer went on by itself after too long.
    let _ = done.send(());
    Some(result)
}

/// Moves what can be moved without standing in anybody's way.
fn passive(conn: &Connection) {
    if let Err(cause) = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        tracing::warn!(error = %cause, "history: a checkpoint failed");
    }
}

/// Moves everything and cuts the log to nothing, waiting for readers a while.
fn truncate(conn: &Connection) -> bool {
    for _ in 0..TRIES {
        match conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(cause) => {
                tracing::warn!(error = %cause, "history: a truncating checkpoint failed");
                return false;
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}
