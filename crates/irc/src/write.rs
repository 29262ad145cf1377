//! Writing lines. Nothing that goes in can end a line, start a second one or add a parameter.

use std::fmt;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr3};
use smallvec::SmallVec;

use crate::message::Message;
use crate::numerics::Numeric;
use crate::tags::{self, Tags};

/// A byte buffer lines can be appended to.
pub trait Sink: AsMut<[u8]> {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);
    /// How many bytes there are.
    fn filled(&self) -> usize;
    /// Cuts the buffer back to its first `len` bytes.
    fn cut(&mut self, len: usize);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
    fn filled(&self) -> usize {
        self.len()
    }
    fn cut(&mut self, len: usize) {
        self.truncate(len);
    }
}

impl Sink for BytesMut {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
    fn filled(&self) -> usize {
        self.len()
    }
    fn cut(&mut self, len: usize) {
        self.truncate(len);
    }
}

/// What can stand as a command: a word or a [`Numeric`].
pub trait Verb {
    /// Appends the command. Bytes that are not ASCII letters or digits are left out.
    fn put_verb(&self, out: &mut impl Sink);
}

impl<T: AsRef<[u8]> + ?Sized> Verb for &T {
    fn put_verb(&self, out: &mut impl Sink) {
        let word: &[u8] = self.as_ref();
        if word.iter().all(u8::is_ascii_alphanumeric) {
            out.put(word);
        } else {
            word.iter().filter(|b| b.is_ascii_alphanumeric()).for_each(|b| out.put(&[*b]));
        }
    }
}

impl Verb for Numeric {
    fn put_verb(&self, out: &mut impl Sink) {
        out.put(&self.digits());
    }
}

/// Writes one line straight into a buffer: tags first, then [`Head::command`], then parameters. Allocates
/// only if the buffer grows. [`line()`] is the builder that takes its parts in any order.
#[derive(Debug)]
pub struct Head<'s, S: Sink> {
    out: &'s mut S,
    has_tags: bool,
}

impl<'s, S: Sink> Head<'s, S> {
    /// Starts a line at the end of `out`.
    pub fn new(out: &'s mut S) -> Self {
        Self { out, has_tags: false }
    }

    fn tag_lead(&mut self) {
        let lead: &[u8] = if std::mem::replace(&mut self.has_tags, true) { b";" } else { b"@" };
        self.out.put(lead);
    }

    /// Adds a tag, escaping its value. A key that is none ([`tags::valid_key`]) is left out.
    pub fn tag(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Self {
        if tags::valid_key(key.as_ref()) {
            self.tag_lead();
            put_tag(self.out, key.as_ref(), value.as_ref());
        }
        self
    }

    /// Adds a tag whose value is escaped already. Left out if either could break the line.
    pub fn raw_tag(&mut self, key: &[u8], raw_value: &[u8]) -> &mut Self {
        if raw_tag_is_safe(key, raw_value) {
            self.tag_lead();
            put_raw_tag(self.out, key, raw_value);
        }
        self
    }

    /// Adds a whole section of tags as it is. Left out if it could break the line.
    pub fn raw_tags(&mut self, tags: Tags<'_>) -> &mut Self {
        let raw = tags.raw();
        if !raw.is_empty() && raw_section_is_safe(raw) {
            self.tag_lead();
            self.out.put(raw);
        }
        self
    }

    /// Writes source and command. Bytes that could break the line are left out of the source.
    pub fn command(self, source: Option<&[u8]>, command: impl Verb) -> Body<'s, S> {
        let out = self.source(source);
        put_verb(out, command);
        Body { out, last: LastParam::default() }
    }

    fn source(self, source: Option<&[u8]>) -> &'s mut S {
        let Self { out, has_tags } = self;
        if has_tags {
            out.put(b" ");
        }
        if let Some(source) = source.filter(|source| !source.is_empty()) {
            let from = out.filled();
            out.put(b":");
            put_word(out, source);
            if out.filled() == from + 1 {
                out.cut(from);
            } else {
                out.put(b" ");
            }
        }
        out
    }
}

/// A command nothing is left of becomes `*`, which no parser takes, or a parameter would become the command.
fn put_verb(out: &mut impl Sink, command: impl Verb) {
    let from = out.filled();
    command.put_verb(out);
    if out.filled() == from {
        out.put(b"*");
    }
}

/// The second half of a line: its parameters.
#[derive(Debug)]
pub struct Body<'s, S: Sink> {
    out: &'s mut S,
    last: LastParam,
}

impl<S: Sink> Body<'_, S> {
    /// Adds a parameter, with a colon only if it is the last one and needs it.
    pub fn param(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        self.last.put(self.out, value.as_ref(), false);
        self
    }

    /// Adds the last parameter, always with a colon.
    pub fn trailing(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        self.last.put(self.out, value.as_ref(), true);
        self
    }

    /// Ends the line.
    pub fn end(self) {
        self.out.put(b"\r\n");
    }
}

