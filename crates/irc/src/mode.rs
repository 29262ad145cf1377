//! Mode strings, read by what ISUPPORT says about each letter (`CHANMODES`, `PREFIX`).

mod members;
mod state;

use std::fmt;

use smallvec::SmallVec;

use crate::write::{MessageBuf, line};

pub use members::Membership;
pub use state::ChannelModes;

/// What a mode letter takes (ISUPPORT `CHANMODES`, modern.ircdocs.horse "Channel modes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeKind {
    /// Type A: adds to or removes from a list; without a parameter it asks for the list.
    List,
    /// Type B: always has a parameter (`k`).
    Always,
    /// Type C: has a parameter when it is set (`l`).
    WhenSet,
    /// Type D: never has a parameter.
    Flag,
    /// A member's rank (`PREFIX`): the parameter is a nick.
    Prefix,
}

/// What a network's mode letters mean.
#[derive(Clone, PartialEq, Eq)]
pub struct ModeSpec {
    kinds: [Option<ModeKind>; 128],
    prefixes: SmallVec<[(u8, u8); 8]>,
}

impl Default for ModeSpec {
    /// What holds before ISUPPORT: RFC 2811's letters and `(ov)@+`.
    fn default() -> Self {
        Self::new(b"beI,k,l,aimnpqrst", b"(ov)@+")
    }
}

impl ModeSpec {
    /// Reads the values of `CHANMODES` and `PREFIX`. Broken parts of either are passed over.
    pub fn new(chanmodes: &[u8], prefix: &[u8]) -> Self {
        let mut spec = Self { kinds: [None; 128], prefixes: SmallVec::new() };
        let kinds = [ModeKind::List, ModeKind::Always, ModeKind::WhenSet, ModeKind::Flag];
        for (letters, kind) in chanmodes.split(|b| *b == b',').zip(kinds) {
            letters.iter().for_each(|letter| spec.set_kind(*letter, kind));
        }
        if let Some((modes, symbols)) = split_prefix(prefix) {
            for (mode, symbol) in modes.iter().zip(symbols).take(Membership::MAX) {
                if mode.is_ascii_alphanumeric() && symbol.is_ascii_punctuation() {
                    spec.set_kind(*mode, ModeKind::Prefix);
                    spec.prefixes.push((*mode, *symbol));
                }
            }
        }
        spec
    }

    /// The spec of user modes: letters without parameters, but for `s`, which may have one when set.
    pub fn user() -> Self {
        Self::new(b",,s", b"")
    }

    fn set_kind(&mut self, letter: u8, kind: ModeKind) {
        if letter.is_ascii_alphanumeric()
            && let Some(slot) = self.kinds.get_mut(letter as usize)
        {
            *slot = Some(kind);
        }
    }

    /// What a letter takes. Unknown ones are flags.
    pub fn kind(&self, mode: u8) -> ModeKind {
        self.kinds.get(mode as usize).copied().flatten().unwrap_or(ModeKind::Flag)
    }

    /// Whether the network named this letter.
    pub fn knows(&self, mode: u8) -> bool {
        self.kinds.get(mode as usize).is_some_and(Option::is_some)
    }

    /// Ranks as pairs of mode letter and symbol, the highest first.
    pub fn prefixes(&self) -> &[(u8, u8)] {
        &self.prefixes
    }

    /// Takes a mode string apart, with the parameters that follow it.
    ///
    /// A rank without its nick says nothing and is left out; other missing parameters stay `None`.
    pub fn parse<'a>(&self, modes: &[u8], args: &[&'a [u8]]) -> Vec<ModeChange<'a>> {
        let mut args = args.iter().copied();
        let mut adding = true;
        let mut changes = Vec::with_capacity(modes.len());
        for &mode in modes {
            match mode {
                b'+' => adding = true,
                b'-' => adding = false,
                mode if mode.is_ascii_alphanumeric() => {
                    let kind = self.kind(mode);
                    let arg = if takes_arg(kind, adding) { args.next() } else { None };
                    if kind != ModeKind::Prefix || arg.is_some() {
                        changes.push(ModeChange { adding, mode, arg });
                    }
                }
                _ => {}
            }
        }
        changes
    }

    /// Writes changes as few mode strings: at most `max_args` parameters each (ISUPPORT `MODES`; `None` for no
    /// limit) and `room` bytes, letters and parameters together. Reading them again gives the same changes.
    pub fn coalesce<'a>(
        &self,
        changes: impl IntoIterator<Item = ModeChange<'a>>,
        max_args: Option<usize>,
        room: usize,
    ) -> Vec<ModeLine<'a>> {
        // A target, the letters and these make 15 parameters.
        let max_args = max_args.unwrap_or(13).clamp(1, 13);
        let mut lines: Vec<ModeLine<'a>> = Vec::new();
        let mut open: Option<(ModeLine<'a>, bool)> = None;
        for change in changes {
            let cost = 2 + change.arg.map_or(0, |arg| arg.len() + 1);
            let full = open.as_ref().is_some_and(|(line, _)| {
                line.len() + cost > room || (change.arg.is_some() && line.args.len() >= max_args)
            });
            if full {
                lines.extend(open.take().map(|(line, _)| line));
            }
            let (line, adding) = open.get_or_insert_with(|| (ModeLine::default(), !change.adding));
            if *adding != change.adding {
                *adding = change.adding;
                line.modes.push(if change.adding { b'+' } else { b'-' });
            }
            line.modes.push(change.mode);
            line.args.extend(change.arg);
            // A letter that lacks its parameter would take the next one's, and a parameter with a space must be last.
            let lacks = change.arg.is_none() && takes_arg(self.kind(change.mode), change.adding);
            if lacks || change.arg.is_some_and(needs_colon) {
                lines.extend(open.take().map(|(line, _)| line));
            }
        }
        lines.extend(open.map(|(line, _)| line));
        lines
    }
}

