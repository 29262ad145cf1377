//! One account: its networks, its devices, and what goes between them.

use std::collections::HashMap;

use crate::cx::Cx;
use crate::device::seen::Seen;
use crate::device::{Conn, Reading};
use crate::network::{Network, Phase};
use crate::{
    Answer, Cap, CapSet, Commit, ConnId, Cursor, Effect, Input, NetworkId, NetworkSetup, Profile, QueryId,
};
use crate::{RequestId, Ticket};

/// What we are away with while no device is attached.
pub(crate) const ABSENT: &[u8] = b"Not at a keyboard right now";

/// What a question to the store was for.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// A connection reads from the log. What had gone to the others when it asked is in the answer.
    Refill(ConnId, Cursor),
    /// A command of a connection.
    Command(ConnId, crate::chathistory::Asked),
    /// A connection waits until it is kept where its device begins.
    Begin(ConnId),
    /// A read marker moves; the connection that moved it, the target as it wrote it.
    Marker { conn: ConnId, network: NetworkId, target: Box<[u8]>, verb: &'static str },
}

impl Question {
    /// The connection that waits for the answer and nobody else does.
    pub fn conn(&self) -> Option<ConnId> {
        match self {
            Self::Refill(conn, _) | Self::Command(conn, _) | Self::Begin(conn) => Some(*conn),
            Self::Marker { .. } => None,
        }
    }
}

/// The state of one account.
pub struct User {
    pub(crate) cx: Cx,
    pub(crate) networks: Vec<Network>,
    pub(crate) conns: Vec<Conn>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) asked: HashMap<QueryId, Question>,
    pub(crate) wishes: HashMap<RequestId, crate::bouncer_networks::Wish>,
    wake_at: Option<i64>,
}

impl User {
    /// An account with its networks, none connected, no device attached.
    pub fn new(profile: Profile, networks: Vec<NetworkSetup>, now_ms: i64) -> Self {
        let mut cx = Cx::new(&profile, now_ms);
        let mut networks: Vec<_> = networks.into_iter().map(Network::new).collect();
        // Nobody is attached yet.
        networks.iter_mut().for_each(|network| network.set_away(&mut cx, Some(ABSENT.into())));
        Self {
            cx,
            networks,
            conns: Vec::new(),
            seen: Vec::new(),
            asked: HashMap::new(),
            wishes: HashMap::new(),
            wake_at: None,
        }
    }

    /// Takes what happened at `now_ms` (milliseconds since 1970; never goes back) and appends what is to be done to
    /// `effects`, in the order it is to be done. Never panics, whatever the bytes are.
    pub fn handle(&mut self, now_ms: i64, input: Input<'_>, effects: &mut Vec<Effect>) {
        self.cx.now_ms = self.cx.now_ms.max(now_ms);
        let ticked = input == Input::Tick;
        self.take(input);
        for at in 0..self.networks.len() {
            if let Some(network) = self.networks.get_mut(at) {
                network.tick(&mut self.cx);
                self.not_kept_notice(at);
            }
            self.release(at);
        }
        self.ping_all();
        self.let_go();
        self.wake(ticked);
        effects.append(&mut self.cx.effects);
    }

    fn take(&mut self, input: Input<'_>) {
        match input {
            Input::UpstreamUp { network, nick, caps } => {
                self.with(network, |network, cx| network.upstream_up(cx, nick, caps));
                self.offer_all(network);
                self.tell_phase(network);
            }
            Input::UpstreamCaps { network, caps } => {
                self.with(network, |network, _| network.caps = caps);
                self.offer_all(network);
            }
            Input::UpstreamLine { network, line } => {
                let mut changed = false;
                self.with(network, |network, cx| {
                    let before = network.caps;
                    network.line(cx, line);
                    changed = before != network.caps;
                });
                if changed {
                    self.offer_all(network);
                }
            }
            Input::UpstreamDown { network, reason, needs_user } => {
                self.with(network, |network, cx| network.upstream_down(cx, reason, needs_user));
                self.offer_all(network);
                self.tell_phase(network);
            }
            Input::Unsent { network, lines } => self.unsent(network, lines),
            Input::UpstreamConnecting { network } => {
                self.with(network, |network, _| network.phase = Phase::Connecting);
                self.tell_phase(network);
            }
            Input::Committed { network, results } => self.committed(network, results),
            Input::Answer { id, answer } => self.answered(id, answer),
            Input::Reply { id, result } => self.wish_answered(id, result),
            Input::Attach { conn, attach } => self.attach(conn, attach),
            Input::DeviceLine { conn, line } => self.device_line(conn, line),
            Input::Caps { conn, caps } => self.caps_changed(conn, caps),
            Input::Lagging { conn } => self.lagging(conn),
            Input::Drained { conn } => self.drained(conn),
            Input::Detach { conn } => self.detach(conn),
            Input::Network(setup) => self.network_changed(*setup),
            Input::NetworkGone { network } => self.network_gone(network),
            Input::Tick => {}
        }
    }

