//! From the gate to the devices.

use std::sync::Arc;

use bytes::Bytes;

use super::{Conn, Reading};
use crate::encode::{Encodings, Extra, Plain};
use crate::network::gate::{Out, Route, To};
use crate::network::names::Names;
use crate::user::User;
use crate::wire::nick_of;
use crate::{Cap, ConnId, Cursor, Effect, Entry, Kind};

impl User {
    /// Gives out what a network's gate lets go.
    pub(crate) fn release(&mut self, at: usize) {
        while let Some(out) = self.networks.get_mut(at).and_then(|network| network.gate.pop()) {
            match out {
                Out::Logged { entry, at: position, route } => self.logged(at, &entry, position, &route),
                Out::Plain { line, route } => self.unlogged(at, &line, &route),
                Out::Names(names) => self.names(at, &names),
                Out::Support => self.support(at),
                Out::Begin { conn, burst } => {
                    self.begin(at, conn, burst);
                    self.offer(conn);
                }
            }
        }
    }

    fn logged(&mut self, at: usize, entry: &Arc<Entry>, position: Option<Cursor>, route: &Route) {
        let Some(network) = self.networks.get(at) else { return };
        let id = network.id;
        let mut encodings = Encodings::logged(entry);
        let origin = encodings.origin();
        for conn in self.conns.iter_mut().filter(|conn| conn.network == Some(id)) {
            if !conn.is_live() || position.is_some_and(|at| at.position <= conn.sent.position) {
                continue;
            }
            let extra = extra_for(conn, route);
            let bytes = if origin == Some(conn.id.0) && !conn.caps.has(Cap::EchoMessage) {
                // It shows its own line by itself; a label still wants its receipt.
                extra.label.filter(|_| conn.caps.has(Cap::LabeledResponse)).map(|label| {
                    let mut writer = crate::wire::Writer::default();
                    writer.tag(b"label", label);
                    writer.command(&self.cx.server, b"ACK");
                    Bytes::from(writer.finish())
                })
            } else {
                encodings.get(conn.caps, extra)
            };
            if let Some(position) = position {
                conn.reach(position, bytes.is_some());
            }
            if let Some(bytes) = bytes {
                self.cx.device(conn.id, bytes);
            }
        }
        if position.is_some() {
            self.mention(at, entry);
        }
    }

