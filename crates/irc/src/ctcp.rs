//! CTCP inside PRIVMSG and NOTICE (draft-oakley-irc-ctcp-02): `\x01ACTION waves\x01`.

const MARK: u8 = 1;

/// A CTCP message taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ctcp<'a> {
    /// `ACTION`, `VERSION`, `PING` and so on, as written.
    pub command: &'a [u8],
    /// What follows the command.
    pub params: &'a [u8],
}

/// Reads the text of a message as CTCP. The mark at the end may be missing.
pub fn parse(text: &[u8]) -> Option<Ctcp<'_>> {
    let inner = text.strip_prefix(&[MARK])?;
    let inner = inner.strip_suffix(&[MARK]).unwrap_or(inner);
    let (command, params) = match memchr::memchr(b' ', inner) {
        Some(at) => (&inner[..at], &inner[at + 1..]),
        None => (inner, &[][..]),
    };
    (!command.is_empty()).then_some(Ctcp { command, params })
}

/// The text of an ACTION (`/me`), if the message is one.
pub fn action(text: &[u8]) -> Option<&[u8]> {
    parse(text).filter(|ctcp| ctcp.command.eq_ignore_ascii_case(b"ACTION")).map(|ctcp| ctcp.params)
}

/// Whether a message is a CTCP other than ACTION: a question or an answer between programs, not talk.
pub fn is_machine_talk(text: &[u8]) -> bool {
    text.first() == Some(&MARK) && action(text).is_none()
}

/// Writes a CTCP message. Marks inside are left out.
pub fn write(command: &str, params: impl AsRef<[u8]>) -> Vec<u8> {
    let params = params.as_ref();
    let mut text = Vec::with_capacity(command.len() + params.len() + 3);
    text.push(MARK);
    text.extend(command.bytes().filter(|b| *b != MARK));
    if !params.is_empty() {
        text.push(b' ');
        text.extend(params.iter().filter(|b| **b != MARK));
    }
    text.push(MARK);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_told_from_talk_and_from_machines() {
        assert_eq!(action(b"\x01ACTION waves\x01"), Some(&b"waves"[..]));
        assert_eq!(action(b"\x01action waves"), Some(&b"waves"[..]));
        assert_eq!(action(b"\x01ACTION\x01"), Some(&b""[..]));
        assert_eq!(action(b"ACTION waves"), None);
        assert!(
            is_machine_talk(b"\x01VERSION\x01") && is_machine_talk(b"\x01") && !is_machine_talk(b"hello")
        );
        assert!(!is_machine_talk(b"\x01ACTION x\x01"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(write("ACTION", "wa\x01ves"), b"\x01ACTION waves\x01");
        assert_eq!(write("VERSION", ""), b"\x01VERSION\x01");
        let text = write("PING", "1 2");
        assert_eq!(parse(&text), Some(Ctcp { command: b"PING", params: b"1 2" }));
    }
}
