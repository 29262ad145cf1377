//! What the writer, the readers and the handle all see.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::options::Clock;
use crate::{Error, Health, Options, Result};

pub(super) struct Shared {
    clock: Clock,
    capacity: usize,
    queued: AtomicUsize,
    commits: AtomicU64,
    appended: AtomicU64,
    log_pages: AtomicU64,
    /// When the running commit began; 0 between commits.
    began_ms: AtomicI64,
    failing: AtomicBool,
    last_error: Mutex<Option<String>>,
    patience: Duration,
}

impl Shared {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            clock: options.clock.clone(),
            capacity: options.queue_entries,
            queued: AtomicUsize::new(0),
            commits: AtomicU64::new(0),
            appended: AtomicU64::new(0),
            log_pages: AtomicU64::new(0),
            began_ms: AtomicI64::new(0),
            failing: AtomicBool::new(false),
            last_error: Mutex::new(None),
            patience: options.patience,
        }
    }

    pub(super) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Takes room in the queue, or says that there is none.
    pub(super) fn admit(&self, weight: usize) -> Result<()> {
        self.queued
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |queued| {
                (queued == 0 || queued + weight <= self.capacity).then_some(queued + weight)
            })
            .map(drop)
            .map_err(|_| Error::Busy)
    }

    /// Gives back room for what never reached the writer.
    pub(super) fn release(&self, weight: usize) {
        self.queued.fetch_sub(weight, Ordering::AcqRel);
    }

    pub(super) fn begin_commit(&self) {
        self.began_ms.store(self.now_ms(), Ordering::Release);
    }

    pub(super) fn end_commit(&self, weight: usize, appended: u64, error: Option<String>) {
        self.release(weight);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.appended.store(appended, Ordering::Relaxed);
        self.began_ms.store(0, Ordering::Release);
        let failed = error.is_some();
        if failed || self.failing.load(Ordering::Acquire) {
            *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
        }
        self.failing.store(failed, Ordering::Release);
    }

    /// Notes how long the write-ahead log is.
    pub(super) fn note_log(&self, pages: u64) {
        self.log_pages.store(pages, Ordering::Relaxed);
    }

    pub(super) fn log_pages(&self) -> u64 {
        self.log_pages.load(Ordering::Relaxed)
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(super) fn health(&self) -> Health {
        let began = self.began_ms.load(Ordering::Acquire);
        let waits = i64::try_from(self.patience.as_millis() / 2).unwrap_or(i64::MAX);
        let stuck = began != 0 && self.now_ms() - began > waits;
        let last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Health {
            engine: "sqlite",
            writable: !stuck && !self.failing.load(Ordering::Acquire),
            last_error: if stuck { Some("the disk does not answer".to_owned()) } else { last_error },
            queued: self.queued.load(Ordering::Acquire),
            commits: self.commits(),
            appended: self.appended.load(Ordering::Relaxed),
        }
    }
}
