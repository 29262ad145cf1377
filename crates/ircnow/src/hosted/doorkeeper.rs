//! The doorkeeper: keeps a network to as many people as its plan allows.
//!
//! Ergo asks nobody about clients that come from loopback, and here all do. So an operator of ours is on the network,
//! hears of everybody who comes in, and shows out at once who is one too many. Who is in stays in: also those who came
//! while the doorkeeper was away, and those a smaller plan has no room for; nobody else comes in until there is room.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use irc_client::{Client, ClientConfig, DirectDial, Environment, Event, Tls};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::shutdown::Shutdown;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// The doorkeeper's account, nick and operator name.
const NAME: &str = "ircnow-door";
/// What comes from a random token needs no slow hash.
const BCRYPT_COST: u32 = 4;
/// More than this many who come in at once are not remembered.
const MOST_WAITING: usize = 10_000;
/// Asks how many are there.
const COUNT: &str = "LUSERS";

/// What the doorkeeper proves itself with.
#[derive(Clone, Serialize, Deserialize)]
pub struct Key {
    password: String,
    hash: String,
}

impl Key {
    /// A new one.
    pub fn new() -> Result<Self> {
        let password = service::secrets::random_token()?;
        let hash = bcrypt::hash(&password, BCRYPT_COST).context("hashing the doorkeeper's password")?;
        Ok(Self { password, hash })
    }

    /// Whether somebody who says they are `account` is the doorkeeper.
    pub fn proves(&self, account: &str, password: &str) -> bool {
        is_doorkeeper(account) && service::secrets::same(password.as_bytes(), self.password.as_bytes())
    }
}

/// Whether an account is the doorkeeper's.
pub fn is_doorkeeper(account: &str) -> bool {
    account.eq_ignore_ascii_case(NAME)
}

/// The account, as it is written.
pub fn account() -> String {
    NAME.to_owned()
}

/// Makes the doorkeeper an operator in a rendered configuration.
pub fn appoint(config: &mut Value, key: &Key) {
    config["oper-classes"][NAME] =
        json!({ "title": "Doorkeeper", "capabilities": ["kill", "snomasks", "nofakelag"] });
    config["opers"][NAME] = json!({ "class": NAME, "hidden": true, "password": key.hash });
}

/// A doorkeeper at work, until it is dropped.
pub struct Doorkeeper {
    shared: Arc<Shared>,
    work: JoinHandle<()>,
}

struct Shared {
    most: AtomicU64,
    watches: AtomicBool,
    /// Rung when it begins to watch or goes out.
    bell: Arc<Notify>,
}

impl Doorkeeper {
    /// Goes to the network at `port`, whose server calls itself `server`, and lets in `most` people.
    pub fn start(
        port: u16,
        server: &str,
        key: &Key,
        most: u64,
        bell: Arc<Notify>,
        shutdown: &Shutdown,
    ) -> Self {
        let mut config = ClientConfig::new(server, Ipv4Addr::LOCALHOST.to_string(), port, NAME);
        config.tls = Tls::Off;
        config.realname = "Keeps to the plan".to_owned();
        // Nobody comes in without an account where accounts are asked for.
        config.server_password = Some(format!("{NAME}:{}", key.password).into());
        config.manners.burst = 1000;
        config.manners.interval = Duration::from_millis(1);
        let (tell, events) = mpsc::channel(64);
        let client = irc_client::connect(config, Environment::new(Arc::new(DirectDial)), tell);
        let shared = Arc::new(Shared { most: AtomicU64::new(most), watches: AtomicBool::new(false), bell });
        let post = Post {
            client,
            shared: Arc::clone(&shared),
            server: server.to_owned(),
            oper: key.password.clone(),
        };
        Self { shared, work: shutdown.spawn_until("doorkeeper", post.keep(events)) }
    }

    /// From now on it lets in so many.
    pub fn let_in(&self, most: u64) {
        self.shared.most.store(most, Ordering::Relaxed);
    }

    /// Whether it is on the network, so that it is counted there, and hears of whoever comes.
    pub fn watches(&self) -> bool {
        self.shared.watches.load(Ordering::Acquire)
    }
}

impl Drop for Doorkeeper {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// What the doorkeeper's task has.
struct Post {
    client: Client,
    shared: Arc<Shared>,
    server: String,
    oper: String,
}

impl Post {
    async fn keep(self, mut events: mpsc::Receiver<Event>) {
        let mut rules = Rules::default();
        while let Some(event) = events.recv().await {
            match event {
                Event::Registered(_) => {
                    rules = Rules::new(&self.server);
                    self.say(format!("OPER {NAME} {}", self.oper));
                }
                Event::Lines(lines) => {
                    for line in lines {
                        let most = self.shared.most.load(Ordering::Relaxed);
                        rules.hear(&line, most).into_iter().for_each(|line| self.say(line));
                    }
                    self.watches(rules.watches);
                }
                Event::Down { error, .. } => {
                    tracing::debug!(server = self.server, %error, "the doorkeeper is out");
                    self.watches(false);
                }
                Event::Connecting { .. } | Event::Lag(_) | Event::Ended => {}
            }
        }
    }

