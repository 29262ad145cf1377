//! Capabilities (ircv3 `capability-negotiation`): the known ones as a set of bits, and the state of both ends
//! of a negotiation.

mod client;
mod server;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

use bytes::Bytes;

pub use client::{Negotiation, Progress};
pub use server::{Caps, Reply};

macro_rules! caps {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $(| $alias:literal)*,)*) => {
        /// A capability this code knows. What it does not know is never requested, offered or stored.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Cap {
            $($(#[$doc])* #[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Cap {
            /// Every known capability.
            pub const ALL: &'static [Cap] = &[$(Cap::$variant,)*];

            /// Its name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Cap::$variant => $name,)* }
            }

            /// The capability of that name; names are case-sensitive.
            pub fn from_name(name: &[u8]) -> Option<Cap> {
                $(if name == $name.as_bytes() $(|| name == $alias.as_bytes())* { return Some(Cap::$variant); })*
                None
            }
        }
    };
}

caps! {
    AccountNotify = "account-notify",
    AccountTag = "account-tag",
    AwayNotify = "away-notify",
    Batch = "batch",
    CapNotify = "cap-notify",
    Chghost = "chghost",
    EchoMessage = "echo-message",
    ExtendedJoin = "extended-join",
    ExtendedMonitor = "extended-monitor",
    InviteNotify = "invite-notify",
    LabeledResponse = "labeled-response",
    MessageTags = "message-tags",
    MultiPrefix = "multi-prefix",
    NoImplicitNames = "no-implicit-names",
    Sasl = "sasl",
    ServerTime = "server-time",
    Setname = "setname",
    StandardReplies = "standard-replies",
    Sts = "sts",
    UserhostInNames = "userhost-in-names",
    DraftAccountRegistration = "draft/account-registration",
    DraftAuthtoken = "draft/authtoken",
    DraftChannelRename = "draft/channel-rename",
    DraftChathistory = "draft/chathistory",
    DraftEventPlayback = "draft/event-playback",
    DraftExtendedIsupport = "draft/extended-isupport",
    DraftMessageRedaction = "draft/message-redaction",
    DraftMetadata2 = "draft/metadata-2",
    DraftMetadata3 = "draft/metadata-3",
    DraftMultiline = "draft/multiline",
    DraftNoImplicitNames = "draft/no-implicit-names",
    DraftPersistence = "draft/persistence",
    DraftPreAway = "draft/pre-away",
    DraftReadMarker = "draft/read-marker",
    DraftRelaymsg = "draft/relaymsg",
    DraftWebpush = "draft/webpush",
    DraftWhoami = "draft/whoami",
    SojuAccountRequired = "soju.im/account-required",
    SojuBouncerNetworks = "soju.im/bouncer-networks",
    SojuBouncerNetworksNotify = "soju.im/bouncer-networks-notify",
    SojuNoImplicitNames = "soju.im/no-implicit-names",
    SojuRead = "soju.im/read",
    SojuSearch = "soju.im/search",
    SojuWebpush = "soju.im/webpush",
    ZncPlayback = "znc.in/playback",
    ZncSelfMessage = "znc.in/self-message",
    /// The name ZNC gave `server-time` before it was ratified.
    ZncServerTime = "znc.in/server-time-iso",
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of known capabilities: eight bytes, copied freely.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CapSet(u64);

impl CapSet {
    /// No capabilities.
    pub const EMPTY: CapSet = CapSet(0);

    /// A set of these.
    pub const fn of(caps: &[Cap]) -> CapSet {
        let mut bits = 0;
        let mut index = 0;
        while index < caps.len() {
            bits |= 1 << caps[index] as u8;
            index += 1;
        }
        CapSet(bits)
    }

    /// Whether `cap` is in it.
    pub const fn has(self, cap: Cap) -> bool {
        self.0 & (1 << cap as u8) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether all of `other` are in it.
    pub const fn contains_all(self, other: CapSet) -> bool {
        other.0 & !self.0 == 0
    }

    /// Puts one in. Says whether it was not there before.
    pub fn insert(&mut self, cap: Cap) -> bool {
        let before = *self;
        self.0 |= 1 << cap as u8;
        before != *self
    }

    /// Takes one out. Says whether it was there.
    pub fn remove(&mut self, cap: Cap) -> bool {
        let before = *self;
        self.0 &= !(1 << cap as u8);
        before != *self
    }

    /// The set with one more.
    #[must_use]
    pub const fn with(self, cap: Cap) -> CapSet {
        CapSet(self.0 | 1 << cap as u8)
    }

    /// The set with one less.
    #[must_use]
    pub const fn without(self, cap: Cap) -> CapSet {
        CapSet(self.0 & !(1 << cap as u8))
    }

    /// Its members.
    pub fn iter(self) -> impl Iterator<Item = Cap> {
        Cap::ALL.iter().copied().filter(move |cap| self.has(*cap))
    }

    /// A number that is equal for equal sets; handy as a key for lines encoded once per set.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl FromIterator<Cap> for CapSet {
    fn from_iter<T: IntoIterator<Item = Cap>>(caps: T) -> Self {
        caps.into_iter().fold(CapSet::EMPTY, CapSet::with)
    }
}

impl BitOr for CapSet {
    type Output = CapSet;
    fn bitor(self, other: CapSet) -> CapSet {
        CapSet(self.0 | other.0)
    }
}

impl BitOrAssign for CapSet {
    fn bitor_assign(&mut self, other: CapSet) {
        self.0 |= other.0;
    }
}

impl BitAnd for CapSet {
    type Output = CapSet;
    fn bitand(self, other: CapSet) -> CapSet {
        CapSet(self.0 & other.0)
    }
}

impl Sub for CapSet {
    type Output = CapSet;
    fn sub(self, other: CapSet) -> CapSet {
        CapSet(self.0 & !other.0)
    }
}

impl fmt::Debug for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Cap::name)).finish()
    }
}

