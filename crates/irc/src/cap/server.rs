//! The server's side of a capability negotiation: what one connection is offered and has enabled.

use super::{Cap, CapSet, Offer, pack, words};
use crate::limits::MAX_REST;
use crate::message::{Message, Upper};
use crate::numerics::ERR_INVALIDCAPCMD;
use crate::write::{MessageBuf, line};

/// The capabilities of one connection.
#[derive(Debug, Clone)]
pub struct Caps {
    offered: Offer,
    enabled: CapSet,
    version: u16,
    negotiating: bool,
}

/// What came of one `CAP` line.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// Lines for the client.
    pub lines: Vec<MessageBuf>,
    /// Capabilities the client enabled with this line.
    pub enabled: CapSet,
    /// Capabilities it disabled.
    pub disabled: CapSet,
    /// It said `CAP END`.
    pub ended: bool,
}

/// Who speaks and to whom: the two first words of every `CAP` line.
#[derive(Clone, Copy)]
struct Between<'a> {
    server: &'a [u8],
    nick: &'a [u8],
}

impl Between<'_> {
    fn line(&self, subcommand: &str) -> MessageBuf {
        let nick = if self.nick.is_empty() { b"*" } else { self.nick };
        line("CAP").source(self.server).param(nick).param(subcommand)
    }

    /// Bytes left for the text of a line.
    fn room(&self, subcommand: &str) -> usize {
        // " * :" stands before the text of a line that others follow.
        MAX_REST.saturating_sub(self.line(subcommand).rest_len() + 4)
    }

    /// One line a text; all but the last are marked by `*`.
    fn list(
        &self,
        subcommand: &str,
        tokens: impl Iterator<Item = Vec<u8>>,
        several: bool,
    ) -> Vec<MessageBuf> {
        let mut texts = pack(tokens, self.room(subcommand));
        if texts.is_empty() {
            texts.push(Vec::new());
        }
        if !several {
            texts.truncate(1);
        }
        let last = texts.len() - 1;
        let with_mark = |(index, text): (usize, Vec<u8>)| {
            let line = self.line(subcommand);
            if index < last { line.param("*").trailing(text) } else { line.trailing(text) }
        };
        texts.into_iter().enumerate().map(with_mark).collect()
    }
}

impl Caps {
    /// A connection that is offered these.
    pub fn new(offered: Offer) -> Self {
        Self { offered, enabled: CapSet::EMPTY, version: 0, negotiating: false }
    }

    /// What is offered.
    pub fn offered(&self) -> &Offer {
        &self.offered
    }

    /// What is enabled.
    pub fn enabled(&self) -> CapSet {
        self.enabled
    }

    /// Whether one is enabled.
    pub fn has(&self, cap: Cap) -> bool {
        self.enabled.has(cap)
    }

    /// The version the client gave to `LS`: 302, or 0 if it never gave one.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Whether registration has to wait for `CAP END`.
    pub fn is_negotiating(&self) -> bool {
        self.negotiating
    }

    /// Takes in a `CAP` line. `server` is our name, `nick` the client's or empty, `registered` whether
    /// registration is over.
    pub fn handle(&mut self, message: &Message<'_>, server: &[u8], nick: &[u8], registered: bool) -> Reply {
        let between = Between { server, nick };
        let subcommand = message.param(0).unwrap_or_default();
        let mut reply = Reply::default();
        match &*Upper::new(subcommand) {
            "LS" => {
                self.negotiating |= !registered;
                self.take_version(message.param(1), &mut reply);
                let modern = self.version >= 302;
                reply.lines = between.list("LS", self.offered.tokens(modern), modern);
            }
            "LIST" => {
                let enabled = self.enabled.iter().map(|cap| cap.name().as_bytes().to_vec());
                reply.lines = between.list("LIST", enabled, self.version >= 302);
            }
            "REQ" => {
                self.negotiating |= !registered;
                self.request(message.param(1).unwrap_or_default(), between, &mut reply);
            }
            "END" => {
                self.negotiating = false;
                reply.ended = true;
            }
            _ => {
                let nick = if nick.is_empty() { b"*" } else { nick };
                let shown = if subcommand.is_empty() { b"*" } else { subcommand };
                reply.lines.push(
                    line(ERR_INVALIDCAPCMD)
                        .source(server)
                        .param(nick)
                        .param(&shown[..shown.len().min(64)])
                        .trailing("Invalid CAP command"),
                );
            }
        }
        reply
    }