impl fmt::Debug for ModeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = |kind| -> String {
            (0u8..128).filter(|b| self.kinds[*b as usize] == Some(kind)).map(char::from).collect()
        };
        f.debug_struct("ModeSpec")
            .field("list", &letters(ModeKind::List))
            .field("always", &letters(ModeKind::Always))
            .field("when_set", &letters(ModeKind::WhenSet))
            .field("flag", &letters(ModeKind::Flag))
            .field("prefix", &letters(ModeKind::Prefix))
            .finish()
    }
}

fn takes_arg(kind: ModeKind, adding: bool) -> bool {
    match kind {
        ModeKind::List | ModeKind::Always | ModeKind::Prefix => true,
        ModeKind::WhenSet => adding,
        ModeKind::Flag => false,
    }
}

fn needs_colon(arg: &[u8]) -> bool {
    arg.first().is_none_or(|first| *first == b':') || arg.contains(&b' ')
}

/// `(ov)@+` as its two halves.
fn split_prefix(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = value.strip_prefix(b"(")?;
    let close = inner.iter().position(|b| *b == b')')?;
    Some((&inner[..close], &inner[close + 1..]))
}

/// One letter of a mode string.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModeChange<'a> {
    /// `+` or `-`.
    pub adding: bool,
    /// The letter.
    pub mode: u8,
    /// Its parameter, if it has one.
    pub arg: Option<&'a [u8]>,
}

impl<'a> ModeChange<'a> {
    /// `+mode`
    pub fn add(mode: u8, arg: Option<&'a [u8]>) -> Self {
        Self { adding: true, mode, arg }
    }

    /// `-mode`
    pub fn remove(mode: u8, arg: Option<&'a [u8]>) -> Self {
        Self { adding: false, mode, arg }
    }
}

impl fmt::Debug for ModeChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.adding { '+' } else { '-' }, char::from(self.mode))?;
        self.arg.map_or(Ok(()), |arg| write!(f, " {}", arg.escape_ascii()))
    }
}

/// One mode string with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModeLine<'a> {
    /// Signs and letters.
    pub modes: Vec<u8>,
    /// The parameters in order.
    pub args: Vec<&'a [u8]>,
}

impl ModeLine<'_> {
    fn len(&self) -> usize {
        self.modes.len() + self.args.iter().map(|arg| arg.len() + 1).sum::<usize>()
    }

    /// `MODE target +modes args`
    pub fn to_message(&self, target: impl AsRef<[u8]>) -> MessageBuf {
        line("MODE").param(target).param(&self.modes).params(&self.args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ModeSpec {
        ModeSpec::new(b"beI,k,lH,imnst", b"(qaohv)~&@%+")
    }

    #[test]
    fn letters_take_what_the_network_says() {
        let changes = spec().parse(b"+nk-l+o-v+H-ib", &[b"key", b"dan", b"eve", b"5", b"*!*@x"]);
        let shown: Vec<_> = changes.iter().map(|change| format!("{change:?}")).collect();
        assert_eq!(shown, ["+n", "+k key", "-l", "+o dan", "-v eve", "+H 5", "-i", "-b *!*@x"]);
    }

    #[test]
    fn missing_parameters_do_no_harm() {
        let changes = spec().parse(b"+obkn", &[]);
        assert_eq!(
            changes,
            [ModeChange::add(b'b', None), ModeChange::add(b'k', None), ModeChange::add(b'n', None)]
        );
    }

    #[test]
    fn changes_become_few_lines() {
        let spec = spec();
        let changes = spec.parse(b"+ooo-o+n", &[b"a", b"b", b"c", b"d"]);
        let lines = spec.coalesce(changes.clone(), Some(3), 400);
        let texts: Vec<_> = lines.iter().map(|line| line.to_message("#c").to_string()).collect();
        assert_eq!(texts, ["MODE #c +ooo a b c", "MODE #c -o+n d"]);
        let lines = spec.coalesce(changes, None, 400);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].to_message("#c").to_string(), "MODE #c +ooo-o+n a b c d");
    }

    #[test]
    fn a_broken_prefix_leaves_no_ranks() {
        assert!(ModeSpec::new(b"b", b"ov@+").prefixes().is_empty());
        assert!(ModeSpec::new(b"b", b"").prefixes().is_empty());
        assert_eq!(ModeSpec::new(b"b", b"(ov)@").prefixes(), [(b'o', b'@')]);
        assert_eq!(ModeSpec::user().kind(b's'), ModeKind::WhenSet);
    }
}
