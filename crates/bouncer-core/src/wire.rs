//! Lines taken apart and put together.

use smallvec::SmallVec;

/// Owned bytes of a line.
pub(crate) type Text = Box<[u8]>;

/// A line taken apart, borrowing from it.
#[derive(Debug, Clone)]
pub(crate) struct Line<'a> {
    tags: irc::Tags<'a>,
    /// Empty where there is none.
    pub source: &'a [u8],
    pub command: &'a [u8],
    pub params: SmallVec<[&'a [u8]; 16]>,
}

impl<'a> Line<'a> {
    /// Takes a line apart. `None` if there is no command in it, or what must not be in a line.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let message = irc::Message::parse(line).ok()?;
        Some(Self {
            tags: message.tags,
            source: message.source.map(|source| source.raw()).unwrap_or_default(),
            command: message.command,
            params: SmallVec::from_slice(message.params.as_slice()),
        })
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
        self.tags.iter().map(|tag| (tag.key, tag.value().into_owned()))
    }

    /// The value of a tag, unescaped.
    pub fn tag(&self, name: &str) -> Option<Vec<u8>> {
        self.tags.get(name).map(|value| value.into_owned())
    }
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

/// Attributes of `BOUNCER` and `SEARCH`: tags in a parameter.
pub(crate) fn attributes(param: &[u8]) -> Vec<(&[u8], Vec<u8>)> {
    irc::Tags::from_raw(param).iter().map(|tag| (tag.key, tag.value().into_owned())).collect()
}

/// Appends a tag value, escaped.
pub(crate) fn escape(out: &mut Vec<u8>, value: &[u8]) {
    out.extend(irc::tags::escape(value).iter().filter(|byte| **byte != 0));
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
