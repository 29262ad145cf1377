//! What runs a network. Two adapters exist: processes on this machine, and `ErgoNetwork` resources in a cluster.

use std::fmt;

use async_trait::async_trait;
use contracts::{HostedAccess, HostedId, HostedRole, HostedState, Sub};
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

/// What a network is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub id: HostedId,
    /// Whose.
    pub owner: Sub,
    /// The owner's name.
    pub username: String,
    /// The plan it is paid by.
    pub plan: String,
    /// What it is called.
    pub name: String,
    /// The first part of its host name.
    pub label: String,
    /// Its host name.
    pub hostname: String,
    /// Who gets in.
    pub access: HostedAccess,
    /// The message of the day.
    pub motd: String,
    /// Who runs it.
    pub operators: Vec<KeptOperator>,
    /// Clients at once.
    pub clients: Option<u64>,
    /// Whether it is stopped; everything it keeps stays.
    pub stopped: bool,
}

/// An operator of a network as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptOperator {
    /// The name.
    pub name: String,
    /// What they may do.
    pub role: HostedRole,
    /// The bcrypt hash of the password.
    pub hash: String,
}

impl fmt::Debug for KeptOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptOperator")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Why a host did not do something, as a whole sentence for the owner of the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HostError(pub String);

/// What runs networks. Every method may be repeated, and is until it succeeds.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// Why no network can be made here now, as a whole sentence; `None` if one can.
    async fn refuses(&self) -> Option<String>;

    /// Has a network become what it is to be. Returns once that is sure to be tried, not once it is done.
    async fn keep(&self, wanted: Wanted) -> Result<(), HostError>;

    /// Takes a network away with everything it kept. Done when it returns.
    async fn remove(&self, id: HostedId) -> Result<(), HostError>;

    /// How every network is, then every change of it. Ends when the host goes away; it is asked again then.
    fn states(&self) -> BoxStream<'static, (HostedId, HostedState)>;
}
