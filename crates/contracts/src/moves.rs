//! Moving an account from one bouncer to another: what both ends offer whoever carries it over.
//!
//! The order is always: hold at the old one, carry every parcel over, compare both tallies, let go at the new one, clear
//! the old one. Every step may be repeated, so that whoever carries can begin again after any failure. Where the new one
//! cannot keep everything, so that no two tallies are equal, it is asked of every parcel a second time ([`Moves::check`]).

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
    /// How many lines of a log are in it.
    pub lines: u64,
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

/// What was counted so far, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// What was counted so far.
    pub tally: Tally,
    /// What to ask for next; `None` if this is all.
    pub next: Option<String>,
}

/// How much of a parcel a bouncer keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Lines in the parcel.
    pub lines: u64,
    /// Read markers in the parcel.
    pub markers: u64,
    /// Lines of it that are kept here under their ids and say the same, or that this bouncer never keeps.
    pub same: u64,
    /// Read markers of it that are kept here, or that were passed here.
    pub read: u64,
}

impl Tally {
    /// Whether as much was checked as is counted here.
    pub fn holds(&self, checked: &Checked) -> bool {
        let lines: u64 = self.networks.iter().map(|network| network.entries).sum();
        let markers: u64 = self.networks.iter().map(|network| network.markers).sum();
        (lines, markers) == (checked.lines, checked.markers)
    }
}

impl Checked {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            lines: self.lines + other.lines,
            markers: self.markers + other.markers,
            same: self.same + other.same,
            read: self.read + other.read,
        }
    }

    /// Whether all of it is here.
    pub fn is_whole(&self) -> bool {
        (self.same, self.read) == (self.lines, self.markers)
    }
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

    /// How much of what another bouncer packed is kept here.
    async fn check(&self, call: &Call, parcel: Parcel) -> CallResult<Checked>;

    /// About how many lines are kept of the account; 0 where nobody knows.
    async fn about(&self, call: &Call) -> CallResult<u64>;

    /// Counts some of what is kept of the account, for a few seconds at the most, from the beginning or from where the
    /// last answer said.
    async fn count(&self, call: &Call, after: Option<String>) -> CallResult<Counted>;

    /// What is kept of the account, all of it.
    async fn tally(&self, call: &Call) -> CallResult<Tally> {
        let mut after = None;
        loop {
            let counted = self.count(call, after).await?;
            match counted.next {
                Some(next) => after = Some(next),
                None => return Ok(counted.tally),
            }
        }
    }

    /// Forgets what is kept of a held account, for a few seconds at the most, and answers whether nothing is left; until
    /// then it is to be asked again. The account stays held.
    async fn clear(&self, call: &Call) -> CallResult<bool>;
}
