//! Lines taken apart and put together.

use smallvec::SmallVec;

/// A line taken apart, borrowing from it.
#[derive(Debug, Clone)]
pub(crate) struct Line<'a> {
    tags: &'a [u8],
    /// Empty where there is none.
    pub source: &'a [u8],
    pub command: &'a [u8],
    pub params: SmallVec<[&'a [u8]; 16]>,
}

impl<'a> Line<'a> {
    /// Takes a line apart. `None` if there is no command in it, or what must not be in a line.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let end = line.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(line.len());
        let mut rest = trim(&line[..end]);
        if rest.contains(&0) {
            return None;
        }
        let mut tags = &b""[..];
        if let Some(tagged) = rest.strip_prefix(b"@") {
            let (word, tail) = word(tagged);
            (tags, rest) = (word, tail);
        }
        let mut source = &b""[..];
        if let Some(sourced) = rest.strip_prefix(b":") {
            let (word, tail) = word(sourced);
            (source, rest) = (word, tail);
        }
        let (command, mut rest) = word(rest);
        if command.is_empty() || !command.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let mut params = SmallVec::new();
        while !rest.is_empty() && params.len() < 64 {
            if let Some(last) = rest.strip_prefix(b":") {
                params.push(last);
                break;
            }
            let (param, tail) = word(rest);
            params.push(param);
            rest = tail;
        }
        Some(Self { tags, source, command, params })
    }

    /// A parameter, empty where there is none.
    pub fn param(&self, at: usize) -> &'a [u8] {
        self.params.get(at).copied().unwrap_or_default()
    }

    /// The command in upper case.
    pub fn verb(&self) -> SmallVec<[u8; 16]> {
        self.command.iter().map(u8::to_ascii_uppercase).collect()
    }

    /// Its number, if it is a numeric.
    pub fn numeric(&self) -> Option<u16> {
        if self.command.len() != 3 { None } else { std::str::from_utf8(self.command).ok()?.parse().ok() }
    }

    /// The nick of the source.
    pub fn nick(&self) -> &'a [u8] {
        nick_of(self.source)
    }

    /// Each tag with its value, unescaped.
    pub fn tags(&self) -> impl Iterator<Item = (&'a [u8], Vec<u8>)> {
        let tags = self.tags.split(|byte| *byte == b';').filter(|tag| !tag.is_empty());
        tags.map(|tag| match tag.iter().position(|byte| *byte == b'=') {
            Some(at) => (&tag[..at], unescape(&tag[at + 1..])),
            None => (tag, Vec::new()),
        })
    }

    /// The value of a tag, unescaped.
    pub fn tag(&self, name: &str) -> Option<Vec<u8>> {
        self.tags().find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
    }
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(b" ") {
        text = rest;
    }
    text
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    (&text[..end], trim(&text[end..]))
}

/// The nick of a source.
pub(crate) fn nick_of(source: &[u8]) -> &[u8] {
    let end = source.iter().position(|byte| matches!(byte, b'!' | b'@')).unwrap_or(source.len());
    &source[..end]
}

/// `user@host` of a source, empty where it says none.
pub(crate) fn host_of(source: &[u8]) -> &[u8] {
    source.iter().position(|byte| *byte == b'!').map(|at| &source[at + 1..]).unwrap_or_default()
}

fn unescape(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(b':') => out.push(b';'),
                Some(b's') => out.push(b' '),
                Some(b'r') => out.push(b'\r'),
                Some(b'n') => out.push(b'\n'),
                Some(other) => out.push(*other),
                None => {}
            },
            other => out.push(*other),
        }
    }
    out
}

/// Attributes of `BOUNCER` and `SEARCH`: tags in a parameter.
pub(crate) fn attributes(param: &[u8]) -> impl Iterator<Item = (&[u8], Vec<u8>)> {
    Line { tags: param, source: b"", command: b"", params: SmallVec::new() }.tags().collect::<Vec<_>>().into_iter()
}

/// Appends a tag value, escaped.
pub(crate) fn escape(out: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        match byte {
            b';' => out.extend_from_slice(b"\\:"),
            b' ' => out.extend_from_slice(b"\\s"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0 => {}
            other => out.push(*other),
        }
    }
}

/// Puts a line together. Nothing that is put in can end it early: CR, LF and NUL are left out.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
    tagged: bool,
}

impl Writer {
    /// A tag; all tags come before all else.
    pub fn tag(&mut self, key: &[u8], value: &[u8]) {
        self.out.push(if self.tagged { b';' } else { b'@' });
        self.tagged = true;
        self.out.extend(key.iter().filter(|byte| !matches!(byte, 0 | b'\r' | b'\n' | b' ' | b';' | b'=')));
        if !value.is_empty() {
            self.out.push(b'=');
            escape(&mut self.out, value);
        }
    }

    /// The source (may be empty: none) and the command.
    pub fn command(&mut self, source: &[u8], command: &[u8]) {
        if self.tagged {
            self.out.push(b' ');
        }
        if !source.is_empty() {
            self.out.push(b':');
            self.clean(source);
            self.out.push(b' ');
        }
        self.clean(command);
    }

    /// A parameter that cannot be the last one if it holds spaces: those are cut off.
    pub fn param(&mut self, param: &[u8]) {
        self.out.push(b' ');
        let end = param.iter().position(|byte| *byte == b' ').unwrap_or(param.len());
        if end == 0 || param.first() == Some(&b':') {
            self.out.push(b'*');
        } else {
            self.clean(&param[..end]);
        }
    }

    /// The last parameter, whatever is in it.
    pub fn last(&mut self, param: &[u8]) {
        self.out.extend_from_slice(b" :");
        self.clean(param);
    }

    /// The last parameter, with a colon only where it needs one.
    pub fn last_plain(&mut self, param: &[u8]) {
        if param.is_empty() || param.first() == Some(&b':') || param.contains(&b' ') {
            self.last(param);
        } else {
            self.param(param);
        }
    }

    fn clean(&mut self, bytes: &[u8]) {
        self.out.extend(bytes.iter().filter(|byte| !matches!(byte, 0 | b'\r' | b'\n')));
    }

    /// The line with its CR LF.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(b"\r\n");
        self.out
    }
}

/// A line from parts: the last one of `params` is sent with a colon.
pub(crate) fn line(source: &[u8], command: &str, params: &[&[u8]]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.command(source, command.as_bytes());
    write_params(&mut writer, params);
    writer.finish()
}

/// Parameters, the last one with a colon.
pub(crate) fn write_params(writer: &mut Writer, params: &[&[u8]]) {
    if let Some((last, rest)) = params.split_last() {
        rest.iter().for_each(|param| writer.param(param));
        writer.last(last);
    }
}
