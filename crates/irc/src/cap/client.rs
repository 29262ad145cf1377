//! The client's side of a capability negotiation.

use std::collections::VecDeque;

use super::{Cap, CapSet, Offer, pack, split_token, words};
use crate::message::Message;
use crate::numerics::{ERR_NOTREGISTERED, ERR_UNKNOWNCOMMAND, RPL_WELCOME};
use crate::write::{MessageBuf, line};

/// Bytes of capability names in one `CAP REQ`, so that the answer fits a line whatever stands before it.
const MAX_REQUEST: usize = 300;

/// What a client knows of the server's capabilities, and which are enabled. Feed it every line; it answers the
/// ones about capabilities.
#[derive(Debug, Clone)]
pub struct Negotiation {
    wanted: CapSet,
    available: Offer,
    /// What the lines of an LS have named so far; `None` once the first LS is whole.
    listing: Option<Offer>,
    enabled: CapSet,
    in_flight: VecDeque<CapSet>,
    registering: bool,
}

/// What came of one line.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Lines to send to the server.
    pub send: Vec<MessageBuf>,
    /// Capabilities that are enabled from now on.
    pub enabled: CapSet,
    /// Capabilities that are gone from now on.
    pub disabled: CapSet,
    /// Every request has been answered: log in now if `sasl` is enabled, then send [`Negotiation::end`]. Said
    /// once a connection.
    pub ready: bool,
}

impl Negotiation {
    /// A negotiation for these capabilities. `sts` is never requested (ircv3 `sts` forbids it).
    pub fn new(wanted: CapSet) -> Self {
        Self {
            wanted: wanted.without(Cap::Sts),
            available: Offer::new(),
            listing: Some(Offer::new()),
            enabled: CapSet::EMPTY,
            in_flight: VecDeque::new(),
            registering: true,
        }
    }

    /// The first line to send: `CAP LS 302`.
    pub fn begin(&self) -> MessageBuf {
        line("CAP").param("LS").param("302")
    }

    /// The line that lets registration go on: `CAP END`.
    pub fn end(&self) -> MessageBuf {
        line("CAP").param("END")
    }

    /// What the server offers, with values.
    pub fn available(&self) -> &Offer {
        &self.available
    }

    /// What is enabled.
    pub fn enabled(&self) -> CapSet {
        self.enabled
    }

