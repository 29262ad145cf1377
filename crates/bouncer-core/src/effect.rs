//! What goes out of the core. The shell carries effects out in the order they come.

use std::sync::Arc;

use bytes::Bytes;

use crate::{CapSet, ConnId, Cursor, DeviceId, Entry, NetworkId, Query, QueryId, RequestId, Ticket};

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send whole lines to the upstream (CR LF included), through its token bucket.
    Upstream {
        /// Which.
        network: NetworkId,
        /// One or more lines.
        bytes: Bytes,
    },
    /// Push whole lines to a connection's queue (CR LF included). Gather what one call of [`crate::User::handle`] has for
    /// a connection into one push, flush once the input batch is done, and when the queue then is over its soft limit, say
    /// [`crate::Input::Lagging`]. So nothing is ever refused by a queue.
    Device {
        /// Which.
        conn: ConnId,
        /// One or more lines.
        bytes: Bytes,
    },
    /// Send `ERROR :<reason>`, flush and close. No [`crate::Input::Detach`] is needed after it, one does no harm.
    Close {
        /// Which.
        conn: ConnId,
        /// A sentence for the user.
        reason: String,
    },
    /// The capabilities a connection may have from now on (`CAP NEW` and `CAP DEL` for the difference, and what a
    /// later `CAP LS` and `CAP REQ` may grant). Answer with [`crate::Input::Caps`] when the enabled set changes.
    Offer {
        /// Which.
        conn: ConnId,
        /// All of them.
        caps: CapSet,
    },
    /// Append to the network's stream; durable before it is answered with [`crate::Input::Committed`].
    Append {
        /// Whose stream.
        network: NetworkId,
        /// Comes back in the answer.
        ticket: Ticket,
        /// What to keep.
        entry: Arc<Entry>,
    },
    /// The stream was not kept for a while: raise its epoch durably before the next append.
    NewEpoch {
        /// Whose stream.
        network: NetworkId,
    },
    /// Ask the store; answer with [`crate::Input::Answer`].
    Query {
        /// Comes back in the answer.
        id: QueryId,
        /// The question.
        query: Query,
    },
    /// A device is here for the first time: keep where it begins, durably before it is answered with
    /// [`crate::Input::Answer`]. Until then it is given nothing.
    Begin {
        /// Comes back in the answer.
        id: QueryId,
        /// Whose.
        device: DeviceId,
        /// Of which.
        network: NetworkId,
        /// Where.
        cursor: Cursor,
    },
    /// Ask the shell to change networks; answer with [`crate::Input::Reply`].
    Request {
        /// Comes back in the answer.
        id: RequestId,
        /// The wish.
        request: Request,
    },
    /// How far a device has seen a network; need not be durable at once.
    Seen {
        /// Whose.
        device: DeviceId,
        /// Of which.
        network: NetworkId,
        /// How far.
        cursor: Cursor,
    },
    /// The channels to keep and rejoin, all of them.
    SaveChannels {
        /// Of which.
        network: NetworkId,
        /// By name.
        channels: Vec<SavedChannel>,
    },
    /// The user took another nick from a device: it is the one wanted from now on.
    SaveNick {
        /// On which.
        network: NetworkId,
        /// The nick.
        nick: String,
    },
    /// Something the portal shows has changed.
    State {
        /// Of which.
        network: NetworkId,
        /// As it is now.
        state: UpstreamState,
    },
    /// A committed line mentions the user.
    Mentioned {
        /// Where.
        network: NetworkId,
        /// The buffer as displayed.
        buffer: String,
        /// Who.
        nick: String,
        /// What, as text.
        text: String,
        /// When, milliseconds since 1970.
        ts_ms: i64,
    },
    /// Call [`crate::Input::Tick`] at this time (or soon after). Replaces the one before.
    Wake {
        /// Milliseconds since 1970.
        at_ms: i64,
    },
}

/// What the portal shows of a registered upstream. The phases are the shell's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamState {
    /// The nick it has.
    pub nick: Option<String>,
    /// How many channels it is in.
    pub channels: u32,
    /// The last thing that went wrong, in plain words. Cleared by success.
    pub last_error: Option<String>,
    /// Whether only the user can mend it.
    pub needs_user: bool,
}

/// A channel the bouncer keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedChannel {
    /// Its name as displayed.
    pub name: String,
    /// Its key, where it has one.
    pub key: Option<String>,
}

/// A wish about networks, from `BOUNCER` or `BouncerServ`. The shell checks limits and names, stores, and then tells
/// the core with [`crate::Input::Network`] or [`crate::Input::NetworkGone`] before it answers.
#[derive(Clone, PartialEq, Eq)]
pub enum Request {
    /// A new network; `host` and `name` are set.
    AddNetwork(NetworkChange),
    /// Change one.
    ChangeNetwork(NetworkId, NetworkChange),
    /// Take one away.
    DeleteNetwork(NetworkId),
    /// Connect anew, whatever the back-off says.
    Reconnect(NetworkId),
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AddNetwork(change) => f.debug_tuple("AddNetwork").field(change).finish(),
            Self::ChangeNetwork(id, change) => {
                f.debug_tuple("ChangeNetwork").field(id).field(change).finish()
            }
            Self::DeleteNetwork(id) => f.debug_tuple("DeleteNetwork").field(id).finish(),
            Self::Reconnect(id) => f.debug_tuple("Reconnect").field(id).finish(),
        }
    }
}

/// What a wish says about a network; `None` leaves a thing as it is (or at its default for a new one).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NetworkChange {
    /// The user's name for it.
    pub name: Option<String>,
    /// Host name or address.
    pub host: Option<String>,
    /// Port; the default is 6697 with TLS and 6667 without.
    pub port: Option<u16>,
    /// TLS (verified) or in the clear.
    pub tls: Option<bool>,
    /// Another certificate than a verified one, by its SHA-256 fingerprint.
    pub fingerprint: Option<String>,
    /// The nick wanted.
    pub nick: Option<String>,
    /// The user name; the bouncer may keep its own stable ident.
    pub username: Option<String>,
    /// The real name.
    pub realname: Option<String>,
    /// The server password; empty takes it away.
    pub pass: Option<String>,
    /// SASL with a name and a password.
    pub sasl: Option<SaslChange>,
    /// Whether it is to be connected at all.
    pub enabled: Option<bool>,
    /// Raw lines to send after registration.
    pub on_connect: Option<Vec<String>>,
}

impl std::fmt::Debug for NetworkChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkChange")
            .field("name", &self.name)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("nick", &self.nick)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// Another way to log in upstream.
#[derive(Clone, PartialEq, Eq)]
pub enum SaslChange {
    /// None.
    Off,
    /// Name and password.
    Plain {
        /// The upstream's account.
        account: String,
        /// Its password.
        password: String,
    },
}
