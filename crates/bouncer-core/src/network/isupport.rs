//! What 005 said: kept as it came, for devices, and understood where the rules need it.

use std::collections::BTreeMap;

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

/// The tokens.
#[derive(Debug, Clone)]
pub(crate) struct Isupport {
    /// In the order of their names; values as they came, `None` without `=`.
    tokens: BTreeMap<Box<str>, Option<Box<str>>>,
    /// (mode, symbol), highest first.
    prefix: Vec<(u8, u8)>,
    chanmodes: [Vec<u8>; 4],
    chantypes: Vec<u8>,
    statusmsg: Vec<u8>,
    pub casemap: Casemap,
    pub monitor: Option<usize>,
    pub whox: bool,
}

const MAX_TOKENS: usize = 200;
/// Tokens that are ours to say, whatever the upstream says.
const OURS: [&str; 5] = ["CHATHISTORY", "MSGREFTYPES", "BOUNCER_NETID", "CLIENTTAGDENY", "MONITOR"];

impl Default for Isupport {
    fn default() -> Self {
        Self {
            tokens: BTreeMap::new(),
            prefix: vec![(b'o', b'@'), (b'v', b'+')],
            chanmodes: [b"beI".to_vec(), b"k".to_vec(), b"l".to_vec(), b"imnpst".to_vec()],
            chantypes: b"#&".to_vec(),
            statusmsg: Vec::new(),
            casemap: Casemap::default(),
            monitor: None,
            whox: false,
        }
    }
}

impl Isupport {
    /// One token of a 005.
    pub fn take(&mut self, token: &[u8]) {
        let Ok(token) = std::str::from_utf8(token) else { return };
        if let Some(name) = token.strip_prefix('-') {
            let name = name.to_ascii_uppercase();
            self.tokens.remove(name.as_str());
            self.understand(&name, None, true);
            return;
        }
        let (name, value) = match token.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (token, None),
        };
        if name.is_empty() || name.len() > 64 || self.tokens.len() >= MAX_TOKENS {
            return;
        }
        self.tokens.insert(name.into(), value.map(Into::into));
        self.understand(&name.to_ascii_uppercase(), value, false);
    }

    fn understand(&mut self, name: &str, value: Option<&str>, gone: bool) {
        let bytes = |value: Option<&str>| value.unwrap_or_default().as_bytes().to_vec();
        match name {
            "CASEMAPPING" => self.casemap = value.map(|v| Casemap::named(v.as_bytes())).unwrap_or_default(),
            "CHANTYPES" if value.is_some() => self.chantypes = bytes(value),
            "STATUSMSG" => self.statusmsg = bytes(value),
            "MONITOR" => self.monitor = (!gone).then(|| value.and_then(|v| v.parse().ok()).unwrap_or(usize::MAX)),
            "WHOX" => self.whox = !gone,
            "CHANMODES" => {
                let mut groups = value.unwrap_or_default().split(',');
                for group in &mut self.chanmodes {
                    *group = bytes(groups.next());
                }
            }
            "PREFIX" => {
                if let Some((modes, symbols)) = value.and_then(|v| v.strip_prefix('(')?.split_once(')')) {
                    self.prefix = modes.bytes().zip(symbols.bytes()).take(16).collect();
                } else if value.is_none_or(str::is_empty) {
                    self.prefix.clear();
                }
            }
            _ => {}
        }
    }

    /// Whether anything was said yet.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The value of a token, if it was said with one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.tokens.get(name)?.as_deref()
    }

    /// The tokens as devices are told them: the upstream's without those that are ours to say.
    pub fn passed(&self) -> impl Iterator<Item = String> {
        self.tokens.iter().filter(|(name, _)| !OURS.contains(&&***name)).map(|(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => name.to_string(),
        })
    }

    /// The bit of a prefix symbol.
    pub fn prefix_bit(&self, symbol: u8) -> Option<u16> {
        self.prefix.iter().position(|(_, known)| *known == symbol).map(|at| 1 << at)
    }

    /// The symbols of these bits, the highest first; only that one unless `all`.
    pub fn symbols(&self, bits: u16, all: bool) -> impl Iterator<Item = u8> {
        let held = self.prefix.iter().enumerate().filter(move |(at, _)| bits & (1 << at) != 0);
        held.map(|(_, (_, symbol))| *symbol).take(if all { 16 } else { 1 })
    }

    /// Whether a name is a channel's.
    pub fn is_channel(&self, name: &[u8]) -> bool {
        name.first().is_some_and(|first| self.chantypes.contains(first))
    }

    /// The channel a target means: itself, or the one behind a STATUSMSG prefix.
    pub fn channel_of<'a>(&self, target: &'a [u8]) -> Option<&'a [u8]> {
        if self.is_channel(target) {
            return Some(target);
        }
        let (first, rest) = target.split_first()?;
        (self.statusmsg.contains(first) && self.is_channel(rest)).then_some(rest)
    }

    /// The changes of a MODE's parameters (the letters first).
    pub fn changes<'a>(&'a self, params: &'a [&'a [u8]]) -> impl Iterator<Item = ModeChange<'a>> {
        let letters = params.first().copied().unwrap_or_default();
        let mut values = params.get(1..).unwrap_or_default().iter().copied();
        let mut adding = true;
        letters.iter().filter_map(move |letter| {
            match letter {
                b'+' => adding = true,
                b'-' => adding = false,
                mode => {
                    let group = self.chanmodes.iter().position(|group| group.contains(mode));
                    let prefix = self.prefix.iter().position(|(known, _)| known == mode);
                    let (kind, takes) = match (prefix, group) {
                        (Some(at), _) => (ModeKind::Prefix(1 << at), true),
                        (None, Some(0)) => (ModeKind::List, true),
                        (None, Some(1)) => (ModeKind::Setting, true),
                        (None, Some(2)) => (ModeKind::Setting, adding),
                        _ => (ModeKind::Setting, false),
                    };
                    let param = if takes { values.next().unwrap_or_default() } else { b"" };
                    return Some(ModeChange { adding, mode: *mode, kind, param });
                }
            }
            None
        })
    }
}
