//! A member's ranks in a channel, in two bytes.

use super::ModeSpec;

/// The ranks of one member: a bit for each entry of the network's `PREFIX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Membership(u16);

impl Membership {
    /// Ranks a network can have.
    pub const MAX: usize = 16;

    /// No rank.
    pub const NONE: Membership = Membership(0);

    /// Reads the symbols in front of a nick (RPL_NAMREPLY with `multi-prefix`, RPL_WHOREPLY): the ranks and
    /// what follows them.
    pub fn split<'a>(spec: &ModeSpec, entry: &'a [u8]) -> (Membership, &'a [u8]) {
        let mut ranks = Membership::NONE;
        for (index, byte) in entry.iter().enumerate() {
            match spec.prefixes().iter().position(|(_, symbol)| symbol == byte) {
                Some(place) => ranks.0 |= 1 << place,
                None => return (ranks, &entry[index..]),
            }
        }
        (ranks, &[])
    }

    /// Gives or takes the rank of a mode letter. Says whether anything changed.
    pub fn set(&mut self, spec: &ModeSpec, mode: u8, adding: bool) -> bool {
        let Some(place) = spec.prefixes().iter().position(|(letter, _)| *letter == mode) else {
            return false;
        };
        let before = *self;
        if adding {
            self.0 |= 1 << place;
        } else {
            self.0 &= !(1 << place);
        }
        before != *self
    }

    /// Whether the member has the rank of this mode letter.
    pub fn has(self, spec: &ModeSpec, mode: u8) -> bool {
        spec.prefixes()
            .iter()
            .position(|(letter, _)| *letter == mode)
            .is_some_and(|at| self.0 & (1 << at) != 0)
    }

    /// Whether the member's highest rank is that of this mode letter or above it.
    pub fn at_least(self, spec: &ModeSpec, mode: u8) -> bool {
        match spec.prefixes().iter().position(|(letter, _)| *letter == mode) {
            Some(place) => self.0.trailing_zeros() as usize <= place,
            None => false,
        }
    }

    /// Whether there is no rank.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The symbol of the highest rank.
    pub fn highest(self, spec: &ModeSpec) -> Option<u8> {
        self.symbols(spec, true).next()
    }

    /// The symbols, the highest first: all of them with `multi-prefix`, else one.
    pub fn symbols(self, spec: &ModeSpec, multi_prefix: bool) -> impl Iterator<Item = u8> {
        let most = if multi_prefix { Self::MAX } else { 1 };
        let held = spec.prefixes().iter().enumerate().filter(move |(at, _)| self.0 & (1 << at) != 0);
        held.map(|(_, (_, symbol))| *symbol).take(most)
    }

    /// The bits, the lowest being the highest rank.
    pub fn bits(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_read_and_written() {
        let spec = ModeSpec::new(b"b,k,l,n", b"(qaohv)~&@%+");
        let (mut ranks, nick) = Membership::split(&spec, b"@+dan");
        assert_eq!(nick, b"dan");
        assert_eq!(ranks.symbols(&spec, true).collect::<Vec<_>>(), b"@+");
        assert_eq!(ranks.symbols(&spec, false).collect::<Vec<_>>(), b"@");
        assert!(ranks.at_least(&spec, b'h') && !ranks.at_least(&spec, b'a'));
        assert!(ranks.set(&spec, b'o', false) && !ranks.set(&spec, b'o', false));
        assert!(!ranks.set(&spec, b'n', true));
        assert_eq!(ranks.highest(&spec), Some(b'+'));
        assert!(!Membership::NONE.at_least(&spec, b'v'));
    }
}
