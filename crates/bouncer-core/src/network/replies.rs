//! Who asked what: so that the upstream's answers reach the connection that asked, by label where the upstream has
//! labels, by the order of asking where it has none.

use std::collections::VecDeque;

use crate::ConnId;
use crate::casemap::Casemap;

/// A command that went upstream for a connection.
#[derive(Debug)]
struct Asked {
    conn: ConnId,
    verb: Box<[u8]>,
    target: Box<[u8]>,
    at_ms: i64,
}

/// A label that went upstream.
#[derive(Debug)]
struct Labelled {
    ours: u64,
    conn: ConnId,
    theirs: Option<Box<[u8]>>,
    at_ms: i64,
}

/// A batch the upstream has opened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Batch {
    /// An answer: for whom, and under which label and name of ours it goes on (if the device can have it so).
    Answer { conn: ConnId, theirs: Option<Box<[u8]>>, name: Box<str> },
    /// History we asked for.
    History { target: Box<[u8]> },
    /// History's targets we asked for.
    Targets,
    /// Anything else (netsplit, netjoin): its lines stand for themselves.
    Other,
}

/// Everything under way.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    asked: VecDeque<Asked>,
    labels: VecDeque<Labelled>,
    batches: Vec<(Box<[u8]>, Batch)>,
    next_label: u64,
}

const MAX_ASKED: usize = 128;
const MAX_BATCHES: usize = 32;
const FORGET_MS: i64 = 60_000;

impl Replies {
    /// Notes a command that goes upstream without a label.
    pub fn ask(&mut self, now_ms: i64, conn: ConnId, verb: &[u8], target: &[u8]) {
        while self.asked.len() >= MAX_ASKED
            || self.asked.front().is_some_and(|a| now_ms - a.at_ms > FORGET_MS)
        {
            self.asked.pop_front();
        }
        self.asked.push_back(Asked { conn, verb: verb.into(), target: target.into(), at_ms: now_ms });
    }

    /// Makes a label for a command that goes upstream.
    pub fn label(&mut self, now_ms: i64, conn: ConnId, theirs: Option<&[u8]>) -> String {
        while self.labels.len() >= MAX_ASKED
            || self.labels.front().is_some_and(|l| now_ms - l.at_ms > FORGET_MS)
        {
            self.labels.pop_front();
        }
        self.next_label += 1;
        let theirs = theirs.map(Into::into);
        self.labels.push_back(Labelled { ours: self.next_label, conn, theirs, at_ms: now_ms });
        format!("b{}", self.next_label)
    }

    /// Whose label came back, and what theirs was. It is answered once.
    pub fn labelled(&mut self, label: &[u8]) -> Option<(ConnId, Option<Box<[u8]>>)> {
        let number: u64 = std::str::from_utf8(label.strip_prefix(b"b")?).ok()?.parse().ok()?;
        let at = self.labels.iter().position(|labelled| labelled.ours == number)?;
        self.labels.remove(at).map(|labelled| (labelled.conn, labelled.theirs))
    }

    /// A batch begins.
    pub fn open(&mut self, name: &[u8], batch: Batch) {
        if self.batches.len() >= MAX_BATCHES {
            self.batches.remove(0);
        }
        self.batches.push((name.into(), batch));
    }

    /// A batch ends.
    pub fn close(&mut self, name: &[u8]) -> Option<Batch> {
        let at = self.batches.iter().position(|(known, _)| **known == *name)?;
        Some(self.batches.remove(at).1)
    }

    /// The batch of that name.
    pub fn batch(&self, name: &[u8]) -> Option<&Batch> {
        self.batches.iter().find(|(known, _)| **known == *name).map(|(_, batch)| batch)
    }

    /// Who is waiting for this numeric. An end of an answer is taken off.
    pub fn numeric(&mut self, map: Casemap, numeric: u16, params: &[&[u8]]) -> Option<ConnId> {
        if (400..600).contains(&numeric) || matches!(numeric, 263 | 716 | 717 | 734) {
            return self.error(map, params);
        }
        let (verbs, ends) = family(numeric)?;
        let at = self.asked.iter().position(|asked| verbs.contains(&&*asked.verb))?;
        let conn = self.asked.get(at)?.conn;
        if ends {
            self.asked.remove(at);
        }
        Some(conn)
    }