    /// Offers this from now on; the lines that tell the client what is gone and what is new or has another value, if it
    /// asked to be told (`cap-notify`).
    pub fn replace(&mut self, offered: Offer, server: &[u8], nick: &[u8]) -> Vec<MessageBuf> {
        let before = std::mem::replace(&mut self.offered, offered);
        let gone = before.set() - self.offered.set();
        self.enabled = self.enabled - gone;
        if !self.has(Cap::CapNotify) {
            return Vec::new();
        }
        let is_new = |cap: &Cap| !before.set().has(*cap) || before.value(*cap) != self.offered.value(*cap);
        let gone = gone.iter().map(|cap| cap.name().as_bytes().to_vec());
        let new = self.offered.set().iter().filter(is_new).map(|cap| self.token(cap));
        let between = Between { server, nick };
        let lines = |subcommand: &'static str, tokens: Vec<Vec<u8>>| {
            let texts = pack(tokens, between.room(subcommand));
            texts.into_iter().map(move |text| between.line(subcommand).trailing(text))
        };
        lines("DEL", gone.collect()).chain(lines("NEW", new.collect())).collect()
    }

    /// A capability as this client is told of it.
    fn token(&self, cap: Cap) -> Vec<u8> {
        let mut token = cap.name().as_bytes().to_vec();
        if let Some(value) = self.offered.value(cap).filter(|value| !value.is_empty() && self.version >= 302)
        {
            token.push(b'=');
            token.extend_from_slice(value);
        }
        token
    }

    /// A version never goes down, and 302 brings `cap-notify` with it.
    fn take_version(&mut self, version: Option<&[u8]>, reply: &mut Reply) {
        let given = version.and_then(|text| str::from_utf8(text).ok()?.parse().ok()).unwrap_or(0);
        self.version = self.version.max(given);
        if self.version >= 302
            && self.offered.set().has(Cap::CapNotify)
            && self.enabled.insert(Cap::CapNotify)
        {
            reply.enabled.insert(Cap::CapNotify);
        }
    }

    /// All of a request or nothing of it.
    fn request(&mut self, text: &[u8], between: Between<'_>, reply: &mut Reply) {
        let mut enabled = self.enabled;
        let mut granted = true;
        for token in words(text) {
            let (name, wants) = match token.strip_prefix(b"-") {
                Some(name) => (name, false),
                None => (token, true),
            };
            match Cap::from_name(name).filter(|cap| self.may_change(*cap, wants)) {
                Some(cap) if wants => _ = enabled.insert(cap),
                Some(cap) => _ = enabled.remove(cap),
                None => granted = false,
            }
        }
        let answer = if granted { "ACK" } else { "NAK" };
        let mut texts = pack(words(text).map(<[u8]>::to_vec), between.room(answer));
        if texts.is_empty() {
            texts.push(Vec::new());
        }
        reply.lines = texts.into_iter().map(|text| between.line(answer).trailing(text)).collect();
        if granted {
            reply.enabled = enabled - self.enabled;
            reply.disabled = self.enabled - enabled;
            self.enabled = enabled;
        }
    }

    fn may_change(&self, cap: Cap, wants: bool) -> bool {
        match cap {
            Cap::Sts => false,
            Cap::CapNotify if !wants => self.version < 302,
            _ => !wants || self.offered.set().has(cap),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;

    fn offer() -> Offer {
        Offer::new()
            .with(Cap::Batch)
            .with(Cap::CapNotify)
            .with_value(Cap::Sasl, "PLAIN")
            .with_value(Cap::Sts, "port=1")
    }

    fn say(caps: &mut Caps, text: &str) -> Vec<String> {
        let reply = caps.handle(&Message::parse(text.as_bytes()).unwrap(), b"s", b"", false);
        reply.lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_modern_client_sees_values_and_is_told_of_changes() {
        let mut caps = Caps::new(offer());
        assert_eq!(say(&mut caps, "CAP LS 302"), [":s CAP * LS :batch cap-notify sasl=PLAIN sts=port=1"]);
        assert!(caps.is_negotiating() && caps.has(Cap::CapNotify));
        assert_eq!(say(&mut caps, "CAP REQ :-cap-notify"), [":s CAP * NAK :-cap-notify"]);
        let other = Offer::new()
            .with(Cap::CapNotify)
            .with(Cap::AwayNotify)
            .with(Cap::Chghost)
            .with_value(Cap::Sasl, "PLAIN,EXTERNAL");
        let told: Vec<String> =
            caps.replace(other.clone(), b"s", b"me").iter().map(ToString::to_string).collect();
        let [gone, new] = &told[..] else { panic!("{told:?}") };
        assert_eq!(gone, ":s CAP me DEL :batch sts");
        let new = new.strip_prefix(":s CAP me NEW :").unwrap();
        let new: std::collections::BTreeSet<&str> = new.split(' ').collect();
        assert_eq!(new, ["away-notify", "chghost", "sasl=PLAIN,EXTERNAL"].into());
        assert!(caps.replace(other, b"s", b"me").is_empty());
    }

    #[test]
    fn an_old_client_sees_names_on_one_line() {
        let mut caps = Caps::new(offer());
        assert_eq!(say(&mut caps, "CAP LS"), [":s CAP * LS :batch cap-notify sasl sts"]);
        assert!(caps.replace(offer().with(Cap::Chghost), b"s", b"me").is_empty());
        let mut caps = Caps::new(Cap::ALL.iter().fold(Offer::new(), |offer, cap| offer.with(*cap)));
        assert_eq!(say(&mut caps, "CAP LS").len(), 1);
    }

    #[test]
    fn a_long_list_goes_over_several_lines_that_all_fit() {
        let mut offer = Cap::ALL.iter().fold(Offer::new(), |offer, cap| offer.with(*cap));
        offer.insert(Cap::Sasl, Some(&[b'x'; 300]));
        let mut caps = Caps::new(offer);
        let lines = say(&mut caps, "CAP LS 302");
        assert!(lines.len() > 2);
        let (last, others) = lines.split_last().unwrap();
        assert!(others.iter().all(|line| line.starts_with(":s CAP * LS * :")));
        assert!(last.starts_with(":s CAP * LS :"));
        assert!(lines.iter().all(|line| line.len() <= 510));
    }

    #[test]
    fn a_request_is_granted_whole_or_not_at_all() {
        let mut caps = Caps::new(offer());
        assert_eq!(say(&mut caps, "CAP REQ :batch nonsense"), [":s CAP * NAK :batch nonsense"]);
        assert!(caps.enabled().is_empty());
        assert_eq!(say(&mut caps, "CAP REQ :batch sasl"), [":s CAP * ACK :batch sasl"]);
        assert_eq!(say(&mut caps, "CAP REQ sts"), [":s CAP * NAK :sts"]);
        assert_eq!(say(&mut caps, "CAP REQ -batch"), [":s CAP * ACK :-batch"]);
        assert_eq!(say(&mut caps, "CAP LIST"), [":s CAP * LIST :sasl"]);
        assert_eq!(say(&mut caps, "CAP BOO"), [":s 410 * BOO :Invalid CAP command"]);
        assert!(say(&mut caps, "CAP END").is_empty());
        assert!(!caps.is_negotiating());
    }
}
