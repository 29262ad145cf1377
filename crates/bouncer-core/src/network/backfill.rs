//! After a reconnect: what was missed is fetched by the upstream's own chathistory where it has it; else a marker says
//! where the hole is. Never a silent hole.
//!
//! The log itself remembers that something is missing: before the first line of a connection goes an entry that says since
//! when, and after the last one fetched another that says that all is there. Both are for the next process, should this one
//! die between them; no device is shown them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use smallvec::smallvec;

use super::Network;
use super::gate::Route;
use crate::cx::Cx;
use crate::entry::Meta;
use crate::text::{iso, spoken};
use crate::wire::Line;
use crate::{Cap, Entry, Kind, NO_BUFFER};

/// How long an answer may take.
const PATIENCE_MS: i64 = 30_000;
/// How long channels may take to be joined again.
const REJOIN_MS: i64 = 60_000;
/// How many pages of one target are fetched.
const MAX_PAGES: u32 = 20;
const MAX_JOBS: usize = 2_000;
/// So much earlier is asked: a line's time in the log is later than the upstream's where many were said in one
/// millisecond. What comes again is dropped by its msgid.
const MARGIN_MS: i64 = 10_000;
/// The tags of the entries that say since when something is missing, and that nothing is any more.
const SINCE: &[u8] = b"since";
const WHOLE: &[u8] = b"whole";

/// Since when something is missing, by the entries of kind [`Kind::Gap`] in [`NO_BUFFER`], oldest first.
pub fn missing_since<'a>(gaps: impl DoubleEndedIterator<Item = &'a Entry>) -> Option<i64> {
    let said = |entry: &Entry| {
        let tags = Meta::decode(&entry.meta).tags.into_iter();
        tags.map(|(key, value)| (key, std::str::from_utf8(&value).ok().and_then(|ms| ms.parse().ok())))
            .find_map(|(key, ms)| match &*key {
                SINCE => Some(ms),
                WHOLE => Some(None),
                _ => None,
            })
    };
    gaps.rev().find_map(said).flatten()
}

#[derive(Debug, Clone)]
struct Job {
    /// Empty for the list of targets.
    target: Box<[u8]>,
    after_ms: i64,
    page: u32,
    /// Lines of this page, and the time of the newest.
    lines: u32,
    newest_ms: i64,
}

/// What is being fetched.
#[derive(Debug, Default)]
pub(crate) struct Backfill {
    /// Since when we were away.
    since_ms: Option<i64>,
    /// Nothing is missing before this: a connection may have been dead long before it was given up.
    missing_ms: Option<i64>,
    /// Whether the log says that something is missing.
    noted: bool,
    /// When the connection came back.
    back_ms: Option<i64>,
    jobs: VecDeque<Job>,
    /// Keys of the queries that were named to us as having something.
    queries: BTreeSet<Box<[u8]>>,
    current: Option<(Job, i64)>,
}

impl Backfill {
    /// At the start of the process: nothing is missing before this.
    pub fn begun(since_ms: Option<i64>) -> Self {
        Self { since_ms, missing_ms: since_ms, ..Self::default() }
    }

    /// The connection broke.
    pub fn down_since(&mut self, now_ms: i64, newest_ms: Option<i64>) {
        self.since_ms.get_or_insert(now_ms);
        self.missing_ms.get_or_insert(newest_ms.map_or(now_ms, |newest| newest.min(now_ms)));
    }

    /// The connection is gone: what was asked will not be answered. What is missing is still missing.
    pub fn reset(&mut self) {
        self.jobs.clear();
        self.queries.clear();
        self.current = None;
        self.back_ms = None;
    }

    pub fn wake_at(&self) -> Option<i64> {
        let deadline = self.current.as_ref().map(|(_, deadline)| *deadline);
        deadline.or(self.back_ms.filter(|_| self.since_ms.is_some()).map(|back| back + REJOIN_MS))
    }
}

impl Network {
    fn has_history(&self) -> bool {
        self.caps.has(Cap::DraftChathistory) && self.caps.has(Cap::Batch) && self.caps.has(Cap::ServerTime)
    }

    /// Before the first line of a connection: the log is told that something is missing.
    pub fn backfill_note(&mut self, cx: &mut Cx) {
        if let Some(since) = self.backfill.missing_ms
            && !std::mem::replace(&mut self.backfill.noted, true)
        {
            self.hidden(cx, SINCE, since);
        }
    }

