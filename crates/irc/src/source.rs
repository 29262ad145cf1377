//! Who a line came from: `nick!user@host`, or the name of a server.

use std::fmt;

use memchr::{memchr, memrchr};

/// The source of a message (RFC 2812 §2.3.1 calls it prefix), taken apart on demand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source<'a> {
    raw: &'a [u8],
}

impl<'a> Source<'a> {
    /// Wraps a source as it stands on the wire, without its colon. Every byte sequence is one.
    pub fn parse(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The whole of it.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The nick, or the server's name.
    pub fn name(&self) -> &'a [u8] {
        self.parts().0
    }

    /// The user name (ident), if there is one.
    pub fn user(&self) -> Option<&'a [u8]> {
        self.parts().1
    }

    /// The host, if there is one.
    pub fn host(&self) -> Option<&'a [u8]> {
        self.parts().2
    }

    /// Nick or server name, user, host.
    pub fn parts(&self) -> (&'a [u8], Option<&'a [u8]>, Option<&'a [u8]>) {
        let (before_host, host) = match memrchr(b'@', self.raw) {
            Some(at) => (&self.raw[..at], Some(&self.raw[at + 1..])),
            None => (self.raw, None),
        };
        match memchr(b'!', before_host) {
            Some(at) => (&before_host[..at], Some(&before_host[at + 1..]), host),
            None => (before_host, None, host),
        }
    }

    /// Whether this can only be a server: no user, no host, and a dot in its name.
    pub fn looks_like_server(&self) -> bool {
        matches!(self.parts(), (name, None, None) if memchr(b'.', name).is_some())
    }

    /// A copy that owns its bytes.
    pub fn to_owned(&self) -> SourceBuf {
        SourceBuf { raw: self.raw.to_vec() }
    }
}

impl AsRef<[u8]> for Source<'_> {
    fn as_ref(&self) -> &[u8] {
        self.raw
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.raw.escape_ascii())
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.raw))
    }
}

/// A source that owns its bytes.
#[derive(Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct SourceBuf {
    raw: Vec<u8>,
}

impl SourceBuf {
    /// A server's name.
    pub fn server(name: impl AsRef<[u8]>) -> Self {
        Self { raw: name.as_ref().to_vec() }
    }

    /// A user: `nick!user@host`. The parts are taken as they are.
    pub fn user(nick: impl AsRef<[u8]>, user: impl AsRef<[u8]>, host: impl AsRef<[u8]>) -> Self {
        let (nick, user, host) = (nick.as_ref(), user.as_ref(), host.as_ref());
        let mut raw = Vec::with_capacity(nick.len() + user.len() + host.len() + 2);
        for part in [nick, b"!", user, b"@", host] {
            raw.extend_from_slice(part);
        }
        Self { raw }
    }

    /// The borrowed view with the parts.
    pub fn as_source(&self) -> Source<'_> {
        Source { raw: &self.raw }
    }
}

impl AsRef<[u8]> for SourceBuf {
    fn as_ref(&self) -> &[u8] {
        &self.raw
    }
}

impl From<Vec<u8>> for SourceBuf {
    fn from(raw: Vec<u8>) -> Self {
        Self { raw }
    }
}

impl fmt::Debug for SourceBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_source(), f)
    }
}

impl fmt::Display for SourceBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_source(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_come_apart() {
        type Parts = (&'static str, Option<&'static str>, Option<&'static str>);
        let table: [(&str, Parts); 7] = [
            ("irc.test", ("irc.test", None, None)),
            ("dan", ("dan", None, None)),
            ("dan!d@h", ("dan", Some("d"), Some("h"))),
            ("dan@h", ("dan", None, Some("h"))),
            ("dan!d", ("dan", Some("d"), None)),
            ("dan!d@x@h", ("dan", Some("d@x"), Some("h"))),
            ("", ("", None, None)),
        ];
        for (raw, (name, user, host)) in table {
            let source = Source::parse(raw.as_bytes());
            assert_eq!(
                source.parts(),
                (name.as_bytes(), user.map(str::as_bytes), host.map(str::as_bytes)),
                "{raw}"
            );
        }
        assert!(Source::parse(b"irc.test").looks_like_server());
        assert!(!Source::parse(b"dan").looks_like_server());
        assert_eq!(SourceBuf::user("a", "b", "c").as_ref(), b"a!b@c");
    }
}