    /// Who is told a refusal: whoever asked about what it names.
    fn error(&mut self, map: Casemap, params: &[&[u8]]) -> Option<ConnId> {
        let named = params.get(1).copied().unwrap_or_default();
        let second = params.get(2).copied().unwrap_or_default();
        let at = self.asked.iter().position(|asked| {
            (!asked.target.is_empty() && (map.same(&asked.target, named) || map.same(&asked.target, second)))
                || asked.verb.eq_ignore_ascii_case(named)
        })?;
        self.asked.remove(at).map(|asked| asked.conn)
    }

    /// Who is told a FAIL, WARN or NOTE about a command.
    pub fn standard(&mut self, verb: &[u8]) -> Option<ConnId> {
        let at = self.asked.iter().position(|asked| asked.verb.eq_ignore_ascii_case(verb))?;
        self.asked.remove(at).map(|asked| asked.conn)
    }

    /// Who asked for something last, by verb and target; taken off.
    pub fn take(&mut self, map: Casemap, verb: &[u8], target: &[u8]) -> Option<ConnId> {
        let at = self.asked.iter().position(|a| *a.verb == *verb && map.same(&a.target, target))?;
        self.asked.remove(at).map(|asked| asked.conn)
    }

    /// A connection is gone: nobody waits for its answers.
    pub fn forget(&mut self, conn: ConnId) {
        self.asked.retain(|asked| asked.conn != conn);
        self.labels.retain(|labelled| labelled.conn != conn);
    }

    /// The upstream is gone: nothing will be answered.
    pub fn clear(&mut self) {
        self.asked.clear();
        self.labels.clear();
        self.batches.clear();
    }
}

/// Which commands a numeric answers, and whether it is the last of the answer.
fn family(numeric: u16) -> Option<(&'static [&'static [u8]], bool)> {
    const WHO: &[&[u8]] = &[b"WHO"];
    const WHOIS: &[&[u8]] = &[b"WHOIS", b"WHOWAS"];
    const LIST: &[&[u8]] = &[b"LIST"];
    const NAMES: &[&[u8]] = &[b"NAMES"];
    const MODE: &[&[u8]] = &[b"MODE"];
    const STATS: &[&[u8]] = &[b"STATS"];
    Some(match numeric {
        352 | 354 => (WHO, false),
        315 => (WHO, true),
        276 | 307 | 308 | 309 | 310 | 311 | 312 | 313 | 314 | 316 | 317 | 319 | 320 | 326 | 327 | 330
        | 335 | 338 | 343 | 350 | 378 | 379 | 569 | 617 | 671 | 672 | 689 | 690 => (WHOIS, false),
        318 | 369 => (WHOIS, true),
        301 => (WHOIS, false),
        321 | 322 => (LIST, false),
        323 => (LIST, true),
        353 => (NAMES, false),
        366 => (NAMES, true),
        329 | 367 | 346 | 348 | 728 => (MODE, false),
        221 | 324 | 368 | 347 | 349 | 729 => (MODE, true),
        331 | 332 => (&[b"TOPIC"], true),
        375 | 372 => (&[b"MOTD"], false),
        376 | 422 => (&[b"MOTD"], true),
        250..=255 | 265 => (&[b"LUSERS"], false),
        266 => (&[b"LUSERS"], true),
        351 => (&[b"VERSION"], true),
        391 => (&[b"TIME"], true),
        256..=258 => (&[b"ADMIN"], false),
        259 => (&[b"ADMIN"], true),
        371 => (&[b"INFO"], false),
        374 => (&[b"INFO"], true),
        364 => (&[b"LINKS"], false),
        365 => (&[b"LINKS"], true),
        200..=218 | 240..=247 => (STATS, false),
        219 => (STATS, true),
        302 => (&[b"USERHOST"], true),
        303 => (&[b"ISON"], true),
        341 => (&[b"INVITE"], true),
        704 | 705 => (&[b"HELP", b"HELPOP"], false),
        706 => (&[b"HELP", b"HELPOP"], true),
        271 => (&[b"SILENCE"], false),
        272 => (&[b"SILENCE"], true),
        281 | 282 => (&[b"ACCEPT"], numeric == 282),
        381 => (&[b"OPER"], true),
        _ => return None,
    })
}
