//! One client's capabilities: the negotiation of `irc::cap`, with what the door itself adds to an offer.

use bytes::Bytes;
use irc::Message;
use irc::cap::Caps;
pub use irc::cap::{Cap, CapSet, Offer};

/// One client's side of the negotiation.
#[derive(Debug)]
pub(crate) struct Negotiation {
    caps: Caps,
    /// The value of `sasl`; empty where logging in is not possible.
    mechanisms: String,
    server: Box<str>,
    nick: Box<str>,
    registered: bool,
}

impl Negotiation {
    /// A client of the server of that name that may log in by `mechanisms` (comma-separated).
    pub fn new(server: &str, mechanisms: String) -> Self {
        let caps = Caps::new(complete(Offer::new(), &mechanisms));
        Self { caps, mechanisms, server: server.into(), nick: "".into(), registered: false }
    }

    pub fn active(&self) -> CapSet {
        self.caps.enabled()
    }

    pub fn version(&self) -> u16 {
        self.caps.version()
    }

    /// Whether CAP END has to come before anything goes on.
    pub fn is_open(&self) -> bool {
        self.caps.is_negotiating()
    }

    /// The client's name in replies.
    pub fn set_nick(&mut self, nick: &str) {
        self.nick = nick.into();
    }

    /// Registration is over.
    pub fn set_registered(&mut self) {
        self.registered = true;
    }

    /// Takes a CAP line in. Answers with lines and whether it was CAP END.
    pub fn command(&mut self, message: &Message<'_>) -> (Vec<Bytes>, bool) {
        let reply = self.caps.handle(message, self.server.as_bytes(), self.nick.as_bytes(), self.registered);
        (reply.lines.iter().map(irc::MessageBuf::to_bytes).collect(), reply.ended)
    }

    /// Offers something else; the lines tell the client, if it wants to know.
    pub fn change_offer(&mut self, offer: Offer) -> Vec<Bytes> {
        let offer = complete(offer, &self.mechanisms);
        let (server, nick) = (self.server.as_bytes(), self.nick.as_bytes());
        self.caps.replace(offer, server, nick).iter().map(irc::MessageBuf::to_bytes).collect()
    }
}

fn complete(mut offer: Offer, mechanisms: &str) -> Offer {
    offer.insert(Cap::CapNotify, None);
    if mechanisms.is_empty() {
        offer.remove(Cap::Sasl);
    } else {
        offer.insert(Cap::Sasl, Some(mechanisms.as_bytes()));
    }
    offer
}
