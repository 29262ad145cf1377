//! After a reconnect: what was missed is fetched by the upstream's own chathistory where it has it; else a marker says
//! where the hole is. Never a silent hole.

use std::collections::VecDeque;

use super::Network;
use super::gate::Route;
use crate::cx::Cx;
use crate::text::{iso, spoken};
use crate::wire::Line;
use crate::{Cap, Kind};

/// How long an answer may take.
const PATIENCE_MS: i64 = 30_000;
/// How long channels may take to be joined again.
const REJOIN_MS: i64 = 60_000;
/// How many pages of one target are fetched.
const MAX_PAGES: u32 = 20;
const MAX_JOBS: usize = 2_000;

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
    /// Nothing is missing before this.
    since_ms: Option<i64>,
    /// When the connection came back.
    back_ms: Option<i64>,
    jobs: VecDeque<Job>,
    current: Option<(Job, i64)>,
}

impl Backfill {
    /// The connection broke.
    pub fn down_since(&mut self, now_ms: i64) {
        self.since_ms.get_or_insert(now_ms);
    }

    /// The connection is gone: what was asked will not be answered. What is missing is still missing.
    pub fn reset(&mut self) {
        self.jobs.clear();
        self.current = None;
        self.back_ms = None;
    }

    /// Whether a FAIL is about what we asked; that job is over.
    pub fn failed(&mut self, line: &Line<'_>) -> bool {
        line.param(0) == b"CHATHISTORY" && self.current.take().is_some()
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

    /// After registration.
    pub fn backfill_begin(&mut self, cx: &mut Cx) {
        // What came before this process: the log says until when.
        let since = match (self.backfill.since_ms, self.newest_ms) {
            (Some(down), Some(newest)) => Some(if self.has_history() { down.min(newest) } else { down }),
            (since, newest) => since.or(newest),
        };
        let Some(since) = since else { return };
        self.backfill.since_ms = Some(since);
        self.backfill.back_ms = Some(cx.now_ms);
        if self.has_history() {
            self.queue_job(cx, b"", since);
        } else {
            let (from, to) = (spoken(since), spoken(cx.now_ms));
            let text = format!(
                "Not connected to {} from {from} to {to}: what was said then is not here.",
                self.setup.name
            );
            let marker = self.gap(cx, cx.now_ms, text);
            self.backfill.since_ms = None;
            self.log(cx, marker, Route::all());
        }
    }

    /// A channel is joined: what was said in it meanwhile?
    pub fn backfill_channel(&mut self, cx: &mut Cx, key: &[u8]) {
        let Some(since) = self.backfill.since_ms.filter(|_| self.has_history()) else { return };
        if let Some(channel) = self.channels.get(key) {
            let name = channel.name.clone();
            self.queue_job(cx, &name, since);
        }
    }

    fn queue_job(&mut self, cx: &mut Cx, target: &[u8], after_ms: i64) {
        if self.backfill.jobs.len() < MAX_JOBS {
            let job = Job { target: target.into(), after_ms, page: 0, lines: 0, newest_ms: after_ms };
            self.backfill.jobs.push_back(job);
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
        let Some(job) = self.backfill.jobs.pop_front() else { return };
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
        // Without a msgid nothing tells a line that came live since from one of the page.
        let known = line.tag("msgid").is_none() && when >= back_ms;
        let body = line.param(1);
        let ctcp = body.first() == Some(&1) && !body.starts_with(b"\x01ACTION");
        if kind == Kind::Gap || known || ctcp || when <= job.after_ms {
            return;
        }
        let own = self.is_me(line.nick());
        if own && crate::plain::is_secret(line.param(0), body) {
            return;
        }
        let buffers = self.message_buffer(line, own);
        let entry = self.entry(cx, kind, line, buffers);
        self.log(cx, entry, Route::all());
    }

    /// One of the targets in which something was said.
    pub fn backfill_target(&mut self, cx: &mut Cx, line: &Line<'_>) {
        let name = line.param(1);
        if line.param(0) != b"TARGETS" || name.is_empty() || self.support.is_channel(name) {
            return;
        }
        if let Some(since) = self.backfill.since_ms {
            self.queue_job(cx, name, since);
        }
    }

    pub fn backfill_targets_end(&mut self, cx: &mut Cx) {
        if self.backfill.current.as_ref().is_some_and(|(job, _)| job.target.is_empty()) {
            self.backfill_next(cx);
        }
    }

    /// A page is whole: is there another?
    pub fn backfill_page_end(&mut self, cx: &mut Cx, target: &[u8]) {
        let map = self.support.casemap;
        let Some((job, _)) = self.backfill.current.take_if(|(job, _)| map.same(&job.target, target)) else {
            return;
        };
        let full = job.lines >= self.page_size() && job.newest_ms > job.after_ms;
        if full && job.page + 1 < MAX_PAGES {
            let (page, after_ms) = (job.page + 1, job.newest_ms);
            self.backfill.jobs.push_front(Job { page, after_ms, lines: 0, newest_ms: after_ms, ..job });
        } else if full {
            self.hole(cx, &job);
        }
        self.backfill_next(cx);
    }

    /// Says that a part could not be fetched.
    fn hole(&mut self, cx: &mut Cx, job: &Job) {
        if job.target.is_empty() {
            return;
        }
        let text =
            format!("What was said between {} and {} is not here.", spoken(job.newest_ms), spoken(cx.now_ms));
        let mut marker = self.gap(cx, job.newest_ms + 1, text);
        marker.buffers = self.buffer(&job.target);
        let meta = crate::entry::Meta {
            bodied: true,
            extra: [job.target.clone()].into_iter().collect(),
            ..Default::default()
        };
        marker.meta = meta.encode();
        self.log(cx, marker, Route::all());
    }

    pub fn backfill_tick(&mut self, cx: &mut Cx) {
        if let Some((job, _)) = self.backfill.current.take_if(|(_, deadline)| cx.now_ms >= *deadline) {
            self.hole(cx, &job);
            self.backfill_next(cx);
        }
        let idle = self.backfill.current.is_none() && self.backfill.jobs.is_empty();
        if idle && self.backfill.back_ms.is_some_and(|back| cx.now_ms >= back + REJOIN_MS) {
            self.backfill.since_ms = None;
        }
    }
}
