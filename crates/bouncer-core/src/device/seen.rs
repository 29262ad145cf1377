//! *Seen*, for clients without cursors: a PING with an opaque token stands for an offset; its PONG says that everything
//! before it was read. Nothing else does, no write and no QUIT: what lies in a socket may never be looked at. Several
//! connections of a device share the cursor of the slowest.

use super::{Conn, Reading};
use crate::user::{Question, User};
use crate::{Cap, ConnId, Cursor, DeviceId, Effect, NetworkId};

/// While lines flow a PING goes out this often, if the last one is answered; the first after a pause at once. It is as much
/// as may come twice to a client that goes without answering.
const EVERY_MS: i64 = 250;

/// How far a device has seen a network.
#[derive(Debug)]
pub(crate) struct Seen {
    pub device: DeviceId,
    pub network: NetworkId,
    /// What the shell was told.
    told: Cursor,
    /// Whether the shell has ever kept one.
    kept: bool,
    /// Where a connection was when it went while others stayed: the device is no further until one of its connections
    /// has come from there.
    held: Option<Cursor>,
}

impl Seen {
    /// From where the next connection begins.
    pub fn floor(&self) -> Cursor {
        lower(self.told, self.held)
    }
}

fn lower(one: Cursor, other: Option<Cursor>) -> Cursor {
    match other {
        Some(other) if other.position < one.position => other,
        _ => one,
    }
}

impl Conn {
    /// Whether its cursor is kept by PING and PONG.
    fn is_tracked(&self) -> bool {
        self.network.is_some() && !self.caps.has(Cap::DraftChathistory)
    }

    fn has_unseen(&self) -> bool {
        let reads = self.reading != Reading::Waiting;
        self.is_tracked()
            && self.exact
            && reads
            && !self.lagging
            && self.given.position > self.pinged.position
    }

    /// Whether it was given something it has not answered for.
    pub fn owes_answer(&self) -> bool {
        self.is_tracked() && self.exact && self.acked.position < self.given.position
    }

    /// When its next PING is due.
    fn ping_at(&self) -> Option<i64> {
        let leaving = matches!(self.reading, Reading::Leaving { .. });
        let due = if leaving { self.pinged_ms } else { self.pinged_ms + EVERY_MS };
        (self.ping.is_none() && self.has_unseen()).then_some(due)
    }

    /// When to look at the clock again for its sake.
    pub fn wake_at(&self) -> Option<i64> {
        let leaves = match self.reading {
            Reading::Leaving { until_ms } => Some(until_ms),
            _ => None,
        };
        self.ping_at().into_iter().chain(leaves).min()
    }
}

impl User {
    /// Sends the PINGs that are due.
    pub(crate) fn ping_all(&mut self) {
        let now_ms = self.cx.now_ms;
        for conn in &mut self.conns {
            if conn.ping_at().is_none_or(|due| now_ms < due) {
                continue;
            }
            let token = format!("seen-{}", self.cx.ids.token());
            let line = crate::wire::line(b"", "PING", &[token.as_bytes()]);
            conn.ping = Some((token.into(), conn.sent));
            conn.pinged = conn.sent;
            conn.pinged_ms = now_ms;
            self.cx.device(conn.id, line);
        }
    }

    /// A PONG, with the token in any parameter.
    pub(crate) fn ponged(&mut self, id: ConnId, params: &[&[u8]]) {
        let Some(conn) = self.conn(id).and_then(|at| self.conns.get_mut(at)) else { return };
        let Some((token, cursor)) = &conn.ping else { return };
        if !params.contains(&token.as_bytes()) {
            return;
        }
        let cursor = *cursor;
        conn.ping = None;
        if !conn.exact || cursor.position <= conn.acked.position {
            return;
        }
        conn.has_seen(cursor);
        let (device, began) = (conn.device, conn.began);
        let Some(network) = conn.network else { return };
        let seen = self.seen_of(device, network, began);
        if seen.held.is_some_and(|held| began.position <= held.position && cursor.position >= held.position) {
            seen.held = None;
        }
        self.tell_seen(device, network);
    }

    fn seen_of(&mut self, device: DeviceId, network: NetworkId, began: Cursor) -> &mut Seen {
        let known = self.seen.iter().position(|seen| seen.device == device && seen.network == network);
        let at = known.unwrap_or_else(|| {
            self.seen.push(Seen { device, network, told: began, kept: false, held: None });
            self.seen.len() - 1
        });
        &mut self.seen[at]
    }

    /// The device is as far as its slowest connection.
    fn tell_seen(&mut self, device: DeviceId, network: NetworkId) {
        let mine = |conn: &&Conn| conn.device == device && conn.network == Some(network) && conn.is_tracked();
        let slowest =
            self.conns.iter().filter(mine).map(|conn| conn.acked).min_by_key(|cursor| cursor.position);
        let Some(seen) = self.seen.iter_mut().find(|seen| seen.device == device && seen.network == network)
        else {
            return;
        };
        let Some(cursor) = slowest else { return };
        let cursor = lower(cursor, seen.held);
        if cursor.position > seen.told.position {
            seen.told = cursor;
            self.cx.push(Effect::Seen { device, network, cursor });
        }
    }

    /// How far a device has seen a network, if that is known here.
    pub(crate) fn seen_floor(&self, device: DeviceId, network: NetworkId) -> Option<Cursor> {
        let seen = self.seen.iter().find(|seen| seen.device == device && seen.network == network);
        seen.map(Seen::floor)
    }

    /// A tracked connection comes. Whether it has to wait until the shell has kept where its device begins: without that
    /// the device would begin anew after a crash, and miss what it was not told before.
    pub(crate) fn seen_begins(&mut self, id: ConnId, kept: bool) -> bool {
        let Some(conn) = self.conn(id).and_then(|at| self.conns.get(at)) else { return false };
        let (Some(network), device, began, true) = (conn.network, conn.device, conn.acked, conn.is_tracked())
        else {
            return false;
        };
        let seen = self.seen_of(device, network, began);
        seen.kept |= kept;
        if seen.kept {
            return false;
        }
        let cursor = seen.told;
        let query = self.cx.query_id();
        self.asked.insert(query, Question::Begin(id));
        self.cx.push(Effect::Begin { id: query, device, network, cursor });
        true
    }

    /// The shell has kept where the device of a connection begins, or could not: then it is told again like any other.
    pub(crate) fn begun(&mut self, id: ConnId, kept: bool) {
        let Some(conn) = self.conn(id).and_then(|at| self.conns.get(at)) else { return };
        let (Some(network), device, began) = (conn.network, conn.device, conn.began) else { return };
        let seen = self.seen_of(device, network, began);
        seen.kept |= kept;
        let cursor = seen.told;
        if !kept {
            self.cx.push(Effect::Seen { device, network, cursor });
        }
    }

    /// A connection has gone. What it had not seen, its device has not seen.
    pub(crate) fn left(&mut self, conn: &Conn) {
        let (Some(network), true) = (conn.network, conn.is_tracked()) else { return };
        let others = self
            .conns
            .iter()
            .any(|other| other.device == conn.device && other.network == Some(network) && other.is_tracked());
        let seen = self.seen_of(conn.device, network, conn.began);
        let floor = lower(conn.acked, seen.held.filter(|held| conn.began.position > held.position));
        if others {
            seen.held = Some(lower(floor, seen.held));
            return self.tell_seen(conn.device, network);
        }
        seen.held = None;
        let cursor = floor;
        if cursor != seen.told {
            seen.told = cursor;
            self.cx.push(Effect::Seen { device: conn.device, network, cursor });
        }
    }
}
