//! Which names are the same name, by the upstream's CASEMAPPING. A key (folded name) is never shown to anybody.

use std::cmp::Ordering;

/// A casemapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Casemap {
    /// A to Z only.
    Ascii,
    /// And `[]\~` are the upper case of `{}|^`: what IRC servers do unless they say otherwise.
    #[default]
    Rfc1459,
    /// The same without `~` and `^`.
    Rfc1459Strict,
}

impl Casemap {
    /// By the value of the ISUPPORT token. What is unknown (`rfc7613`) is treated as ASCII, which never takes two
    /// names for one.
    pub fn named(name: &[u8]) -> Self {
        match name {
            b"rfc1459" => Self::Rfc1459,
            b"rfc1459-strict" | b"strict-rfc1459" => Self::Rfc1459Strict,
            _ => Self::Ascii,
        }
    }

    fn byte(self, byte: u8) -> u8 {
        match (self, byte) {
            (_, b'A'..=b'Z') => byte + 32,
            (Self::Rfc1459, b'[' | b'\\' | b']' | b'^') => byte + 32,
            (Self::Rfc1459Strict, b'[' | b'\\' | b']') => byte + 32,
            _ => byte,
        }
    }

    /// The key of a name.
    pub fn fold(self, name: &[u8]) -> Box<[u8]> {
        name.iter().map(|byte| self.byte(*byte)).collect()
    }

    /// The order of the keys of two names.
    pub fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        a.iter().map(|byte| self.byte(*byte)).cmp(b.iter().map(|byte| self.byte(*byte)))
    }

    /// Whether two names are the same name.
    pub fn same(self, a: &[u8], b: &[u8]) -> bool {
        a.len() == b.len() && self.compare(a, b).is_eq()
    }
}
