//! A connection comes and goes.

use super::{Conn, Reading};
use crate::network::gate::Out;
use crate::user::User;
use crate::{Attach, Cap, ConnId, Effect, NetworkId, OFFERED_ALWAYS, PASSED_THROUGH};

/// How long one that said QUIT may take to answer for what it was given.
const LEAVE_MS: i64 = 1_000;

/// What a login name and a BIND come to.
enum Binding {
    To(NetworkId),
    Unbound(Option<String>),
    No(String),
}

impl User {
    /// A connection has registered.
    pub(crate) fn attach(&mut self, id: ConnId, attach: Attach) {
        if self.conn(id).is_some() {
            return;
        }
        let (network, hint) = match self.binding(&attach) {
            Binding::To(network) => (Some(network), None),
            Binding::Unbound(hint) => (None, hint),
            Binding::No(reason) => {
                if let Some(netid) = &attach.bind {
                    let params: [&[u8]; 5] =
                        [b"BOUNCER", b"INVALID_NETID", b"BIND", netid.as_bytes(), b"Network not found"];
                    let fail = crate::wire::line(&self.cx.server, "FAIL", &params);
                    self.cx.device(id, fail);
                }
                return self.cx.push(Effect::Close { conn: id, reason });
            }
        };
        let at = network.and_then(|id| self.network(id));
        let delivered = at.and_then(|at| self.networks.get(at)).map(|n| n.gate.delivered).unwrap_or_default();
        let kept = attach.cursors.iter().find(|(id, _)| Some(*id) == network).map(|(_, cursor)| *cursor);
        let cursor = network.and_then(|network| self.seen_floor(attach.device, network)).or(kept);
        let cursor = cursor.unwrap_or(delivered);
        let conn = Conn {
            id,
            device: attach.device,
            network,
            caps: attach.caps,
            offered: OFFERED_ALWAYS,
            nick: attach.nick.into(),
            reading: Reading::Waiting,
            lagging: false,
            sent: cursor,
            given: cursor,
            acked: cursor,
            began: cursor,
            exact: true,
            ping: None,
            pinged: cursor,
            pinged_ms: 0,
            parked: Default::default(),
            parked_bytes: 0,
            stale: Default::default(),
            stale_channels: Default::default(),
            away: None,
        };
        self.conns.push(conn);
        self.away_of(network);
        if !self.seen_begins(id, kept.is_some()) {
            self.welcome(id);
        }
        if let Some(hint) = hint {
            self.say_to(id, &hint);
        }
    }

    /// It may be given something, from 001 on.
    pub(crate) fn welcome(&mut self, id: ConnId) {
        let burst = self.burst(id);
        let Some(index) = self.conn(id) else { return };
        let Some((device, network)) = self.conns.get(index).map(|conn| (conn.device, conn.network)) else {
            return;
        };
        let Some(at) = network.and_then(|network| self.network(network)) else {
            if let Some(conn) = self.conns.get_mut(index) {
                conn.reading = Reading::Live;
                conn.exact = false;
            }
            return self.cx.device(id, burst);
        };
        if let Some(network) = self.networks.get_mut(at) {
            network.gate.pass(Out::Begin { conn: id, burst: burst.into() });
        }
        self.release(at);
        let same = |other: &Conn| other.id != id && other.device == device && other.network == network;
        let shared = self.conns.iter().any(same);
        self.greet(id, at, shared);
    }

    /// What a freshly attached device has to know that its burst does not say.
    fn greet(&mut self, id: ConnId, at: usize, shared: bool) {
        if let Some(text) = self.networks.get(at).and_then(|network| network.offline_text()) {
            self.reply_notice(id, &text);
        }
        let exact = self
            .conn(id)
            .and_then(|at| self.conns.get(at))
            .is_some_and(|c| !c.caps.has(Cap::DraftChathistory));
        if shared && exact {
            let text = "Another connection uses the same login. They share what counts as seen: to keep them apart, \
                        log in as user/network@name, with another name on each.";
            self.reply_notice(id, text);
        }
    }

    /// A NOTICE of the bouncer that waits its turn.
    pub(crate) fn reply_notice(&mut self, conn: ConnId, text: &str) {
        let bytes = super::refill::notice(&self.cx, &self.nick_of_conn(conn), text);
        self.reply(conn, bytes);
    }

