//! Lines as devices get them: once per set of capabilities that matters, the same bytes live, refilled and paged.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::entry::Meta;
use crate::text::iso;
use crate::wire::{Text, Writer, write_params};
use crate::{Cap, CapSet, Entry, Kind};

/// A line that is not logged.
#[derive(Debug, Default, Clone)]
pub(crate) struct Plain {
    pub source: Box<[u8]>,
    pub command: Box<str>,
    pub params: Vec<Box<[u8]>>,
    /// Left out of numerics.
    pub ts_ms: Option<i64>,
    pub msgid: Option<Box<str>>,
    pub account: Option<Box<[u8]>>,
    pub tags: Vec<(Text, Text)>,
    /// A device without one of these does not get it.
    pub needs: CapSet,
    /// Of whom it tells something that a lagging device is told later (AWAY, ACCOUNT, CHGHOST, SETNAME).
    pub about: Option<(Fact, Box<[u8]>)>,
    /// The nick whose presence MONITOR tells; only devices that watch it get it.
    pub watched: Option<Box<[u8]>>,
    /// Dropped for a lagging device (typing).
    pub droppable: bool,
}

/// What changes about a user without being logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    Away,
    Account,
    Host,
}

/// Tags only one connection gets.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Extra<'a> {
    pub label: Option<&'a [u8]>,
    pub batch: Option<&'a str>,
}

impl Extra<'_> {
    pub fn is_empty(&self) -> bool {
        self.label.is_none() && self.batch.is_none()
    }
}

/// The capabilities that change what a line looks like.
const MATTER: CapSet = CapSet::of(&[
    Cap::ServerTime,
    Cap::MessageTags,
    Cap::AccountTag,
    Cap::ExtendedJoin,
    Cap::DraftMessageRedaction,
    Cap::InviteNotify,
    Cap::AwayNotify,
    Cap::AccountNotify,
    Cap::Chghost,
    Cap::Setname,
    Cap::ExtendedMonitor,
]);

struct Tags<'a> {
    ts_ms: Option<i64>,
    msgid: Option<&'a str>,
    account: Option<&'a [u8]>,
    tags: &'a [(Text, Text)],
}

fn begin(caps: CapSet, extra: Extra<'_>, tags: &Tags<'_>) -> Writer {
    let mut writer = Writer::default();
    if let Some(batch) = extra.batch.filter(|_| caps.has(Cap::Batch)) {
        writer.tag(b"batch", batch.as_bytes());
    }
    if let Some(label) = extra.label.filter(|_| caps.has(Cap::LabeledResponse)) {
        writer.tag(b"label", label);
    }
    if let Some(ts_ms) = tags.ts_ms.filter(|_| caps.has(Cap::ServerTime)) {
        writer.tag(b"time", iso(ts_ms).as_bytes());
    }
    if let Some(account) = tags.account.filter(|_| caps.has(Cap::AccountTag)) {
        writer.tag(b"account", account);
    }
    if caps.has(Cap::MessageTags) {
        if let Some(msgid) = tags.msgid {
            writer.tag(b"msgid", msgid.as_bytes());
        }
        for (key, value) in tags.tags {
            writer.tag(key, value);
        }
    }
    writer
}

impl Plain {
    /// The line for a device with these capabilities, or `None` if it is not for such a one.
    pub fn render(&self, caps: CapSet, extra: Extra<'_>) -> Option<Vec<u8>> {
        if !caps.contains_all(self.needs) {
            return None;
        }
        let tags = Tags {
            ts_ms: self.ts_ms,
            msgid: self.msgid.as_deref(),
            account: self.account.as_deref(),
            tags: &self.tags,
        };
        let mut writer = begin(caps, extra, &tags);
        writer.command(&self.source, self.command.as_bytes());
        if let Some((last, rest)) = self.params.split_last() {
            rest.iter().for_each(|param| writer.param(param));
            writer.last_plain(last);
        }
        Some(writer.finish())
    }
}

