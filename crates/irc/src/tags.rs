//! Message tags (ircv3 `message-tags`): kept as they came, split and unescaped on demand.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memchr_iter};

/// The tag section of a line, without its `@`. Splitting happens while iterating.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tags<'a> {
    raw: &'a [u8],
}

/// One tag. A missing value and an empty one are the same thing (`message-tags`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a> {
    /// The key with everything that belongs to it: `+` of client tags, vendor.
    pub key: &'a [u8],
    /// The value as it stands on the wire, escaped.
    pub raw_value: &'a [u8],
}

impl<'a> Tags<'a> {
    /// No tags.
    pub const EMPTY: Tags<'static> = Tags { raw: &[] };

    /// Wraps a section as it stands on the wire between `@` and the first space.
    pub fn from_raw(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The section as it stands on the wire, without `@`.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// All tags in order. Empty entries are passed over.
    pub fn iter(&self) -> Iter<'a> {
        Iter { rest: self.raw }
    }

    /// The unescaped value of `key`; the last one counts if a key comes twice. `None` if it is absent.
    pub fn get(&self, key: &str) -> Option<Cow<'a, [u8]>> {
        self.raw_value(key).map(unescape)
    }

    /// The unescaped value of `key` if it is there, not empty and UTF-8.
    pub fn get_str(&self, key: &str) -> Option<Cow<'a, str>> {
        match self.get(key)? {
            Cow::Borrowed(bytes) => str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        }
        .filter(|value| !value.is_empty())
    }

    /// The value of `key` as it stands on the wire. Allocates nothing.
    pub fn raw_value(&self, key: &str) -> Option<&'a [u8]> {
        self.iter().filter(|tag| tag.key == key.as_bytes()).last().map(|tag| tag.raw_value)
    }

    /// Whether `key` is there, with or without a value.
    pub fn has(&self, key: &str) -> bool {
        self.iter().any(|tag| tag.key == key.as_bytes())
    }
}

impl<'a> IntoIterator for Tags<'a> {
    type Item = Tag<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> Tag<'a> {
    /// The value, unescaped; borrowed where nothing had to be undone.
    pub fn value(&self) -> Cow<'a, [u8]> {
        unescape(self.raw_value)
    }

    /// Whether clients may send it (`+` in front).
    pub fn is_client_only(&self) -> bool {
        self.key.first() == Some(&b'+')
    }
}

impl fmt::Debug for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key.escape_ascii(), self.raw_value.escape_ascii())
    }
}

/// The tags of a section in order.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        while !self.rest.is_empty() {
            let tag = match memchr(b';', self.rest) {
                Some(at) => {
                    let tag = &self.rest[..at];
                    self.rest = &self.rest[at + 1..];
                    tag
                }
                None => std::mem::take(&mut self.rest),
            };
            let (key, raw_value) = match memchr(b'=', tag) {
                Some(at) => (&tag[..at], &tag[at + 1..]),
                None => (tag, &[][..]),
            };
            if !key.is_empty() {
                return Some(Tag { key, raw_value });
            }
        }
        None
    }
}

/// Undoes the escapes of a tag value: `\:` `\s` `\\` `\r` `\n`. A backslash before anything else is dropped, and so is a lone
/// one at the end.
pub fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut from = 0;
    for at in memchr_iter(b'\\', raw) {
        // The second backslash of a pair has been dealt with already.
        if at < from {
            continue;
        }
        out.extend_from_slice(&raw[from..at]);
        out.extend(raw.get(at + 1).map(|escaped| match escaped {
            b':' => b';',
            b's' => b' ',
            b'r' => b'\r',
            b'n' => b'\n',
            other => *other,
        }));
        from = at + 2;
    }
    out.extend_from_slice(raw.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// The escape for a byte of a tag value, if it needs one. NUL cannot be written at all and becomes a space's.
pub(crate) fn escape_of(byte: u8) -> Option<&'static [u8; 2]> {
    match byte {
        b';' => Some(b"\\:"),
        b' ' | 0 => Some(b"\\s"),
        b'\\' => Some(b"\\\\"),
        b'\r' => Some(b"\\r"),
        b'\n' => Some(b"\\n"),
        _ => None,
    }
}

/// Escapes a tag value for the wire.
pub fn escape(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = value.iter().position(|byte| escape_of(*byte).is_some()) else {
        return Cow::Borrowed(value);
    };
    let mut out = Vec::with_capacity(value.len() + 8);
    out.extend_from_slice(&value[..first]);
    for &byte in &value[first..] {
        match escape_of(byte) {
            Some(escaped) => out.extend_from_slice(escaped),
            None => out.push(byte),
        }
    }
    Cow::Owned(out)
}

/// Whether `key` is a tag key: `[+][vendor/]name` with letters, digits and `-`, and dots in the vendor (`message-tags`).
pub fn valid_key(key: &[u8]) -> bool {
    let key = key.strip_prefix(b"+").unwrap_or(key);
    let word = |part: &[u8], dots: bool| {
        !part.is_empty()
            && part.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-' || (dots && *b == b'.'))
    };
    match memchr(b'/', key) {
        Some(at) => word(&key[..at], true) && word(&key[at + 1..], false),
        None => word(key, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_and_the_last_one_counts() {
        let tags = Tags::from_raw(b"a=1;;+draft/x=\\:\\s\\\\\\r\\n;flag;a=2;e=");
        assert_eq!(tags.get("a").as_deref(), Some(&b"2"[..]));
        assert_eq!(tags.get("+draft/x").as_deref(), Some(&b"; \\\r\n"[..]));
        assert_eq!(tags.get("flag").as_deref(), Some(&b""[..]));
        assert_eq!(tags.get("e").as_deref(), Some(&b""[..]));
        assert_eq!(tags.get_str("e"), None);
        assert_eq!(tags.get("no"), None);
        assert_eq!(tags.iter().count(), 5);
    }

    #[test]
    fn odd_escapes_lose_their_backslash() {
        assert_eq!(unescape(b"a\\b\\").as_ref(), b"ab");
        assert_eq!(unescape(b"\\\\n").as_ref(), b"\\n");
        assert_eq!(unescape(b"\\\\\\n").as_ref(), b"\\\n");
    }

    #[test]
    fn keys_are_checked() {
        for good in ["time", "+typing", "+draft/react", "example.com/a-1", "+example.com/x"] {
            assert!(valid_key(good.as_bytes()), "{good}");
        }
        for bad in ["", "+", "a/", "/a", "a b", "a;b", "a=b", "a/b/c", "a.b", "ü"] {
            assert!(!valid_key(bad.as_bytes()), "{bad}");
        }
    }
}
