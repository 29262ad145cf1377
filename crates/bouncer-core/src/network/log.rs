//! From a line to an entry: what is logged, and in which buffers.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::Network;
use super::gate::{Out, Route, Store};
use crate::cx::Cx;
use crate::encode::Plain;
use crate::entry::Meta;
use crate::wire::{Line, Text};
use crate::{CapSet, Effect, Entry, Kind, NO_BUFFER};

/// The buffers of an entry.
pub(crate) type Buffers = SmallVec<[Box<[u8]>; 1]>;

/// Tags that travel with a message and are kept with it.
const MAX_TAGS: usize = 32;

/// What of a line's tags devices get: client-only tags and `bot`.
pub(crate) fn kept_tags(line: &Line<'_>) -> Vec<(Text, Text)> {
    let kept = line.tags().filter(|(key, _)| key.first() == Some(&b'+') || *key == b"bot");
    kept.take(MAX_TAGS).map(|(key, value)| (key.into(), value.into_boxed_slice())).collect()
}

/// What an entry holds of a line.
pub(crate) struct Parts {
    pub target: Box<[u8]>,
    pub body: Box<[u8]>,
    pub meta: Meta,
    pub redacts: Option<Box<str>>,
}

impl Parts {
    /// `extra` and `body` are what follows the first parameter.
    pub fn of(kind: Kind, line: &Line<'_>) -> Self {
        let body_at = match kind {
            Kind::Quit => 0,
            Kind::Kick | Kind::Redact => 2,
            Kind::Join | Kind::Mode | Kind::Nick | Kind::Tagmsg => usize::MAX,
            _ => 1,
        };
        let body = line.params.get(body_at).copied();
        let mut meta = Meta {
            account: line.tag("account").map(Vec::into_boxed_slice),
            tags: kept_tags(line),
            bodied: body.is_some(),
            ..Meta::default()
        };
        let extra = match kind {
            Kind::Kick | Kind::Redact => line.params.get(1..2),
            Kind::Join => line.params.get(1..3),
            Kind::Mode => line.params.get(1..),
            _ => None,
        };
        meta.extra = extra.unwrap_or_default().iter().map(|param| (*param).into()).collect();
        let target = if kind == Kind::Quit { &b""[..] } else { line.param(0) };
        let body = match kind {
            Kind::Nick => line.param(0).into(),
            Kind::Tagmsg => {
                meta.tags.iter().find(|(key, _)| is_react(key)).map(|(_, v)| v.clone()).unwrap_or_default()
            }
            _ => body.unwrap_or_default().into(),
        };
        let redacts = (kind == Kind::Redact).then(|| String::from_utf8_lossy(line.param(1)).as_ref().into());
        Self { target: target.into(), body, meta, redacts }
    }
}

/// The upstream's msgid, where it can be passed on.
pub(crate) fn msgid_of(line: &Line<'_>) -> Option<String> {
    line.tag("msgid").and_then(|id| String::from_utf8(id).ok()).filter(|id| usable_msgid(id))
}

impl Network {
    /// When a line was said: the upstream's server-time, unless that lies in our future.
    pub fn when(&self, cx: &Cx, line: &Line<'_>) -> i64 {
        let said = line.tag("time").and_then(|time| crate::text::from_iso(&time));
        said.map_or(cx.now_ms, |said| said.min(cx.now_ms))
    }

    /// The channel's buffer, or no buffer.
    pub fn buffer(&self, name: &[u8]) -> Buffers {
        smallvec![self.key(name)]
    }

    /// The entry of a line.
    pub fn entry(&self, cx: &mut Cx, kind: Kind, line: &Line<'_>, buffers: Buffers) -> Entry {
        let ts_ms = self.when(cx, line);
        let msgid = msgid_of(line);
        let parts = Parts::of(kind, line);
        Entry {
            kind,
            msgid: msgid.map_or_else(|| cx.ids.msgid(ts_ms), String::into_boxed_str),
            ts_ms,
            from: line.source.into(),
            target: parts.target,
            body: parts.body,
            meta: parts.meta.encode(),
            buffers: if buffers.is_empty() { smallvec![NO_BUFFER.into()] } else { buffers },
            redacts: parts.redacts,
        }
    }

