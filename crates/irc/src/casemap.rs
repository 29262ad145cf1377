//! Casemapping: which names are the same name, and keys that cannot be mixed up with what is displayed.

use std::fmt;

use smallvec::SmallVec;

/// The rule by which a network compares nicks and channels (ISUPPORT `CASEMAPPING`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Casemapping {
    /// `a-z` and `A-Z` are the same.
    Ascii,
    /// As `ascii`, and `{}|~` are the lower case of `[]\^` (RFC 1459 §2.2). What a network means that says nothing.
    #[default]
    Rfc1459,
    /// As `rfc1459` without `~` and `^`.
    Rfc1459Strict,
}

static ASCII: [u8; 256] = table(Casemapping::Ascii);
static RFC1459: [u8; 256] = table(Casemapping::Rfc1459);
static RFC1459_STRICT: [u8; 256] = table(Casemapping::Rfc1459Strict);

const fn table(mapping: Casemapping) -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = match (b, mapping) {
            (b'[' | b'\\' | b']', Casemapping::Rfc1459 | Casemapping::Rfc1459Strict) => b + 32,
            (b'^', Casemapping::Rfc1459) => b'~',
            _ => b.to_ascii_lowercase(),
        };
        byte += 1;
    }
    table
}

impl Casemapping {
    /// The mapping named by ISUPPORT, if it is one of the three.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"ascii" => Some(Self::Ascii),
            b"rfc1459" => Some(Self::Rfc1459),
            b"rfc1459-strict" | b"strict-rfc1459" => Some(Self::Rfc1459Strict),
            _ => None,
        }
    }

    /// The name as ISUPPORT gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Rfc1459 => "rfc1459",
            Self::Rfc1459Strict => "rfc1459-strict",
        }
    }

    fn table(self) -> &'static [u8; 256] {
        match self {
            Self::Ascii => &ASCII,
            Self::Rfc1459 => &RFC1459,
            Self::Rfc1459Strict => &RFC1459_STRICT,
        }
    }

    /// The lower case of one byte.
    pub fn lower(self, byte: u8) -> u8 {
        self.table()[byte as usize]
    }

    /// The key under which a name is looked up. Names of up to 24 bytes cost no allocation.
    pub fn fold(self, name: impl AsRef<[u8]>) -> Folded {
        let table = self.table();
        Folded(name.as_ref().iter().map(|byte| table[*byte as usize]).collect())
    }

    /// Whether two names are the same name.
    pub fn eq(self, a: impl AsRef<[u8]>, b: impl AsRef<[u8]>) -> bool {
        let (a, b, table) = (a.as_ref(), b.as_ref(), self.table());
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| table[*a as usize] == table[*b as usize])
    }
}

/// A folded name: the key of a nick or a channel, never to be shown. Made by [`Casemapping::fold`] only, so a
/// name as displayed cannot be used as a key by mistake.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Folded(SmallVec<[u8; 24]>);

impl Folded {
    /// Takes bytes that were folded before, such as a key read back from a store.
    pub fn from_stored(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }

    /// The folded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Folded({})", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mapping_folds_its_own_bytes() {
        let name = b"Az[]\\^{}|~\xc3\x84";
        assert_eq!(Casemapping::Ascii.fold(name).as_bytes(), b"az[]\\^{}|~\xc3\x84");
        assert_eq!(Casemapping::Rfc1459.fold(name).as_bytes(), b"az{}|~{}|~\xc3\x84");
        assert_eq!(Casemapping::Rfc1459Strict.fold(name).as_bytes(), b"az{}|^{}|~\xc3\x84");
        assert!(Casemapping::Rfc1459.eq("Dan[x]^", "dAN{X}~"));
        assert!(!Casemapping::Rfc1459Strict.eq("a^", "a~"));
    }

    #[test]
    fn names_go_both_ways() {
        for mapping in [Casemapping::Ascii, Casemapping::Rfc1459, Casemapping::Rfc1459Strict] {
            assert_eq!(Casemapping::from_name(mapping.name().as_bytes()), Some(mapping));
        }
        assert_eq!(Casemapping::from_name(b"precis"), None);
    }
}
