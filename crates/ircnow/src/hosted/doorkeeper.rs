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
use ergo_operator::crowd::Crowd;
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
        let mut crowd = Crowd::default();
        while let Some(event) = events.recv().await {
            match event {
                Event::Registered(_) => {
                    crowd = Crowd::new(&self.server, NAME);
                    self.say(format!("OPER {NAME} {}", self.oper));
                }
                Event::Lines(lines) => {
                    for line in lines {
                        let most = self.shared.most.load(Ordering::Relaxed);
                        crowd.hear(&line, most).into_iter().for_each(|line| self.say(line));
                    }
                    self.watches(crowd.watches);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_its_own_password_makes_somebody_the_doorkeeper() {
        let key = Key::new().unwrap();
        assert!(key.proves("IRCNOW-DOOR", &key.password));
        assert!(!key.proves("alice", &key.password));
        assert!(!key.proves(NAME, "guess") && !key.proves(NAME, ""));
        assert!(bcrypt::verify(&key.password, &key.hash).unwrap());
    }
}
