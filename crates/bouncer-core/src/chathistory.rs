//! draft/chathistory, draft/read-marker with `soju.im/read`, and `soju.im/search`: commands become questions to the
//! store, answers become batches.

use crate::device::burst::{plain_line, read_marker};
use crate::encode::{Extra, render};
use crate::entry::Meta;
use crate::text::{from_iso, iso};
use crate::user::{Question, User};
use crate::wire::{Line, Writer, attributes};
use crate::{Answer, Bound, Cap, ConnId, Effect, Kinds, NO_BUFFER, NetworkId, Page, Query, Stored};

/// The most results of one search.
const MAX_FOUND: u32 = 100;

/// What was asked, for the answer's sake.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    /// A page of a buffer.
    Page { subcommand: Box<[u8]>, target: Box<[u8]>, label: Option<Vec<u8>> },
    /// The targets.
    Targets { label: Option<Vec<u8>> },
    /// A search.
    Search { label: Option<Vec<u8>> },
}

/// Why a command is refused: code, context and words of a FAIL.
struct Fail<'a> {
    command: &'static str,
    code: &'static str,
    context: Vec<&'a [u8]>,
    text: &'static str,
}

impl User {
    /// `CHATHISTORY`.
    pub(crate) fn chathistory(&mut self, conn: ConnId, line: &Line<'_>) {
        if let Err(fail) = self.ask_history(conn, line) {
            self.fail(conn, &fail, line.tag("label"));
        }
    }

    fn fail(&mut self, conn: ConnId, fail: &Fail<'_>, label: Option<Vec<u8>>) {
        let mut writer = Writer::default();
        if let Some(label) = label.filter(|_| self.caps_of(conn).has(Cap::LabeledResponse)) {
            writer.tag(b"label", &label);
        }
        writer.command(&self.cx.server, b"FAIL");
        writer.param(fail.command.as_bytes());
        writer.param(fail.code.as_bytes());
        fail.context.iter().for_each(|context| writer.param(context));
        writer.last(fail.text.as_bytes());
        self.reply(conn, writer.finish());
    }

