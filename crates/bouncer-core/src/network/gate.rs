//! The gate of a stream: what came from the upstream goes to the devices in its order, and a logged line not before its
//! commit. While the store refuses, is silent, or is hopelessly behind, the stream is *not kept*: everything goes out at once, without an
//! offset, and what cannot be stored late is counted by a gap marker under a new epoch.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Commit, ConnId, Cursor, Entry, Ticket};

/// How long the store may be silent.
pub(crate) const PATIENCE_MS: i64 = 500;
/// How often a store that refuses is tried again.
const RETRY_MS: i64 = 1_000;
/// Lines under way to a store that answers, but takes in less than comes: with more it counts as silent.
const MAX_BEHIND: usize = 20_000;
/// Lines kept to be stored late; more are lost and counted.
const MAX_LATE: usize = 1_000;
/// Lines under way to a silent store; more are lost and counted.
const MAX_UNDER_WAY: usize = 4_000;

/// Whom a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// Every device of the network.
    All,
    /// One connection.
    Only(ConnId),
}

/// Whom a line is for, and what it answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    pub to: To,
    /// The connection whose command this answers, and the label it gave.
    pub label: Option<(ConnId, Box<[u8]>)>,
    /// The connection whose answer is a batch, and its name.
    pub batch: Option<(ConnId, Box<str>)>,
    /// The connection that sent it, for our own lines.
    pub origin: Option<ConnId>,
}

impl Route {
    pub fn all() -> Self {
        Self { to: To::All, label: None, batch: None, origin: None }
    }

    pub fn only(conn: ConnId) -> Self {
        Self { to: To::Only(conn), ..Self::all() }
    }
}

/// What leaves the gate.
#[derive(Debug)]
pub(crate) enum Out {
    /// A logged line. `at` is where it lies, `None` while the stream is not kept.
    Logged { entry: Arc<Entry>, at: Option<Cursor>, route: Route },
    /// A line that is not logged.
    Plain { line: Arc<crate::encode::Plain>, route: Route },
    /// The members of a channel we have just joined, for everybody.
    Names(Box<super::names::Names>),
    /// Everybody is told the upstream's ISUPPORT anew, and what can be negotiated now.
    Support,
    /// A connection may begin to read, with this.
    Begin { conn: ConnId, burst: Bytes },
}

#[derive(Debug)]
enum Item {
    Logged { ticket: Ticket, entry: Arc<Entry>, route: Route, done: Option<Done> },
    Ready(Out),
}

#[derive(Debug)]
enum Done {
    At(Cursor),
    Unkept,
    Drop,
}

#[derive(Debug)]
struct UnderWay {
    ticket: Ticket,
    since_ms: i64,
    /// Kept for another try; the queue has let the line go already.
    entry: Arc<Entry>,
    /// Whether the devices have it already (sent while not kept).
    late: bool,
}

/// Why the stream is not kept.
#[derive(Debug, Default)]
struct NotKept {
    /// To be stored late, in order.
    late: VecDeque<Arc<Entry>>,
    /// Lines nobody will find again.
    lost: u64,
    /// Lost lines a gap marker under way speaks for.
    gap_under_way: Option<(Ticket, u64)>,
    retry_at_ms: i64,
    noticed_ms: Option<i64>,
}

/// What is to be done about the store.
#[derive(Debug)]
pub(crate) enum Store {
    Append(Ticket, Arc<Entry>),
    NewEpoch,
}

/// The gate.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    queue: VecDeque<Item>,
    under_way: VecDeque<UnderWay>,
    next_ticket: u64,
    /// When the store last answered: while it does, it is slow but not silent.
    answered_ms: i64,
    not_kept: Option<NotKept>,
    /// The last logged line that went to the devices and is kept.
    pub delivered: Cursor,
}