    /// Whether requests wait for their answer.
    pub fn is_waiting(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Whether SASL is offered with this mechanism. A server that names no mechanisms may have any.
    pub fn offers_mechanism(&self, mechanism: &str) -> bool {
        let mut items = self.available.items(Cap::Sasl).peekable();
        self.available.set().has(Cap::Sasl)
            && (items.peek().is_none() || items.any(|item| item.eq_ignore_ascii_case(mechanism.as_bytes())))
    }

    /// Wants further capabilities from now on; gives the requests to send for those that are offered already.
    pub fn want(&mut self, more: CapSet) -> Vec<MessageBuf> {
        self.wanted |= more.without(Cap::Sts);
        self.request_missing()
    }

    /// Gives capabilities up; gives the requests to send.
    pub fn unwant(&mut self, less: CapSet) -> Vec<MessageBuf> {
        self.wanted = self.wanted - less;
        let tokens = (self.enabled & less).iter().map(|cap| format!("-{cap}").into_bytes());
        pack(tokens, MAX_REQUEST).into_iter().map(|text| line("CAP").param("REQ").trailing(text)).collect()
    }

    /// Takes in a line from the server; those that do not concern capabilities change nothing.
    pub fn handle(&mut self, message: &Message<'_>) -> Progress {
        let mut progress = Progress::default();
        if message.is("CAP") {
            self.handle_cap(message, &mut progress);
        } else if self.registering && self.means_no_capabilities(message) {
            self.listing = None;
            self.in_flight.clear();
        } else {
            return progress;
        }
        if self.registering && self.listing.is_none() && self.in_flight.is_empty() {
            self.registering = false;
            progress.ready = true;
        }
        progress
    }

    /// A server without CAP says 421 or goes straight to 001; some say 451 to everything but NICK and USER.
    fn means_no_capabilities(&self, message: &Message<'_>) -> bool {
        match message.numeric() {
            Some(RPL_WELCOME) => true,
            Some(ERR_UNKNOWNCOMMAND | ERR_NOTREGISTERED) => {
                message.params.iter().any(|param| param.eq_ignore_ascii_case(b"CAP"))
            }
            _ => false,
        }
    }

    fn handle_cap(&mut self, message: &Message<'_>, progress: &mut Progress) {
        let more = message.param(2) == Some(b"*") && message.params.len() > 3;
        let text = message.params.get(if more { 3 } else { 2 }).copied().unwrap_or_default();
        let Some(subcommand) = message.param(1) else { return };
        match &*crate::message::Upper::new(subcommand) {
            "LS" => {
                let mut offer = self.listing.take().unwrap_or_default();
                words(text).for_each(|token| _ = offer.read_token(token));
                if more {
                    self.listing = Some(offer);
                } else {
                    self.available = offer;
                    progress.send = self.request_missing();
                }
            }
            "LIST" => {}
            "ACK" => self.acknowledged(text, progress),
            "NAK" => self.refused(text, progress),
            "NEW" => {
                words(text).for_each(|token| _ = self.available.read_token(token));
                progress.send = self.request_missing();
            }
            "DEL" => {
                for cap in words(text).filter_map(Cap::from_name) {
                    self.available.remove(cap);
                    self.disable(cap, progress);
                }
            }
            _ => {}
        }
    }

    fn acknowledged(&mut self, text: &[u8], progress: &mut Progress) {
        for token in words(text) {
            // `~` and `=` were modifiers of CAP 3.1.
            let token = split_token(token).0;
            let start = token.iter().position(|b| !b"-~=".contains(b)).unwrap_or(token.len());
            let Some(cap) = Cap::from_name(&token[start..]) else { continue };
            for request in &mut self.in_flight {
                request.remove(cap);
            }
            if token.first() == Some(&b'-') {
                self.disable(cap, progress);
            } else if self.enabled.insert(cap) {
                progress.enabled.insert(cap);
                progress.disabled.remove(cap);
            }
        }
        self.in_flight.retain(|request| !request.is_empty());
    }

    /// A refused request is tried again one capability at a time. The refusal may name only the beginning of the
    /// request, or nothing that is known; then it answers the oldest one.
    fn refused(&mut self, text: &[u8], progress: &mut Progress) {
        if words(text).all(|token| token.starts_with(b"-")) && !text.is_empty() {
            return;
        }
        let named = words(text).find_map(Cap::from_name);
        let place = named.and_then(|cap| self.in_flight.iter().position(|request| request.has(cap)));
        let Some(request) = self.in_flight.remove(place.unwrap_or(0)) else { return };
        if request.len() > 1 {
            for cap in request.iter() {
                self.in_flight.push_back(CapSet::of(&[cap]));
                progress.send.push(line("CAP").param("REQ").trailing(cap.name()));
            }
        } else {
            self.wanted = self.wanted - request;
        }
    }

    fn disable(&mut self, cap: Cap, progress: &mut Progress) {
        if self.enabled.remove(cap) {
            progress.disabled.insert(cap);
            progress.enabled.remove(cap);
        }
    }

    fn request_missing(&mut self) -> Vec<MessageBuf> {
        let asked = self.in_flight.iter().fold(CapSet::EMPTY, |all, request| all | *request);
        let missing = (self.wanted & self.available.set()) - self.enabled - asked;
        let texts = pack(missing.iter().map(|cap| cap.name().as_bytes().to_vec()), MAX_REQUEST);
        for text in &texts {
            self.in_flight.push_back(words(text).filter_map(Cap::from_name).collect());
        }
        texts.into_iter().map(|text| line("CAP").param("REQ").trailing(text)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn feed(state: &mut Negotiation, line: &str) -> (Vec<String>, bool) {
        let progress = state.handle(&Message::parse(line.as_bytes()).unwrap());
        (progress.send.iter().map(ToString::to_string).collect(), progress.ready)
    }

    const WANTED: CapSet = CapSet::of(&[Cap::Batch, Cap::ServerTime, Cap::Sasl, Cap::Sts]);

    #[test]
    fn a_list_over_several_lines_is_requested_once_it_is_whole() {
        let mut state = Negotiation::new(WANTED);
        assert_eq!(state.begin().to_string(), "CAP LS 302");
        let (sent, ready) = feed(&mut state, ":s CAP * LS * :batch sts=port=1 example.com/x sasl=PLAIN");
        assert!(sent.is_empty() && !ready);
        let (sent, ready) = feed(&mut state, ":s CAP * LS :server-time");
        assert_eq!(sent, ["CAP REQ :batch sasl server-time"]);
        assert!(!ready);
        assert!(state.offers_mechanism("PLAIN") && !state.offers_mechanism("EXTERNAL"));
        let (_, ready) = feed(&mut state, ":s CAP * ACK :batch sasl ");
        assert!(!ready);
        let (_, ready) = feed(&mut state, ":s CAP * ACK :server-time");
        assert!(ready);
        assert_eq!(state.enabled(), WANTED.without(Cap::Sts));
    }

    #[test]
    fn one_refused_capability_does_not_cost_the_others() {
        let mut state = Negotiation::new(WANTED);
        feed(&mut state, "CAP * LS :batch sasl server-time");
        let (sent, ready) = feed(&mut state, "CAP * NAK :batch sasl server-time");
        assert_eq!(sent, ["CAP REQ :batch", "CAP REQ :sasl", "CAP REQ :server-time"]);
        assert!(!ready);
        assert!(!feed(&mut state, "CAP * ACK batch").1);
        assert!(!feed(&mut state, "CAP * NAK sasl").1);
        assert!(feed(&mut state, "CAP * ACK server-time").1);
        assert_eq!(state.enabled(), CapSet::of(&[Cap::Batch, Cap::ServerTime]));
    }

    #[test]
    fn a_server_without_capabilities_is_registered_with_all_the_same() {
        for answer in [":s 421 * CAP :Unknown command", ":s 001 me :Welcome"] {
            let mut state = Negotiation::new(WANTED);
            assert_eq!(feed(&mut state, "NOTICE * :*** Looking up"), (vec![], false));
            assert!(feed(&mut state, answer).1, "{answer}");
            assert!(!feed(&mut state, ":s 001 me :Welcome").1, "ready is said once");
        }
        let mut state = Negotiation::new(WANTED);
        assert!(feed(&mut state, "CAP * LS :").1);
    }

    #[test]
    fn capabilities_come_and_go_later() {
        let mut state = Negotiation::new(WANTED);
        assert!(!feed(&mut state, "CAP * NEW :draft/x").1);
        feed(&mut state, "CAP * LS :batch");
        assert!(feed(&mut state, "CAP * ACK :batch").1);
        let (sent, ready) = feed(&mut state, "CAP me NEW :sasl=PLAIN foo");
        assert_eq!((sent, ready), (vec!["CAP REQ :sasl".to_owned()], false));
        assert_eq!(
            state.handle(&Message::parse(b"CAP me ACK :sasl").unwrap()).enabled,
            CapSet::of(&[Cap::Sasl])
        );
        let gone = state.handle(&Message::parse(b"CAP me DEL :sasl batch").unwrap()).disabled;
        assert_eq!(gone, CapSet::of(&[Cap::Sasl, Cap::Batch]));
        assert!(state.enabled().is_empty());
    }
}
