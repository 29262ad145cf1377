//! One connection from the first byte to the last: connect, register, then pass lines both ways.

use std::time::Duration;

use bytes::Bytes;
use irc::Message;
use irc::cap::Negotiation;
use rand::RngCore as _;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::client::{Environment, Event, Events, Registered};
use crate::config::{ClientConfig, Tls};
use crate::control::{Control, Order};
use crate::error::ClientError;
use crate::link::{self, Link};
use crate::pace::Pace;
use crate::registration::{Act, Derivation, Derived, NONCE_LEN, Registration};
use crate::words;

/// So long the upstream may take to close after QUIT.
const FAREWELL: Duration = Duration::from_secs(2);
/// Key derivations at once over all users: SCRAM must not eat the machine after a restart.
static DERIVING: Semaphore = Semaphore::const_new(2);

/// How a connection ended.
pub(crate) enum Ended {
    /// By trouble; and for how long it was registered before.
    Failed(ClientError, Duration),
    /// STS: come back with TLS on this port.
    Upgrade(u16),
    /// An order came.
    Ordered(Order),
}

/// Where to connect: STS may have changed what the config says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub port: u16,
    pub tls: Tls,
}

/// Runs one connection. `strict` is told what STS demands.
pub(crate) async fn run(
    config: &ClientConfig,
    environment: &Environment,
    target: Target,
    control: &Control,
    events: &mut impl Events,
    strict: &mut Option<u64>,
) -> Ended {
    let failed = |error| Ended::Failed(error, Duration::ZERO);
    let opening = timeout(
        config.manners.connect_timeout,
        // The handshakes' big future is gone before the long life begins.
        Box::pin(link::open(config, environment, target.port, target.tls)),
    );
    let mut link = tokio::select! {
        order = control.ordered() => return Ended::Ordered(order),
        link = opening => match link {
            Ok(Ok(link)) => link,
            Ok(Err(error)) => return failed(error),
            Err(_) => return failed(words::connect_timeout(config, target.port)),
        },
    };
    let deadline = Instant::now() + config.manners.registration_timeout;
    let registering = Box::pin(timeout_at(deadline, register(config, &mut link, strict)));
    let opened = tokio::select! {
        order = control.ordered() => Err(Ended::Ordered(order)),
        opened = registering => match opened {
            Ok(opened) => opened,
            Err(_) => Err(failed(words::registration_timeout(config))),
        },
    };
    let Opened { registered, caps, first } = match opened {
        Ok(opened) => opened,
        Err(ended) => {
            if let Ended::Ordered(Order::Quit(reason)) = &ended {
                part(&mut link, reason).await;
            }
            return ended;
        }
    };
    let since = Instant::now();
    events.deliver(Event::Registered(registered)).await;
    control.open(config.manners.queue);
    let mut session = Session {
        config,
        control,
        caps,
        pace: Pace::new(config.manners.burst, config.manners.interval, since),
        pinged: None,
        next_ping: since + config.manners.ping_every,
        pings: 0,
        last_words: None,
    };
    let ended = session.pass(&mut link, events, first).await;
    control.close();
    match ended {
        Ended::Failed(error, _) => Ended::Failed(error, since.elapsed()),
        Ended::Ordered(order) => {
            let reason = match &order {
                Order::Quit(reason) => reason,
                Order::Reconnect(_) => "Reconnecting",
            };
            part(&mut link, reason).await;
            Ended::Ordered(order)
        }
        Ended::Upgrade(port) => Ended::Upgrade(port),
    }
}

struct Opened {
    registered: Registered,
    caps: Negotiation,
    /// 001 and what came with it.
    first: Vec<Bytes>,
}

async fn register(config: &ClientConfig, link: &mut Link, strict: &mut Option<u64>) -> Result<Opened, Ended> {
    let failed = |error| Ended::Failed(error, Duration::ZERO);
    let mut nonce = [0; NONCE_LEN];
    rand::rng().fill_bytes(&mut nonce);
    let mut registration = Registration::new(config, link.encrypted, nonce);
    for line in registration.begin() {
        link.send(&line).await.map_err(|error| failed(words::lost(config, Some(&error))))?;
    }
    let mut lines = Vec::new();
    let mut strangers = 0;
    loop {
        lines.clear();
        match link.read(&mut lines).await {
            Ok(true) => {}
            Ok(false) => return Err(failed(words::lost(config, None))),
            Err(error) => return Err(failed(words::lost(config, Some(&error)))),
        }
        for (index, line) in lines.iter().enumerate() {
            let Ok(message) = Message::parse(line) else {
                strangers += 1;
                if strangers > MOST_STRANGE {
                    return Err(failed(words::protocol(config, "what it sends are no IRC lines")));
                }
                continue;
            };
            let mut acts = registration.line(&message);
            acts.reverse();
            while let Some(act) = acts.pop() {
                match act {
                    Act::Send(line) => {
                        link.send(&line).await.map_err(|error| failed(words::lost(config, Some(&error))))?;
                    }
                    Act::Derive(work) => {
                        let derived =
                            derive(*work).await.map_err(|what| failed(words::protocol(config, what)))?;
                        acts.extend(registration.derived(derived).into_iter().rev());
                    }
                    Act::Keep(seconds) => *strict = Some(seconds),
                    Act::Upgrade(port) => return Err(Ended::Upgrade(port)),
                    Act::Fail(error) => return Err(failed(error)),
                    Act::Done(registered) => {
                        let registered = Registered { fingerprint: link.fingerprint.clone(), ..*registered };
                        let first = lines.split_off(index);
                        return Ok(Opened { registered, caps: registration.into_caps(), first });
                    }
                }
            }
        }
    }
}

