//! A bouncer with its surroundings played: one network, a store in memory, devices that note what they get.

use std::collections::{BTreeMap, VecDeque};

use bouncer_core::{
    Answer, Attach, Bound, Cap, CapSet, Commit, ConnId, Cursor, DeviceId, Effect, Entry, Input, Kinds,
    NetworkId, NetworkSetup, Page, Position, Profile, Query, QueryId, Request, RequestId, SavedChannel,
    Stored, Ticket, User,
};
use uuid::Uuid;

pub const NET: NetworkId = NetworkId(Uuid::from_u128(1));
pub const OTHER: NetworkId = NetworkId(Uuid::from_u128(2));

/// Capabilities by name.
pub fn named(names: &[&str]) -> CapSet {
    names.iter().map(|name| Cap::from_name(name.as_bytes()).unwrap()).collect()
}

/// A store of one stream each.
#[derive(Default)]
pub struct Log {
    pub epoch: u64,
    pub entries: Vec<(Stored, Vec<Box<[u8]>>)>,
}

/// How the store behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    /// Commits when told to run.
    Well,
    /// Says nothing.
    Silent,
    /// Refuses everything.
    Refuses,
    /// Refuses each row for good.
    Rejects,
}

pub struct World {
    pub user: User,
    pub now: i64,
    pub mood: Mood,
    pub logs: BTreeMap<NetworkId, Log>,
    pub markers: BTreeMap<(NetworkId, Box<[u8]>), i64>,
    pub appends: VecDeque<(NetworkId, Ticket, Entry)>,
    pub queries: VecDeque<(QueryId, Query)>,
    pub begins: VecDeque<(QueryId, DeviceId, NetworkId, Cursor)>,
    pub requests: Vec<(RequestId, Request)>,
    /// What each connection got, line by line, without CR LF.
    pub got: BTreeMap<ConnId, Vec<String>>,
    pub closed: BTreeMap<ConnId, String>,
    pub sent: Vec<String>,
    pub seen: BTreeMap<(DeviceId, NetworkId), Cursor>,
    pub saved: Vec<SavedChannel>,
    pub other: Vec<Effect>,
    /// msgids known, for duplicates.
    known: BTreeMap<String, [Box<[u8]>; 2]>,
}

pub fn setup(id: NetworkId, name: &str) -> NetworkSetup {
    NetworkSetup {
        id,
        name: name.into(),
        host: format!("irc.{name}.test"),
        port: 6697,
        tls: true,
        nick: "alice".into(),
        realname: String::new(),
        sasl_account: None,
        enabled: true,
        channels: Vec::new(),
        on_connect: Vec::new(),
        markers: Vec::new(),
        queries: Vec::new(),
        newest: None,
        missing_since_ms: None,
    }
}

pub fn profile() -> Profile {
    Profile { username: "al".into(), server: "irc.now".into(), seed: 42, page_limit: 100 }
}

impl World {
    pub fn with(networks: Vec<NetworkSetup>) -> Self {
        let now = 1_700_000_000_000;
        let logs = networks
            .iter()
            .map(|network| (network.id, Log { epoch: 1 << 32, entries: Vec::new() }))
            .collect();
        Self {
            user: User::new(profile(), networks, now),
            now,
            mood: Mood::Well,
            logs,
            markers: BTreeMap::new(),
            appends: VecDeque::new(),
            queries: VecDeque::new(),
            begins: VecDeque::new(),
            requests: Vec::new(),
            got: BTreeMap::new(),
            closed: BTreeMap::new(),
            sent: Vec::new(),
            seen: BTreeMap::new(),
            saved: Vec::new(),
            other: Vec::new(),
            known: BTreeMap::new(),
        }
    }

    /// One network, connected as `alice` in `#c` with `bob` and `@carol`.
    pub fn connected(caps: &[&str]) -> Self {
        let mut world = Self::with(vec![setup(NET, "testnet")]);
        world.connect(caps);
        world.join("#c");
        world
    }

    pub fn connect(&mut self, caps: &[&str]) {
        let caps = named(caps);
        self.input(Input::UpstreamUp { network: NET, nick: b"alice", caps });
        for line in [
            ":srv 001 alice :Welcome",
            ":srv 005 alice CHANTYPES=# PREFIX=(ov)@+ CHANMODES=b,k,l,imnpst CASEMAPPING=rfc1459 MONITOR=100 NETWORK=TestNet :are supported",
            ":srv 422 alice :No MOTD",
        ] {
            self.line(line);
        }
    }

    pub fn join(&mut self, channel: &str) {
        self.line(&format!(":alice!al@host JOIN {channel}"));
        self.line(&format!(":srv 353 alice = {channel} :alice bob @carol"));
        self.line(&format!(":srv 366 alice {channel} :End"));
        self.run();
    }

