//! What hosting offers the other services: the IRC networks an account runs for others, and how they are.

use async_trait::async_trait;
use entitlements::Amount;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AccountData, Call, CallResult, WatchCursor};

/// Names a hosted network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostedId(pub Uuid);

impl std::fmt::Display for HostedId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Who gets in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostedAccess {
    /// Everybody; accounts are free to make.
    #[default]
    Open,
    /// Everybody with an account; accounts are free to make.
    AccountsOnly,
    /// Members of this installation alone; nobody makes an account there.
    MembersOnly,
}

/// What an operator of a network may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostedRole {
    /// Keep order: kick, ban, take channels.
    #[default]
    Moderator,
    /// Everything but stopping the server.
    Admin,
}

/// Somebody who runs a network, by `OPER name password`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostedOperator {
    /// The name.
    pub name: String,
    /// What they may do.
    pub role: HostedRole,
    /// The password. `None` in what is read back, and in a change that keeps it.
    pub password: Option<String>,
}

impl std::fmt::Debug for HostedOperator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostedOperator")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Everything an owner says about a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostedSpec {
    /// What it is called: `^[A-Za-z][A-Za-z0-9-]{1,29}[A-Za-z0-9]$`. Its host name is made of it, so it stays.
    pub name: String,
    /// Who gets in.
    pub access: HostedAccess,
    /// The message of the day; empty for none.
    pub motd: String,
    /// Who runs it.
    pub operators: Vec<HostedOperator>,
}

/// Where a network is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostedPhase {
    /// Being made, started, or started again.
    Starting,
    /// People can connect.
    Ready,
    /// Stopped on purpose: by its owner, an administrator or the plan. Everything is kept.
    Suspended,
    /// It does not come up; `detail` says why.
    Failing,
}

/// An address clients connect to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostedAddress {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether TLS is spoken there.
    pub tls: bool,
}

/// How a network is right now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostedState {
    /// Where it is on its way.
    pub phase: HostedPhase,
    /// Since when (seconds since 1970).
    pub since: i64,
    /// What is going on, or what went wrong and what to do: a whole sentence, where there is something to say.
    pub detail: Option<String>,
    /// Where clients connect, the safest first.
    pub addresses: Vec<HostedAddress>,
    /// Where browsers connect (`wss://…`), if there is such a door.
    pub websocket: Option<String>,
    /// Clients now.
    pub users: u64,
    /// Channels now.
    pub channels: u64,
    /// What runs it ("Ergo 2.18.0"), once known.
    pub software: Option<String>,
    /// Whether what is said in registered channels outlives a restart of the server, once known.
    #[serde(default)]
    pub keeps_history: Option<bool>,
}

impl HostedState {
    /// Whether both say the same, but for since when.
    pub fn says_the_same(&self, other: &Self) -> bool {
        Self { since: other.since, ..self.clone() } == *other
    }
}

/// A hosted network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostedNetwork {
    /// Names it in every other call.
    pub id: HostedId,
    /// What its owner said, without secrets.
    pub spec: HostedSpec,
    /// Its host name.
    pub hostname: String,
    /// Whether its owner stopped it.
    pub suspended: bool,
    /// Clients the owner's plan allows at once.
    pub users_allowed: Amount,
    /// How it is right now.
    pub state: HostedState,
    /// Raised with every change by its owner.
    pub version: i64,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Set while a deletion can still be undone.
    pub deleted_at: Option<i64>,
}

/// What an account may host, before it types anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostingOffer {
    /// Host names are given below this domain.
    pub domain: String,
    /// Networks there are.
    pub used: u64,
    /// Networks the plan allows.
    pub allowed: Amount,
    /// Clients at once the plan allows on each.
    pub users: Amount,
    /// Why no network can be made now, as a whole sentence; `None` if one can.
    pub refused: Option<String>,
}

/// A change of what a watcher sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostedChange {
    /// Resume after this.
    pub cursor: WatchCursor,
    /// What changed.
    pub what: HostedChangeKind,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum HostedChangeKind {
    /// Everything, as it is now: the first thing a watcher gets if its cursor is too old or it had none.
    Snapshot {
        /// All networks.
        networks: Vec<HostedNetwork>,
    },
    /// A network is new or another.
    Network {
        /// As it is now.
        network: Box<HostedNetwork>,
    },
    /// A network is gone.
    Gone {
        /// Which.
        id: HostedId,
    },
}

/// Hosting, as other services see it.
#[async_trait]
pub trait Networks: AccountData {
    /// What the account may host.
    async fn offer(&self, call: &Call) -> CallResult<HostingOffer>;

    /// The account's networks, by name; deleted ones whose deletion can be undone are left out.
    async fn networks(&self, call: &Call) -> CallResult<Vec<HostedNetwork>>;

    /// One of them, deleted ones too while that can be undone.
    async fn network(&self, call: &Call, id: HostedId) -> CallResult<HostedNetwork>;

    /// A new one. Refused with `Quota` over the plan, `Conflict` if the host name is taken.
    async fn create_network(&self, call: &Call, spec: HostedSpec) -> CallResult<HostedNetwork>;

    /// Another spec for a network. People stay connected wherever the server allows it.
    async fn change_network(&self, call: &Call, id: HostedId, spec: HostedSpec) -> CallResult<HostedNetwork>;

    /// Stops a network and keeps everything, or starts it again.
    async fn suspend_network(&self, call: &Call, id: HostedId, suspended: bool) -> CallResult<HostedNetwork>;

    /// Takes a network away. It stops at once; what it kept stays ten minutes, so that it can be undone.
    async fn delete_network(&self, call: &Call, id: HostedId) -> CallResult<()>;

    /// Undoes [`Networks::delete_network`].
    async fn restore_network(&self, call: &Call, id: HostedId) -> CallResult<HostedNetwork>;

    /// States after `after`, then live ones; begins with a snapshot where `after` cannot be resumed.
    async fn watch(
        &self,
        call: &Call,
        after: Option<WatchCursor>,
    ) -> CallResult<BoxStream<'static, HostedChange>>;
}