    fn say(&self, line: String) {
        if let Err(error) = self.client.send(Bytes::from(line)) {
            tracing::debug!(server = self.server, %error, "the doorkeeper is not heard");
        }
    }

    fn watches(&self, watches: bool) {
        if self.shared.watches.swap(watches, Ordering::AcqRel) != watches {
            self.shared.bell.notify_one();
        }
    }
}

/// Who is shown out: the server's lines in, the doorkeeper's out.
#[derive(Debug, Default)]
struct Rules {
    server: String,
    /// Whether the server tells it of whoever comes.
    watches: bool,
    /// Who came in and is not known to fit yet, in that order.
    newcomers: Vec<String>,
    /// Whether the server was asked how many are there, and whether somebody came since.
    asked: bool,
    came_since: bool,
}

impl Rules {
    fn new(server: &str) -> Self {
        Self { server: server.to_owned(), ..Self::default() }
    }

    fn hear(&mut self, line: &[u8], most: u64) -> Vec<String> {
        let Ok(message) = irc::Message::parse(line) else { return Vec::new() };
        let param = |at| message.param(at).map(String::from_utf8_lossy).unwrap_or_default();
        let Some(source) = message.source else { return Vec::new() };
        if message.command == b"MODE" && source.name() == param(0).as_bytes() && param(1).starts_with("+s") {
            self.watches = true;
        }
        // Anybody may say words like the server's to the doorkeeper.
        if source.raw() != self.server.as_bytes() {
            return Vec::new();
        }
        match message.command {
            // An operator now: it wants to hear of whoever connects.
            b"381" => vec![format!("MODE {} +s cn", param(0))],
            b"NOTICE" => self.noticed(&param(1)),
            b"265" => param(1).parse().map(|there| self.counted(there, most)).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn noticed(&mut self, notice: &str) -> Vec<String> {
        if let Some((before, after)) = renamed(notice) {
            let known = self.newcomers.iter_mut().find(|nick| *nick == before);
            known.into_iter().for_each(|nick| after.clone_into(nick));
            return Vec::new();
        }
        let Some(nick) = newcomer(notice).filter(|_| self.newcomers.len() < MOST_WAITING) else {
            return Vec::new();
        };
        self.newcomers.push(nick.to_owned());
        self.came_since = self.asked;
        if std::mem::replace(&mut self.asked, true) { Vec::new() } else { vec![COUNT.to_owned()] }
    }

    /// So many are there, the doorkeeper among them.
    fn counted(&mut self, there: u64, most: u64) -> Vec<String> {
        if !self.asked {
            return Vec::new();
        }
        // The newest go: whether those who came since are counted yet or not, at least these are too many.
        let over = usize::try_from(there.saturating_sub(1).saturating_sub(most)).unwrap_or(usize::MAX);
        let stay = self.newcomers.len().saturating_sub(over);
        let reason = format!("This network is full: its plan lets in {most} at once. Try again later.");
        let mut lines: Vec<_> =
            self.newcomers.drain(stay..).rev().map(|nick| format!("KILL {nick} :{reason}")).collect();
        let settled = lines.is_empty() && !self.came_since;
        if settled {
            self.newcomers.clear();
        }
        self.came_since = false;
        self.asked = !self.newcomers.is_empty();
        if self.asked {
            lines.push(COUNT.to_owned());
        }
        lines
    }
}

/// Who calls themselves what now, in what Ergo tells operators: `before changed nickname to after`.
fn renamed(notice: &str) -> Option<(&str, &str)> {
    // With the codes of colours that Ergo writes.
    let between = |c: char| c == ' ' || c.is_control();
    let (before, after) = notice.split_once(" changed nickname to ")?;
    Some((before.trim_end_matches(between).rsplit(between).next()?, after.split(between).next()?))
}

/// The nick in what Ergo tells operators: `Client connected [nick] [u:…] …`.
fn newcomer(notice: &str) -> Option<&str> {
    let (_, rest) = notice.split_once("Client connected [")?;
    let (nick, _) = rest.split_once("] [u:")?;
    (!nick.is_empty() && !nick.contains(' ') && nick != NAME).then_some(nick)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const MOST: u64 = 2;

    fn came(nick: &str) -> String {
        format!(
            ":irc.test NOTICE ircnow-door :\u{3}14-\u{f}CONNECT\u{3}14-\u{3} Client connected [{nick}] [u:~u] [h:127.0.0.1] [ip:127.0.0.1] [r:x]"
        )
    }

    fn there(count: u64) -> String {
        format!(":irc.test 265 ircnow-door {count} 9 :Current local users {count}, max 9")
    }

    fn said(rules: &mut Rules, line: &str) -> Vec<String> {
        rules.hear(line.as_bytes(), MOST)
    }

    fn out(nick: &str) -> String {
        format!("KILL {nick} :This network is full: its plan lets in {MOST} at once. Try again later.")
    }

    #[test]
    fn who_is_one_too_many_is_shown_out_and_whoever_fits_stays() {
        let mut rules = Rules::new("irc.test");
        let oper = said(&mut rules, ":irc.test 381 ircnow-door :You are now an IRC operator");
        assert_eq!(oper, ["MODE ircnow-door +s cn"]);
        assert!(!rules.watches);
        assert!(said(&mut rules, ":ircnow-door!~i@x.pixels MODE ircnow-door +s +cn").is_empty());
        assert!(rules.watches);
        assert_eq!(said(&mut rules, &came("alice")), ["LUSERS"]);
        assert!(said(&mut rules, &there(3)).is_empty());
        assert_eq!(said(&mut rules, &came("bob[1]")), ["LUSERS"]);
        assert_eq!(said(&mut rules, &there(4)), [out("bob[1]")]);
        assert!(said(&mut rules, &there(9)).is_empty(), "a count nobody asked for");
    }

    #[test]
    fn of_several_who_come_at_once_the_newest_go() {
        let mut rules = Rules::new("irc.test");
        assert_eq!(said(&mut rules, &came("alice")), ["LUSERS"]);
        // Bob is counted already when the server answers: alice was there before him.
        assert!(said(&mut rules, &came("bob")).is_empty());
        assert_eq!(said(&mut rules, &there(4)), [out("bob"), "LUSERS".to_owned()]);
        assert!(said(&mut rules, &there(3)).is_empty());
        // Carol comes in while dave is counted, and is not counted yet.
        assert_eq!(said(&mut rules, &came("dave")), ["LUSERS"]);
        assert!(said(&mut rules, &came("carol")).is_empty());
        assert_eq!(said(&mut rules, &there(4)), [out("carol"), "LUSERS".to_owned()]);
        assert_eq!(said(&mut rules, &there(4)), [out("dave")]);
    }

    #[test]
    fn who_came_while_there_was_room_is_counted_again_with_whoever_came_since() {
        let mut rules = Rules::new("irc.test");
        assert_eq!(said(&mut rules, &came("alice")), ["LUSERS"]);
        assert!(said(&mut rules, &came("bob")).is_empty());
        assert_eq!(said(&mut rules, &there(3)), ["LUSERS"]);
        assert_eq!(said(&mut rules, &there(4)), [out("bob"), "LUSERS".to_owned()]);
        assert!(said(&mut rules, &there(3)).is_empty());
    }

    #[test]
    fn another_name_helps_nobody() {
        let mut rules = Rules::new("irc.test");
        assert_eq!(said(&mut rules, &came("alice")), ["LUSERS"]);
        let renamed = ":irc.test NOTICE ircnow-door :\u{3}14-\u{f}NICK\u{3}14-\u{3} alice\u{f} changed nickname to eve[2]";
        assert!(said(&mut rules, renamed).is_empty());
        assert_eq!(said(&mut rules, &there(4)), [out("eve[2]")]);
    }

    #[test]
    fn whoever_was_in_before_the_doorkeeper_stays() {
        let mut rules = Rules::new("irc.test");
        assert_eq!(said(&mut rules, &came("alice")), ["LUSERS"]);
        assert_eq!(said(&mut rules, &there(90)), [out("alice")]);
        assert!(said(&mut rules, &there(89)).is_empty());
    }

    #[test]
    fn nobody_is_shown_out_because_somebody_says_so() {
        let mut rules = Rules::new("irc.test");
        for source in ["mallory!~m@irc.test", "mallory", "irc.test!~m@irc.test", "other.test"] {
            let lie = came("alice").replacen("irc.test", source, 1);
            assert!(said(&mut rules, &lie).is_empty(), "{source}");
        }
        assert!(said(&mut rules, &came(NAME)).is_empty(), "not even itself");
        assert!(said(&mut rules, "NOTICE ircnow-door :Client connected [alice] [u:x]").is_empty());
    }

    #[test]
    fn only_its_own_password_makes_somebody_the_doorkeeper() {
        let key = Key::new().unwrap();
        assert!(key.proves("IRCNOW-DOOR", &key.password));
        assert!(!key.proves("alice", &key.password));
        assert!(!key.proves(NAME, "guess") && !key.proves(NAME, ""));
        assert!(bcrypt::verify(&key.password, &key.hash).unwrap());
    }
}
