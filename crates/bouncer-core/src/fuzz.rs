//! What the fuzzer drives: any bytes from an upstream and from devices, with a store that answers as it likes.

use std::collections::VecDeque;

use uuid::Uuid;

use crate::archive;
use crate::entry::Meta;
use crate::{
    Answer, Attach, Cap, CapSet, Commit, ConnId, DeviceId, Effect, Entry, Input, NetworkId, NetworkSetup,
    Position, Profile, QueryId, Stored, Ticket, User, WANTED_UPSTREAM,
};

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] =
    &[("bouncer_core", bouncer), ("entry_meta", meta), ("archived_line", archived)];

const NET: NetworkId = NetworkId(Uuid::from_u128(1));

struct Played {
    user: User,
    now_ms: i64,
    appends: VecDeque<(Ticket, Stored)>,
    log: Vec<Stored>,
    queries: VecDeque<QueryId>,
    written: usize,
}

impl Played {
    fn input(&mut self, input: Input<'_>) {
        let mut effects = Vec::new();
        self.user.handle(self.now_ms, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Append { ticket, entry, .. } => {
                    let offset = ticket.0;
                    let stored = Stored { position: Position { epoch: 1, offset }, entry: (*entry).clone() };
                    self.appends.push_back((ticket, stored));
                }
                Effect::Query { id, .. } | Effect::Begin { id, .. } => self.queries.push_back(id),
                Effect::Device { bytes, .. } | Effect::Upstream { bytes, .. } => {
                    self.written += bytes.len();
                    assert!(whole(&bytes), "only whole lines leave");
                }
                _ => {}
            }
        }
    }

    fn commit(&mut self, how: u8) {
        let Some((ticket, stored)) = self.appends.pop_front() else { return };
        let commit = match how % 8 {
            0 => Commit::Refused,
            1 => Commit::Rejected,
            2 => Commit::Duplicate,
            _ => {
                let commit =
                    Commit::Stored { position: stored.position, ts_ms: stored.entry.ts_ms, msgid: None };
                self.log.push(stored);
                commit
            }
        };
        self.input(Input::Committed { network: NET, results: &[(ticket, commit)] });
    }

    fn answer(&mut self, how: u8) {
        let Some(id) = self.queries.pop_front() else { return };
        let answer = match how % 4 {
            0 => Answer::Failed,
            1 => Answer::Targets(vec![(b"#c"[..].into(), self.now_ms), (b"bob"[..].into(), self.now_ms)]),
            2 => Answer::UnknownMsgid,
            _ => {
                let from = self.log.len().saturating_sub(50);
                let entries = self.log.get(from..).unwrap_or_default().to_vec();
                Answer::Entries { entries, more: false, reached: None, inexact: how > 128 }
            }
        };
        self.input(Input::Answer { id, answer });
    }

    fn attach(&mut self, conn: u64, choice: u8) {
        let caps = match choice % 4 {
            0 => CapSet::EMPTY,
            1 => crate::OFFERED_ALWAYS,
            2 => crate::OFFERED_ALWAYS | crate::PASSED_THROUGH,
            _ => CapSet::of(&[Cap::MessageTags, Cap::ServerTime, Cap::LabeledResponse, Cap::Batch]),
        };
        let attach = Attach {
            device: DeviceId(Uuid::from_u128(u128::from(choice % 3))),
            network: Some("net".to_owned()),
            bind: None,
            client: None,
            nick: b"al".to_vec(),
            caps,
            cursors: Vec::new(),
        };
        self.input(Input::Attach { conn: ConnId(conn), attach });
    }
}

fn whole(bytes: &[u8]) -> bool {
    let Some(lines) = bytes.strip_suffix(b"\r\n") else { return false };
    let mut rest = lines;
    loop {
        let end = memchr::memchr3(b'\r', b'\n', 0, rest);
        match end {
            None => return true,
            Some(at) if rest.get(at..at + 2) == Some(b"\r\n") => {
                rest = rest.get(at + 2..).unwrap_or_default()
            }
            Some(_) => return false,
        }
    }
}

/// What is kept beside an entry's body: what was read is written the same.
pub fn meta(data: &[u8]) {
    let read = Meta::decode(data);
    assert_eq!(Meta::decode(&read.encode()), read);
}

/// A line that another program kept: what was read is written as a line, and read again.
pub fn archived(data: &[u8]) {
    let Some(read) = archive::read(data) else { return };
    let entry = Entry {
        kind: read.kind,
        msgid: read.msgid.clone().unwrap_or_else(|| "ours".to_owned()).into(),
        ts_ms: read.ts_ms.unwrap_or_default(),
        from: read.from,
        target: read.target,
        body: read.body,
        meta: read.meta,
        buffers: Default::default(),
        redacts: read.redacts,
    };
    let Some(line) = archive::write(&entry, b"#c") else { return };
    assert!(memchr::memchr3(b'\r', b'\n', 0, &line).is_none(), "it is one line");
    if let Some(again) = archive::read(&line) {
        assert_eq!(again.kind, entry.kind);
    }
}

