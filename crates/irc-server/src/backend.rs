//! What stands behind the door: the traits a bouncer or a network implements, and the types that pass between.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use irc::cap::{CapSet, Offer};
pub use irc::sasl::Mechanism;

use crate::outbox::Outbox;

/// How a client's bytes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Lines over TCP or TLS.
    Lines,
    /// WebSocket, one line a message.
    WebSocket,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Unique among the door's connections since it was opened; good for logs.
    pub id: u64,
    /// The client's address: what the PROXY header says, if a configured peer sent one.
    pub address: SocketAddr,
    /// The name of the listener it came through.
    pub listener: Arc<str>,
    /// Whether the way to the client is encrypted (by us, or by a proxy that said so).
    pub tls: bool,
    /// SHA-256 of the certificate the client showed, lower-case hex. Proven to be the client's, signed by whoever.
    pub certificate: Option<String>,
    /// How its bytes arrive.
    pub transport: Transport,
}

impl Peer {
    /// Whether nobody between us and the client can read along: encrypted, or from this very machine.
    pub fn confidential(&self) -> bool {
        self.tls || self.address.ip().to_canonical().is_loopback()
    }
}

/// One step of a SASL exchange, for the backend to answer. The state of the exchange travels in `continuation`.
#[derive(Clone)]
pub struct SaslStep {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// What the last challenge came with; `None` at the first step.
    pub continuation: Option<Vec<u8>>,
    /// The client's payload, decoded.
    pub payload: Vec<u8>,
    /// Who asks.
    pub peer: Arc<Peer>,
}

impl fmt::Debug for SaslStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslStep").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

/// The answer to a [`SaslStep`].
pub enum SaslAnswer<L> {
    /// Go on.
    Challenge {
        /// For the client.
        payload: Vec<u8>,
        /// For the next step.
        continuation: Vec<u8>,
    },
    /// Proven: 900 and 903.
    Success {
        /// The account's name, for 900.
        account: String,
        /// Whatever the backend wants to see again in [`NewClient::login`].
        login: L,
    },
    /// Not proven: 904 with this sentence, which says what to do.
    Refused {
        /// For the user.
        text: String,
    },
    /// Nobody can tell right now. The connection ends with ERROR and this sentence; never 904, because clients stop
    /// for ever at 904.
    Unavailable {
        /// For the user.
        text: String,
    },
}

/// A client that has finished its side of registration. The backend answers with the welcome (001 and on).
pub struct NewClient<L> {
    /// What [`SaslAnswer::Success`] carried; `None` only if [`crate::DoorConfig::login_required`] is off.
    pub login: Option<L>,
    /// The nick it asked for. Not checked beyond being one well-formed parameter.
    pub nick: String,
    /// The user name it gave in USER.
    pub user: String,
    /// The real name it gave in USER.
    pub realname: String,
    /// The capabilities it has requested and got.
    pub caps: CapSet,
    /// The version it gave in CAP LS; 0 if it never spoke CAP, 301 if it gave none.
    pub cap_version: u16,
    /// Lines [`Backend::early`] claimed, in order, at most 8.
    pub early: Vec<Bytes>,
    /// Who it is.
    pub peer: Arc<Peer>,
}

/// Why the backend does not take a client. The lines are sent, then ERROR with the text, then it ends.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// Complete lines (with CR LF) for the client, such as 464 or FAIL.
    pub lines: Vec<Bytes>,
    /// A sentence for the user: what happened and what to do.
    pub text: String,
}

impl Refusal {
    /// A refusal in words alone.
    pub fn new(text: impl Into<String>) -> Self {
        Self { lines: Vec::new(), text: text.into() }
    }
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The client closed the connection, without QUIT.
    Gone,
    /// [`Outbox::close`] was called; what it said.
    ByBackend(String),
    /// The door ended it (time-out, flood, garbage, shutdown, a slow reader); what the client was told.
    ByDoor(String),
    /// The connection broke.
    Broken(String),
}

/// What stands behind a door: a bouncer, a network. One for all connections.
pub trait Backend: Send + Sync + 'static {
    /// What a successful login yields.
    type Login: Send + Sync + 'static;
    /// What an accepted client becomes.
    type Session: Session;

    /// The capabilities offered to a client that has not registered yet. Asked again at each CAP LS and CAP REQ; what
    /// changes after registration is told to [`Outbox::offer`]. Leave `sasl` and `cap-notify` out: the door adds them.
    fn offer(&self, peer: &Peer) -> Offer;

    /// The SASL mechanisms the backend can answer. The door itself takes away what the connection is not fit for:
    /// everything on cleartext from elsewhere than loopback, EXTERNAL without a certificate.
    fn mechanisms(&self, _peer: &Peer) -> Vec<Mechanism> {
        Mechanism::ALL.to_vec()
    }

    /// Answers one step of SASL. `PASS user:secret` of old clients arrives here as PLAIN too.
    fn sasl(&self, step: SaslStep) -> impl Future<Output = SaslAnswer<Self::Login>> + Send;

    /// Whether a command (upper case) that comes before registration has ended is to be kept for
    /// [`NewClient::early`], such as BOUNCER (for BIND) or AWAY (draft/pre-away). All others get 451.
    fn early(&self, _command: &[u8]) -> bool {
        false
    }

    /// Takes in a client. Whatever is pushed to `outbox` from here on reaches it, in order.
    fn open(
        &self,
        client: NewClient<Self::Login>,
        outbox: Outbox,
    ) -> impl Future<Output = Result<Self::Session, Refusal>> + Send;
}

/// One registered client, as its connection's task drives it. While a call is awaited no further line of this client
/// is read (that is the back-pressure), and what is in its outbox goes on being written.
pub trait Session: Send + 'static {
    /// Lines of the client in order, without CR LF, each within the limits; at least one. The door itself answers CAP,
    /// AUTHENTICATE, USER and PASS, and takes the PONG of its own keepalive; everything else is here: PING, PONG and
    /// QUIT too.
    fn lines(&mut self, lines: Vec<Bytes>) -> impl Future<Output = ()> + Send;

    /// The client's capabilities are others now, by its own CAP REQ or because [`Outbox::offer`] took some away.
    fn caps_changed(&mut self, caps: CapSet) -> impl Future<Output = ()> + Send;

    /// The outbox was LAGGING and has room again: refill it from the log.
    fn drained(&mut self) -> impl Future<Output = ()> + Send;

    /// It is over. Nothing that is pushed from here on reaches the client.
    fn closed(self, why: Closed) -> impl Future<Output = ()> + Send;
}
