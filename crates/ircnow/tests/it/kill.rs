//! `kill -9` in the middle of traffic: what was acknowledged, and what anybody saw, is kept, and what nobody saw lies
//! under a visible marker (test 8.3).

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use testkit::irc::Client;
use testkit::networks::{self, Network};
use testkit::wait::PATIENCE;
use testkit::{Part, Process, part};

use crate::account::Account;
use crate::installation::{Installation, Layout};

/// How often the process is killed.
const KILLS: usize = 20;
/// Bodies on their way when it is killed, and bodies said while it is dead.
const BURST: usize = 40;
const MEANWHILE: usize = 3;
/// A modern client's capabilities.
const MODERN: &str = "server-time message-tags batch echo-message draft/chathistory";

/// A numbered body of the talker (`n`) or of the user's own device (`o`), whole or not at all.
type Body = (char, usize);

fn body_of(line: &str) -> Option<Body> {
    let (_, text) = line.split_once(" PRIVMSG #kill :")?;
    let (who, number) = (text.chars().next()?, text.get(1..)?.strip_suffix('.')?);
    (number.len() == 6).then_some(())?;
    Some((who, number.parse().ok()?))
}

fn tag<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let tags = line.strip_prefix('@')?.split(' ').next()?;
    tags.split(';').find_map(|tag| tag.strip_prefix(name)?.strip_prefix('='))
}

fn is_gap(line: &str) -> bool {
    line.contains(" NOTICE #kill :") && line.contains("BouncerServ")
}

/// One of the user's devices, over all its connections.
struct Device {
    login: String,
    caps: &'static str,
    connection: Option<Client>,
    /// How many of the connection's lines were looked at.
    read: usize,
    /// From now on nothing is promised: the store does not answer, and the device was told so.
    unkept: bool,
    /// Bodies by msgid, with their time.
    by_msgid: BTreeMap<String, (String, Body)>,
    /// Bodies in the order they came, a list a connection.
    came: Vec<Vec<Body>>,
    /// Bodies that are kept, because this device saw them.
    promised: BTreeSet<Body>,
}

impl Device {
    fn new(login: &str, caps: &'static str) -> Self {
        Self {
            login: login.to_owned(),
            caps,
            connection: None,
            read: 0,
            unkept: false,
            by_msgid: BTreeMap::new(),
            came: Vec::new(),
            promised: BTreeSet::new(),
        }
    }

    fn is_modern(&self) -> bool {
        self.caps == MODERN
    }

    fn client(&mut self) -> &mut Client {
        self.connection.as_mut().unwrap()
    }

    async fn attach(&mut self, at: &Installation, password: &str) {
        let mut client = Client::connect(at.irc).await.unwrap();
        client.register_sasl(&self.login, password, self.caps).await.unwrap();
        (self.connection, self.read, self.unkept) = (Some(client), 0, false);
        self.came.push(Vec::new());
        if self.is_modern() {
            self.catch_up().await;
        }
    }

    /// Asks for what it missed, as a client with chathistory does.
    async fn catch_up(&mut self) {
        let newest = self.by_msgid.iter().max_by_key(|(_, (time, _))| time.clone());
        let ask = match newest {
            Some((msgid, _)) => format!("CHATHISTORY AFTER #kill msgid={msgid} 500"),
            None => "CHATHISTORY LATEST #kill * 500".to_owned(),
        };
        self.client().send(&ask).await.unwrap();
        self.client().wait_for("BATCH -").await.unwrap();
        self.look();
    }

    /// Takes in what has come.
    fn look(&mut self) {
        let Some(client) = &self.connection else { return };
        for line in &client.seen[self.read..] {
            self.unkept |= line.contains("The history store does not answer");
            let Some(body) = body_of(line) else { continue };
            if let Some(msgid) = tag(line, "msgid") {
                let time = tag(line, "time").unwrap_or_default().to_owned();
                self.by_msgid.insert(msgid.to_owned(), (time, body));
            }
            self.came.last_mut().unwrap().push(body);
            if !self.unkept {
                self.promised.insert(body);
            }
        }
        self.read = client.seen.len();
    }

    /// Reads to the end of the connection: what had come before the kill was seen.
    async fn read_to_the_end(&mut self) {
        self.client().wait_for_end().await.unwrap();
        self.look();
        self.connection = None;
    }

