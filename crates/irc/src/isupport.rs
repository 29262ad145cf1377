//! What a server says it supports (RPL_ISUPPORT, draft-hardy-irc-isupport-00, modern.ircdocs.horse): read token by
//! token, asked by name or by type, and written again as lines.

mod values;

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use crate::casemap::Casemapping;
use crate::limits::MAX_REST;
use crate::message::Message;
use crate::mode::ModeSpec;
use crate::numerics::RPL_ISUPPORT;
use crate::write::{MessageBuf, line};

pub use values::{Extban, MsgRefTypes};

/// Tokens kept at most; a server that sends more is not worth the memory.
const MAX_TOKENS: usize = 256;
/// Longest name of a token.
const MAX_NAME: usize = 64;
/// Tokens on one line: nick and text make 15 parameters with them.
const TOKENS_A_LINE: usize = 13;
const TEXT: &str = "are supported by this server";

/// The tokens a server has sent, values unescaped. An empty value and none are the same.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Isupport {
    tokens: BTreeMap<Box<str>, Bytes>,
    casemapping: Casemapping,
    modes: ModeSpec,
}

impl Isupport {
    /// What holds before the first line: RFC defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a `005` line (nick, tokens, text). Says whether anything is different now. Other lines are passed over.
    pub fn apply(&mut self, message: &Message<'_>) -> bool {
        if message.numeric() != Some(RPL_ISUPPORT) {
            return false;
        }
        let tokens = match message.params.as_slice() {
            [_, tokens @ .., _text] => tokens,
            _ => return false,
        };
        let mut changed = false;
        for token in tokens {
            changed |= self.apply_token(token);
        }
        changed
    }

    /// Takes in one token: `NAME`, `NAME=value` or `-NAME`. Says whether anything is different now.
    pub fn apply_token(&mut self, token: &[u8]) -> bool {
        if let Some(name) = token.strip_prefix(b"-") {
            return match str::from_utf8(name) {
                Ok(name) => self.remove(name),
                Err(_) => false,
            };
        }
        let (name, value) = match memchr::memchr(b'=', token) {
            Some(at) => (&token[..at], &token[at + 1..]),
            None => (token, &[][..]),
        };
        match str::from_utf8(name) {
            Ok(name) => self.set(name, unescape(value)),
            Err(_) => false,
        }
    }

    /// Sets a token to an unescaped value. Says whether anything is different now; a name that is none
    /// changes nothing.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> bool {
        let value = value.as_ref();
        let full = self.tokens.len() >= MAX_TOKENS && !self.tokens.contains_key(name);
        if !valid_name(name) || full || self.tokens.get(name).is_some_and(|known| *known == value) {
            return false;
        }
        self.tokens.insert(name.into(), Bytes::copy_from_slice(value));
        self.refresh(name);
        true
    }

    /// As [`Isupport::set`], chained.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.set(name, value);
        self
    }

    /// Takes a token back. Says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let removed = self.tokens.remove(name).is_some();
        if removed {
            self.refresh(name);
        }
        removed
    }

    /// The unescaped value of a token, empty if it has none; `None` if it was not sent.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.tokens.get(name).map(|value| &**value)
    }

    /// Whether a token was sent.
    pub fn has(&self, name: &str) -> bool {
        self.tokens.contains_key(name)
    }

    /// All tokens by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.tokens.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Recomputes what is asked for every line.
    fn refresh(&mut self, name: &str) {
        match name {
            "CASEMAPPING" => {
                // Mappings beyond the three fold ASCII at least, and anything more would join names that differ.
                self.casemapping = match self.get(name) {
                    Some(value) => Casemapping::from_name(value).unwrap_or(Casemapping::Ascii),
                    None => Casemapping::default(),
                };
            }
            "CHANMODES" | "PREFIX" => {
                let chanmodes = self.get("CHANMODES").unwrap_or(b"beI,k,l,aimnpqrst");
                let prefix = self.get("PREFIX").unwrap_or(b"(ov)@+");
                self.modes = ModeSpec::new(chanmodes, prefix);
            }
            _ => {}
        }
    }

    /// The lines that tell a client all of it.
    pub fn lines(&self, server: impl AsRef<[u8]>, nick: impl AsRef<[u8]>) -> Vec<MessageBuf> {
        write_lines(self.iter().map(|(name, value)| token(name, value)), server.as_ref(), nick.as_ref())
    }

    /// The lines that tell a client what is different from `before`, withdrawn tokens as `-NAME`.
    pub fn changes_since(
        &self,
        before: &Isupport,
        server: impl AsRef<[u8]>,
        nick: impl AsRef<[u8]>,
    ) -> Vec<MessageBuf> {
        let gone =
            before.tokens.keys().filter(|name| !self.has(name)).map(|name| format!("-{name}").into_bytes());
        let new = self.iter().filter(|(name, value)| before.get(name) != Some(value));
        let tokens = gone.chain(new.map(|(name, value)| token(name, value)));
        write_lines(tokens, server.as_ref(), nick.as_ref())
    }
}