/// Lines that are no IRC, before it is clear that nobody there speaks it.
const MOST_STRANGE: usize = 20;

/// Runs the work on a thread that may block, a few at a time.
async fn derive(work: Derivation) -> Result<Derived, &'static str> {
    let _permit = DERIVING.acquire().await;
    tokio::task::spawn_blocking(move || work.run()).await.map_err(|_| "the login could not be worked out")
}

/// QUIT, and a moment for the upstream to close.
async fn part(link: &mut Link, reason: &str) {
    let farewell = async {
        link.send(&irc::line("QUIT").trailing(reason).to_bytes()).await?;
        let mut ignored = Vec::new();
        while link.read(&mut ignored).await? {
            ignored.clear();
        }
        Ok::<_, std::io::Error>(())
    };
    let _ = timeout(FAREWELL, farewell).await;
    let _ = timeout(FAREWELL, link.close()).await;
}

/// A registered connection.
struct Session<'a> {
    config: &'a ClientConfig,
    control: &'a Control,
    caps: Negotiation,
    pace: Pace,
    pinged: Option<Instant>,
    next_ping: Instant,
    pings: u64,
    /// What ERROR said.
    last_words: Option<String>,
}

impl Session<'_> {
    async fn pass(&mut self, link: &mut Link, events: &mut impl Events, first: Vec<Bytes>) -> Ended {
        let config = self.config;
        let failed = |error| Ended::Failed(error, Duration::ZERO);
        let mut lines = first;
        loop {
            if let Err(ended) = self.take_in(&mut lines, link, events).await {
                return ended;
            }
            if let Some(order) = self.control.take_order() {
                return Ended::Ordered(order);
            }
            let now = Instant::now();
            let mut wake = match self.pinged {
                Some(at) => at + config.manners.ping_timeout,
                None => self.next_ping,
            };
            while self.pace.next(now) <= now
                && let Some(line) = self.control.pop()
            {
                self.pace.spend(now);
                if let Err(ended) = self.send(link, &line).await {
                    return ended;
                }
            }
            if self.control.waiting() > 0 {
                wake = wake.min(self.pace.next(now));
            }
            tokio::select! {
                open = link.read(&mut lines) => match open {
                    Ok(true) => {}
                    Ok(false) => {
                        // What came with the end is still to be passed on: ERROR explains it.
                        let last = self.take_in(&mut lines, link, events).await;
                        return last.err().unwrap_or_else(|| failed(self.why(None)));
                    }
                    Err(error) => return failed(self.why(Some(&error))),
                },
                () = self.control.changed() => {}
                () = sleep_until(wake) => if let Err(ended) = self.keep_alive(link).await {
                    return ended;
                },
            }
        }
    }

    /// Answers what is the client's own, passes on the rest.
    async fn take_in(
        &mut self,
        lines: &mut Vec<Bytes>,
        link: &mut Link,
        events: &mut impl Events,
    ) -> Result<(), Ended> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut passed = Vec::with_capacity(lines.len());
        let mut lag = None;
        for line in lines.drain(..) {
            let Ok(message) = Message::parse(&line) else {
                passed.push(line);
                continue;
            };
            match &*message.upper() {
                "PING" => {
                    let pong = irc::line("PONG").trailing(message.last().unwrap_or_default()).to_bytes();
                    self.send(link, &pong).await?;
                    continue;
                }
                "PONG" if self.is_own(&message) => {
                    lag = self.pinged.take().map(|at| at.elapsed());
                    self.next_ping = Instant::now() + self.config.manners.ping_every;
                    continue;
                }
                "CAP" => {
                    for request in self.caps.handle(&message).send {
                        self.send(link, &request.to_bytes()).await?;
                    }
                }
                "ERROR" => {
                    self.last_words = message.last().map(|text| String::from_utf8_lossy(text).into_owned())
                }
                "465" | "466" => {
                    let text = message.last().map(String::from_utf8_lossy).unwrap_or_default();
                    self.last_words = Some(format!("You are banned: {text}"));
                }
                _ => {}
            }
            passed.push(line);
        }
        if let Some(lag) = lag {
            events.deliver(Event::Lag(lag)).await;
        }
        if !passed.is_empty() {
            events.deliver(Event::Lines(passed)).await;
        }
        Ok(())
    }

    async fn send(&self, link: &mut Link, line: &Bytes) -> Result<(), Ended> {
        match timeout(self.config.manners.ping_timeout, link.send(line)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Ended::Failed(self.why(Some(&error)), Duration::ZERO)),
            Err(_) => Err(Ended::Failed(words::silent(self.config), Duration::ZERO)),
        }
    }

    /// PING when it is time, the end when its answer is missing.
    async fn keep_alive(&mut self, link: &mut Link) -> Result<(), Ended> {
        let now = Instant::now();
        match self.pinged {
            Some(at) if now >= at + self.config.manners.ping_timeout => {
                Err(Ended::Failed(words::silent(self.config), Duration::ZERO))
            }
            None if now >= self.next_ping => {
                self.pings += 1;
                self.pinged = Some(now);
                self.send(link, &irc::line("PING").param(self.token()).to_bytes()).await
            }
            _ => Ok(()),
        }
    }

    fn token(&self) -> String {
        format!("irc.now-lag-{}", self.pings)
    }

    fn is_own(&self, message: &Message<'_>) -> bool {
        self.pinged.is_some() && message.params.iter().any(|param| *param == self.token().as_bytes())
    }

    /// Why the connection is gone: the upstream's own words say more than the socket.
    fn why(&self, error: Option<&std::io::Error>) -> ClientError {
        match &self.last_words {
            Some(said) => words::closed(self.config, said),
            None => words::lost(self.config, error),
        }
    }
}