/// A logged line for a device with these capabilities, or `None` if it is not for such a one. `only` limits a gap marker
/// to one of its buffers.
pub(crate) fn render(
    entry: &Entry,
    meta: &Meta,
    caps: CapSet,
    extra: Extra<'_>,
    only: Option<&[u8]>,
) -> Option<Vec<u8>> {
    let needed = match entry.kind {
        Kind::Tagmsg => caps.has(Cap::MessageTags),
        Kind::Redact => caps.has(Cap::DraftMessageRedaction),
        // A redacted message comes back from the store without what it was.
        Kind::Privmsg | Kind::Notice => !(entry.meta.is_empty() && entry.body.is_empty()),
        _ => true,
    };
    if !needed {
        return None;
    }
    let tags = Tags {
        ts_ms: Some(entry.ts_ms),
        msgid: Some(&entry.msgid),
        account: meta.account.as_deref(),
        tags: &meta.tags,
    };
    if entry.kind == Kind::Gap {
        let all: SmallVec<[&[u8]; 8]> = match only {
            Some(only) => SmallVec::from_slice(&[only]),
            None => meta.extra.iter().map(|name| &**name).collect(),
        };
        let mut out = Vec::new();
        for name in all {
            let mut writer = begin(caps, extra, &tags);
            writer.command(&entry.from, b"NOTICE");
            write_params(&mut writer, &[name, &entry.body]);
            out.extend_from_slice(&writer.finish());
        }
        return Some(out);
    }
    let mut writer = begin(caps, extra, &tags);
    writer.command(&entry.from, entry.kind.command().as_bytes());
    match entry.kind {
        Kind::Quit => writer.last(&entry.body),
        Kind::Nick | Kind::Tagmsg => writer.param(&entry.target),
        Kind::Join => {
            writer.param(&entry.target);
            if caps.has(Cap::ExtendedJoin)
                && let [account, realname] = &meta.extra[..]
            {
                writer.param(account);
                writer.last(realname);
            }
        }
        Kind::Mode => {
            writer.param(&entry.target);
            if let Some((last, rest)) = meta.extra.split_last() {
                rest.iter().for_each(|param| writer.param(param));
                writer.last_plain(last);
            }
        }
        _ => {
            writer.param(&entry.target);
            meta.extra.iter().for_each(|param| writer.param(param));
            if meta.bodied {
                writer.last(&entry.body);
            }
        }
    }
    Some(writer.finish())
}

/// One line, encoded once for each set of capabilities that asks for it.
pub(crate) struct Encodings<'a> {
    line: EncodedLine<'a>,
    done: SmallVec<[(CapSet, Option<Bytes>); 4]>,
}

enum EncodedLine<'a> {
    Logged(&'a Entry, Meta),
    Plain(&'a Plain),
}

impl<'a> Encodings<'a> {
    pub fn logged(entry: &'a Entry) -> Self {
        Self { line: EncodedLine::Logged(entry, Meta::decode(&entry.meta)), done: SmallVec::new() }
    }

    pub fn plain(plain: &'a Plain) -> Self {
        Self { line: EncodedLine::Plain(plain), done: SmallVec::new() }
    }

    /// Where one of our own lines came from.
    pub fn origin(&self) -> Option<u64> {
        match &self.line {
            EncodedLine::Logged(_, meta) => meta.origin,
            EncodedLine::Plain(_) => None,
        }
    }

    /// The bytes for a device with these capabilities.
    pub fn get(&mut self, caps: CapSet, extra: Extra<'_>) -> Option<Bytes> {
        if !extra.is_empty() {
            return self.render(caps, extra).map(Bytes::from);
        }
        let key = caps & MATTER;
        if let Some((_, bytes)) = self.done.iter().find(|(known, _)| *known == key) {
            return bytes.clone();
        }
        let bytes = self.render(caps, extra).map(Bytes::from);
        self.done.push((key, bytes.clone()));
        bytes
    }

    fn render(&self, caps: CapSet, extra: Extra<'_>) -> Option<Vec<u8>> {
        match &self.line {
            EncodedLine::Logged(entry, meta) => render(entry, meta, caps, extra, None),
            EncodedLine::Plain(plain) => plain.render(caps, extra),
        }
    }
}
