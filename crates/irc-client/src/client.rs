//! The handle of a running client, and what it tells.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use irc::cap::CapSet;
use tokio::sync::mpsc;

use crate::control::{Control, Order};
use crate::{ClientConfig, ClientError, Dial, HostLimiter, StsStore};

/// What a client needs from around it; shared by all clients of a process.
#[derive(Clone)]
pub struct Environment {
    /// The way out.
    pub dialer: Arc<dyn Dial>,
    /// Manners towards each host, over all users.
    pub limiter: Arc<HostLimiter>,
    /// Where STS policies are kept.
    pub sts: Arc<dyn StsStore>,
    /// The authorities for [`crate::Tls::Verified`].
    pub roots: Arc<rustls::RootCertStore>,
}

impl Environment {
    /// With that way out, the authorities of this system, and everything else in memory.
    pub fn new(dialer: Arc<dyn Dial>) -> Self {
        Self {
            dialer,
            limiter: Arc::new(HostLimiter::default()),
            sts: Arc::new(crate::MemorySts::default()),
            roots: crate::tls::system_roots(),
        }
    }
}

/// What a client tells, in order.
#[derive(Debug)]
pub enum Event {
    /// It begins to connect; the first attempt since the last success is 1.
    Connecting {
        /// Counts from 1.
        attempt: u32,
    },
    /// Registration is done. The lines from 001 on follow.
    Registered(Registered),
    /// Lines from the upstream in order, without CR LF, at least one. PING and the answers to the client's own PINGs
    /// are taken out; everything else is here.
    Lines(Vec<Bytes>),
    /// How long the upstream took to answer a PING.
    Lag(Duration),
    /// The connection is gone, or could not be made.
    Down {
        /// Why, in words for the user.
        error: ClientError,
        /// When the next attempt is made. `None`: only after [`Client::reconnect`].
        retry_in: Option<Duration>,
    },
    /// The client has ended, after [`Client::quit`] or because every handle is gone. Nothing follows.
    Ended,
}

/// What registration came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The nick the upstream gave; may be another than the one wanted.
    pub nick: String,
    /// The capabilities that are on.
    pub caps: CapSet,
    /// The account logged in to, by SASL.
    pub account: Option<String>,
    /// Why SASL did not work, where it was optional.
    pub sasl_failure: Option<ClientError>,
    /// SHA-256 of the upstream's certificate, lower-case hex, where there is TLS.
    pub fingerprint: Option<String>,
}

/// Where a client's events go. A slow taker slows down this client's reading, nothing else.
pub trait Events: Send + 'static {
    /// Takes one event.
    fn deliver(&mut self, event: Event) -> impl Future<Output = ()> + Send;
}

impl Events for mpsc::Sender<Event> {
    async fn deliver(&mut self, event: Event) {
        // A receiver that is gone wants nothing more.
        let _ = self.send(event).await;
    }
}

/// Why a line was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no registered connection.
    #[error("not connected")]
    NotConnected,
    /// So many lines wait already that this one would be late beyond use.
    #[error("too many lines wait to be sent")]
    Full,
}

/// A running client. Cheap to clone; when the last handle is gone the client quits.
#[derive(Clone, Debug)]
pub struct Client {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle(Arc<Control>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.order(Order::Quit("Nobody is left.".into()));
    }
}

impl Client {
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self { handle: Arc::new(Handle(control)) }
    }

    /// Queues one line (CR LF is added if it is missing). It is sent as the rate allows.
    pub fn send(&self, line: Bytes) -> Result<(), SendError> {
        self.handle.0.push(line)
    }

    /// How many lines wait to be sent.
    pub fn waiting(&self) -> usize {
        self.handle.0.waiting()
    }

    /// Says QUIT if it is connected, and ends.
    pub fn quit(&self, reason: impl Into<String>) {
        self.handle.0.order(Order::Quit(reason.into()));
    }

    /// Takes another config, from the next connection on; the present one is left alone.
    pub fn configure(&self, config: ClientConfig) {
        self.handle.0.configure(config);
    }

    /// Connects anew at once, with another config if one is given.
    pub fn reconnect(&self, config: Option<ClientConfig>) {
        self.handle.0.order(Order::Reconnect(config.map(Box::new)));
    }
}