    /// Where a network is in the list.
    pub(crate) fn network(&self, id: NetworkId) -> Option<usize> {
        self.networks.iter().position(|network| network.id == id)
    }

    /// Where a connection is in the list.
    pub(crate) fn conn(&self, id: ConnId) -> Option<usize> {
        self.conns.iter().position(|conn| conn.id == id)
    }

    /// The nick a connection has.
    pub(crate) fn nick_of_conn(&self, id: ConnId) -> Vec<u8> {
        let Some(conn) = self.conn(id).and_then(|at| self.conns.get(at)) else { return b"*".to_vec() };
        let network = self.networks.iter().find(|network| Some(network.id) == conn.network);
        network.map_or(&conn.nick, |network| &network.nick).to_vec()
    }

    /// The network a connection is bound to.
    pub(crate) fn network_of_conn(&self, id: ConnId) -> Option<usize> {
        let conn = self.conn(id).and_then(|at| self.conns.get(at))?;
        self.network(conn.network?)
    }

    /// The capabilities of a connection.
    pub(crate) fn caps_of(&self, id: ConnId) -> CapSet {
        self.conn(id).and_then(|at| self.conns.get(at)).map(|conn| conn.caps).unwrap_or_default()
    }

    fn with(&mut self, id: NetworkId, act: impl FnOnce(&mut Network, &mut Cx)) {
        if let Some(at) = self.network(id)
            && let Some(network) = self.networks.get_mut(at)
        {
            act(network, &mut self.cx);
        }
    }

    fn committed(&mut self, id: NetworkId, results: &[(Ticket, Commit)]) {
        let Some(at) = self.network(id) else { return };
        let now_ms = self.cx.now_ms;
        for (ticket, commit) in results {
            let Some(network) = self.networks.get_mut(at) else { return };
            let kept = network.gate.kept();
            network.gate.committed(now_ms, *ticket, commit.clone());
            self.not_kept_notice(at);
            self.release(at);
            self.kept_again(at, kept);
        }
    }

    /// Whoever was live while nothing was kept has had what was stored late.
    fn kept_again(&mut self, at: usize, before: bool) {
        let Some(network) = self.networks.get(at) else { return };
        if before || !network.gate.kept() {
            return;
        }
        let (id, delivered) = (network.id, network.gate.delivered);
        for conn in self.conns.iter_mut().filter(|conn| conn.network == Some(id)) {
            if conn.reading == Reading::Live && conn.exact && conn.sent.position < delivered.position {
                conn.reach(delivered, true);
            }
        }
    }

    /// One a minute while the stream is not kept, before anything else goes out.
    fn not_kept_notice(&mut self, at: usize) {
        let Some(network) = self.networks.get_mut(at) else { return };
        if !network.gate.notice_due(self.cx.now_ms) {
            return;
        }
        let text =
            "The history store does not answer: lines are passed on, but may be missing from the history.";
        let (id, nick) = (network.id, network.nick.clone());
        let bytes = bytes::Bytes::from(crate::device::refill::notice(&self.cx, &nick, text));
        for conn in self.conns.iter().filter(|conn| conn.network == Some(id) && conn.is_live()) {
            self.cx.device(conn.id, bytes.clone());
        }
    }

    /// Whoever looks reads that something did not go out.
    fn unsent(&mut self, id: NetworkId, lines: u64) {
        let Some(network) = self.network(id).and_then(|at| self.networks.get(at)) else { return };
        let count = if lines == 1 { "One line".to_owned() } else { format!("{lines} lines") };
        let text = format!(
            "{count} did not go out: {} takes them in more slowly than they are sent. Wait a moment, then send again.",
            network.setup.name
        );
        let conns: Vec<_> = self.conns.iter().filter(|c| c.network == Some(id)).map(|c| c.id).collect();
        conns.into_iter().for_each(|conn| self.reply_notice(conn, &text));
    }

