//! Which names are the same name, by the upstream's CASEMAPPING. A key (folded name) is never shown to anybody.

use std::cmp::Ordering;

use irc::Casemapping;

/// A casemapping, with the order of keys that the table of users needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Casemap(pub Casemapping);

impl Casemap {
    /// The key of a name.
    pub fn fold(self, name: &[u8]) -> Box<[u8]> {
        name.iter().map(|byte| self.0.lower(*byte)).collect()
    }

    /// The order of the keys of two names.
    pub fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        a.iter().map(|byte| self.0.lower(*byte)).cmp(b.iter().map(|byte| self.0.lower(*byte)))
    }

    /// Whether two names are the same name.
    pub fn same(self, a: &[u8], b: &[u8]) -> bool {
        self.0.eq(a, b)
    }
}
