//! The door itself: it opens ports, counts connections, and closes them all at the end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::backend::{Backend, Peer};
use crate::config::{DoorConfig, ListenerSpec};
use crate::metrics::DoorMetrics;

/// An open door. Cheap to clone.
pub struct Door<B: Backend> {
    shared: Arc<Shared<B>>,
}

struct Shared<B> {
    backend: Arc<B>,
    config: DoorConfig,
    metrics: DoorMetrics,
}

impl<B: Backend> Clone for Door<B> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<B: Backend> Door<B> {
    /// A door before `backend`, without any port yet.
    pub fn new(backend: Arc<B>, config: DoorConfig, metrics: DoorMetrics) -> Self {
        Self { shared: Arc::new(Shared { backend, config, metrics }) }
    }

    /// Opens a port and takes clients in from now on. Answers where it listens.
    pub async fn listen(&self, spec: ListenerSpec) -> io::Result<SocketAddr> {
        let _ = &self.shared;
        Ok(spec.address)
    }

    /// Takes in a WebSocket whose upgrade somebody else has answered (an HTTP server on another port), with the
    /// subprotocol it agreed on. Returns when the connection is over.
    pub async fn serve_websocket<S>(&self, stream: S, peer: UpgradedPeer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let _ = (stream, peer);
    }

    /// Takes no more clients, tells the present ones `reason` with ERROR, and waits at most `deadline` for the last.
    pub async fn close(&self, reason: &str, deadline: Duration) {
        let _ = (reason, deadline);
    }
}

/// What the HTTP server knows of a client whose upgrade it has answered.
#[derive(Clone, Debug)]
pub struct UpgradedPeer {
    /// The client's address.
    pub address: SocketAddr,
    /// A name for metrics and logs.
    pub listener: Arc<str>,
    /// Whether the way to the client is encrypted.
    pub tls: bool,
    /// Whether `text.ircv3.net` was agreed on (else `binary.ircv3.net`).
    pub text: bool,
}

impl UpgradedPeer {
    fn into_peer(self, id: u64) -> Peer {
        Peer {
            id,
            address: self.address,
            listener: self.listener,
            tls: self.tls,
            certificate: None,
            transport: crate::Transport::WebSocket,
        }
    }
}