impl fmt::Debug for Isupport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, value)| token(name, value).escape_ascii().to_string()))
            .finish()
    }
}

fn valid_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
    !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('-') && name.bytes().all(good)
}

fn token(name: &str, value: &[u8]) -> Vec<u8> {
    let mut token = name.as_bytes().to_vec();
    if !value.is_empty() {
        token.push(b'=');
        escape_into(value, &mut token);
    }
    token
}

/// Gathers tokens into lines. A token that fits no line is left out.
fn write_lines(tokens: impl Iterator<Item = Vec<u8>>, server: &[u8], nick: &[u8]) -> Vec<MessageBuf> {
    let mut lines = Vec::new();
    let mut open: Vec<Vec<u8>> = Vec::new();
    let head = || line(RPL_ISUPPORT).source(server).param(nick);
    let room = MAX_REST.saturating_sub(head().trailing(TEXT).rest_len());
    let mut used = 0;
    for token in tokens.filter(|token| token.len() < room) {
        if open.len() == TOKENS_A_LINE || used + token.len() + 1 > room {
            lines.push(head().params(open.drain(..)).trailing(TEXT));
            used = 0;
        }
        used += token.len() + 1;
        open.push(token);
    }
    if !open.is_empty() {
        lines.push(head().params(open).trailing(TEXT));
    }
    lines
}