    /// A logged line: to the store first, to the devices after its commit.
    pub fn log(&mut self, cx: &mut Cx, entry: Entry, route: Route) {
        self.newest_ms = self.newest_ms.max(Some(entry.ts_ms));
        let now_ms = cx.now_ms;
        if let Some(store) = self.gate.log(now_ms, Arc::new(entry), route) {
            self.to_store(cx, store);
        }
    }

    /// Carries a wish of the gate out.
    pub fn to_store(&self, cx: &mut Cx, store: Store) {
        let network = self.id;
        cx.push(match store {
            Store::Append(ticket, entry) => Effect::Append { network, ticket, entry },
            Store::NewEpoch => Effect::NewEpoch { network },
        });
    }

    /// A line that is not logged.
    pub fn pass(&mut self, plain: Plain, route: Route) {
        self.gate.pass(Out::Plain { line: Arc::new(plain), route });
    }

    /// A line of the upstream as a plain one.
    pub fn plain(&self, line: &Line<'_>, needs: CapSet) -> Plain {
        let numeric = line.numeric().is_some();
        Plain {
            source: line.source.into(),
            command: String::from_utf8_lossy(&line.verb()).as_ref().into(),
            params: line.params.iter().map(|param| (*param).into()).collect(),
            ts_ms: if numeric {
                None
            } else {
                line.tag("time").and_then(|time| crate::text::from_iso(&time))
            },
            msgid: None,
            account: line.tag("account").map(Vec::into_boxed_slice),
            tags: if numeric { Vec::new() } else { kept_tags(line) },
            needs,
            ..Plain::default()
        }
    }

    /// The buffers in which a marker for what is not in the log is looked for: kept channels and open queries.
    pub fn marked_names(&self, now_ms: i64) -> Vec<Box<[u8]>> {
        let joined = self.channels.values().map(|channel| &channel.name[..]);
        let saved = self.setup.channels.iter().map(|saved| saved.name.as_bytes());
        joined.chain(saved).map(Into::into).chain(self.open_queries(now_ms)).collect()
    }

    /// The open queries.
    pub fn open_queries(&self, now_ms: i64) -> Vec<Box<[u8]>> {
        let open = self.queries.open(now_ms).into_iter();
        open.filter(|name| *name != NO_BUFFER && !self.support.is_channel(name)).map(Into::into).collect()
    }

    /// A marker for what is not in the log, in all of `wanted`; where there is none, in no buffer.
    pub fn gap(&self, cx: &mut Cx, ts_ms: i64, text: String, wanted: Vec<Box<[u8]>>) -> Entry {
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let mut buffers = Buffers::new();
        for name in wanted {
            let key = self.key(&name);
            if !buffers.contains(&key) && buffers.len() < 500 {
                buffers.push(key);
                names.push(name);
            }
        }
        if names.is_empty() {
            names.push(self.nick.clone());
            buffers.push(NO_BUFFER.into());
        }
        let meta = Meta { extra: names.into_iter().collect(), bodied: true, ..Meta::default() };
        Entry {
            kind: Kind::Gap,
            msgid: cx.ids.msgid(ts_ms),
            ts_ms,
            from: cx.service().into_boxed_slice(),
            target: Box::default(),
            body: text.into_bytes().into_boxed_slice(),
            meta: meta.encode(),
            buffers,
            redacts: None,
        }
    }
}

/// Notes which connection one of our own lines came from.
pub(crate) fn sign(entry: &mut Entry, conn: crate::ConnId) {
    let mut meta = Meta::decode(&entry.meta);
    meta.origin = Some(conn.0);
    entry.meta = meta.encode();
}

/// Whether a tag is a react.
pub(crate) fn is_react(key: &[u8]) -> bool {
    matches!(key, b"+draft/react" | b"+react" | b"+draft/unreact" | b"+unreact")
}

/// Whether an upstream's msgid can be passed on as it is.
fn usable_msgid(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 200
        && !id.starts_with(':')
        && id.bytes().all(|byte| byte.is_ascii_graphic())
}
