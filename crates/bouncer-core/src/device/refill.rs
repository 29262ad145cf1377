//! From the log to a device: replay on attach of what it has not seen, and refill of a slow reader with the very lines it
//! would have got live.

use super::Reading;
use crate::cx::Cx;
use crate::encode::{Extra, Fact, render};
use crate::entry::Meta;
use crate::network::names::Names;
use crate::user::{Question, User};
use crate::{Answer, Cap, ConnId, Cursor, Effect, Kinds, Position, Query, QueryId, Stored};

/// Lines asked for at once: with lines of 200 bytes well below the soft limit of a queue.
const PAGE: u32 = 200;

impl User {
    /// Asks the log for what follows, unless the connection cannot take it now.
    pub(crate) fn refill(&mut self, conn: ConnId) {
        let Some(found) = self.conn(conn).and_then(|at| self.conns.get_mut(at)) else { return };
        let Some(network) = found.network else { return };
        let (asked, kinds) = match &mut found.reading {
            Reading::Replay { asked, .. } => (asked, Kinds::Messages),
            Reading::Refill { asked } => (asked, Kinds::All),
            _ => return,
        };
        if asked.is_some() || found.lagging {
            return;
        }
        let id = self.cx.query_id();
        *asked = Some(id);
        // Nothing was there yet when it came: from the beginning.
        let after = (found.sent.position != Position::default()).then_some(found.sent);
        let query = Query::Since { network, after, limit: PAGE, kinds };
        let asked_at = self.networks.iter().find(|known| known.id == network).map(|n| n.gate.delivered);
        self.asked.insert(id, Question::Refill(conn, asked_at.unwrap_or_default()));
        self.cx.push(Effect::Query { id, query });
    }

    /// The log answered.
    pub(crate) fn refilled(&mut self, id: QueryId, conn: ConnId, asked_at: Cursor, answer: Answer) {
        let Some(at) = self.conn(conn) else { return };
        let Some(found) = self.conns.get_mut(at) else { return };
        let until = match &mut found.reading {
            Reading::Replay { until, asked } if *asked == Some(id) => {
                *asked = None;
                Some(*until)
            }
            Reading::Refill { asked } if *asked == Some(id) => {
                *asked = None;
                None
            }
            _ => return,
        };
        if found.lagging {
            // It will be asked again, from where the connection is, once it reads.
            return;
        }
        let Answer::Entries { entries, more, reached, inexact } = answer else {
            return self.log_unavailable(conn);
        };
        if inexact {
            let text =
                "The history before this was restored or pruned: some lines may be missing or come twice.";
            self.say_to(conn, text);
        }
        let within = self.give(at, &entries, until);
        let beyond =
            until.is_some_and(|until| reached.is_some_and(|reached| reached.position >= until.position));
        let more = more && within && !beyond;
        let Some(found) = self.conns.get_mut(at) else { return };
        let network = found.network.and_then(|id| self.networks.iter().find(|network| network.id == id));
        let delivered = network.map(|network| network.gate.delivered).unwrap_or_default();
        if let Some(reached) = reached.filter(|reached| more && reached.position > found.sent.position) {
            found.reach(reached, false);
        }
        if !more {
            let end = match until {
                Some(until) => until,
                // Nothing more in the log than what had gone to the others; what went since, it did not look for.
                None if entries.is_empty() => asked_at,
                None => found.sent,
            };
            if end.position > found.sent.position {
                found.reach(end, false);
            }
        }
        if found.sent.position >= delivered.position {
            found.reading = Reading::Live;
            return self.caught_up(conn);
        }
        if until.is_some() && !more {
            found.reading = Reading::Refill { asked: None };
        }
        self.refill(conn);
    }

    /// Pushes entries, in one piece. Whether all of them were before the end.
    fn give(&mut self, at: usize, entries: &[Stored], until: Option<Cursor>) -> bool {
        let Some(conn) = self.conns.get_mut(at) else { return false };
        let mut bytes = Vec::new();
        let mut within = true;
        for stored in entries {
            if stored.position <= conn.sent.position {
                continue;
            }
            if until.is_some_and(|until| stored.position > until.position) {
                within = false;
                break;
            }
            let meta = Meta::decode(&stored.entry.meta);
            let echo = meta.origin != Some(conn.id.0) || conn.caps.has(Cap::EchoMessage);
            let wanted = echo && (until.is_none() || stored.entry.kind.is_message());
            let line = wanted.then(|| render(&stored.entry, &meta, conn.caps, Extra::default(), None));
            let line = line.flatten();
            conn.reach(Cursor { position: stored.position, ts_ms: stored.entry.ts_ms }, line.is_some());
            bytes.extend(line.unwrap_or_default());
        }
        self.cx.device(conn.id, bytes);
        within
    }