/// Undoes `\xHH`. Any other backslash is one.
pub fn unescape(value: &[u8]) -> Vec<u8> {
    let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, tail @ ..] = rest {
        if let [b'\\', b'x', high, low, tail @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = tail;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}

/// Appends a value, escaping what could not stand in a token.
pub fn escape_into(value: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in value {
        if byte <= b' ' || matches!(byte, b'\\' | b'=' | 0x7f) {
            out.extend([b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        } else {
            out.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::mode::ModeKind;

    fn read(lines: &[&str]) -> Isupport {
        let mut isupport = Isupport::new();
        for text in lines {
            isupport.apply(&Message::parse(text.as_bytes()).unwrap());
        }
        isupport
    }

    #[test]
    fn a_real_greeting_is_understood() {
        let isupport = read(&[
            ":s 005 me AWAYLEN=390 BOT=B CASEMAPPING=ascii CHANLIMIT=#:100 CHANMODES=Ibe,k,fl,CEMRUimnstu CHANNELLEN=64 CHANTYPES=# CHATHISTORY=1000 EXCEPTS INVEX KICKLEN=390 MAXLIST=beI:100 :are supported by this server",
            ":s 005 me MODES MONITOR=100 MSGREFTYPES=msgid,timestamp NETWORK=Ergo\\x20Test NICKLEN=32 PREFIX=(qaohv)~&@%+ STATUSMSG=~&@%+ TARGMAX=NAMES:1,PRIVMSG:4,LIST: UTF8ONLY WHOX BOUNCER_NETID=7 ACCOUNTEXTBAN=a,account EXTBAN=~,am :are supported",
        ]);
        assert_eq!(isupport.casemapping(), Casemapping::Ascii);
        assert_eq!(isupport.mode_spec().kind(b'f'), ModeKind::WhenSet);
        assert_eq!(isupport.mode_spec().prefixes()[2], (b'o', b'@'));
        assert_eq!(isupport.chantypes(), b"#");
        assert_eq!((isupport.nicklen(), isupport.channellen()), (Some(32), Some(64)));
        assert_eq!(isupport.modes(), None);
        assert_eq!(isupport.statusmsg(), b"~&@%+");
        assert_eq!(isupport.bot(), Some(b'B'));
        assert_eq!(isupport.network(), Some(&b"Ergo Test"[..]));
        assert_eq!(isupport.bouncer_netid(), Some(&b"7"[..]));
        assert!(isupport.utf8only() && isupport.whox());
        assert_eq!(isupport.msgreftypes(), MsgRefTypes { msgid: true, timestamp: true });
        assert_eq!(isupport.chathistory(), Some(1000));
        assert_eq!((isupport.excepts(), isupport.invex()), (Some(b'e'), Some(b'I')));
        assert_eq!(isupport.monitor(), Some(Some(100)));
        assert_eq!((isupport.targmax("PRIVMSG"), isupport.targmax("list")), (Some(4), None));
        assert_eq!(isupport.account_extbans().collect::<Vec<_>>(), [&b"a"[..], b"account"]);
        assert_eq!(isupport.extban(), Some(Extban { prefix: Some(b'~'), types: b"am" }));
        assert_eq!(isupport.split_statusmsg(b"@#chan"), (Some(b'@'), &b"#chan"[..]));
        assert!(isupport.is_channel(b"#x") && !isupport.is_channel(b"&x"));
    }

    #[test]
    fn silence_means_the_defaults() {
        let isupport = Isupport::new();
        assert_eq!(isupport.casemapping(), Casemapping::Rfc1459);
        assert_eq!(isupport.modes(), Some(3));
        assert_eq!(isupport.nicklen(), None);
        assert_eq!(isupport.split_statusmsg(b"@#chan"), (None, &b"@#chan"[..]));
        assert_eq!(isupport.bot(), None);
    }

    #[test]
    fn tokens_are_taken_back() {
        let mut isupport = read(&["005 me CASEMAPPING=ascii PREFIX=(o)@ X :are"]);
        assert!(isupport.apply(&Message::parse(b"005 me -CASEMAPPING -PREFIX -X -Y :are").unwrap()));
        assert_eq!(isupport, Isupport::new());
        assert!(!isupport.apply(&Message::parse(b"005 me -X :are").unwrap()));
    }

    #[test]
    fn lines_fit_and_say_the_same_again() {
        let mut isupport =
            Isupport::new().with("NETWORK", "a b=c\\d").with("PREFIX", "(o)@").with("WHOX", "");
        for number in 0..60 {
            isupport.set(&format!("TOKEN{number}"), "x".repeat(number));
        }
        let lines = isupport.lines("irc.test", "me");
        let mut again = Isupport::new();
        for line in &lines {
            let bytes = line.to_vec();
            assert!(bytes.len() <= 512);
            let message = Message::parse(&bytes).unwrap();
            assert!(message.params.len() <= 15);
            again.apply(&message);
        }
        assert_eq!(again, isupport);
    }

    #[test]
    fn a_change_is_told_alone() {
        let before = Isupport::new().with("A", "1").with("B", "2").with("C", "");
        let after = Isupport::new().with("A", "1").with("B", "3").with("D", "");
        let lines = after.changes_since(&before, "s", "me");
        assert_eq!(lines[0].to_string(), ":s 005 me -C B=3 D :are supported by this server");
        assert!(after.changes_since(&after, "s", "me").is_empty());
    }
}