    /// Tells the portal of a line that mentions the user.
    fn mention(&mut self, at: usize, entry: &Entry) {
        let Some(network) = self.networks.get(at) else { return };
        if !matches!(entry.kind, Kind::Privmsg | Kind::Notice) {
            return;
        }
        let from = nick_of(&entry.from);
        let ours = network.is_me(from);
        let direct =
            network.is_me(&entry.target) && entry.from.contains(&b'!') && entry.kind == Kind::Privmsg;
        if ours || !(direct || names_us(&entry.body, &network.nick)) {
            return;
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let buffer = if network.is_me(&entry.target) { text(from) } else { text(&entry.target) };
        let mentioned = Effect::Mentioned {
            network: network.id,
            buffer,
            nick: text(from),
            text: text(&entry.body),
            ts_ms: entry.ts_ms,
        };
        self.cx.push(mentioned);
    }

    fn unlogged(&mut self, at: usize, line: &Plain, route: &Route) {
        let Some(network) = self.networks.get(at) else { return };
        let id = network.id;
        let mut encodings = Encodings::plain(line);
        let notice = &*line.command == "NOTICE" && line.source.starts_with(b"BouncerServ!");
        let mut full = Vec::new();
        for conn in self.conns.iter_mut().filter(|conn| conn.network == Some(id)) {
            if matches!(route.to, To::Only(only) if only != conn.id) {
                continue;
            }
            if let Some(key) = &line.watched
                && !network.presence.watches(key, conn.id)
            {
                continue;
            }
            if route.origin == Some(conn.id) && !conn.caps.has(Cap::EchoMessage) {
                continue;
            }
            let waits = !conn.is_live();
            if waits && route.to == To::All && !notice {
                if let Some((fact, nick)) = &line.about {
                    conn.note_stale(nick, *fact);
                }
                continue;
            }
            if waits && line.droppable {
                continue;
            }
            let Some(bytes) = encodings.get(conn.caps, extra_for(conn, route)) else { continue };
            if !waits {
                self.cx.device(conn.id, bytes);
            } else if !conn.park(bytes) {
                full.push(conn.id);
            }
        }
        full.into_iter().for_each(|conn| self.too_slow(conn));
    }

    /// A connection asks for more than it reads.
    fn too_slow(&mut self, conn: ConnId) {
        let reason = "You ask for more than you read. Connect again.".to_owned();
        self.cx.push(Effect::Close { conn, reason });
        self.detach(conn);
    }

    /// A channel we have just joined: its members, in each device's way.
    fn names(&mut self, at: usize, names: &Names) {
        let Some(network) = self.networks.get(at) else { return };
        let (id, key) = (network.id, network.key(&names.channel));
        for conn in self.conns.iter_mut().filter(|conn| conn.network == Some(id)) {
            if !conn.is_live() {
                conn.stale_channels.insert(key.clone());
                continue;
            }
            let bytes = super::burst::channel_end(&self.cx, network, conn.caps, names);
            self.cx.device(conn.id, bytes);
        }
    }

    /// The upstream has said what it can: devices are told.
    fn support(&mut self, at: usize) {
        let Some(network) = self.networks.get(at) else { return };
        let id = network.id;
        for conn in self.conns.iter_mut().filter(|conn| conn.network == Some(id)) {
            let mut bytes = Vec::new();
            super::burst::isupport(&mut bytes, &self.cx, Some(network), conn);
            if conn.is_live() {
                self.cx.device(conn.id, bytes);
            } else {
                conn.park(bytes.into());
            }
        }
    }

    /// Gives a connection the answer to one of its own commands: now, or when it reads again.
    pub(crate) fn reply(&mut self, conn: ConnId, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let Some(at) = self.conn(conn) else { return };
        let Some(found) = self.conns.get_mut(at) else { return };
        if found.is_live() || found.network.is_none() {
            self.cx.device(conn, bytes);
        } else if !found.park(bytes) {
            self.too_slow(conn);
        }
    }

    /// What was before a connection in the gate is out: it may begin.
    fn begin(&mut self, at: usize, conn: ConnId, burst: Bytes) {
        let Some(network) = self.networks.get(at) else { return };
        let delivered = network.gate.delivered;
        let Some(index) = self.conn(conn) else { return };
        let Some(found) = self.conns.get_mut(index) else { return };
        self.cx.device(conn, burst);
        let cursor = found.acked;
        let has_history = found.caps.has(Cap::DraftChathistory);
        let behind = found.exact && !has_history && cursor.position < delivered.position;
        found.exact &= !has_history;
        if behind {
            found.sent = cursor;
            found.reading = Reading::Replay { until: delivered, asked: None };
            self.refill(conn);
        } else {
            found.sent = delivered;
            found.given = delivered;
            found.began = delivered;
            found.acked = delivered;
            found.pinged = delivered;
            if found.lagging {
                found.reading = Reading::Refill { asked: None };
                return;
            }
            found.reading = Reading::Live;
            self.caught_up(conn);
        }
    }
}

fn extra_for<'a>(conn: &Conn, route: &'a Route) -> Extra<'a> {
    let label = route.label.as_ref().filter(|(to, _)| *to == conn.id).map(|(_, label)| &**label);
    let labelled = conn.caps.has(Cap::LabeledResponse);
    let batch = route.batch.as_ref().filter(|(to, _)| *to == conn.id && labelled).map(|(_, name)| &**name);
    Extra { label, batch }
}

/// Whether a text names a nick as a word of its own.
fn names_us(body: &[u8], nick: &[u8]) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80 || b"_-[]{}\\|^`".contains(&byte);
    if nick.is_empty() || body.len() < nick.len() {
        return false;
    }
    (0..=body.len() - nick.len()).any(|at| {
        let end = at + nick.len();
        body[at..end].eq_ignore_ascii_case(nick)
            && (at == 0 || !part(body[at - 1]))
            && body.get(end).is_none_or(|next| !part(*next))
    })
}

#[cfg(test)]
mod tests {
    use super::names_us;

    #[test]
    fn a_nick_is_a_word_of_its_own() {
        assert!(names_us(b"hello Alice!", b"alice"));
        assert!(names_us(b"alice: hi", b"alice"));
        assert!(!names_us(b"malice", b"alice"));
        assert!(!names_us(b"alice_", b"alice"));
        assert!(!names_us(b"", b"alice"));
    }
}
