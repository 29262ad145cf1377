//! A fixed number of threads that read, each with a connection of its own. Long reads have their own thread, so that a
//! search never stands before a page.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::writer::explain;
use super::{open_connection, thread};
use crate::{Error, Result};

/// How many reads may wait for a thread before [`Error::Busy`].
const WAITING: usize = 4_096;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// Threads that serve one queue of reads.
pub(super) struct Readers {
    jobs: Mutex<Option<SyncSender<Job>>>,
}

impl Readers {
    pub(super) fn start(path: &Path, name: &str, count: usize) -> Result<(Self, Vec<JoinHandle<()>>)> {
        let (jobs, queue) = sync_channel(WAITING);
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::with_capacity(count);
        for number in 0..count.max(1) {
            let conn = open_connection(path, true)?;
            let queue = queue.clone();
            threads.push(thread(&format!("{name}-{number}"), move || serve(&conn, &queue))?);
        }
        Ok((Self { jobs: Mutex::new(Some(jobs)) }, threads))
    }

    /// Runs `read` in a transaction of its own, so that it sees one state of the store.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (answer, waits) = oneshot::channel::<Result<T>>();
        let job: Job = Box::new(move |conn| {
            if answer.is_closed() {
                return;
            }
            let result = conn.unchecked_transaction().and_then(|transaction| read(&transaction));
            let result = result.unwrap_or_else(|cause| {
                tracing::warn!(error = %cause, "history: a read failed");
                Err(Error::Unavailable(explain(&cause)))
            });
            // Whoever asked may have given up meanwhile.
            let _ = answer.send(result);
        });
        {
            let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let sender = jobs.as_ref().ok_or_else(closed)?;
            sender.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => Error::Busy,
                TrySendError::Disconnected(_) => closed(),
            })?;
        }
        waits.await.map_err(|_| closed())?
    }

    pub(super) fn stop(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

pub(super) fn closed() -> Error {
    Error::Unavailable("the store is closed".to_owned())
}

fn serve(conn: &Connection, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(conn),
            Err(_) => return,
        }
    }
}
