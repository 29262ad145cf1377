//! Ids that are short enough for a line of IRC and too long to guess: 20 letters and digits, 119 random bits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use service::secrets::{SecretError, random_bytes};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LENGTH: usize = 20;

/// Names something that was put up. Whoever has it may see the thing, so it is never counted up and never listed to others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShortId([u8; LENGTH]);

/// A text that is no [`ShortId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has {LENGTH} letters and digits")]
pub struct NoId;

impl ShortId {
    /// A new one.
    pub fn random() -> Result<Self, SecretError> {
        let mut id = [0; LENGTH];
        let mut filled = 0;
        while filled < LENGTH {
            // 62 of 64 values name a letter; the others are thrown away, so that every letter is as likely.
            for byte in random_bytes::<32>()? {
                if let Some(letter) = ALPHABET.get(usize::from(byte & 63)).filter(|_| filled < LENGTH) {
                    id[filled] = *letter;
                    filled += 1;
                }
            }
        }
        Ok(Self(id))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        // Only letters and digits ever come in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for ShortId {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let id: [u8; LENGTH] = text.as_bytes().try_into().map_err(|_| NoId)?;
        if id.iter().all(u8::is_ascii_alphanumeric) { Ok(Self(id)) } else { Err(NoId) }
    }
}

impl TryFrom<String> for ShortId {
    type Error = NoId;

    fn try_from(text: String) -> Result<Self, NoId> {
        text.parse()
    }
}

impl From<ShortId> for String {
    fn from(id: ShortId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShortId({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_two_are_the_same_and_none_follows_from_another() {
        let ids: Vec<ShortId> = (0..500).map(|_| ShortId::random().unwrap()).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 500);
        for place in 0..LENGTH {
            let letters: HashSet<u8> = ids.iter().map(|id| id.0[place]).collect();
            assert!(letters.len() > 50, "place {place} has only {} letters", letters.len());
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(text in "[0-9A-Za-z]{20}") {
            prop_assert_eq!(text.parse::<ShortId>().unwrap().to_string(), text);
        }

        #[test]
        fn nothing_else_is_an_id(text in "\\PC{0,40}") {
            let fine = text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            prop_assert_eq!(text.parse::<ShortId>().is_ok(), fine);
        }
    }
}
