//! What 005 said, as the rules here ask for it.

use irc::mode::ModeKind as Takes;

use crate::casemap::Casemap;

/// What kind of channel mode a letter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModeKind {
    /// A member's prefix; the bit of it.
    Prefix(u16),
    /// A list (bans).
    List,
    /// Anything else.
    Setting,
}

/// One change of a MODE line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModeChange<'a> {
    pub adding: bool,
    pub mode: u8,
    pub kind: ModeKind,
    /// Empty where it takes none.
    pub param: &'a [u8],
}

/// The tokens of an upstream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Isupport {
    tokens: irc::Isupport,
    pub casemap: Casemap,
    /// How many nicks can be watched, where any can.
    pub monitor: Option<usize>,
}

/// Tokens that are ours to say, whatever the upstream says.
const OURS: [&str; 5] = ["CHATHISTORY", "MSGREFTYPES", "BOUNCER_NETID", "CLIENTTAGDENY", "MONITOR"];

impl Isupport {
    /// One token of a 005.
    pub fn take(&mut self, token: &[u8]) {
        if self.tokens.apply_token(token) {
            self.casemap = Casemap(self.tokens.casemapping());
            self.monitor = self.tokens.monitor().map(|limit| limit.unwrap_or(usize::MAX));
        }
    }

    /// Whether nothing was said yet.
    pub fn is_empty(&self) -> bool {
        self.tokens.iter().next().is_none()
    }

    /// The value of a token, if it was said.
    pub fn value(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.tokens.get(name)?).ok()
    }

    /// The tokens as devices are told them: the upstream's without those that are ours to say.
    pub fn passed(&self) -> irc::Isupport {
        let mut tokens = self.tokens.clone();
        for name in OURS {
            tokens.remove(name);
        }
        tokens
    }

    /// The bit of a prefix symbol.
    pub fn prefix_bit(&self, symbol: u8) -> Option<u16> {
        let prefixes = self.tokens.mode_spec().prefixes();
        prefixes.iter().take(16).position(|(_, known)| *known == symbol).map(|at| 1 << at)
    }

    /// The symbols of these bits, the highest first.
    pub fn symbols(&self, bits: u16) -> impl Iterator<Item = u8> {
        let prefixes = self.tokens.mode_spec().prefixes().iter().take(16).enumerate();
        prefixes.filter(move |(at, _)| bits & (1 << at) != 0).map(|(_, (_, symbol))| *symbol)
    }

    /// Whether a name is a channel's.
    pub fn is_channel(&self, name: &[u8]) -> bool {
        self.tokens.is_channel(name)
    }

    /// The channel a target means: itself, or the one behind a STATUSMSG prefix.
    pub fn channel_of<'a>(&self, target: &'a [u8]) -> Option<&'a [u8]> {
        if self.is_channel(target) {
            return Some(target);
        }
        let (_, rest) = self.tokens.split_statusmsg(target);
        self.is_channel(rest).then_some(rest)
    }

    /// The changes of a MODE's parameters (the letters first).
    pub fn changes<'a>(&self, params: &[&'a [u8]]) -> Vec<ModeChange<'a>> {
        let Some((letters, values)) = params.split_first() else { return Vec::new() };
        let spec = self.tokens.mode_spec();
        let changes = spec.parse(letters, values).into_iter().map(|change| {
            let rank = spec.prefixes().iter().take(16).position(|(mode, _)| *mode == change.mode);
            let kind = match (spec.kind(change.mode), rank) {
                (Takes::Prefix, Some(at)) => ModeKind::Prefix(1 << at),
                (Takes::List | Takes::Prefix, _) => ModeKind::List,
                _ => ModeKind::Setting,
            };
            ModeChange {
                adding: change.adding,
                mode: change.mode,
                kind,
                param: change.arg.unwrap_or_default(),
            }
        });
        changes.collect()
    }
}
