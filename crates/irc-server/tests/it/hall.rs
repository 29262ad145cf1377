//! A backend for tests: everybody who comes in hears what everybody says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use irc::Message;
use irc::sasl::{OauthBearer, Plain};
use irc::scram;
use irc_server::{
    Backend, Cap, CapSet, Closed, Mechanism, NewClient, Offer, Outbox, Peer, Refusal, SaslAnswer, SaslStep,
    Session,
};

/// The hall; every clone is the same one.
#[derive(Clone, Default)]
pub struct Hall(Arc<Inner>);

#[derive(Default)]
pub struct Inner {
    pub guests: Mutex<HashMap<u64, Outbox>>,
    /// Why guests left.
    pub left: Mutex<Vec<(String, Closed)>>,
    /// Pushes that were refused.
    pub refused: AtomicUsize,
    /// Times a guest was ready for a refill.
    pub drained: AtomicUsize,
    /// SASL is out of order.
    pub unavailable: AtomicBool,
    pub early: Mutex<Vec<Bytes>>,
}

impl std::ops::Deref for Hall {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

pub struct Guest {
    id: u64,
    nick: String,
    hall: Hall,
    outbox: Outbox,
}

const NONCE: [u8; scram::NONCE_LEN] = [5; scram::NONCE_LEN];

impl Hall {
    fn say(&self, line: &Bytes) {
        for outbox in self.guests.lock().unwrap().values() {
            if !outbox.push(line.clone()).taken() {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            outbox.flush();
        }
    }
}

impl Backend for Hall {
    type Login = String;
    type Session = Guest;

    fn offer(&self, _peer: &Peer) -> Offer {
        Offer::new().with(Cap::Batch).with(Cap::ServerTime)
    }

    fn early(&self, command: &[u8]) -> bool {
        command == b"BOUNCER"
    }

    /// `alice` has the password `secret`, the token `token`, and any certificate.
    async fn sasl(&self, step: SaslStep) -> SaslAnswer<String> {
        if self.unavailable.load(Ordering::Relaxed) {
            return SaslAnswer::Unavailable {
                text: "Nobody can check that now. Try again in a minute.".into(),
            };
        }
        let refused = || SaslAnswer::Refused { text: "Wrong. Make an app password.".into() };
        let success = || SaslAnswer::Success { account: "alice".into(), login: "alice".into() };
        match (step.mechanism, step.continuation.as_deref()) {
            (Mechanism::Plain, _) => match Plain::parse(&step.payload) {
                Ok(Plain { authcid: "alice", password: "secret", .. }) => success(),
                _ => refused(),
            },
            (Mechanism::External, _) if step.peer.certificate.is_some() => success(),
            (Mechanism::External, _) => refused(),
            (Mechanism::OauthBearer, _) => match OauthBearer::parse(&step.payload) {
                Ok(bearer) if bearer.token == "token" => success(),
                _ => refused(),
            },
            (Mechanism::ScramSha256, None) => match scram::ClientFirst::parse(&step.payload) {
                Ok(first) => {
                    let exchange = first.challenge(&NONCE, b"salt", 4096);
                    SaslAnswer::Challenge {
                        payload: exchange.challenge().to_vec(),
                        continuation: exchange.to_bytes(),
                    }
                }
                Err(_) => refused(),
            },
            (Mechanism::ScramSha256, Some(b"proven")) => success(),
            (Mechanism::ScramSha256, Some(exchange)) => {
                let verifier = scram::Verifier::derive("secret", b"salt", 4096);
                let last = scram::Exchange::from_bytes(exchange)
                    .and_then(|exchange| exchange.finish(&step.payload))
                    .ok()
                    .and_then(|proof| proof.check(&verifier));
                match last {
                    Some(payload) => SaslAnswer::Challenge { payload, continuation: b"proven".to_vec() },
                    None => refused(),
                }
            }
        }
    }

    async fn open(&self, client: NewClient<String>, outbox: Outbox) -> Result<Guest, Refusal> {
        if client.nick == "mallory" {
            return Err(Refusal::new("Mallory is not let in."));
        }
        let peer = &client.peer;
        let account = client.login.as_deref().unwrap_or("nobody");
        let certificate = peer.certificate.as_deref().unwrap_or("none");
        let text = format!("{account} from {} tls={} cert={certificate}", peer.address.ip(), peer.tls);
        let welcome = irc::line("001").source("irc.test").param(&client.nick).trailing(text).to_bytes();
        assert!(outbox.push(welcome).taken());
        outbox.flush();
        *self.early.lock().unwrap() = client.early;
        self.guests.lock().unwrap().insert(peer.id, outbox.clone());
        Ok(Guest { id: peer.id, nick: client.nick, hall: self.clone(), outbox })
    }
}

impl Session for Guest {
    async fn lines(&mut self, lines: Vec<Bytes>) {
        for line in lines {
            let Ok(message) = Message::parse(&line) else { continue };
            let reply = match &*message.upper() {
                "PING" => {
                    irc::line("PONG").source("irc.test").param("irc.test").trailing(message.last().unwrap())
                }
                "PRIVMSG" => {
                    let text = message.last().unwrap_or_default();
                    let said = irc::line("PRIVMSG").source(&self.nick).param("#hall").trailing(text);
                    self.hall.say(&said.to_bytes());
                    continue;
                }
                "MANY" => {
                    let count: usize =
                        std::str::from_utf8(message.param(0).unwrap()).unwrap().parse().unwrap();
                    let line =
                        |n: usize| irc::line("NOTE").param(n.to_string()).trailing("one of many").to_bytes();
                    let _ = self.outbox.push_all((0..count).map(line));
                    self.outbox.flush();
                    continue;
                }
                "ERROR" => {
                    self.outbox.close("You are out of line.");
                    continue;
                }
                "QUIT" => {
                    self.outbox.close("Bye.");
                    continue;
                }
                _ => continue,
            };
            let _ = self.outbox.send(reply.to_bytes());
        }
    }

    async fn caps_changed(&mut self, caps: CapSet) {
        let names: Vec<&str> = caps.iter().map(Cap::name).collect();
        let line = irc::line("NOTE").param("caps").trailing(names.join(" ")).to_bytes();
        let _ = self.outbox.send(line);
    }

    async fn drained(&mut self) {
        self.hall.drained.fetch_add(1, Ordering::Relaxed);
        let _ = self.outbox.send(Bytes::from_static(b"NOTE drained\r\n"));
    }

    async fn closed(self, why: Closed) {
        self.hall.guests.lock().unwrap().remove(&self.id);
        self.hall.left.lock().unwrap().push((self.nick, why));
    }
}
