//! One client's connection from its first line to its last: one task, a reading half and a writing half.
//!
//! [`run`] is the whole life. `reader` brings what the client says, in its own time and no faster than flood control
//! allows; `register` makes a session of it, `serve` feeds the session; `writer` carries the outbox to the socket beside
//! all that; `farewell` is how it ends.

mod farewell;
mod reader;
mod register;
mod serve;
mod writer;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, Closed, Mechanism, Peer, Session as _};
use crate::caps::Negotiation;
use crate::config::DoorConfig;
use crate::metrics::DoorMetrics;
use crate::outbox::Outbox;
use crate::registration::mechanism_names;
use crate::reply;
use crate::wire::Wire;

use reader::Reader;

/// What a connection needs from its door.
pub(crate) struct Setting<'a, B: Backend> {
    pub backend: &'a B,
    pub config: &'a DoorConfig,
    pub metrics: &'a DoorMetrics,
    /// Fires when the door closes.
    pub closing: &'a CancellationToken,
    /// What clients are told then.
    pub farewell: &'a Mutex<String>,
}

/// Why a connection ends: a word for the metrics, the reason, and what the client is told.
struct End {
    word: &'static str,
    why: Closed,
}

impl End {
    fn by_door(word: &'static str, text: impl Into<String>) -> Self {
        Self { word, why: Closed::ByDoor(text.into()) }
    }

    fn by_backend(text: String) -> Self {
        Self { word: "backend", why: Closed::ByBackend(text) }
    }

    fn gone() -> Self {
        Self { word: "gone", why: Closed::Gone }
    }

    fn endless() -> Self {
        Self::by_door("endless", "Your line had no end.")
    }

    fn broken(error: &io::Error) -> Self {
        Self { word: "broken", why: Closed::Broken(error.to_string()) }
    }

    fn last_line(&self) -> Option<Bytes> {
        match &self.why {
            Closed::ByDoor(text) | Closed::ByBackend(text) => Some(reply::error(text)),
            Closed::Gone | Closed::Broken(_) => None,
        }
    }
}

/// Runs a connection to its end.
pub(crate) async fn run<B: Backend>(wire: Wire, peer: Peer, deadline: Instant, setting: Setting<'_, B>) {
    let peer = Arc::new(peer);
    let mechanisms = register::mechanisms(setting.backend, &peer);
    let negotiation = Negotiation::new(&setting.config.server_name, mechanism_names(&mechanisms));
    let outbox = Outbox::new(peer.clone(), setting.config.soft_limit, negotiation);
    let wire = Mutex::new(wire);
    let mut session = None;
    let end = {
        let mut reader = Reader::new(&setting, &wire, &outbox, &peer);
        tokio::select! {
            end = read(&mut reader, &mechanisms, deadline, &mut session) => end,
            end = writer::write(&wire, &outbox, &setting) => end,
        }
    };
    tracing::debug!(peer = peer.id, address = %peer.address, listener = %peer.listener, why = ?end.why, "closed");
    let (read, writes) = {
        let wire = lock(&wire);
        (wire.read, wire.writes)
    };
    setting.metrics.bytes_in.inc_by(read);
    setting.metrics.writes.inc_by(writes);
    setting.metrics.closed(end.word);
    let said = farewell::say_last(&wire, &outbox, &end, setting.config.linger).await;
    // Before the last look: the client may come back at once and must not meet its old session.
    if let Some(session) = session {
        session.closed(end.why).await;
    }
    if said {
        farewell::last_look(&wire).await;
    }
}

/// Registers the client, then serves its session.
async fn read<B: Backend>(
    reader: &mut Reader<'_, B>,
    mechanisms: &[Mechanism],
    deadline: Instant,
    session: &mut Option<B::Session>,
) -> End {
    let opened = match timeout_at(deadline, register::register(reader, mechanisms)).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(end)) => return end,
        Err(_) => return End::by_door("registration_timeout", "You took too long to register."),
    };
    serve::serve(reader, session.insert(opened)).await
}

fn lock(wire: &Mutex<Wire>) -> MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}
