//! Standard replies (ircv3 `standard-replies`): `FAIL`, `WARN` and `NOTE`.

use crate::message::Message;
use crate::write::{MessageBuf, line};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The command was not carried out.
    Fail,
    /// It was, but the user should know something.
    Warn,
    /// Nothing is wrong.
    Note,
}

impl Severity {
    /// The command on the wire.
    pub fn command(self) -> &'static str {
        match self {
            Severity::Fail => "FAIL",
            Severity::Warn => "WARN",
            Severity::Note => "NOTE",
        }
    }
}

/// `FAIL command CODE [context…] :text`
pub fn fail(command: &str, code: &str, context: &[&[u8]], text: &str) -> MessageBuf {
    standard(Severity::Fail, command, code, context, text)
}

/// `WARN command CODE [context…] :text`
pub fn warn(command: &str, code: &str, context: &[&[u8]], text: &str) -> MessageBuf {
    standard(Severity::Warn, command, code, context, text)
}

/// `NOTE command CODE [context…] :text`
pub fn note(command: &str, code: &str, context: &[&[u8]], text: &str) -> MessageBuf {
    standard(Severity::Note, command, code, context, text)
}

/// Builds any of the three. `command` is `*` if the reply belongs to none.
pub fn standard(severity: Severity, command: &str, code: &str, context: &[&[u8]], text: &str) -> MessageBuf {
    line(severity.command()).param(command).param(code).params(context).trailing(text)
}

/// A standard reply taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandardReply<'a> {
    /// Which of the three.
    pub severity: Severity,
    /// The command it answers, or `*`.
    pub command: &'a [u8],
    /// The code, for programs.
    pub code: &'a [u8],
    /// What the last parameter says, for people.
    pub text: &'a [u8],
}

impl<'a> StandardReply<'a> {
    /// Reads a line as a standard reply. The context is `message.params[2..len - 1]`.
    pub fn parse(message: &Message<'a>) -> Option<Self> {
        let severity = [Severity::Fail, Severity::Warn, Severity::Note]
            .into_iter()
            .find(|severity| message.is(severity.command()))?;
        match message.params.as_slice() {
            [command, code, .., text] => Some(Self { severity, command, code, text }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_reply_is_written_and_read() {
        let line =
            fail("CHATHISTORY", "INVALID_TARGET", &[b"LATEST", b"#x"], "There is no such conversation");
        assert_eq!(
            line.to_string(),
            "FAIL CHATHISTORY INVALID_TARGET LATEST #x :There is no such conversation"
        );
        let bytes = line.to_vec();
        let reply = StandardReply::parse(&Message::parse(&bytes).unwrap()).unwrap();
        assert_eq!((reply.severity, reply.code), (Severity::Fail, &b"INVALID_TARGET"[..]));
        assert_eq!(StandardReply::parse(&Message::parse(b"FAIL X").unwrap()), None);
    }
}