/// Remembers where a parameter with a colon stands, in case another one follows it.
#[derive(Debug, Clone, Default)]
struct LastParam {
    colon_at: Option<usize>,
}

impl LastParam {
    fn put<S: Sink>(&mut self, out: &mut S, value: &[u8], force: bool) {
        if let Some(at) = self.colon_at.take() {
            make_middle(out, at);
        }
        out.put(b" ");
        let clean = memchr3(0, b'\r', b'\n', value).is_none();
        if force
            || !clean
            || value.first().is_none_or(|first| *first == b':')
            || memchr(b' ', value).is_some()
        {
            self.colon_at = Some(out.filled());
            out.put(b":");
        }
        if clean {
            out.put(value);
        } else {
            let from = out.filled();
            out.put(value);
            out.as_mut()[from..]
                .iter_mut()
                .filter(|b| matches!(b, 0 | b'\r' | b'\n'))
                .for_each(|b| *b = b' ');
        }
    }
}

/// Turns the parameter whose colon stands at `at` into one that others can follow: spaces become `_`, an
/// empty one `*`, a colon in front `_`.
fn make_middle<S: Sink>(out: &mut S, at: usize) {
    let len = out.filled();
    let value = &mut out.as_mut()[at..];
    if value.len() == 1 {
        value[0] = b'*';
        return;
    }
    value.copy_within(1.., 0);
    if value[0] == b':' {
        value[0] = b'_';
    }
    value.iter_mut().filter(|b| **b == b' ').for_each(|b| *b = b'_');
    out.cut(len - 1);
}

fn put_word<S: Sink>(out: &mut S, word: &[u8]) {
    let bad = |b: &u8| matches!(b, 0 | b'\r' | b'\n' | b' ');
    if word.iter().any(bad) {
        word.iter().filter(|b| !bad(b)).for_each(|b| out.put(&[*b]));
    } else {
        out.put(word);
    }
}

fn put_tag<S: Sink>(out: &mut S, key: &[u8], value: &[u8]) {
    out.put(key);
    if value.is_empty() {
        return;
    }
    out.put(b"=");
    let mut from = 0;
    for (at, byte) in value.iter().enumerate() {
        if let Some(escaped) = tags::escape_of(*byte) {
            out.put(&value[from..at]);
            out.put(escaped);
            from = at + 1;
        }
    }
    out.put(&value[from..]);
}

fn put_raw_tag<S: Sink>(out: &mut S, key: &[u8], raw_value: &[u8]) {
    out.put(key);
    if !raw_value.is_empty() {
        out.put(b"=");
        out.put(raw_value);
    }
}

fn raw_section_is_safe(raw: &[u8]) -> bool {
    memchr3(b' ', b'\r', b'\n', raw).is_none() && memchr(0, raw).is_none()
}

fn raw_tag_is_safe(key: &[u8], raw_value: &[u8]) -> bool {
    !key.is_empty()
        && raw_section_is_safe(key)
        && raw_section_is_safe(raw_value)
        && memchr(b';', raw_value).is_none()
        && !key.iter().any(|b| matches!(b, b'=' | b';'))
}

/// A line under construction, its parts given in any order. Made by [`line()`].
///
/// Whatever is put in, the result is one line: CR, LF and NUL become spaces, and a parameter that would need
/// a colon but is not the last one has its spaces replaced by `_` (and is `*` if empty).
#[derive(Clone, Default)]
pub struct MessageBuf {
    tags: Vec<u8>,
    source: SmallVec<[u8; 64]>,
    body: Vec<u8>,
    last: LastParam,
}

/// Starts a line: `line("PRIVMSG").param("#chan").trailing("hello")`.
pub fn line(command: impl Verb) -> MessageBuf {
    let mut body = Vec::with_capacity(96);
    put_verb(&mut body, command);
    MessageBuf { tags: Vec::new(), source: SmallVec::new(), body, last: LastParam::default() }
}

impl MessageBuf {
    /// Adds a tag; an empty value is the same as none. A key that is none is left out.
    #[must_use]
    pub fn tag(mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.push_tag(key, value);
        self
    }