    /// Bodies as a client that knows msgid and time shows them.
    fn shown(&self) -> Vec<Body> {
        let mut lines: Vec<_> = self.by_msgid.values().collect();
        lines.sort();
        lines.into_iter().map(|(_, body)| *body).collect()
    }
}

/// A network, somebody who talks there, and the user's two devices bound to it.
struct Side {
    name: &'static str,
    network: Network,
    talker: Client,
    said: usize,
    own: usize,
    modern: Device,
    old: Device,
}

impl Side {
    async fn new(name: &'static str, network: Network) -> Self {
        let mut talker = Client::connect(network.port()).await.unwrap();
        talker.register("talker").await.unwrap();
        talker.send("JOIN #kill").await.unwrap();
        talker.wait_for(" 366 ").await.unwrap();
        Self {
            name,
            network,
            talker,
            said: 0,
            own: 0,
            modern: Device::new(&format!("alice/{name}@modern"), MODERN),
            old: Device::new(&format!("alice/{name}@old"), "server-time"),
        }
    }

    async fn say(&mut self, bodies: usize) {
        let lines: String =
            (self.said..self.said + bodies).map(|n| format!("PRIVMSG #kill :n{n:06}.\r\n")).collect();
        self.said += bodies;
        self.talker.send_bytes(lines.as_bytes()).await.unwrap();
    }

    async fn wait_for_the_user(&mut self, at: &Installation) {
        let is_join = |line: &str| line.contains(":alice") && line.contains(" JOIN");
        let joined = self.talker.wait_where("the user's JOIN", is_join).await;
        joined.unwrap_or_else(|error| panic!("{error:#}\n{}", at.output()));
    }

    async fn attach(&mut self, at: &Installation, password: &str) {
        self.wait_for_the_user(at).await;
        self.modern.attach(at, password).await;
        self.old.attach(at, password).await;
    }

    /// Traffic both ways, until the modern device has seen `bodies` of it.
    async fn traffic(&mut self, bodies: usize) {
        self.say(BURST).await;
        for _ in 0..5 {
            let line = format!("PRIVMSG #kill :o{:06}.", self.own);
            self.modern.client().send(&line).await.unwrap();
            self.own += 1;
        }
        let mut seen = 0;
        while seen < bodies {
            let came = self.modern.client().wait_where("a body", |line| body_of(line).is_some()).await;
            came.unwrap();
            seen += 1;
        }
    }

    async fn read_to_the_end(&mut self) {
        self.modern.read_to_the_end().await;
        self.old.read_to_the_end().await;
    }

    /// The last body has reached both devices.
    async fn settle(&mut self) {
        self.say(1).await;
        let last = format!("n{:06}.", self.said - 1);
        self.modern.client().wait_for(&last).await.unwrap();
        self.modern.look();
        let old = self.old.client();
        if !old.seen.iter().any(|line| line.contains(&last)) {
            old.wait_for(&last).await.unwrap();
        }
        self.old.look();
    }

    /// The whole history of the channel, as a new device pages through it.
    async fn history(&self, at: &Installation, password: &str) -> Vec<String> {
        let mut reader = Client::connect(at.irc).await.unwrap();
        reader.register_sasl(&format!("alice/{}@reader", self.name), password, MODERN).await.unwrap();
        let mut lines: Vec<String> = Vec::new();
        let mut after = "timestamp=2000-01-01T00:00:00.000Z".to_owned();
        loop {
            reader.send(&format!("CHATHISTORY AFTER #kill {after} 500")).await.unwrap();
            let begin = reader.wait_for("BATCH +").await.unwrap();
            let name = begin.split("BATCH +").nth(1).unwrap().split(' ').next().unwrap().to_owned();
            let start = reader.seen.len();
            reader.wait_for(&format!("BATCH -{name}")).await.unwrap();
            let within = |line: &&String| tag(line, "batch") == Some(&name);
            let page: Vec<String> = reader.seen[start..].iter().filter(within).cloned().collect();
            let Some(last) = page.last() else { return lines };
            after = format!("msgid={}", tag(last, "msgid").unwrap());
            lines.extend(page);
        }
    }