    fn binding(&self, attach: &Attach) -> Binding {
        let names = || {
            let names: Vec<_> = self.networks.iter().map(|network| network.setup.name.clone()).collect();
            names.join(", ")
        };
        if let Some(netid) = &attach.bind {
            let found = self.networks.iter().find(|network| network.id.to_string() == *netid);
            return match found {
                Some(network) => Binding::To(network.id),
                None => {
                    Binding::No("There is no such network. Choose another one in your client.".to_owned())
                }
            };
        }
        if let Some(wanted) = &attach.network {
            let found = self.networks.iter().find(|network| network.setup.name.eq_ignore_ascii_case(wanted));
            return match found {
                Some(network) => Binding::To(network.id),
                None if self.networks.is_empty() => Binding::No(format!(
                    "You have no network {wanted} yet. Add it on your bouncer page first."
                )),
                None => Binding::No(format!("You have no network {wanted}. Yours are: {}.", names())),
            };
        }
        if attach.caps.has(Cap::SojuBouncerNetworks) {
            return Binding::Unbound(None);
        }
        let user = &self.cx.username;
        match &self.networks[..] {
            [only] => Binding::To(only.id),
            [] => Binding::Unbound(Some(
                "You have no network yet. Add one on your bouncer page, or here: /msg BouncerServ network create -addr \
                 irc.libera.chat -name libera"
                    .to_owned(),
            )),
            [first, ..] => Binding::Unbound(Some(format!(
                "You have several networks: {}. Say which one in the login name: {user}/{}",
                names(),
                first.setup.name
            ))),
        }
    }

    /// Tells a connection what it may negotiate now, if that is something else than before. Not before its 001.
    pub(crate) fn offer(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id).and_then(|at| self.conns.get_mut(at)) else { return };
        if conn.reading == Reading::Waiting {
            return;
        }
        let upstream = self.networks.iter().find(|network| Some(network.id) == conn.network).map(|n| n.caps);
        let caps = OFFERED_ALWAYS | (upstream.unwrap_or_default() & PASSED_THROUGH);
        if caps != conn.offered {
            conn.offered = caps;
            self.cx.push(Effect::Offer { conn: id, caps });
        }
    }

    /// The same for all connections of a network.
    pub(crate) fn offer_all(&mut self, network: NetworkId) {
        let ids: Vec<_> =
            self.conns.iter().filter(|conn| conn.network == Some(network)).map(|conn| conn.id).collect();
        ids.into_iter().for_each(|id| self.offer(id));
    }

    /// A connection said QUIT. What lay between us when it did it may never read, so only what it has answered for counts
    /// as seen; for the rest it is asked once more, and waited for a moment.
    pub(crate) fn leave(&mut self, id: ConnId) {
        let until_ms = self.cx.now_ms + LEAVE_MS;
        if let Some(conn) = self.conn(id).and_then(|at| self.conns.get_mut(at)) {
            conn.reading = Reading::Leaving { until_ms };
        }
    }

    /// Closes those that leave and have answered, or have had their time.
    pub(crate) fn let_go(&mut self) {
        let now_ms = self.cx.now_ms;
        let over = |conn: &&Conn| match conn.reading {
            Reading::Leaving { until_ms } => now_ms >= until_ms || !conn.owes_answer(),
            _ => false,
        };
        let gone: Vec<_> = self.conns.iter().filter(over).map(|conn| conn.id).collect();
        for conn in gone {
            self.cx.push(Effect::Close { conn, reason: "Quit".to_owned() });
            self.detach(conn);
        }
    }

    /// A connection is gone.
    pub(crate) fn detach(&mut self, id: ConnId) {
        let Some(at) = self.conn(id) else { return };
        let conn = self.conns.remove(at);
        if let Some(at) = conn.network.and_then(|network| self.network(network)) {
            self.left(&conn);
            if let Some(network) = self.networks.get_mut(at) {
                network.replies.forget(id);
                network.unwatch(&mut self.cx, id, None);
            }
        }
        self.asked.retain(|_, question| question.conn() != Some(id));
        self.wishes.retain(|_, wish| wish.conn() != id);
        self.away_of(conn.network);
    }
}