    /// Adds a tag if there is a value.
    #[must_use]
    pub fn maybe_tag(self, key: impl AsRef<[u8]>, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.tag(key, value),
            None => self,
        }
    }

    /// Adds the tags of another line that `keep` says yes to, without escaping them anew.
    #[must_use]
    pub fn tags_where(mut self, tags: Tags<'_>, keep: impl Fn(&[u8]) -> bool) -> Self {
        for tag in tags.iter().filter(|tag| keep(tag.key) && raw_tag_is_safe(tag.key, tag.raw_value)) {
            if !self.tags.is_empty() {
                self.tags.push(b';');
            }
            put_raw_tag(&mut self.tags, tag.key, tag.raw_value);
        }
        self
    }

    /// Adds a tag in place.
    pub fn push_tag(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        if tags::valid_key(key.as_ref()) {
            if !self.tags.is_empty() {
                self.tags.push(b';');
            }
            put_tag(&mut self.tags, key.as_ref(), value.as_ref());
        }
    }

    /// Whether a tag was added.
    pub fn has_tag(&self, key: &str) -> bool {
        Tags::from_raw(&self.tags).has(key)
    }

    /// Says who sent the line.
    #[must_use]
    pub fn source(mut self, source: impl AsRef<[u8]>) -> Self {
        self.source = SmallVec::from_slice(source.as_ref());
        self
    }

    /// Adds a parameter, with a colon only if it turns out to be the last one and needs it.
    #[must_use]
    pub fn param(mut self, value: impl AsRef<[u8]>) -> Self {
        self.push_param(value);
        self
    }

    /// Adds several parameters.
    #[must_use]
    pub fn params<T: AsRef<[u8]>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        values.into_iter().for_each(|value| self.push_param(value));
        self
    }

    /// Adds the last parameter, always with a colon in front.
    #[must_use]
    pub fn trailing(mut self, value: impl AsRef<[u8]>) -> Self {
        self.last.put(&mut self.body, value.as_ref(), true);
        self
    }

    /// Adds a parameter in place.
    pub fn push_param(&mut self, value: impl AsRef<[u8]>) {
        self.last.put(&mut self.body, value.as_ref(), false);
    }

    /// Bytes of everything but the tags, CR LF included: what the limit of 512 counts.
    pub fn rest_len(&self) -> usize {
        let source = if self.source.is_empty() { 0 } else { self.source.len() + 2 };
        source + self.body.len() + 2
    }

    /// Appends the line, CR LF included.
    pub fn write_to(&self, out: &mut impl Sink) {
        let mut head = Head::new(out);
        head.raw_tags(Tags::from_raw(&self.tags));
        let out = head.source(Some(&self.source));
        out.put(&self.body);
        out.put(b"\r\n");
    }

    /// The line, CR LF included.
    pub fn to_bytes(&self) -> Bytes {
        self.to_vec().into()
    }

    /// The line, CR LF included.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.tags.len() + self.source.len() + self.body.len() + 8);
        self.write_to(&mut out);
        out
    }
}

impl From<&Message<'_>> for MessageBuf {
    fn from(message: &Message<'_>) -> Self {
        let mut buf = line(message.command);
        if raw_section_is_safe(message.tags.raw()) {
            buf.tags = message.tags.raw().to_vec();
        }
        if let Some(source) = message.source {
            buf.source = SmallVec::from_slice(source.raw());
        }
        let params = message.params.as_slice();
        for (index, param) in params.iter().enumerate() {
            let force = message.params.has_trailing() && index + 1 == params.len();
            buf.last.put(&mut buf.body, param, force);
        }
        buf
    }
}

impl fmt::Debug for MessageBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_vec().trim_ascii_end().escape_ascii())
    }
}

impl fmt::Display for MessageBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(String::from_utf8_lossy(&self.to_vec()).trim_end())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::numerics::RPL_WELCOME;

    #[test]
    fn parts_come_in_any_order() {
        let line = line("PRIVMSG").param("#c").source("a!b@c").trailing("hi").tag("id", "1 2").tag("x", "");
        assert_eq!(line.to_string(), "@id=1\\s2;x :a!b@c PRIVMSG #c :hi");
        assert_eq!(super::line(RPL_WELCOME).param("me").to_vec(), b"001 me\r\n");
    }

    #[test]
    fn nothing_put_in_starts_another_line_or_parameter() {
        let bytes = line("PRIV MSG\r\n")
            .tag("a b", "x")
            .tag("k", "a\r\nQUIT ;\\\0")
            .source("a b\r\nc")
            .param("")
            .param(":x y")
            .param("a\r\nQUIT")
            .param("last\nline\0")
            .to_vec();
        assert_eq!(bytes, b"@k=a\\r\\nQUIT\\s\\:\\\\\\s :abc PRIVMSG * _x_y a__QUIT :last line \r\n");
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.params.len(), 4);
    }

    #[test]
    fn a_colon_is_put_only_where_it_is_needed() {
        assert_eq!(line("X").param("a").param("").to_vec(), b"X a :\r\n");
        assert_eq!(line("X").param("a b").to_vec(), b"X :a b\r\n");
        assert_eq!(line("X").param(":a").to_vec(), b"X ::a\r\n");
        assert_eq!(line("X").trailing("a").param("b").to_vec(), b"X a b\r\n");
        assert_eq!(line("X").source("\r\n").to_vec(), b"X\r\n");
        assert_eq!(line("\n").param("QUIT").to_vec(), b"* QUIT\r\n");
    }

    #[test]
    fn rest_len_counts_what_the_limit_counts() {
        let line = line("X").tag("a", "b").source("me").param("y");
        assert_eq!(line.rest_len(), b":me X y\r\n".len());
    }
}
