//! Moving an account from one bouncer to another: what both ends offer whoever carries it over.
//!
//! The order is always: hold at the old one, carry every parcel over, compare both tallies, let go at the new one, clear
//! the old one. Every step may be repeated, so that whoever carries can begin again after any failure.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Call, CallResult, NetworkId};

/// Some of what a bouncer keeps of an account, as one bouncer writes and another reads it. It holds secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parcel(pub String);

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parcel({} bytes)", self.0.len())
    }
}

/// A parcel, and where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// What is in it.
    pub parcel: Parcel,
    /// What to ask for next; `None` if this was the last.
    pub next: Option<String>,
}

/// What a bouncer keeps of one network, counted and named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkTally {
    /// Which.
    pub id: NetworkId,
    /// Messages and everything else in its log.
    pub entries: u64,
    /// A digest of them all in their order: ids, senders and texts.
    pub digest: String,
    /// Read markers.
    pub markers: u64,
}

/// What a bouncer keeps of an account. Two that are equal hold the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Networks, by id.
    pub networks: Vec<NetworkTally>,
    /// Devices.
    pub devices: u64,
}

/// Why an account is held, as its devices are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "held", rename_all = "snake_case")]
pub enum Hold {
    /// It is on its way: devices are to try again.
    Moving,
    /// It lives at another bouncer now: devices are to connect there.
    MovedTo {
        /// Its host name.
        hostname: String,
    },
}

/// A bouncer, as whoever moves accounts sees it.
#[async_trait]
pub trait Moves: Send + Sync + 'static {
    /// Disconnects the account's networks and devices and keeps them so, also over a restart. Everything that was said is
    /// on disk when it returns.
    async fn hold(&self, call: &Call, why: Hold) -> CallResult<()>;

    /// Serves the account again.
    async fn let_go(&self, call: &Call) -> CallResult<()>;

    /// What is kept of a held account, a parcel at a time, from the beginning or from where the last one said.
    async fn pack(&self, call: &Call, after: Option<String>) -> CallResult<Packed>;

    /// Takes what another bouncer packed. What is there already is there once.
    async fn unpack(&self, call: &Call, parcel: Parcel) -> CallResult<()>;

    /// What is kept of the account.
    async fn tally(&self, call: &Call) -> CallResult<Tally>;

    /// Forgets everything kept of a held account; it stays held.
    async fn clear(&self, call: &Call) -> CallResult<()>;
}
