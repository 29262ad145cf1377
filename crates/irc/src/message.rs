//! One line of IRC, taken apart without copying a byte of it.

use std::fmt;
use std::ops::Deref;

use memchr::{memchr, memchr3};

use crate::numerics::Numeric;
use crate::source::Source;
use crate::tags::Tags;
use crate::write::{Head, Sink};

/// Most parameters a line can carry (RFC 2812 §2.3): the fifteenth takes the rest of the line.
pub const MAX_PARAMS: usize = 15;

/// Longest command the parser takes; every known one is shorter.
pub const MAX_COMMAND: usize = 32;

/// Why a line is not an IRC message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing but spaces. RFC 2812 §2.3.1 asks to ignore such lines in silence.
    #[error("the line is empty")]
    Empty,
    /// Tags or a source with nothing after them.
    #[error("the line has no command")]
    NoCommand,
    /// A command that is not made of ASCII letters and digits, or longer than [`MAX_COMMAND`].
    #[error("the command is not made of letters and digits")]
    BadCommand,
    /// NUL, CR or LF inside the line.
    #[error("byte {byte:#04x} at {at} may not be part of a line")]
    Forbidden {
        /// The byte.
        byte: u8,
        /// Its place in the line.
        at: usize,
    },
}

/// A parsed line; every part borrows from the buffer it was parsed from.
///
/// Bytes are bytes: nothing here asks for UTF-8 but the command, which is ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Message tags (ircv3 `message-tags`), split lazily.
    pub tags: Tags<'a>,
    /// Who sent it, if the line says so.
    pub source: Option<Source<'a>>,
    /// The command as it was written: letters or three digits, any case.
    pub command: &'a [u8],
    /// The parameters.
    pub params: Params<'a>,
}

impl<'a> Message<'a> {
    /// Parses one line, with or without its line ending. Allocates nothing and checks no length
    /// (see [`crate::limits`] for that).
    #[inline]
    pub fn parse(line: &'a [u8]) -> Result<Self, ParseError> {
        let line = strip_line_ending(line);
        if may_hold_forbidden(line)
            && let Some(at) = memchr3(0, b'\r', b'\n', line)
        {
            return Err(ParseError::Forbidden { byte: line[at], at });
        }
        let mut rest = skip_spaces(line);
        if rest.is_empty() {
            return Err(ParseError::Empty);
        }
        let (mut tags, mut source) = (Tags::EMPTY, None);
        if let [b'@', tail @ ..] = rest {
            let (raw, tail) = split_space(tail, memchr(b' ', tail));
            tags = Tags::from_raw(raw);
            rest = tail;
        }
        if let [b':', tail @ ..] = rest {
            let (raw, tail) = word(tail);
            source = (!raw.is_empty()).then(|| Source::parse(raw));
            rest = tail;
        }
        let (command, rest) = word(rest);
        if command.is_empty() {
            return Err(ParseError::NoCommand);
        }
        if command.len() > MAX_COMMAND || !command.iter().all(u8::is_ascii_alphanumeric) {
            return Err(ParseError::BadCommand);
        }
        Ok(Self { tags, source, command, params: Params::split(rest) })
    }

    /// The parameter at `index`, counted from 0.
    #[inline]
    pub fn param(&self, index: usize) -> Option<&'a [u8]> {
        self.params.as_slice().get(index).copied()
    }

    /// The last parameter, where most commands keep their text.
    pub fn last(&self) -> Option<&'a [u8]> {
        self.params.as_slice().last().copied()
    }

    /// Whether the command is `name`, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.command.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The command in upper case, to match on: `match &*message.upper() { "PRIVMSG" => … }`.
    pub fn upper(&self) -> Upper {
        Upper::new(self.command)
    }

    /// The numeric, if the command is three digits.
    pub fn numeric(&self) -> Option<Numeric> {
        Numeric::parse(self.command)
    }

    /// The value of a tag, unescaped. `None` if the tag is absent.
    pub fn tag(&self, key: &str) -> Option<std::borrow::Cow<'a, [u8]>> {
        self.tags.get(key)
    }

    /// Appends the line, CR LF included, to `out`. Allocates only if `out` has to grow.
    ///
    /// Parsing what was written gives an equal message, whatever the line parsed before looked like.
    pub fn write_to(&self, out: &mut impl Sink) {
        let mut head = Head::new(out);
        head.raw_tags(self.tags);
        self.write_after_tags(head);
    }

    /// Appends the line like [`Message::write_to`], but with the tags that were put into `head` instead of
    /// its own. For a sender that encodes one message once per capability set.
    pub fn write_after_tags<S: Sink>(&self, head: Head<'_, S>) {
        let mut body = head.command(self.source.map(|source| source.raw()), self.command);
        let (last, middles) = match self.params.as_slice().split_last() {
            Some(split) => split,
            None => return body.end(),
        };
        for middle in middles {
            body.param(middle);
        }
        if self.params.trailing {
            body.trailing(last);
        } else {
            body.param(last);
        }
        body.end();
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("tags", &self.tags)
            .field("source", &self.source)
            .field("command", &self.command.escape_ascii().to_string())
            .field("params", &self.params)
            .finish()
    }
}