/// Runs `data` as a script: each line's first byte says what the rest is.
pub fn bouncer(data: &[u8]) {
    let profile = Profile { username: "al".into(), server: "irc.now".into(), seed: 7, page_limit: 100 };
    let setup = NetworkSetup {
        id: NET,
        name: "net".into(),
        host: "irc.net.test".into(),
        port: 6697,
        tls: true,
        nick: "alice".into(),
        realname: String::new(),
        sasl_account: None,
        enabled: true,
        channels: Vec::new(),
        on_connect: Vec::new(),
        markers: Vec::new(),
        newest: None,
        queries: Vec::new(),
        missing_since_ms: None,
    };
    let mut played = Played {
        user: User::new(profile, vec![setup], 1_700_000_000_000),
        now_ms: 1_700_000_000_000,
        appends: VecDeque::new(),
        log: Vec::new(),
        queries: VecDeque::new(),
        written: 0,
    };
    played.input(Input::UpstreamUp { network: NET, nick: b"alice", caps: WANTED_UPSTREAM });
    for line in
        [&b":s 001 alice :hi"[..], b":s 422 alice :none", b":alice!a@h JOIN #c", b":s 366 alice #c :end"]
    {
        played.input(Input::UpstreamLine { network: NET, line });
    }
    for step in data.split(|byte| *byte == b'\n').take(2_000) {
        let Some((first, rest)) = step.split_first() else { continue };
        let choice = rest.first().copied().unwrap_or_default();
        match first {
            b'<' | b':' | b'@' => {
                let line = if *first == b'<' { rest } else { step };
                played.input(Input::UpstreamLine { network: NET, line });
            }
            b'>' => played.input(Input::DeviceLine { conn: ConnId(1), line: rest }),
            b'}' => played.input(Input::DeviceLine { conn: ConnId(2), line: rest }),
            b'1' => played.attach(1, choice),
            b'2' => played.attach(2, choice),
            b'-' => played.input(Input::Detach { conn: ConnId(1) }),
            b'_' => played.input(Input::Detach { conn: ConnId(2) }),
            b'l' => played.input(Input::Lagging { conn: ConnId(1) }),
            b'd' => played.input(Input::Drained { conn: ConnId(1) }),
            b'q' => played.answer(choice),
            b'x' => played.input(Input::UpstreamDown { network: NET, reason: "gone", needs_user: false }),
            b'u' => played.input(Input::UpstreamUp { network: NET, nick: b"alice", caps: WANTED_UPSTREAM }),
            b't' => {
                played.now_ms += i64::from(choice) * 50;
                played.input(Input::Tick);
            }
            how => played.commit(*how),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let words = prop::sample::select(vec![
            "alice",
            "bob",
            "#c",
            "#d",
            "*",
            "+o-v",
            "b1",
            "msgid=x",
            "timestamp=2023-11-14T22:13:20.000Z",
            "10",
            "",
            ":text here",
            "BouncerServ",
            "NickServ",
            "IDENTIFY x",
            "alice,bob,#c",
            "+batch",
            "-batch",
            "chathistory",
            "labeled-response",
            "LATEST",
            "TARGETS",
            "in=#c;text=x",
            "host=h;port=1",
            "PREFIX=(ov)@+",
            "CHANMODES=b,k,l,imn",
            "CASEMAPPING=ascii",
            "@alice +bob !x",
            "PING",
            "seen-0",
            "\u{1}ACTION x\u{1}",
            "network create -addr x",
            "sasl status",
            "=",
            "\u{0}",
            "\r",
        ]);
        let verbs = prop::sample::select(vec![
            "PRIVMSG",
            "NOTICE",
            "TAGMSG",
            "JOIN",
            "PART",
            "KICK",
            "QUIT",
            "NICK",
            "MODE",
            "TOPIC",
            "REDACT",
            "AWAY",
            "ACCOUNT",
            "CHGHOST",
            "SETNAME",
            "INVITE",
            "BATCH",
            "ACK",
            "FAIL",
            "ERROR",
            "CHATHISTORY",
            "MARKREAD",
            "READ",
            "SEARCH",
            "BOUNCER",
            "MONITOR",
            "NAMES",
            "WHO",
            "PONG",
            "CAP",
            "001",
            "005",
            "221",
            "302",
            "303",
            "324",
            "332",
            "333",
            "352",
            "353",
            "366",
            "376",
            "396",
            "401",
            "433",
            "471",
            "473",
            "730",
            "731",
        ]);
        let starts = prop::sample::select(vec![
            "<:bob!b@h ",
            "<:alice!a@h ",
            "<:srv ",
            "<@label=b1 :srv ",
            "<@batch=batch;msgid=m :bob!b@h ",
            "<@time=2023-11-14T22:13:20.000Z;msgid=y;+draft/react=x :alice!a@h ",
            ">",
            ">@label=z;+typing=a ",
            "}",
        ]);
        let line = (starts, verbs, prop::collection::vec(words, 0..5))
            .prop_map(|(start, verb, params)| format!("{start}{verb} {}", params.join(" ")).into_bytes());
        let other = prop::sample::select(vec![
            "1a", "1b", "1c", "1d", "2a", "2c", "-a", "-b", "_a", "l", "d", "qb", "qc", "x", "u", "tz", "t0",
        ])
        .prop_map(|text| text.as_bytes().to_vec());
        let junk = prop::collection::vec(any::<u8>(), 0..60);
        let commit = (b'A'..=b'H').prop_map(|how| vec![how]);
        let step = prop_oneof![6 => line, 2 => other, 1 => junk, 4 => commit];
        prop::collection::vec(step, 0..80).prop_map(|steps| steps.join(&b'\n'))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn no_bytes_make_it_panic_or_write_half_a_line(script in pieces()) {
            super::bouncer(&script);
        }
    }

    #[test]
    fn what_the_fuzzers_found_stays_found() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