    /// What section 8.3 of the issue asks for.
    fn check(&self, history: &[String], fetches: bool) {
        let name = self.name;
        let kept: Vec<Body> = history.iter().filter_map(|line| body_of(line)).collect();
        for who in ['n', 'o'] {
            let numbers: Vec<usize> = kept.iter().filter(|body| body.0 == who).map(|body| body.1).collect();
            assert!(
                numbers.is_sorted_by(|a, b| a < b),
                "{name}: {who} is not in order, or comes twice: {numbers:?}"
            );
        }
        let set: BTreeSet<Body> = kept.iter().copied().collect();
        for device in [&self.modern, &self.old] {
            let lost: Vec<_> = device.promised.difference(&set).collect();
            assert!(lost.is_empty(), "{name}: {} saw what history does not have: {lost:?}", device.login);
        }
        assert_eq!(
            self.modern.shown(),
            kept,
            "{name}: the modern device shows what history has, once, in order"
        );
        let had: BTreeSet<Body> =
            self.old.came.iter().flatten().copied().filter(|body| body.0 == 'n').collect();
        let missed: Vec<_> = set.iter().filter(|body| body.0 == 'n' && !had.contains(body)).collect();
        assert!(missed.is_empty(), "{name}: {} never got {missed:?}", self.old.login);

        let said: BTreeSet<Body> = (0..self.said).map(|n| ('n', n)).collect();
        let lost: Vec<_> = said.difference(&set).collect();
        if fetches {
            assert!(lost.is_empty(), "{name}: nothing was fetched from the network's own history: {lost:?}");
        } else {
            assert!(!lost.is_empty(), "{name}: what was said while nobody listened cannot be there");
        }
        let mut next = 0;
        let mut marked = false;
        for line in history {
            marked |= is_gap(line);
            let Some(('n', number)) = body_of(line) else { continue };
            assert!(number == next || marked, "{name}: {next} to {number} are missing without a marker");
            (next, marked) = (number + 1, false);
        }
    }
}

#[tokio::test]
async fn killed_twenty_times_it_loses_nothing_that_anybody_saw() {
    part!(InspIrcd, Ergo);
    let mut insp = Side::new("insp", networks::inspircd().unwrap()).await;
    let mut ergo = Side::new("ergo", networks::ergo().unwrap()).await;
    let allowed = format!("127.0.0.1:{},127.0.0.1:{}", insp.network.port(), ergo.network.port());
    let environment = [("IRCNOW_DIAL_ALLOW", allowed.as_str()), ("IRCNOW_UP_LOCAL_NETWORK", "false")];
    let mut at = Installation::start(Layout::OneProcess, &environment).unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let password = alice.app_password("all").await.unwrap();
    for side in [&insp, &ergo] {
        let port = side.network.port().to_string();
        let fields = [("name", side.name), ("port", &port), ("nick", "alice"), ("channels", "#kill")];
        alice.add_network_with(&fields).await.unwrap();
    }
    // Both devices have been there before: one that never was begins with what comes next.
    insp.attach(&at, &password).await;
    ergo.attach(&at, &password).await;
    tokio::join!(insp.settle(), ergo.settle());
    at.stop().unwrap();
    tokio::join!(insp.read_to_the_end(), ergo.read_to_the_end());
    for round in 0..=KILLS {
        at.launch().unwrap();
        insp.attach(&at, &password).await;
        ergo.attach(&at, &password).await;
        if round == KILLS {
            break;
        }
        // Somewhere else in the stream each time, now on the one network, now on the other.
        let until = round * 7 % BURST;
        tokio::join!(
            insp.traffic(if round % 2 == 0 { until } else { 0 }),
            ergo.traffic(if round % 2 == 0 { 0 } else { until })
        );
        at.kill().unwrap();
        tokio::join!(insp.read_to_the_end(), ergo.read_to_the_end());
        insp.say(MEANWHILE).await;
        ergo.say(MEANWHILE).await;
    }
    tokio::join!(insp.settle(), ergo.settle());
    let (on_insp, on_ergo) = (insp.history(&at, &password).await, ergo.history(&at, &password).await);
    insp.check(&on_insp, false);
    ergo.check(&on_ergo, true);
}

/// The lines of a trace, in the order things were begun; what was interrupted ends where it was resumed.
struct Trace(Vec<String>);

