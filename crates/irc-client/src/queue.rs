//! The bounded queue of lines that wait for the rate limit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::client::SendError;

/// Lines waiting to be sent. Open only while a registered connection is there.
#[derive(Clone, Debug)]
pub(crate) struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug)]
struct State {
    lines: VecDeque<Bytes>,
    limit: Option<usize>,
}

impl Queue {
    pub fn new() -> Self {
        let state = Mutex::new(State { lines: VecDeque::new(), limit: None });
        Self(Arc::new(Inner { state, arrived: Notify::new() }))
    }

    /// Takes up to `limit` lines from now on.
    pub fn open(&self, limit: usize) {
        self.state().limit = Some(limit);
    }

    /// Takes nothing from now on and forgets what waits.
    pub fn close(&self) {
        *self.state() = State { lines: VecDeque::new(), limit: None };
    }

    pub fn push(&self, line: Bytes) -> Result<(), SendError> {
        let mut state = self.state();
        let limit = state.limit.ok_or(SendError::NotConnected)?;
        if state.lines.len() >= limit {
            return Err(SendError::Full);
        }
        state.lines.push_back(line);
        drop(state);
        self.0.arrived.notify_one();
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.state().lines.len()
    }

    pub fn pop(&self) -> Option<Bytes> {
        self.state().lines.pop_front()
    }

    /// Waits until there may be a line.
    pub async fn arrived(&self) {
        let notified = self.0.arrived.notified();
        if self.len() == 0 {
            notified.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