    /// Nothing is missing any more.
    fn backfill_over(&mut self, cx: &mut Cx) {
        (self.backfill.since_ms, self.backfill.missing_ms) = (None, None);
        self.backfill.queries.clear();
        if std::mem::take(&mut self.backfill.noted) {
            self.hidden(cx, WHOLE, cx.now_ms);
        }
    }

    /// An entry for the next process only.
    fn hidden(&mut self, cx: &mut Cx, tag: &[u8], ms: i64) {
        let tags = vec![(tag.into(), ms.to_string().into_bytes().into_boxed_slice())];
        let entry = Entry {
            kind: Kind::Gap,
            msgid: cx.ids.msgid(cx.now_ms),
            ts_ms: cx.now_ms,
            from: cx.service().into_boxed_slice(),
            target: Box::default(),
            body: Box::default(),
            meta: Meta { tags, bodied: true, ..Meta::default() }.encode(),
            buffers: smallvec![NO_BUFFER.into()],
            redacts: None,
        };
        if let Some(store) = self.gate.log(cx.now_ms, Arc::new(entry), Route::all()) {
            self.to_store(cx, store);
        }
    }

    /// After registration.
    pub fn backfill_begin(&mut self, cx: &mut Cx) {
        let (Some(since), Some(missing)) = (self.backfill.since_ms, self.backfill.missing_ms) else { return };
        self.backfill.back_ms = Some(cx.now_ms);
        if self.has_history() {
            self.queue_job(cx, b"", missing);
        } else {
            let (from, to) = (spoken(since), spoken(cx.now_ms));
            let text = format!(
                "Not connected to {} from {from} to {to}: what was said then is not here.",
                self.setup.name
            );
            let marker = self.gap(cx, cx.now_ms, text, self.marked_names(cx.now_ms));
            self.log(cx, marker, Route::all());
            self.backfill_over(cx);
        }
    }

    /// A channel is joined: what was said in it meanwhile?
    pub fn backfill_channel(&mut self, cx: &mut Cx, key: &[u8]) {
        let Some(since) = self.backfill.missing_ms.filter(|_| self.has_history()) else { return };
        if let Some(channel) = self.channels.get(key) {
            let name = channel.name.clone();
            self.queue_job(cx, &name, since);
        }
    }

    fn queue_job(&mut self, cx: &mut Cx, target: &[u8], after_ms: i64) {
        let after_ms = after_ms - MARGIN_MS;
        let job = Job { target: target.into(), after_ms, page: 0, lines: 0, newest_ms: after_ms };
        if self.backfill.jobs.len() < MAX_JOBS {
            self.backfill.jobs.push_back(job);
        } else {
            self.hole(cx, &job);
        }
        if self.backfill.current.is_none() {
            self.backfill_next(cx);
        }
    }

    fn page_size(&self) -> u32 {
        let offered = self.support.value("CHATHISTORY").and_then(|value| value.parse().ok()).unwrap_or(100);
        if offered == 0 { 500 } else { offered.min(500) }
    }

    /// Asks for the next thing.
    pub fn backfill_next(&mut self, cx: &mut Cx) {
        self.backfill.current = None;
        let Some(job) = self.backfill.jobs.pop_front() else {
            return self.backfill_settle(cx);
        };
        let limit = self.page_size().to_string();
        let from = format!("timestamp={}", iso(job.after_ms));
        if job.target.is_empty() {
            let to = format!("timestamp={}", iso(cx.now_ms));
            self.say(cx, "CHATHISTORY", &[b"TARGETS", from.as_bytes(), to.as_bytes(), limit.as_bytes()]);
        } else {
            self.say(cx, "CHATHISTORY", &[b"AFTER", &job.target, from.as_bytes(), limit.as_bytes()]);
        }
        self.backfill.current = Some((job, cx.now_ms + PATIENCE_MS));
    }

    /// All that was asked for is there. If every kept channel was joined again, there is nothing else to ask for.
    fn backfill_settle(&mut self, cx: &mut Cx) {
        let joined = |name: &str| {
            self.channels.get(&self.key(name.as_bytes())).is_some_and(|channel| !channel.joining)
        };
        if self.backfill.back_ms.is_some() && self.setup.channels.iter().all(|saved| joined(&saved.name)) {
            self.backfill_over(cx);
        }
    }

