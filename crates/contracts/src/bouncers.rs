//! What the bouncer offers the other services: an account's networks, devices and live state.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AccountData, Call, CallResult};

/// Names a network of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkId(pub Uuid);

impl std::fmt::Display for NetworkId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How the bouncer knows that the upstream is who it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tls", rename_all = "snake_case")]
pub enum Tls {
    /// Verified against the system's authorities.
    Verified,
    /// This one certificate, whoever signed it.
    Pinned {
        /// SHA-256 of its DER, lower-case hex.
        fingerprint: String,
    },
    /// TLS, but nobody is verified: an explicit choice of the user.
    Unverified,
    /// In the clear: an explicit choice of the user.
    Off,
}

/// How the bouncer logs in upstream. Secrets go in and never come out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sasl", rename_all = "snake_case")]
pub enum Sasl {
    /// Not at all.
    None,
    /// With a name and a password (SCRAM-SHA-256 where the upstream has it, else PLAIN, over TLS only).
    Password {
        /// The upstream's account name.
        account: String,
        /// `None` in what is read back, and in a change that keeps the password.
        password: Option<String>,
    },
    /// With a client certificate the bouncer makes for this network.
    External {
        /// Its SHA-256 fingerprint, for NickServ CERT ADD; filled in by the bouncer.
        fingerprint: Option<String>,
    },
}

impl std::fmt::Debug for Sasl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Password { account, .. } => {
                f.debug_struct("Password").field("account", account).finish_non_exhaustive()
            }
            Self::External { fingerprint } => {
                f.debug_struct("External").field("fingerprint", fingerprint).finish()
            }
        }
    }
}

/// Everything a user says about a network.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// The user's name for it, unique within the account: `^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`. The `network` of a login name.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether and how TLS is used.
    pub tls: Tls,
    /// The nick wanted.
    pub nick: String,
    /// The real name shown; empty means the nick.
    pub realname: String,
    /// The server password, if one is wanted. `None` in what is read back, and in a change that keeps it.
    pub server_password: Option<String>,
    /// How to log in.
    pub sasl: Sasl,
    /// Channels to join on every connection, with their keys.
    pub channels: Vec<SavedChannel>,
    /// Raw lines to send after registration.
    pub on_connect: Vec<String>,
    /// Whether it is to be connected at all.
    pub enabled: bool,
}

impl std::fmt::Debug for NetworkSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkSpec")
            .field("name", &self.name)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("nick", &self.nick)
            .field("sasl", &self.sasl)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// A channel the bouncer keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedChannel {
    /// Its name.
    pub name: String,
    /// Its key, where it has one.
    pub key: Option<String>,
}

/// A network as the bouncer keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Names it in every other call.
    pub id: NetworkId,
    /// What the user said, without secrets.
    pub spec: NetworkSpec,
    /// How it is right now.
    pub state: NetworkState,
    /// Raised with every change of `spec`.
    pub version: i64,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Set while a deletion can still be undone.
    pub deleted_at: Option<i64>,
}

/// How a network is right now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkState {
    /// Where the connection is.
    pub phase: Phase,
    /// Since when (seconds since 1970).
    pub since: i64,
    /// The nick it has on the network, once registered.
    pub nick: Option<String>,
    /// How many channels it is in.
    pub channels: u32,
    /// Round trips of the last hour, oldest first, milliseconds.
    pub lag_ms: Vec<u32>,
    /// The last thing that went wrong, in plain words: what happened and what to do. Cleared by success.
    pub last_error: Option<String>,
    /// Whether only the user can mend it (wrong password, banned, disabled): the portal says "Fix it".
    pub needs_user: bool,
}

/// Where a connection is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Not wanted: disabled, suspended, or over the plan.
    Off,
    /// Dialing or registering.
    Connecting,
    /// Registered.
    Connected,
    /// Waiting to try again.
    Waiting {
        /// When (seconds since 1970).
        until: i64,
    },
}

