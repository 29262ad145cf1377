//! The names things have between the core and its shell.

use std::fmt;

use uuid::Uuid;

/// A network of the account; the same value as `contracts::NetworkId`. Written out, it is the `netid` of
/// `soju.im/bouncer-networks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetworkId(pub Uuid);

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A device as the design defines it: account, credential, and `@client` if given. Several connections may share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub Uuid);

/// One connection of a device. The shell never gives the same number twice in the life of a process, and should
/// begin at a random one, so that a number in the log is not taken for a connection of another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// Names an append until the store has answered it. Rises by one within a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Names a question to the store until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(pub u64);

/// Names a wish about networks until the shell has answered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Where an entry lies in its network's stream. Ordered as the stream is. `epoch` is whatever the store makes of its
/// epoch (number in the upper half, random bits in the lower keeps the order); the core only compares it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The writer's life.
    pub epoch: u64,
    /// The place within it.
    pub offset: u64,
}

/// How far a device has seen a network: where, and when that was said (for a store that no longer knows the epoch).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The last entry seen.
    pub position: Position,
    /// Its time, milliseconds since 1970.
    pub ts_ms: i64,
}