    fn caps_changed(&mut self, id: ConnId, caps: CapSet) {
        let Some(conn) = self.conn(id).and_then(|at| self.conns.get_mut(at)) else { return };
        let before = std::mem::replace(&mut conn.caps, caps);
        let notify = !before.has(Cap::SojuBouncerNetworksNotify) && caps.has(Cap::SojuBouncerNetworksNotify);
        // Without chathistory the cursor is ours to keep, from here on.
        if before.has(Cap::DraftChathistory)
            && !caps.has(Cap::DraftChathistory)
            && conn.reading == Reading::Live
        {
            conn.exact = true;
            (conn.given, conn.acked, conn.began, conn.pinged) = (conn.sent, conn.sent, conn.sent, conn.sent);
        }
        if notify {
            let name = self.cx.ids.token();
            let list = crate::bouncer_networks::list(&self.cx, &self.networks, caps, &name);
            self.reply(id, list);
        }
    }

    /// Away while no device is attached or all of them are away.
    pub(crate) fn away_of(&mut self, network: Option<NetworkId>) {
        let Some(id) = network else { return };
        let Some(at) = self.network(id) else { return };
        let mut devices = self.conns.iter().filter(|conn| conn.network == Some(id)).peekable();
        let away: Option<Box<[u8]>> = match devices.peek() {
            None => Some(ABSENT.into()),
            Some(_) => {
                let texts: Option<Vec<_>> = devices.map(|conn| conn.away.clone()).collect();
                texts.and_then(|mut texts| texts.pop())
            }
        };
        if let Some(network) = self.networks.get_mut(at) {
            network.set_away(&mut self.cx, away);
        }
    }

    fn network_changed(&mut self, setup: NetworkSetup) {
        let id = setup.id;
        match self.network(id).and_then(|at| self.networks.get_mut(at)) {
            Some(network) => {
                let before = std::mem::replace(&mut network.setup, setup);
                let now = network.setup.clone();
                if !network.is_up() {
                    network.nick = now.nick.as_bytes().into();
                }
                network.follow_channels(&mut self.cx, &before.channels);
                let text = crate::bouncer_networks::changes(&before, &now);
                self.tell_networks(id, &text);
            }
            None => {
                let mut network = Network::new(setup);
                network.set_away(&mut self.cx, Some(ABSENT.into()));
                let text = crate::bouncer_networks::attributes(&network);
                self.networks.push(network);
                self.tell_networks(id, &text);
            }
        }
    }

    fn network_gone(&mut self, id: NetworkId) {
        let Some(at) = self.network(id) else { return };
        let network = self.networks.remove(at);
        let bound: Vec<_> =
            self.conns.iter().filter(|conn| conn.network == Some(id)).map(|conn| conn.id).collect();
        for conn in bound {
            let reason = format!("The network {} was removed from your bouncer.", network.setup.name);
            self.cx.push(Effect::Close { conn, reason });
            self.detach(conn);
        }
        self.seen.retain(|seen| seen.network != id);
        self.tell_networks(id, b"*");
    }

    fn answered(&mut self, id: QueryId, answer: Answer) {
        match self.asked.remove(&id) {
            Some(Question::Refill(conn, asked_at)) => self.refilled(id, conn, asked_at, answer),
            Some(Question::Command(conn, asked)) => self.history_answered(conn, &asked, answer),
            Some(Question::Begin(conn)) => {
                self.begun(conn, answer == Answer::Begun);
                self.welcome(conn);
            }
            Some(Question::Marker { conn, network, target, verb }) => {
                self.marker_answered(conn, network, &target, verb, answer);
            }
            None => {}
        }
    }

    fn wake(&mut self, ticked: bool) {
        let networks = self.networks.iter().filter_map(Network::wake_at);
        let next = networks.chain(self.conns.iter().filter_map(Conn::wake_at)).min();
        // Never a time that has passed: whatever waits for it would have been done just now.
        let next = next.map(|at| at.max(self.cx.now_ms + 1));
        if next != self.wake_at || ticked {
            self.wake_at = next;
            if let Some(at_ms) = next {
                self.cx.push(Effect::Wake { at_ms });
            }
        }
    }
}