/// Something that has logged in: an app password or certificate, and `@client` if the login gave one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Names it.
    pub id: Uuid,
    /// The credential it logs in with; its name is gatekeeper's to tell.
    pub credential: Uuid,
    /// The `@client` of its login name.
    pub client: Option<String>,
    /// What the software called itself (CTCP VERSION or the registration's gecos), where known.
    pub software: Option<String>,
    /// How many connections it holds now.
    pub connections: u32,
    /// When it was last seen (seconds since 1970).
    pub last_seen: i64,
}

/// A line in which the user was mentioned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mention {
    /// The network's name.
    pub network: String,
    /// The buffer it was said in.
    pub buffer: String,
    /// Who said it.
    pub nick: String,
    /// What was said, as text.
    pub text: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// What an account uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BouncerUsage {
    /// Networks kept.
    pub networks: u32,
    /// Devices seen in the last 30 days.
    pub devices: u32,
    /// Messages kept.
    pub messages: u64,
    /// Messages a day for the last 30 days, oldest first.
    pub messages_per_day: Vec<u64>,
}

/// Where in the stream of states a watcher is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WatchCursor(pub u64);

/// A change of what a watcher sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BouncerChange {
    /// Resume after this.
    pub cursor: WatchCursor,
    /// What changed.
    pub what: BouncerChangeKind,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BouncerChangeKind {
    /// Everything, as it is now: the first thing a watcher gets if its cursor is too old or it had none.
    Snapshot {
        /// All networks.
        networks: Vec<Network>,
        /// All devices.
        devices: Vec<Device>,
    },
    /// A network is new or another.
    Network {
        /// As it is now.
        network: Box<Network>,
    },
    /// A network is gone.
    NetworkGone {
        /// Which.
        id: NetworkId,
    },
    /// A device came, went or is new.
    Device {
        /// As it is now.
        device: Device,
    },
}

/// A network the operator offers by name, before the user types anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WellKnownNetwork {
    /// The name proposed.
    pub name: String,
    /// One sentence.
    pub about: String,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS.
    pub tls: Tls,
    /// Whether it is the local network of `ircnow up`.
    pub local: bool,
}

/// The bouncer, as other services see it.
#[async_trait]
pub trait Bouncers: AccountData {
    /// The networks on offer, the local one first.
    async fn well_known(&self) -> CallResult<Vec<WellKnownNetwork>>;

    /// The account's networks, by name; deleted ones whose deletion can be undone are left out.
    async fn networks(&self, call: &Call) -> CallResult<Vec<Network>>;

    /// One of them.
    async fn network(&self, call: &Call, id: NetworkId) -> CallResult<Network>;

    /// A new one. Refused with `Quota` over the plan, `Conflict` if the name is taken.
    async fn add_network(&self, call: &Call, spec: NetworkSpec) -> CallResult<Network>;

    /// Another spec for a network; the connection is made anew only where it must be.
    async fn change_network(&self, call: &Call, id: NetworkId, spec: NetworkSpec) -> CallResult<Network>;

    /// Takes a network away. Its rows stay ten minutes, so that it can be undone.
    async fn delete_network(&self, call: &Call, id: NetworkId) -> CallResult<()>;

    /// Undoes [`Bouncers::delete_network`].
    async fn restore_network(&self, call: &Call, id: NetworkId) -> CallResult<Network>;

    /// Connects now, whatever the back-off says.
    async fn reconnect(&self, call: &Call, id: NetworkId) -> CallResult<()>;

    /// The account's devices, the latest seen first.
    async fn devices(&self, call: &Call) -> CallResult<Vec<Device>>;

    /// Lines that mention the user, newest first.
    async fn mentions(&self, call: &Call, limit: u32) -> CallResult<Vec<Mention>>;

    /// What the account uses.
    async fn usage(&self, call: &Call) -> CallResult<BouncerUsage>;

    /// States after `after`, then live ones; begins with a snapshot where `after` cannot be resumed.
    async fn watch(
        &self,
        call: &Call,
        after: Option<WatchCursor>,
    ) -> CallResult<BoxStream<'static, BouncerChange>>;
}