/// The parameters of a message, in a fixed array.
#[derive(Clone, Copy)]
pub struct Params<'a> {
    slots: [&'a [u8]; MAX_PARAMS],
    len: u8,
    trailing: bool,
}

impl<'a> Params<'a> {
    /// No parameters.
    pub const EMPTY: Params<'static> = Params { slots: [&[]; MAX_PARAMS], len: 0, trailing: false };

    /// Takes the parameters apart. A call of its own, so that they are made in the caller's place and never moved; slots
    /// not in use all point at `rest`, which is cheaper to write than fifteen constants are to copy.
    #[inline(never)]
    fn split(mut rest: &'a [u8]) -> Self {
        let nothing = &rest[..0];
        let mut params = Params { slots: [nothing; MAX_PARAMS], len: 0, trailing: false };
        for slot in &mut params.slots {
            match rest {
                [] => break,
                [b':', text @ ..] => {
                    *slot = text;
                    rest = &[];
                    params.trailing = true;
                }
                _ if params.len as usize == MAX_PARAMS - 1 => {
                    *slot = rest;
                    rest = &[];
                }
                _ => (*slot, rest) = word(rest),
            }
            params.len += 1;
        }
        params
    }

    /// Takes the first [`MAX_PARAMS`] of `values`; what is more is left out.
    pub fn from_values(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut params = Params::EMPTY;
        for (slot, value) in params.slots.iter_mut().zip(values) {
            *slot = value;
            params.len += 1;
        }
        params
    }

    /// All of them, in order.
    pub fn as_slice(&self) -> &[&'a [u8]] {
        &self.slots[..self.len as usize]
    }

    /// Whether the last one was written with a colon in front.
    pub fn has_trailing(&self) -> bool {
        self.trailing
    }
}

impl<'a> Deref for Params<'a> {
    type Target = [&'a [u8]];

    fn deref(&self) -> &Self::Target {
        self.as_slice()
    }
}

impl PartialEq for Params<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Params<'_> {}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|param| param.escape_ascii().to_string())).finish()
    }
}

/// A command in upper case, kept in place; dereferences to `str`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Upper {
    bytes: [u8; MAX_COMMAND],
    len: u8,
}

impl Upper {
    /// Upper-cases `command`. Anything that could not be a command gives an empty text.
    pub fn new(command: &[u8]) -> Self {
        let mut upper = Self { bytes: [0; MAX_COMMAND], len: 0 };
        if command.len() <= MAX_COMMAND && command.is_ascii() {
            for (to, from) in upper.bytes.iter_mut().zip(command) {
                *to = from.to_ascii_uppercase();
                upper.len += 1;
            }
        }
        upper
    }
}

impl Deref for Upper {
    type Target = str;

    fn deref(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len as usize]).unwrap_or_default()
    }
}

impl fmt::Display for Upper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Upper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// The line without its CR LF, LF or CR.
#[inline]
pub fn strip_line_ending(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Splits at the first run of spaces. Words are short, so eight bytes at a time beat a call of `memchr`.
#[inline]
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    split_space(text, find_space(text))
}