    /// Whether a FAIL is about what we asked; that job is over.
    pub fn backfill_failed(&mut self, cx: &mut Cx, line: &Line<'_>) -> bool {
        if line.param(0) != b"CHATHISTORY" {
            return false;
        }
        let Some((job, _)) = self.backfill.current.take() else { return false };
        self.hole(cx, &job);
        self.backfill_next(cx);
        true
    }

    /// A line of history.
    pub fn backfilled(&mut self, cx: &mut Cx, line: &Line<'_>, target: &[u8]) {
        let kind = match &*line.verb() {
            b"PRIVMSG" => Kind::Privmsg,
            b"NOTICE" => Kind::Notice,
            _ => Kind::Gap,
        };
        let when = self.when(cx, line);
        let back_ms = self.backfill.back_ms.unwrap_or(cx.now_ms);
        let map = self.support.casemap;
        let Some((job, _)) = &mut self.backfill.current else { return };
        if !map.same(&job.target, target) {
            return;
        }
        job.lines += 1;
        job.newest_ms = job.newest_ms.max(when);
        // Without a msgid nothing tells a line that is here from one that is not.
        let missing = self.backfill.missing_ms.map_or(i64::MIN, |since| since + 1)..back_ms;
        let known = line.tag("msgid").is_none() && !missing.contains(&when);
        let body = line.param(1);
        let ctcp = body.first() == Some(&1) && !body.starts_with(b"\x01ACTION");
        if kind == Kind::Gap || known || ctcp {
            return;
        }
        let own = self.is_me(line.nick());
        if own && crate::plain::is_secret(line.param(0), body) {
            return;
        }
        let buffers = self.message_buffer(cx, line, own);
        let entry = self.entry(cx, kind, line, buffers);
        self.log(cx, entry, Route::all());
    }

    /// One of the targets in which something was said.
    pub fn backfill_target(&mut self, cx: &mut Cx, line: &Line<'_>) {
        let name = line.param(1);
        if line.param(0) != b"TARGETS" || name.is_empty() {
            return;
        }
        if let Some((job, _)) = self.backfill.current.as_mut().filter(|(job, _)| job.target.is_empty()) {
            job.lines += 1;
            job.newest_ms = job.newest_ms.max(crate::text::from_iso(line.param(2)).unwrap_or_default());
        }
        // The last of a page may be the first of the next.
        let key = self.key(name);
        if let Some(since) = self.backfill.missing_ms
            && !self.support.is_channel(name)
            && self.backfill.queries.insert(key)
        {
            self.queue_job(cx, name, since);
        }
    }

    /// A page is whole: is there another?
    pub fn backfill_page_end(&mut self, cx: &mut Cx, target: &[u8]) {
        let map = self.support.casemap;
        let Some((job, _)) = self.backfill.current.take_if(|(job, _)| map.same(&job.target, target)) else {
            return;
        };
        let full = job.lines >= self.page_size();
        // The page may have ended within a millisecond: what it had of it comes again and is dropped.
        let (page, after_ms) = (job.page + 1, job.newest_ms - 1);
        if full && page < MAX_PAGES && after_ms > job.after_ms {
            self.backfill.jobs.push_front(Job { page, after_ms, lines: 0, newest_ms: after_ms, ..job });
        } else if full {
            self.hole(cx, &job);
        }
        self.backfill_next(cx);
    }

    /// Says that a part could not be fetched.
    fn hole(&mut self, cx: &mut Cx, job: &Job) {
        let from = job.newest_ms.max(self.backfill.missing_ms.unwrap_or_default());
        let (spoken_from, spoken_to) = (spoken(from), spoken(cx.now_ms));
        let (text, names) = if job.target.is_empty() {
            let text =
                format!("What was said to you alone between {spoken_from} and {spoken_to} may not be here.");
            (text, self.open_queries(cx.now_ms))
        } else {
            let text = format!("What was said between {spoken_from} and {spoken_to} is not here.");
            (text, vec![job.target.clone()])
        };
        let marker = self.gap(cx, from + 1, text, names);
        self.log(cx, marker, Route::all());
    }

    pub fn backfill_tick(&mut self, cx: &mut Cx) {
        if let Some((job, _)) = self.backfill.current.take_if(|(_, deadline)| cx.now_ms >= *deadline) {
            self.hole(cx, &job);
            self.backfill_next(cx);
        }
        let idle = self.backfill.current.is_none() && self.backfill.jobs.is_empty();
        if idle && self.backfill.back_ms.is_some_and(|back| cx.now_ms >= back + REJOIN_MS) {
            self.backfill_over(cx);
        }
    }
}
