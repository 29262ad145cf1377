//! One connection of a device: how it came ([`attach`]), what it is given ([`deliver`], [`refill`]), how far it has seen
//! ([`seen`]), and what it says ([`commands`], [`send`]).

pub(crate) mod attach;
pub(crate) mod burst;
pub(crate) mod commands;
pub(crate) mod deliver;
pub(crate) mod refill;
pub(crate) mod seen;
pub(crate) mod send;

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use crate::encode::Fact;
use crate::{CapSet, ConnId, Cursor, DeviceId, NetworkId, QueryId};

/// Where a connection reads from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It has attached; what was before it in the gate comes first.
    Waiting,
    /// From the gate, as lines come.
    Live,
    /// From the log: messages it has not seen, up to where its burst was true.
    Replay { until: Cursor, asked: Option<QueryId> },
    /// From the log: everything, in order, until it has caught up.
    Refill { asked: Option<QueryId> },
    /// It said QUIT: nothing more of the stream. Until then it may answer the PING for what it was given.
    Leaving { until_ms: i64 },
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub id: ConnId,
    pub device: DeviceId,
    /// `None` is bound to no network.
    pub network: Option<NetworkId>,
    pub caps: CapSet,
    /// What it may have.
    pub offered: CapSet,
    /// The nick it believes to have while no network tells it another.
    pub nick: Box<[u8]>,
    pub reading: Reading,
    /// Its queue is over the limit: nothing may be pushed.
    pub lagging: bool,
    /// The last logged line it was given (or did not need), and the last it was really given.
    pub sent: Cursor,
    pub given: Cursor,
    /// The last logged line it has surely seen, and where that was when it came.
    pub acked: Cursor,
    pub began: Cursor,
    /// Whether `acked` may move: not after a hole it was not told of by the log.
    pub exact: bool,
    /// The PING that is unanswered, and what it stands for.
    pub ping: Option<(Box<str>, Cursor)>,
    pub pinged: Cursor,
    pub pinged_ms: i64,
    /// Answers to its own commands that wait their turn.
    pub parked: VecDeque<Bytes>,
    pub parked_bytes: usize,
    /// What changed unlogged while it was behind, by nick.
    pub stale: BTreeSet<(Box<[u8]>, Fact)>,
    /// Channels whose members it has to be told, by key.
    pub stale_channels: BTreeSet<Box<[u8]>>,
    pub away: Option<Box<[u8]>>,
}

/// The most bytes of answers that wait for a slow reader.
const MAX_PARKED: usize = 256 * 1024;
/// The most unlogged changes remembered for a slow reader.
const MAX_STALE: usize = 4_096;

impl Conn {
    /// It is as far as `to` now, and was `given` that line or not.
    pub fn reach(&mut self, to: Cursor, given: bool) {
        self.sent = to;
        if given {
            self.given = to;
        }
        self.has_seen(self.acked);
    }

    /// It has seen everything up to `cursor`. If nothing was given to it after that, there is nothing it could miss.
    pub fn has_seen(&mut self, cursor: Cursor) {
        if self.exact {
            self.acked = if cursor.position < self.given.position { cursor } else { self.sent };
        }
    }

    /// Keeps an answer until the connection reads again. Whether there was room.
    pub fn park(&mut self, bytes: Bytes) -> bool {
        if self.parked_bytes + bytes.len() > MAX_PARKED {
            return false;
        }
        self.parked_bytes += bytes.len();
        self.parked.push_back(bytes);
        true
    }

    /// Remembers that somebody's away, account or host changed.
    pub fn note_stale(&mut self, nick: &[u8], fact: Fact) {
        if self.stale.len() < MAX_STALE {
            self.stale.insert((nick.into(), fact));
        }
    }

    /// Whether lines can be pushed to it as they come.
    pub fn is_live(&self) -> bool {
        self.reading == Reading::Live && !self.lagging
    }
}