/// Capabilities with their values (`sasl=PLAIN,EXTERNAL`): what one side offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer {
    set: CapSet,
    values: BTreeMap<Cap, Bytes>,
}

/// Longest value of a capability that is kept; a longer one is cut off, and so is what follows a space.
const MAX_VALUE: usize = 512;

impl Offer {
    /// Nothing offered.
    pub fn new() -> Self {
        Self::default()
    }

    /// The set without the values.
    pub fn set(&self) -> CapSet {
        self.set
    }

    /// Adds a capability or changes its value.
    pub fn insert(&mut self, cap: Cap, value: Option<&[u8]>) {
        self.set.insert(cap);
        match value {
            Some(value) => {
                let end = value.iter().position(|b| *b <= b' ' || *b == 0x7f).unwrap_or(value.len());
                let value = &value[..end.min(MAX_VALUE)];
                self.values.insert(cap, Bytes::copy_from_slice(value));
            }
            None => _ = self.values.remove(&cap),
        }
    }

    /// As [`Offer::insert`], chained.
    #[must_use]
    pub fn with(mut self, cap: Cap) -> Self {
        self.insert(cap, None);
        self
    }

    /// As [`Offer::insert`] with a value, chained.
    #[must_use]
    pub fn with_value(mut self, cap: Cap, value: impl AsRef<[u8]>) -> Self {
        self.insert(cap, Some(value.as_ref()));
        self
    }

    /// Takes a capability back.
    pub fn remove(&mut self, cap: Cap) -> bool {
        self.values.remove(&cap);
        self.set.remove(cap)
    }

    /// The value of a capability, if it is offered with one.
    pub fn value(&self, cap: Cap) -> Option<&[u8]> {
        self.values.get(&cap).map(|value| &**value)
    }

    /// The comma-separated items of a value: `sasl=PLAIN,EXTERNAL`.
    pub fn items(&self, cap: Cap) -> impl Iterator<Item = &[u8]> {
        self.value(cap).unwrap_or_default().split(|b| *b == b',').filter(|item| !item.is_empty())
    }

    /// The value of a key in a comma-separated list: `port` in `sts=port=6697,duration=300`.
    pub fn item(&self, cap: Cap, key: &str) -> Option<&[u8]> {
        self.items(cap).find_map(|item| match item.strip_prefix(key.as_bytes())? {
            [] => Some(&[][..]),
            [b'=', value @ ..] => Some(value),
            _ => None,
        })
    }

    /// Reads one token of a list, `name` or `name=value`. `None` if the name is not known.
    pub fn read_token(&mut self, token: &[u8]) -> Option<Cap> {
        let (name, value) = split_token(token);
        let cap = Cap::from_name(name)?;
        self.insert(cap, value);
        Some(cap)
    }

    /// The tokens of the list in order; values only if `with_values`.
    pub fn tokens(&self, with_values: bool) -> impl Iterator<Item = Vec<u8>> {
        self.set.iter().map(move |cap| {
            let mut token = cap.name().as_bytes().to_vec();
            if let Some(value) = self.value(cap).filter(|value| with_values && !value.is_empty()) {
                token.push(b'=');
                token.extend_from_slice(value);
            }
            token
        })
    }
}

fn split_token(token: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'=', token) {
        Some(at) => (&token[..at], Some(&token[at + 1..])),
        None => (token, None),
    }
}

/// Gathers tokens into texts of at most `max` bytes, separated by spaces; a token longer than that stands alone.
fn pack(tokens: impl IntoIterator<Item = Vec<u8>>, max: usize) -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for token in tokens {
        match texts.last_mut() {
            Some(text) if text.len() + 1 + token.len() <= max => {
                text.push(b' ');
                text.extend_from_slice(&token);
            }
            _ => texts.push(token),
        }
    }
    texts
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| *b == b' ').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_has_its_bit_and_its_name() {
        assert!(Cap::ALL.len() <= 64);
        for cap in Cap::ALL {
            assert_eq!(Cap::from_name(cap.name().as_bytes()), Some(*cap));
            assert!(CapSet::of(&[*cap]).has(*cap));
        }
        assert_eq!(Cap::from_name(b"Batch"), None);
        assert_eq!(Cap::ALL.iter().copied().collect::<CapSet>().len(), Cap::ALL.len());
    }

    #[test]
    fn values_are_read_by_item() {
        let mut offer = Offer::new();
        assert_eq!(offer.read_token(b"sasl=PLAIN,EXTERNAL"), Some(Cap::Sasl));
        assert_eq!(offer.read_token(b"sts=port=6697,duration=300,preload"), Some(Cap::Sts));
        assert_eq!(offer.read_token(b"example.com/x=y"), None);
        assert_eq!(offer.items(Cap::Sasl).collect::<Vec<_>>(), [&b"PLAIN"[..], b"EXTERNAL"]);
        assert_eq!(offer.item(Cap::Sts, "port"), Some(&b"6697"[..]));
        assert_eq!(offer.item(Cap::Sts, "preload"), Some(&b""[..]));
        assert_eq!(offer.item(Cap::Sts, "dur"), None);
    }
}
