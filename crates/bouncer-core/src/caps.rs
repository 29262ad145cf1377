//! The capabilities the bouncer speaks, towards devices and towards upstreams, as a set of bits.

use std::fmt;

macro_rules! caps {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A capability the bouncer knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Cap {
            $($(#[$doc])* #[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Cap {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The capability of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
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
    UserhostInNames = "userhost-in-names",
    Chathistory = "draft/chathistory",
    EventPlayback = "draft/event-playback",
    MessageRedaction = "draft/message-redaction",
    DraftNoImplicitNames = "draft/no-implicit-names",
    ReadMarker = "draft/read-marker",
    BouncerNetworks = "soju.im/bouncer-networks",
    BouncerNetworksNotify = "soju.im/bouncer-networks-notify",
    SojuNoImplicitNames = "soju.im/no-implicit-names",
    SojuRead = "soju.im/read",
    SojuSearch = "soju.im/search",
}

/// A set of capabilities.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CapSet(u64);

impl CapSet {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// Exactly these.
    pub const fn of(caps: &[Cap]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < caps.len() {
            bits |= 1 << caps[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// Those of these names that are known; values (`name=value`) are ignored.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let known = names.into_iter().filter_map(|name| Cap::from_name(name.split('=').next().unwrap_or(name)));
        known.fold(Self::EMPTY, Self::with)
    }

    /// Whether it is in.
    pub const fn has(self, cap: Cap) -> bool {
        self.0 & (1 << cap as u8) != 0
    }

    /// With this one too.
    #[must_use]
    pub const fn with(self, cap: Cap) -> Self {
        Self(self.0 | (1 << cap as u8))
    }

    /// Both together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Cap> {
        Cap::ALL.iter().copied().filter(move |cap| self.has(*cap))
    }

    /// Each by name.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.iter().map(Cap::name)
    }

    /// Whether any form of "no NAMES after JOIN" is in.
    pub(crate) const fn no_implicit_names(self) -> bool {
        self.has(Cap::NoImplicitNames) || self.has(Cap::DraftNoImplicitNames) || self.has(Cap::SojuNoImplicitNames)
    }
}

impl fmt::Debug for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// What every device is offered, whatever its upstream has, because the bouncer can do it truly by itself.
/// (`sasl` is the door's.)
pub const OFFERED_ALWAYS: CapSet = CapSet::of(&[
    Cap::Batch,
    Cap::CapNotify,
    Cap::EchoMessage,
    Cap::InviteNotify,
    Cap::MessageTags,
    Cap::ServerTime,
    Cap::Setname,
    Cap::StandardReplies,
    Cap::NoImplicitNames,
    Cap::DraftNoImplicitNames,
    Cap::Chathistory,
    Cap::EventPlayback,
    Cap::ReadMarker,
    Cap::BouncerNetworks,
    Cap::BouncerNetworksNotify,
    Cap::SojuNoImplicitNames,
    Cap::SojuRead,
    Cap::SojuSearch,
]);

/// What a device is offered only while its upstream has it.
pub const PASSED_THROUGH: CapSet = CapSet::of(&[
    Cap::AccountNotify,
    Cap::AccountTag,
    Cap::AwayNotify,
    Cap::Chghost,
    Cap::ExtendedJoin,
    Cap::ExtendedMonitor,
    Cap::LabeledResponse,
    Cap::MultiPrefix,
    Cap::UserhostInNames,
    Cap::MessageRedaction,
]);

/// What to ask of an upstream.
pub const WANTED_UPSTREAM: CapSet = PASSED_THROUGH.union(CapSet::of(&[
    Cap::Batch,
    Cap::CapNotify,
    Cap::EchoMessage,
    Cap::InviteNotify,
    Cap::MessageTags,
    Cap::ServerTime,
    Cap::Setname,
    Cap::StandardReplies,
    Cap::Chathistory,
    Cap::EventPlayback,
]));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bits_agree() {
        for cap in Cap::ALL {
            assert_eq!(Cap::from_name(cap.name()), Some(*cap));
            assert_eq!(CapSet::of(&[*cap]).iter().collect::<Vec<_>>(), [*cap]);
        }
        assert!(Cap::ALL.len() <= 64);
        let set = CapSet::from_names(["batch", "sasl=PLAIN", "unheard-of"]);
        assert_eq!(set, CapSet::of(&[Cap::Batch, Cap::Sasl]));
    }
}
