//! What handles and the running client share: lines that wait for the rate limit, and orders.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::client::SendError;
use crate::config::ClientConfig;

/// What a handle wants of the running client.
#[derive(Debug)]
pub(crate) enum Order {
    /// Say QUIT and end.
    Quit(String),
    /// Connect anew, with another config if one is given.
    Reconnect(Option<Box<ClientConfig>>),
}

/// Shared by all handles and the task.
#[derive(Debug, Default)]
pub(crate) struct Control {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Bytes>,
    /// How many lines may wait; `None` while there is no registered connection.
    limit: Option<usize>,
    quit: Option<String>,
    reconnect: bool,
    config: Option<Box<ClientConfig>>,
}

impl Control {
    /// Takes up to `limit` lines from now on.
    pub fn open(&self, limit: usize) {
        self.state().limit = Some(limit);
    }

    /// Takes nothing from now on and forgets what waits.
    pub fn close(&self) {
        let mut state = self.state();
        state.lines = VecDeque::new();
        state.limit = None;
    }

    pub fn push(&self, line: Bytes) -> Result<(), SendError> {
        let mut state = self.state();
        let limit = state.limit.ok_or(SendError::NotConnected)?;
        if state.lines.len() >= limit {
            return Err(SendError::Full);
        }
        state.lines.push_back(line);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    pub fn waiting(&self) -> usize {
        self.state().lines.len()
    }

    pub fn pop(&self) -> Option<Bytes> {
        let mut state = self.state();
        let line = state.lines.pop_front();
        if state.lines.is_empty() && state.lines.capacity() > 32 {
            state.lines = VecDeque::new();
        }
        line
    }

    /// The first QUIT stands, the newest config wins.
    pub fn order(&self, order: Order) {
        let mut state = self.state();
        match order {
            Order::Quit(reason) => _ = state.quit.get_or_insert(reason),
            Order::Reconnect(config) => {
                state.reconnect = true;
                state.config = config.or(state.config.take());
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Another config, from the next attempt on.
    pub fn configure(&self, config: ClientConfig) {
        self.state().config = Some(Box::new(config));
    }

    /// The config that came since the last attempt.
    pub fn take_config(&self) -> Option<Box<ClientConfig>> {
        self.state().config.take()
    }

    pub fn take_order(&self) -> Option<Order> {
        let mut state = self.state();
        if let Some(reason) = &state.quit {
            return Some(Order::Quit(reason.clone()));
        }
        std::mem::take(&mut state.reconnect).then(|| Order::Reconnect(state.config.take()))
    }

    /// Waits until something came since the last wait.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits for an order.
    pub async fn ordered(&self) -> Order {
        loop {
            if let Some(order) = self.take_order() {
                return order;
            }
            self.changed().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