impl Trace {
    /// The first line from `start` on that `wanted` takes.
    fn find(&self, what: &str, start: usize, wanted: impl Fn(&str) -> bool) -> usize {
        let found = self.0.iter().skip(start).position(|line| wanted(line));
        start + found.unwrap_or_else(|| panic!("{what} is not in the trace after line {start}"))
    }

    /// Where a sync of the history's log that was begun after `start` has come to its end.
    fn synced(&self, start: usize) -> usize {
        let begun = self.find("a sync of the history", start, |line| {
            (line.contains(" fdatasync(") || line.contains(" fsync(")) && line.contains("history")
        });
        if !self.0[begun].contains("<unfinished ...>") {
            return begun;
        }
        let thread = self.0[begun].split(' ').next().unwrap();
        self.find("the end of the sync", begun + 1, |line| {
            line.split(' ').next() == Some(thread) && line.contains("sync resumed>") && line.contains("= 0")
        })
    }
}

#[tokio::test]
async fn no_acknowledgement_leaves_before_its_commit_is_on_disk() {
    part!(InspIrcd, Strace);
    let mut insp = Side::new("insp", networks::inspircd().unwrap()).await;
    let port = insp.network.port().to_string();
    let allowed = format!("127.0.0.1:{port}");
    let environment = [("IRCNOW_DIAL_ALLOW", allowed.as_str()), ("IRCNOW_UP_LOCAL_NETWORK", "false")];
    let at = Installation::start(Layout::OneProcess, &environment).unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let password = alice.app_password("all").await.unwrap();
    let fields = [("name", "insp"), ("port", &port), ("nick", "alice"), ("channels", "#kill")];
    alice.add_network_with(&fields).await.unwrap();
    insp.wait_for_the_user(&at).await;
    let mut device = Client::connect(at.irc).await.unwrap();
    let caps = format!("{MODERN} draft/read-marker");
    device.register_sasl("alice/insp", &password, &caps).await.unwrap();
    device.send("CAP REQ :labeled-response").await.unwrap();
    device.wait_for("ACK").await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut strace = Command::new(Part::Strace.find().unwrap());
    strace.args([
        "-f",
        "-yy",
        "-s",
        "65536",
        "-e",
        "trace=fsync,fdatasync,write,writev,pwrite64,sendto,sendmsg",
    ]);
    strace.arg("-o").arg(&trace).args(["-p", &at.id().to_string()]);
    let mut strace = Process::spawn(&mut strace, &folder.path().join("log")).unwrap();
    strace.wait_for_line("attached", PATIENCE).unwrap();

    let mut acknowledgements = Vec::new();
    for number in 0..20 {
        let body = format!("durable{number:06}.");
        device.send(&format!("@label=L{number} PRIVMSG #kill :{body}")).await.unwrap();
        let echo = device.wait_where("the echo", |line| line.contains(&body)).await.unwrap();
        assert_eq!(tag(&echo, "label"), Some(&*format!("L{number}")));
        acknowledgements.push(body);
    }
    device.send("MARKREAD #kill timestamp=2026-01-02T03:04:05.678Z").await.unwrap();
    device.wait_for("MARKREAD #kill").await.unwrap();
    assert!(
        !device.seen.iter().any(|line| line.contains("The history store does not answer")),
        "nothing is acknowledged while the store is silent: this machine is too slow to tell"
    );
    strace.stop(PATIENCE).unwrap();

    let trace = Trace(std::fs::read_to_string(&trace).unwrap().lines().map(str::to_owned).collect());
    let to_device = format!("127.0.0.1:{}->", at.irc);
    let mut last = 0;
    for body in &acknowledgements {
        let written = trace.find(body, last, |line| {
            line.contains("pwrite64(") && line.contains("history") && line.contains(body.as_str())
        });
        let synced = trace.synced(written + 1);
        let sent = trace.find(body, 0, |line| line.contains(&to_device) && line.contains(body.as_str()));
        assert!(synced < sent, "{body} was acknowledged before it was on disk");
        last = sent;
    }
    let sent = trace.find("the marker", last, |line| line.contains(&to_device) && line.contains("MARKREAD"));
    let synced = trace.synced(last);
    assert!(synced < sent, "the read marker was acknowledged before it was on disk");
}