    fn ask_history<'a>(&mut self, conn: ConnId, line: &Line<'a>) -> Result<(), Fail<'a>> {
        let fail = |code, context, text| Err(Fail { command: "CHATHISTORY", code, context, text });
        let subcommand = line.param(0);
        let upper = subcommand.to_ascii_uppercase();
        let bounds = match &upper[..] {
            b"LATEST" | b"BEFORE" | b"AFTER" | b"AROUND" => 1,
            b"BETWEEN" | b"TARGETS" => 2,
            _ => return fail("INVALID_PARAMS", vec![subcommand], "Unknown command"),
        };
        let targets = &upper[..] == b"TARGETS";
        let first = if targets { 1 } else { 2 };
        if line.params.len() != first + bounds + 1 {
            return fail("INVALID_PARAMS", vec![subcommand], "Insufficient or excess parameters");
        }
        let limit =
            std::str::from_utf8(line.param(first + bounds)).ok().and_then(|limit| limit.parse::<u32>().ok());
        let Some(limit) = limit.filter(|limit| *limit > 0).map(|limit| limit.min(self.cx.page_limit)) else {
            return fail("INVALID_PARAMS", vec![subcommand], "Invalid limit");
        };
        let mut parsed = Vec::new();
        for param in line.params.iter().skip(first).take(bounds) {
            match bound(param) {
                Ok(bound) => parsed.push(bound),
                Err(code) => return fail(code, vec![subcommand], "Invalid message reference"),
            }
        }
        let caps = self.caps_of(conn);
        let kinds = if caps.has(Cap::DraftEventPlayback) { Kinds::All } else { Kinds::Messages };
        let target = if targets { &b"*"[..] } else { line.param(1) };
        let label = line.tag("label");
        let Some(network) = self.network_of_conn(conn).and_then(|at| self.networks.get(at)) else {
            if targets {
                // Clients ask this as soon as they are welcome: without a network there is no target, which is no error.
                self.targets(conn, label.as_deref(), &[]);
                return Ok(());
            }
            return fail("INVALID_TARGET", vec![subcommand, target], "Messages could not be retrieved");
        };
        let id = network.id;
        let mut parsed = parsed.into_iter();
        let (one, two) = (parsed.next().flatten(), parsed.next().flatten());
        let (query, asked) = if targets {
            let (Some(Bound::Time(from_ms)), Some(Bound::Time(to_ms))) = (one, two) else {
                return fail("INVALID_PARAMS", vec![subcommand], "Timestamps are needed");
            };
            (Query::Targets { network: id, from_ms, to_ms, limit }, Asked::Targets { label })
        } else {
            if target.is_empty() || target == NO_BUFFER {
                return fail("INVALID_TARGET", vec![subcommand, target], "Messages could not be retrieved");
            }
            let page = match (&upper[..], one, two) {
                (b"LATEST", bound, _) => Page::Latest(bound),
                (b"BEFORE", Some(bound), _) => Page::Before(bound),
                (b"AFTER", Some(bound), _) => Page::After(bound),
                (b"AROUND", Some(bound), _) => Page::Around(bound),
                (b"BETWEEN", Some(from), Some(to)) => Page::Between(from, to),
                _ => return fail("INVALID_PARAMS", vec![subcommand], "A timestamp or msgid is needed"),
            };
            let buffer = network.key(network.support.channel_of(target).unwrap_or(target));
            let asked = Asked::Page { subcommand: subcommand.into(), target: target.into(), label };
            (Query::Page { network: id, buffer, page, limit, kinds }, asked)
        };
        self.ask(conn, query, asked);
        Ok(())
    }

    fn ask(&mut self, conn: ConnId, query: Query, asked: Asked) {
        let id = self.cx.query_id();
        self.asked.insert(id, Question::Command(conn, asked));
        self.cx.push(Effect::Query { id, query });
    }

    /// The store answered a command.
    pub(crate) fn history_answered(&mut self, conn: ConnId, asked: &Asked, answer: Answer) {
        let error = |command, context| Fail {
            command,
            code: "MESSAGE_ERROR",
            context,
            text: "Messages could not be retrieved",
        };
        match (asked, answer) {
            (Asked::Page { target, label, .. }, Answer::Entries { entries, .. }) => {
                let batch: [&[u8]; 2] = [b"chathistory", target];
                self.page(conn, &batch, label.as_deref(), &entries, Some(target));
            }
            (Asked::Search { label }, Answer::Entries { entries, more, .. }) => {
                self.page(conn, &[b"soju.im/search"], label.as_deref(), &entries, None);
                if more {
                    self.more_found(conn, entries.first());
                }
            }
            (Asked::Targets { label }, Answer::Targets(targets)) => {
                self.targets(conn, label.as_deref(), &targets)
            }
            // A msgid nobody knows: there is nothing around it.
            (Asked::Page { target, label, .. }, Answer::UnknownMsgid) => {
                let batch: [&[u8]; 2] = [b"chathistory", target];
                self.page(conn, &batch, label.as_deref(), &[], Some(target));
            }
            (Asked::Page { subcommand, target, label }, _) => {
                self.fail(conn, &error("CHATHISTORY", vec![subcommand, target]), label.clone());
            }
            (Asked::Targets { label }, _) => {
                self.fail(conn, &error("CHATHISTORY", vec![b"TARGETS", b"*"]), label.clone());
            }
            (Asked::Search { label }, _) => {
                let fail = Fail {
                    command: "SEARCH",
                    code: "INTERNAL_ERROR",
                    context: vec![],
                    text: "The search could not be run",
                };
                self.fail(conn, &fail, label.clone());
            }
        }
    }

    /// A search may not have given everything: says so, and how to see the rest.
    fn more_found(&mut self, conn: ConnId, oldest: Option<&Stored>) {
        let narrow = "There may be more matches. Narrow the search with in=, from=, text= or after=";
        let text = match oldest {
            Some(oldest) => format!("{narrow}, or go on with before={}", iso(oldest.entry.ts_ms)),
            None => narrow.to_owned(),
        };
        if !self.caps_of(conn).has(Cap::StandardReplies) {
            return self.reply_notice(conn, &text);
        }
        let params: [&[u8]; 3] = [b"SEARCH", b"MORE_RESULTS", text.as_bytes()];
        let note = crate::wire::line(&self.cx.server, "NOTE", &params);
        self.reply(conn, note);
    }

    /// A batch of lines. Without the batch capability they come bare.
    fn page(
        &mut self,
        conn: ConnId,
        kind: &[&[u8]],
        label: Option<&[u8]>,
        entries: &[Stored],
        only: Option<&[u8]>,
    ) {
        let caps = self.caps_of(conn);
        let name = self.cx.ids.token();
        let mut out = self.opening(&name, kind, caps, label);
        let events = caps.has(Cap::DraftEventPlayback) && only.is_some();
        for stored in entries {
            if !events && !stored.entry.kind.is_message() {
                continue;
            }
            let extra = Extra { batch: Some(&name), label: None };
            let meta = Meta::decode(&stored.entry.meta);
            out.extend(render(&stored.entry, &meta, caps, extra, only).unwrap_or_default());
        }
        out.extend(self.closing(&name, caps));
        self.reply(conn, out);
    }

    pub(crate) fn opening(
        &self,
        name: &str,
        kind: &[&[u8]],
        caps: crate::CapSet,
        label: Option<&[u8]>,
    ) -> Vec<u8> {
        if !caps.has(Cap::Batch) {
            return Vec::new();
        }
        let mut writer = Writer::default();
        if let Some(label) = label.filter(|_| caps.has(Cap::LabeledResponse)) {
            writer.tag(b"label", label);
        }
        writer.command(&self.cx.server, b"BATCH");
        writer.param(format!("+{name}").as_bytes());
        kind.iter().for_each(|param| writer.param(param));
        writer.finish()
    }

    pub(crate) fn closing(&self, name: &str, caps: crate::CapSet) -> Vec<u8> {
        if caps.has(Cap::Batch) {
            plain_line(&self.cx.server, "BATCH", &[format!("-{name}").as_bytes()])
        } else {
            Vec::new()
        }
    }

    fn targets(&mut self, conn: ConnId, label: Option<&[u8]>, targets: &[(Box<[u8]>, i64)]) {
        let caps = self.caps_of(conn);
        let name = self.cx.ids.token();
        let mut out = self.opening(&name, &[b"draft/chathistory-targets"], caps, label);
        let network = self.network_of_conn(conn).and_then(|at| self.networks.get(at));
        for (key, newest_ms) in targets.iter().filter(|(key, _)| **key != *NO_BUFFER) {
            let mut writer = Writer::default();
            if caps.has(Cap::Batch) {
                writer.tag(b"batch", name.as_bytes());
            }
            writer.command(&self.cx.server, b"CHATHISTORY");
            writer.param(b"TARGETS");
            writer.param(network.map_or(key, |network| network.display(key)));
            writer.param(iso(*newest_ms).as_bytes());
            out.extend(writer.finish());
        }
        out.extend(self.closing(&name, caps));
        self.reply(conn, out);
    }

    /// `MARKREAD` and `READ`.
    pub(crate) fn markread(&mut self, conn: ConnId, line: &Line<'_>, verb: &'static str) {
        let fail = |code, context, text| Fail { command: verb, code, context, text };
        let (target, stamp) = (line.param(0), line.param(1));
        if target.is_empty() {
            return self.fail(conn, &fail("NEED_MORE_PARAMS", vec![], "Missing parameters"), None);
        }
        let Some(at) = self.network_of_conn(conn) else {
            let refusal = fail("INTERNAL_ERROR", vec![target], "This connection is bound to no network");
            return self.fail(conn, &refusal, None);
        };
        let Some(network) = self.networks.get(at) else { return };
        let key = network.key(target);
        let now = network.markers.get(&key).copied();
        if stamp.is_empty() {
            return self.marker_reply(conn, at, target, now, verb);
        }
        let Some(ts_ms) = stamp.strip_prefix(b"timestamp=").and_then(from_iso) else {
            return self.fail(conn, &fail("INVALID_PARAMS", vec![target, stamp], "Invalid parameters"), None);
        };
        let ts_ms = ts_ms.min(self.cx.now_ms);
        if now.is_some_and(|now| ts_ms <= now) {
            return self.marker_reply(conn, at, target, now, verb);
        }
        let (network, id) = (network.id, self.cx.query_id());
        self.asked.insert(id, Question::Marker { conn, network, target: target.into(), verb });
        self.cx.push(Effect::Query { id, query: Query::SetMarker { network, buffer: key, ts_ms } });
    }

    fn marker_reply(&mut self, conn: ConnId, at: usize, target: &[u8], marker: Option<i64>, verb: &str) {
        let Some(network) = self.networks.get(at) else { return };
        let mut out = Vec::new();
        let cap = if verb == "READ" { Cap::SojuRead } else { Cap::DraftReadMarker };
        read_marker(&mut out, &self.cx, network, crate::CapSet::of(&[cap]), target, marker);
        self.reply(conn, out);
    }

    /// The store has moved a marker: all devices are told.
    pub(crate) fn marker_answered(
        &mut self,
        conn: ConnId,
        network: NetworkId,
        target: &[u8],
        verb: &'static str,
        answer: Answer,
    ) {
        let Answer::Marker(ts_ms) = answer else {
            let context = vec![target];
            let text = "The read timestamp could not be set";
            return self.fail(conn, &Fail { command: verb, code: "INTERNAL_ERROR", context, text }, None);
        };
        let Some(at) = self.network(network) else { return };
        let Some(network) = self.networks.get_mut(at) else { return };
        let key = network.key(target);
        let moved = network.markers.insert(key, ts_ms).is_none_or(|before| before < ts_ms);
        let id = network.id;
        let others: Vec<_> =
            self.conns.iter().filter(|c| c.network == Some(id)).map(|c| (c.id, c.caps)).collect();
        for (other, caps) in others {
            if other == conn {
                self.marker_reply(conn, at, target, Some(ts_ms), verb);
            } else if moved && let Some(network) = self.networks.get(at) {
                let mut out = Vec::new();
                read_marker(&mut out, &self.cx, network, caps, target, Some(ts_ms));
                self.reply(other, out);
            }
        }
    }

    /// `SEARCH`.
    pub(crate) fn search(&mut self, conn: ConnId, line: &Line<'_>) {
        let label = line.tag("label");
        let fail = |context, text| Fail { command: "SEARCH", code: "INVALID_PARAMS", context, text };
        let Some(network) = self.network_of_conn(conn).and_then(|at| self.networks.get(at)) else {
            return self.fail(conn, &fail(vec![], "This connection is bound to no network"), label);
        };
        let (mut buffer, mut from, mut text, mut after_ms, mut before_ms) = (None, None, None, None, None);
        let mut limit = MAX_FOUND;
        for (key, value) in attributes(line.param(0)) {
            let valid = match key {
                b"in" => {
                    buffer = Some(network.key(&value));
                    !value.is_empty()
                }
                b"from" => {
                    from = Some(value.into_boxed_slice());
                    true
                }
                b"text" => {
                    text = Some(String::from_utf8_lossy(&value).into_owned());
                    true
                }
                b"after" => {
                    after_ms = from_iso(&value);
                    after_ms.is_some()
                }
                b"before" => {
                    before_ms = from_iso(&value);
                    before_ms.is_some()
                }
                b"limit" => {
                    let wanted = std::str::from_utf8(&value).ok().and_then(|value| value.parse::<u32>().ok());
                    limit = wanted.unwrap_or(0).min(MAX_FOUND);
                    limit > 0
                }
                _ => true,
            };
            if !valid {
                return self.fail(conn, &fail(vec![key], "Invalid parameters"), label);
            }
        }
        let network = network.id;
        let query = Query::Search { network, buffer, from, text, after_ms, before_ms, limit };
        self.ask(conn, query, Asked::Search { label });
    }
}

/// A bound as a client writes it; `None` is `*`.
fn bound(param: &[u8]) -> Result<Option<Bound>, &'static str> {
    if param == b"*" {
        return Ok(None);
    }
    if let Some(time) = param.strip_prefix(b"timestamp=") {
        return from_iso(time).map(|at| Some(Bound::Time(at))).ok_or("INVALID_PARAMS");
    }
    if let Some(msgid) = param.strip_prefix(b"msgid=") {
        let msgid = std::str::from_utf8(msgid).ok().filter(|id| !id.is_empty()).ok_or("INVALID_PARAMS")?;
        return Ok(Some(Bound::Msgid(msgid.into())));
    }
    Err("INVALID_MSGREFTYPE")
}