    pub fn input(&mut self, input: Input<'_>) {
        let mut effects = Vec::new();
        self.user.handle(self.now, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Upstream { bytes, .. } => self.sent.extend(lines(&bytes)),
                Effect::Device { conn, bytes } => self.got.entry(conn).or_default().extend(lines(&bytes)),
                Effect::Close { conn, reason } => {
                    self.closed.insert(conn, reason);
                }
                Effect::Append { network, ticket, entry } => {
                    assert!(!entry.buffers.is_empty(), "every entry belongs somewhere");
                    self.appends.push_back((network, ticket, (*entry).clone()));
                }
                Effect::NewEpoch { network } => self.logs.get_mut(&network).unwrap().epoch += 1 << 32,
                Effect::Query { id, query } => self.queries.push_back((id, query)),
                Effect::Begin { id, device, network, cursor } => {
                    self.begins.push_back((id, device, network, cursor));
                }
                Effect::Request { id, request } => self.requests.push((id, request)),
                Effect::Seen { device, network, cursor } => {
                    self.seen.insert((device, network), cursor);
                }
                Effect::SaveChannels { channels, .. } => self.saved = channels,
                other => self.other.push(other),
            }
        }
    }

    pub fn line(&mut self, line: &str) {
        self.input(Input::UpstreamLine { network: NET, line: line.as_bytes() });
    }

    /// A line, committed and out.
    pub fn said(&mut self, line: &str) {
        self.line(line);
        self.run();
    }

    pub fn attach_as(&mut self, conn: u64, device: u128, caps: &[&str], network: Option<&str>) {
        let device = DeviceId(Uuid::from_u128(device));
        let known = self.seen.iter().filter(|((known, _), _)| *known == device);
        let cursors = known.map(|((_, network), cursor)| (*network, *cursor)).collect();
        let attach = Attach {
            device,
            network: network.map(Into::into),
            bind: None,
            client: None,
            nick: b"al".to_vec(),
            caps: named(caps),
            cursors,
        };
        self.input(Input::Attach { conn: ConnId(conn), attach });
    }

    pub fn attach(&mut self, conn: u64, device: u128, caps: &[&str]) {
        self.attach_as(conn, device, caps, None);
        self.run();
    }

    /// A connection goes: after a QUIT and its answers, or as if cut.
    pub fn detach(&mut self, conn: u64, clean: bool) {
        if clean {
            self.pong(conn);
            self.say(conn, "QUIT :bye");
            self.pong(conn);
        }
        self.input(Input::Detach { conn: ConnId(conn) });
    }

    pub fn say(&mut self, conn: u64, line: &str) {
        self.input(Input::DeviceLine { conn: ConnId(conn), line: line.as_bytes() });
    }

    pub fn tick(&mut self, ms: i64) {
        self.now += ms;
        self.input(Input::Tick);
    }

    /// What a connection got since the last time it was asked.
    pub fn take(&mut self, conn: u64) -> Vec<String> {
        std::mem::take(self.got.entry(ConnId(conn)).or_default())
    }

    /// The same, only lines that hold `what`.
    pub fn taken(&mut self, conn: u64, what: &str) -> Vec<String> {
        self.take(conn).into_iter().filter(|line| line.contains(what)).collect()
    }

    pub fn take_sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sent)
    }

    /// Answers every PING a connection has got.
    pub fn pong(&mut self, conn: u64) {
        let pings: Vec<_> = self.got.get(&ConnId(conn)).into_iter().flatten().cloned().collect();
        for ping in pings {
            if let Some(token) = ping.strip_prefix("PING :") {
                self.say(conn, &format!("PONG irc.now :{token}"));
            }
        }
    }

    /// Commits one append, as the store feels.
    pub fn commit_one(&mut self) -> bool {
        if self.mood == Mood::Silent {
            return false;
        }
        let Some((network, ticket, entry)) = self.appends.pop_front() else { return false };
        let commit = match self.mood {
            Mood::Refuses => Commit::Refused,
            Mood::Rejects => Commit::Rejected,
            _ => self.store(network, entry),
        };
        self.input(Input::Committed { network, results: &[(ticket, commit)] });
        true
    }

    fn store(&mut self, network: NetworkId, mut entry: Entry) -> Commit {
        let line = [entry.from.clone(), entry.body.clone()];
        match self.known.get(&*entry.msgid) {
            Some(known) if *known == line => return Commit::Duplicate,
            Some(_) => entry.msgid = format!("{}-2", entry.msgid).into(),
            None => {}
        }
        self.known.insert(entry.msgid.to_string(), line);
        let log = self.logs.get_mut(&network).unwrap();
        let buffers = entry.buffers.to_vec();
        let taken = |ts: i64| {
            log.entries.iter().any(|(s, b)| s.entry.ts_ms == ts && b.iter().any(|key| buffers.contains(key)))
        };
        while taken(entry.ts_ms) {
            entry.ts_ms += 1;
        }
        let position = Position { epoch: log.epoch, offset: log.entries.len() as u64 + 1 };
        let commit = Commit::Stored { position, ts_ms: entry.ts_ms, msgid: Some(entry.msgid.clone()) };
        entry.buffers.clear();
        log.entries.push((Stored { position, entry }, buffers));
        commit
    }

    /// Commits and answers until nothing is left.
    pub fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.commit_one() && !self.answer_one() {
                return;
            }
        }
        panic!("the bouncer never comes to rest");
    }

    pub fn answer_one(&mut self) -> bool {
        if let Some((id, device, network, cursor)) = self.begins.pop_front() {
            let answer = if self.mood == Mood::Well { Answer::Begun } else { Answer::Failed };
            if answer == Answer::Begun {
                self.seen.insert((device, network), cursor);
            }
            self.input(Input::Answer { id, answer });
            return true;
        }
        let Some((id, query)) = self.queries.pop_front() else { return false };
        let answer = if self.mood == Mood::Well { self.ask(query) } else { Answer::Failed };
        self.input(Input::Answer { id, answer });
        true
    }

    fn ask(&mut self, query: Query) -> Answer {
        let shown = |stored: &Stored, kinds: Kinds| kinds == Kinds::All || stored.entry.kind.is_message();
        let plain =
            |entries: Vec<Stored>| Answer::Entries { entries, more: false, reached: None, inexact: false };
        match query {
            Query::Since { network, after, limit, kinds } => {
                let after = after.map(|cursor| cursor.position).unwrap_or_default();
                let entries = &self.logs[&network].entries;
                let mut rest: Vec<_> = entries
                    .iter()
                    .filter(|(s, _)| s.position > after && shown(s, kinds))
                    .map(|(s, _)| s.clone())
                    .collect();
                let more = rest.len() > limit as usize;
                rest.truncate(limit as usize);
                Answer::Entries { entries: rest, more, reached: None, inexact: false }
            }
            Query::Page { network, buffer, page, limit, kinds } => {
                let mut all: Vec<Stored> = self.logs[&network]
                    .entries
                    .iter()
                    .filter(|(s, keys)| shown(s, kinds) && keys.contains(&buffer))
                    .map(|(s, _)| s.clone())
                    .collect();
                all.sort_by_key(|s| (s.entry.ts_ms, s.position));
                let time = |bound: &Bound| match bound {
                    Bound::Time(ms) => Some(*ms),
                    Bound::Msgid(id) => all.iter().find(|s| s.entry.msgid == *id).map(|s| s.entry.ts_ms),
                };
                let limit = limit as usize;
                let last = |list: Vec<Stored>| list[list.len().saturating_sub(limit)..].to_vec();
                let picked = match &page {
                    Page::Latest(None) => last(all.clone()),
                    Page::Latest(Some(bound)) => match time(bound) {
                        Some(at) => last(all.iter().filter(|s| s.entry.ts_ms > at).cloned().collect()),
                        None => return Answer::UnknownMsgid,
                    },
                    Page::Before(bound) => match time(bound) {
                        Some(at) => last(all.iter().filter(|s| s.entry.ts_ms < at).cloned().collect()),
                        None => return Answer::UnknownMsgid,
                    },
                    Page::After(bound) | Page::Around(bound) => match time(bound) {
                        Some(at) => all.iter().filter(|s| s.entry.ts_ms > at).take(limit).cloned().collect(),
                        None => return Answer::UnknownMsgid,
                    },
                    Page::Between(from, to) => match (time(from), time(to)) {
                        (Some(a), Some(b)) => {
                            let (low, high) = (a.min(b), a.max(b));
                            all.iter()
                                .filter(|s| s.entry.ts_ms > low && s.entry.ts_ms < high)
                                .take(limit)
                                .cloned()
                                .collect()
                        }
                        _ => return Answer::UnknownMsgid,
                    },
                };
                plain(picked)
            }
            Query::Targets { network, from_ms, to_ms, limit } => {
                let mut newest: BTreeMap<Box<[u8]>, i64> = BTreeMap::new();
                for (stored, keys) in &self.logs[&network].entries {
                    for key in keys {
                        let at = newest.entry(key.clone()).or_default();
                        *at = (*at).max(stored.entry.ts_ms);
                    }
                }
                let (low, high) = (from_ms.min(to_ms), from_ms.max(to_ms));
                let within = newest.into_iter().filter(|(_, at)| *at > low && *at < high);
                Answer::Targets(within.take(limit as usize).collect())
            }
            Query::SetMarker { network, buffer, ts_ms } => {
                let marker = self.markers.entry((network, buffer)).or_default();
                *marker = (*marker).max(ts_ms);
                Answer::Marker(*marker)
            }
            Query::Search { network, text, limit, .. } => {
                let text = text.unwrap_or_default();
                let found = self.logs[&network].entries.iter().filter(|(s, _)| {
                    s.entry.kind.is_message() && String::from_utf8_lossy(&s.entry.body).contains(&text)
                });
                let mut entries: Vec<_> = found.map(|(s, _)| s.clone()).collect();
                let older = entries.len().saturating_sub(limit as usize);
                entries.drain(..older);
                Answer::Entries { entries, more: older > 0, reached: None, inexact: false }
            }
        }
    }
}

fn lines(bytes: &[u8]) -> Vec<String> {
    assert!(bytes.ends_with(b"\r\n"), "whole lines only: {:?}", String::from_utf8_lossy(bytes));
    let text = String::from_utf8_lossy(bytes).into_owned();
    text.split_terminator("\r\n").map(str::to_owned).collect()
}
