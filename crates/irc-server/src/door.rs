//! The door itself: it opens ports, counts connections, and closes them all at the end.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::{self, Encryption, Entered, Entrance};
use crate::backend::{Backend, Peer, Transport};
use crate::config::{DoorConfig, ListenerSpec, ListenerTls};
use crate::connection::{self, Setting};
use crate::metrics::DoorMetrics;
use crate::{reply, tls};

/// An open door. Cheap to clone.
pub struct Door<B: Backend> {
    shared: Arc<Shared<B>>,
}

struct Shared<B> {
    backend: Arc<B>,
    config: DoorConfig,
    metrics: DoorMetrics,
    tasks: TaskTracker,
    closing: CancellationToken,
    farewell: Mutex<String>,
    next_id: AtomicU64,
    open: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

impl<B: Backend> Clone for Door<B> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<B: Backend> Door<B> {
    /// A door before `backend`, without any port yet.
    pub fn new(backend: Arc<B>, config: DoorConfig, metrics: DoorMetrics) -> Self {
        Self {
            shared: Arc::new(Shared {
                backend,
                config,
                metrics,
                tasks: TaskTracker::new(),
                closing: CancellationToken::new(),
                farewell: Mutex::new(String::new()),
                next_id: AtomicU64::new(1),
                open: AtomicUsize::new(0),
                by_address: Mutex::new(HashMap::new()),
            }),
        }
    }

    /// Opens a port and takes clients in from now on. Answers where it listens.
    pub async fn listen(&self, spec: ListenerSpec) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(spec.address).await?;
        self.take_over(listener, spec)
    }

    /// Like [`Door::listen`] with a socket that is bound already; the address of the spec is not looked at.
    pub fn take_over(&self, listener: TcpListener, spec: ListenerSpec) -> io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        let tls = match spec.tls {
            ListenerTls::Off => Encryption::Off,
            ListenerTls::Terminated => Encryption::Terminated,
            ListenerTls::On(certificate) => {
                Encryption::On(Arc::new(tls::server_config(certificate).map_err(io::Error::other)?))
            }
        };
        let entrance = Entrance {
            name: spec.name.into(),
            tls,
            websocket: spec.websocket,
            proxies: spec.proxies.into(),
            origins: self.shared.config.origins.clone(),
        };
        tracing::info!(listener = %entrance.name, %address, "listening");
        self.shared.tasks.spawn(self.clone().accept(listener, entrance));
        Ok(address)
    }

    /// Takes in a WebSocket whose upgrade somebody else has answered (an HTTP server on another port), with the
    /// subprotocol it agreed on. Returns when the connection is over.
    pub async fn serve_websocket<S>(&self, stream: S, peer: UpgradedPeer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(place) = self.place(peer.address) else { return };
        let deadline = Instant::now() + self.shared.config.registration_timeout;
        let wire = accept::upgraded(Box::new(stream), peer.text).await;
        let UpgradedPeer { address, listener, tls, .. } = peer;
        let entered = Entered { wire, address, tls, certificate: None, transport: Transport::WebSocket };
        let serving = self.shared.tasks.track_future(self.serve(entered, listener, deadline));
        serving.await;
        drop(place);
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Takes no more clients, tells the present ones `reason` with ERROR, and waits at most `deadline` for the last.
    /// Answers whether all are gone.
    pub async fn close(&self, reason: &str, deadline: Duration) -> bool {
        reason.clone_into(&mut self.shared.farewell.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.closing.cancel();
        self.shared.tasks.close();
        timeout(deadline, self.shared.tasks.wait()).await.is_ok()
    }

    async fn accept(self, listener: TcpListener, entrance: Entrance) {
        loop {
            let accepted = tokio::select! {
                () = self.shared.closing.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, from)) => {
                    let door = self.clone();
                    let entrance = entrance.clone();
                    self.shared.tasks.spawn(async move { door.admit(socket, from, entrance).await });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others have to go first.
                    tracing::warn!(listener = %entrance.name, %error, "cannot accept");
                    self.shared.metrics.refused("accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn admit(&self, socket: TcpStream, from: SocketAddr, entrance: Entrance) {
        let deadline = Instant::now() + self.shared.config.registration_timeout;
        let proxied = entrance.proxies.iter().any(|network| network.contains(from.ip()));
        // A proxy's connections are counted once it is known for whom they are.
        let early = if proxied { None } else { Some(self.place(from)) };
        if let Some(None) = early {
            let _ = socket.try_write(&reply::error("Too many connections. Close some, or try again later."));
            return self.shared.metrics.refused("too_many");
        }
        // The handshakes' big future is gone before the long life begins.
        let entering = Box::pin(accept::enter(socket, from, &entrance));
        let entered = tokio::select! {
            () = self.shared.closing.cancelled() => return,
            entered = timeout_at(deadline, entering) => entered,
        };
        let entered = match entered {
            Ok(Ok(entered)) => entered,
            Ok(Err(refused)) => {
                tracing::debug!(listener = %entrance.name, %from, %refused, "refused");
                return self.shared.metrics.refused(refused.word());
            }
            Err(_) => return self.shared.metrics.refused("timeout"),
        };
        let Some(place) = early.flatten().or_else(|| self.place(entered.address)) else {
            return self.shared.metrics.refused("too_many");
        };
        self.serve(entered, entrance.name, deadline).await;
        drop(place);
    }

    async fn serve(&self, entered: Entered, listener: Arc<str>, deadline: Instant) {
        let shared = &*self.shared;
        let Entered { wire, address, tls, certificate, transport } = entered;
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        let open = shared.metrics.opened(&listener);
        let peer = Peer { id, address, listener, tls, certificate, transport };
        let setting = Setting {
            backend: &*shared.backend,
            config: &shared.config,
            metrics: &shared.metrics,
            closing: &shared.closing,
            farewell: &shared.farewell,
        };
        connection::run(wire, peer, deadline, setting).await;
        open.dec();
    }

    /// A place among the connections, if one is free.
    fn place(&self, address: SocketAddr) -> Option<Place<B>> {
        let key = neighbourhood(address.ip());
        let config = &self.shared.config;
        let mut by_address = self.shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.get(&key).copied().unwrap_or(0);
        let full = self.shared.open.load(Ordering::Relaxed) >= config.max_connections;
        if full || (!key.is_loopback() && count >= config.max_per_address) {
            return None;
        }
        by_address.insert(key, count + 1);
        self.shared.open.fetch_add(1, Ordering::Relaxed);
        Some(Place { shared: self.shared.clone(), key })
    }
}

/// One of the places; free again when dropped.
struct Place<B> {
    shared: Arc<Shared<B>>,
    key: IpAddr,
}

impl<B> Drop for Place<B> {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        let mut by_address = self.shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.key);
            }
        }
    }
}

/// What counts as one address: an IPv4 address, or an IPv6 /64.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64)).into(),
        other => other,
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
