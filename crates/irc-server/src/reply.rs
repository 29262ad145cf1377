//! The door's own lines.

use bytes::Bytes;

/// Writes replies of `server` to `target`.
pub(crate) struct Replies<'a> {
    pub server: &'a str,
    pub target: &'a str,
}

impl Replies<'_> {
    /// `:server 451 nick params :text`
    pub fn numeric(&self, code: &str, params: &[&str], text: &str) -> Bytes {
        irc::line(code).source(self.server).param(self.target).params(params).trailing(text).to_bytes()
    }

    /// `:server PONG server :token`
    pub fn pong(&self, token: &[u8]) -> Bytes {
        irc::line("PONG").source(self.server).param(self.server).trailing(token).to_bytes()
    }
}

/// `ERROR :text`
pub(crate) fn error(text: &str) -> Bytes {
    irc::line("ERROR").trailing(text).to_bytes()
}