impl Gate {
    /// Whether lines are being kept.
    pub fn kept(&self) -> bool {
        self.not_kept.is_none()
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// A logged line. What is to go to the store is returned; what may go out is taken by [`Gate::pop`].
    pub fn log(&mut self, now_ms: i64, entry: Arc<Entry>, route: Route) -> Option<Store> {
        let late = self.not_kept.is_some();
        if let Some(not_kept) = &mut self.not_kept {
            self.queue.push_back(Item::Ready(Out::Logged {
                entry: entry.clone(),
                at: None,
                route: route.clone(),
            }));
            let refused = !not_kept.late.is_empty() || not_kept.lost > 0;
            if refused || self.under_way.len() >= MAX_UNDER_WAY {
                not_kept.keep_for_later(entry);
                return None;
            }
        }
        let ticket = self.ticket();
        self.under_way.push_back(UnderWay { ticket, since_ms: now_ms, entry: entry.clone(), late });
        if !late {
            self.queue.push_back(Item::Logged { ticket, entry: entry.clone(), route, done: None });
        }
        Some(Store::Append(ticket, entry))
    }

    /// A line that is not logged: it waits for those before it.
    pub fn pass(&mut self, out: Out) {
        self.queue.push_back(Item::Ready(out));
    }

    /// What may go out next.
    pub fn pop(&mut self) -> Option<Out> {
        loop {
            if let Item::Logged { done: None, .. } = self.queue.front()? {
                return None;
            }
            match self.queue.pop_front()? {
                Item::Ready(out) => return Some(out),
                Item::Logged { entry, route, done: Some(Done::At(at)), .. } => {
                    self.delivered = at;
                    return Some(Out::Logged { entry, at: Some(at), route });
                }
                Item::Logged { entry, route, done: Some(Done::Unkept), .. } => {
                    return Some(Out::Logged { entry, at: None, route });
                }
                Item::Logged { .. } => {}
            }
        }
    }

    /// The store answered one append. Returns whether the stream went from kept to not kept by it.
    pub fn committed(&mut self, now_ms: i64, ticket: Ticket, commit: Commit) -> bool {
        let Some(at) = self.under_way.iter().position(|under_way| under_way.ticket == ticket) else {
            return false;
        };
        let Some(under_way) = self.under_way.remove(at) else { return false };
        self.answered_ms = now_ms;
        let gap = match &mut self.not_kept {
            Some(not_kept) if not_kept.gap_under_way.is_some_and(|(gap, _)| gap == ticket) => {
                not_kept.gap_under_way.take().map(|(_, lost)| lost)
            }
            _ => None,
        };
        let mut stopped = false;
        match commit {
            Commit::Stored { position, ts_ms, msgid } => {
                let cursor = Cursor { position, ts_ms };
                if under_way.late {
                    // Sent before it was stored; the devices that are live have it.
                    if position > self.delivered.position {
                        self.delivered = cursor;
                    }
                } else {
                    self.settle(ticket, Done::At(cursor), Some((ts_ms, msgid)));
                }
            }
            Commit::Duplicate => self.settle(ticket, Done::Drop, None),
            Commit::Rejected => {
                self.settle(ticket, Done::Unkept, None);
                stopped = self.stop(now_ms);
                if let Some(not_kept) = &mut self.not_kept {
                    not_kept.lost += gap.unwrap_or(1);
                    not_kept.retry_at_ms = if gap.is_some() { now_ms + RETRY_MS } else { now_ms };
                }
            }
            Commit::Refused => {
                stopped = self.stop(now_ms);
                if let Some(not_kept) = &mut self.not_kept {
                    match gap {
                        Some(lost) => not_kept.lost += lost,
                        None => not_kept.keep_for_later(under_way.entry),
                    }
                    not_kept.retry_at_ms = now_ms + RETRY_MS;
                }
            }
        }
        self.resume();
        stopped
    }

    fn settle(&mut self, ticket: Ticket, result: Done, kept_as: Option<(i64, Option<Box<str>>)>) {
        for item in &mut self.queue {
            if let Item::Logged { ticket: queued, entry, done, .. } = item
                && *queued == ticket
            {
                if let Some((ts_ms, msgid)) = kept_as
                    && (entry.ts_ms != ts_ms || msgid.is_some())
                {
                    let entry = Arc::make_mut(entry);
                    entry.ts_ms = ts_ms;
                    entry.msgid = msgid.unwrap_or_else(|| std::mem::take(&mut entry.msgid));
                }
                *done = Some(result);
                return;
            }
        }
    }

    /// Lets everything out. Whether it was kept until now.
    fn stop(&mut self, now_ms: i64) -> bool {
        if self.not_kept.is_some() {
            return false;
        }
        self.not_kept = Some(NotKept { retry_at_ms: now_ms + RETRY_MS, ..NotKept::default() });
        for item in &mut self.queue {
            if let Item::Logged { done: done @ None, .. } = item {
                *done = Some(Done::Unkept);
            }
        }
        for under_way in &mut self.under_way {
            under_way.late = true;
        }
        true
    }

    fn resume(&mut self) {
        let settled = self.not_kept.as_ref().is_some_and(|not_kept| {
            not_kept.late.is_empty() && not_kept.lost == 0 && not_kept.gap_under_way.is_none()
        });
        if settled && !self.under_way.iter().any(|under_way| under_way.late) {
            self.not_kept = None;
        }
    }

    /// Looks at the clock. Whether the stream went from kept to not kept.
    pub fn tick(&mut self, now_ms: i64) -> bool {
        let silent = self.silent_at().is_some_and(|silent| now_ms >= silent);
        let behind = self.under_way.len().max(self.queue.len() / 2) >= MAX_BEHIND;
        (silent || behind) && self.stop(now_ms)
    }

    /// When the store has been silent for too long, should it say nothing until then.
    fn silent_at(&self) -> Option<i64> {
        self.under_way.front().map(|first| first.since_ms.max(self.answered_ms) + PATIENCE_MS)
    }

    /// How many lines are lost and not yet spoken for.
    pub fn lost(&self) -> u64 {
        self.not_kept.as_ref().map_or(0, |not_kept| not_kept.lost)
    }

    /// What to try again now. `gap` is the marker for the lost lines, if any are.
    pub fn retry(&mut self, now_ms: i64, gap: Option<Entry>) -> Vec<Store> {
        let mut wishes = Vec::new();
        let Some(not_kept) = &mut self.not_kept else { return wishes };
        let waits = not_kept.late.is_empty() && not_kept.lost == 0;
        if waits || !self.under_way.is_empty() || now_ms < not_kept.retry_at_ms {
            return wishes;
        }
        not_kept.retry_at_ms = now_ms + RETRY_MS;
        let mut entries = std::mem::take(&mut not_kept.late);
        let mut lost = 0;
        if let Some(gap) = gap {
            lost = std::mem::take(&mut not_kept.lost);
            wishes.push(Store::NewEpoch);
            entries.push_front(Arc::new(gap));
        }
        for (index, entry) in entries.into_iter().enumerate() {
            let ticket = self.ticket();
            if index == 0
                && lost > 0
                && let Some(not_kept) = &mut self.not_kept
            {
                not_kept.gap_under_way = Some((ticket, lost));
            }
            self.under_way.push_back(UnderWay { ticket, since_ms: now_ms, entry: entry.clone(), late: true });
            wishes.push(Store::Append(ticket, entry));
        }
        wishes
    }

    /// Whether the notice that nothing is kept is due (one a minute).
    pub fn notice_due(&mut self, now_ms: i64) -> bool {
        let Some(not_kept) = &mut self.not_kept else { return false };
        let due = not_kept.noticed_ms.is_none_or(|at| now_ms - at >= 60_000);
        if due {
            not_kept.noticed_ms = Some(now_ms);
        }
        due
    }

    /// When to look at the clock again.
    pub fn wake_at(&self) -> Option<i64> {
        match &self.not_kept {
            None => self.silent_at(),
            Some(not_kept) if not_kept.late.is_empty() && not_kept.lost == 0 => None,
            Some(not_kept) => self.under_way.is_empty().then_some(not_kept.retry_at_ms),
        }
    }
}

impl NotKept {
    fn keep_for_later(&mut self, entry: Arc<Entry>) {
        if self.late.len() < MAX_LATE {
            self.late.push_back(entry);
        } else {
            self.lost += 1;
        }
    }
}