    /// The log does not answer: the connection goes on live, and its cursor stays where it is, so that nothing is missed
    /// when it comes the next time.
    fn log_unavailable(&mut self, conn: ConnId) {
        let Some(found) = self.conn(conn).and_then(|at| self.conns.get_mut(at)) else { return };
        found.exact = false;
        found.reading = Reading::Live;
        self.say_to(
            conn,
            "The history cannot be read right now: what you missed comes the next time you connect.",
        );
        self.caught_up(conn);
    }

    /// A connection reads live again: what waited goes out, and what changed meanwhile is told as it is now.
    pub(crate) fn caught_up(&mut self, conn: ConnId) {
        let Some(at) = self.conn(conn) else { return };
        let Some(found) = self.conns.get_mut(at) else { return };
        found.parked_bytes = 0;
        for bytes in std::mem::take(&mut found.parked) {
            self.cx.device(conn, bytes);
        }
        let stale = std::mem::take(&mut found.stale);
        let channels = std::mem::take(&mut found.stale_channels);
        let (caps, id) = (found.caps, found.network);
        let Some(network) = self.networks.iter().find(|network| Some(network.id) == id) else { return };
        let mut out = Vec::new();
        for key in channels {
            let Some(channel) = network.channels.get(&key) else { continue };
            super::burst::topic(&mut out, &self.cx, network, channel);
            let names = Names::of(channel, &network.users, &network.support);
            out.extend_from_slice(&super::burst::channel_end(&self.cx, network, caps, &names));
        }
        for (nick, fact) in stale {
            present_fact(&mut out, network, caps, &nick, fact);
        }
        super::burst::monitor_states(&mut out, &self.cx, network, conn);
        self.cx.device(conn, out);
    }

    /// The queue is over its limit.
    pub(crate) fn lagging(&mut self, conn: ConnId) {
        let Some(found) = self.conn(conn).and_then(|at| self.conns.get_mut(at)) else { return };
        found.lagging = true;
        if found.reading == Reading::Live {
            found.reading = Reading::Refill { asked: None };
        }
    }

    /// The queue has room again.
    pub(crate) fn drained(&mut self, conn: ConnId) {
        let Some(at) = self.conn(conn) else { return };
        let Some(found) = self.conns.get_mut(at) else { return };
        found.lagging = false;
        if found.network.is_none() {
            found.reading = Reading::Live;
            return self.caught_up(conn);
        }
        let network = self.networks.iter().find(|network| Some(network.id) == found.network);
        let delivered = network.map(|network| network.gate.delivered).unwrap_or_default();
        if matches!(found.reading, Reading::Refill { .. }) && found.sent.position >= delivered.position {
            found.reading = Reading::Live;
            return self.caught_up(conn);
        }
        self.refill(conn);
    }

    /// A NOTICE of the bouncer to one connection, at once.
    pub(crate) fn say_to(&mut self, conn: ConnId, text: &str) {
        let bytes = notice(&self.cx, &self.nick_of_conn(conn), text);
        self.cx.device(conn, bytes);
    }
}

/// A NOTICE of the bouncer.
pub(crate) fn notice(cx: &Cx, nick: &[u8], text: &str) -> Vec<u8> {
    crate::wire::line(&cx.service(), "NOTICE", &[nick, text.as_bytes()])
}

/// What is true of somebody now, as the line that says so.
fn present_fact(
    out: &mut Vec<u8>,
    network: &crate::network::Network,
    caps: crate::CapSet,
    nick: &[u8],
    fact: Fact,
) {
    let Some(user) = network.users.find(network.support.casemap, nick) else { return };
    let users = &network.users;
    let source = [users.nick(user), b"!", users.host(user)].concat();
    let host = users.host(user);
    match fact {
        Fact::Away if caps.has(Cap::AwayNotify) => {
            let text: &[&[u8]] = if users.away(user) { &[b"Away"] } else { &[] };
            out.extend(crate::wire::line(&source, "AWAY", text));
        }
        Fact::Account if caps.has(Cap::AccountNotify) => {
            let account = users.account(user);
            let account = if account.is_empty() { &b"*"[..] } else { account };
            out.extend(crate::wire::line(&source, "ACCOUNT", &[account]));
        }
        Fact::Host if caps.has(Cap::Chghost) => {
            if let Some(at) = host.iter().position(|byte| *byte == b'@') {
                out.extend(crate::wire::line(&source, "CHGHOST", &[&host[..at], &host[at + 1..]]));
            }
        }
        _ => {}
    }
}