#[inline]
fn split_space(text: &[u8], at: Option<usize>) -> (&[u8], &[u8]) {
    match at {
        Some(at) => (&text[..at], skip_spaces(&text[at + 1..])),
        None => (text, &[]),
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// A set high bit for each byte of `chunk` that is `byte`. The lowest one is exact; one above it may be wrong.
#[inline]
fn hits(chunk: u64, byte: u8) -> u64 {
    let zeroed = chunk ^ (ONES * u64::from(byte));
    zeroed.wrapping_sub(ONES) & !zeroed & (ONES << 7)
}

#[inline]
fn find_space(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(chunk) = text[at..].first_chunk() {
        let hits = hits(u64::from_le_bytes(*chunk), b' ');
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    text[at..].iter().position(|byte| *byte == b' ').map(|found| at + found)
}

/// Spares short lines the call of `memchr3`, which goes byte by byte there.
#[inline]
fn may_hold_forbidden(line: &[u8]) -> bool {
    let (8..=32, Some(last)) = (line.len(), line.last_chunk()) else { return true };
    let look = |chunk: [u8; 8]| {
        let chunk = u64::from_le_bytes(chunk);
        hits(chunk, 0) | hits(chunk, b'\r') | hits(chunk, b'\n')
    };
    let (chunks, _) = line.as_chunks();
    chunks.iter().fold(look(*last), |found, chunk| found | look(*chunk)) != 0
}

#[inline]
fn skip_spaces(mut text: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn params<'a>(message: &'a Message<'a>) -> Vec<&'a str> {
        message.params.iter().map(|param| str::from_utf8(param).unwrap()).collect()
    }

    #[test]
    fn a_full_line_comes_apart() {
        let message = Message::parse(b"@id=1;+x=a\\sb :dan!d@host PRIVMSG #chan :hello there\r\n").unwrap();
        assert_eq!(message.tag("id").unwrap().as_ref(), b"1");
        assert_eq!(message.tag("+x").unwrap().as_ref(), b"a b");
        let source = message.source.unwrap();
        assert_eq!(source.name(), b"dan");
        assert_eq!(source.user(), Some(&b"d"[..]));
        assert_eq!(source.host(), Some(&b"host"[..]));
        assert_eq!(&*message.upper(), "PRIVMSG");
        assert_eq!(params(&message), ["#chan", "hello there"]);
    }

    #[test]
    fn runs_of_spaces_separate_once() {
        let message = Message::parse(b":s 432  #momo   :Bad : nick ").unwrap();
        assert_eq!(params(&message), ["#momo", "Bad : nick "]);
        let message = Message::parse(b":s MODE #t +n ").unwrap();
        assert_eq!(params(&message), ["#t", "+n"]);
    }

    #[test]
    fn an_empty_trailing_parameter_is_a_parameter() {
        assert_eq!(params(&Message::parse(b"TOPIC #c :").unwrap()), ["#c", ""]);
        assert_eq!(params(&Message::parse(b"X a ::b").unwrap()), ["a", ":b"]);
        assert_eq!(params(&Message::parse(b"X a:b c:").unwrap()), ["a:b", "c:"]);
    }

    #[test]
    fn the_fifteenth_parameter_takes_the_rest() {
        let message = Message::parse(b"X 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16").unwrap();
        assert_eq!(message.params.len(), 15);
        assert_eq!(message.last(), Some(&b"15 16"[..]));
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        for (line, error) in [
            (&b""[..], ParseError::Empty),
            (b"   \r\n", ParseError::Empty),
            (b"@a=b", ParseError::NoCommand),
            (b":source", ParseError::NoCommand),
            (b"@a :source ", ParseError::NoCommand),
            (b"P\xff x", ParseError::BadCommand),
            (b"a\0b", ParseError::Forbidden { byte: 0, at: 1 }),
            (b"a\rQUIT", ParseError::Forbidden { byte: b'\r', at: 1 }),
            (b"a\nQUIT\n", ParseError::Forbidden { byte: b'\n', at: 1 }),
        ] {
            assert_eq!(Message::parse(line), Err(error), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_message_is_written_as_it_came() {
        for line in [
            "@a=b;c :n!u@h PRIVMSG #c :one\r\n",
            "PING :x\r\n",
            "PING x\r\n",
            "TOPIC #c :\r\n",
            "JOIN\r\n",
            ":irc.test 353 me = #c :@a +b\r\n",
        ] {
            let mut out = Vec::new();
            Message::parse(line.as_bytes()).unwrap().write_to(&mut out);
            assert_eq!(str::from_utf8(&out).unwrap(), line);
        }
    }
}
