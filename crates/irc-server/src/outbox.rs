//! The queue of lines that wait to be written to one client, and its slow-reader rules.
//!
//! Whoever pushes never waits. Below the soft limit a push is taken; the push that passes the limit is still taken and
//! makes the outbox LAGGING; from then on pushes are refused until most of the queue is written, when
//! [`crate::Session::drained`] asks for a refill from the log. Nothing is written before [`Outbox::flush`], so that one
//! input batch becomes one `writev`.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use crate::backend::Peer;
use crate::caps::{CapSet, Negotiation, Offer};

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a line that was not taken has to come again from the log"]
pub enum Pushed {
    /// It will be written after the next flush.
    Taken,
    /// It was not taken: the client reads too slowly. Keep the place in the log; `drained` says when to go on.
    Lagging,
    /// It was not taken: the connection is over.
    Closed,
}

impl Pushed {
    /// Whether it was taken.
    pub fn taken(self) -> bool {
        self == Self::Taken
    }
}

/// The way to one client. Cheap to clone; every clone is the same queue.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

struct Shared {
    peer: Arc<Peer>,
    soft_limit: usize,
    /// Bytes that were pushed and not yet written.
    queued: AtomicUsize,
    lagging: AtomicBool,
    state: Mutex<State>,
    /// Wakes the writing half of the connection.
    writer: AtomicWaker,
    /// Wakes the reading half for notices.
    notices: Notify,
}

struct State {
    queue: VecDeque<Bytes>,
    flushed: bool,
    closing: Option<String>,
    over: bool,
    negotiation: Negotiation,
    drained: bool,
    caps_changed: bool,
}

/// What the connection's reading half has to pass on to the session.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Notices {
    pub drained: bool,
    pub caps: Option<CapSet>,
}

impl Outbox {
    pub(crate) fn new(peer: Arc<Peer>, soft_limit: usize, negotiation: Negotiation) -> Self {
        Self {
            shared: Arc::new(Shared {
                peer,
                soft_limit,
                queued: AtomicUsize::new(0),
                lagging: AtomicBool::new(false),
                state: Mutex::new(State {
                    queue: VecDeque::new(),
                    flushed: false,
                    closing: None,
                    over: false,
                    negotiation,
                    drained: false,
                    caps_changed: false,
                }),
                writer: AtomicWaker::new(),
                notices: Notify::new(),
            }),
        }
    }

    /// An outbox without a connection, for tests of backends: read it with [`Outbox::take_all`].
    pub fn detached(peer: Peer, soft_limit: usize) -> Self {
        Self::new(Arc::new(peer), soft_limit, Negotiation::new("irc.now", String::new()))
    }

    /// Queues one complete line (with CR LF), or several in one piece. Not written before [`Outbox::flush`].
    pub fn push(&self, line: Bytes) -> Pushed {
        self.push_all(std::iter::once(line))
    }

    /// Queues all lines or none, as a BATCH needs it.
    pub fn push_all(&self, lines: impl IntoIterator<Item = Bytes>) -> Pushed {
        let mut state = self.state();
        if state.over || state.closing.is_some() {
            return Pushed::Closed;
        }
        if self.lagging() {
            return Pushed::Lagging;
        }
        self.enqueue(&mut state, lines);
        Pushed::Taken
    }

    /// Queues a line and flushes.
    pub fn send(&self, line: Bytes) -> Pushed {
        let pushed = self.push(line);
        self.flush();
        pushed
    }

    /// Lets everything pushed so far be written: once per connection and input batch.
    pub fn flush(&self) {
        let mut state = self.state();
        if !state.queue.is_empty() && !state.flushed {
            state.flushed = true;
            drop(state);
            self.shared.writer.wake();
        }
    }

    /// Bytes that wait to be written.
    pub fn queued(&self) -> usize {
        self.shared.queued.load(Ordering::Acquire)
    }

    /// Whether pushes are refused until the client has read on.
    pub fn lagging(&self) -> bool {
        self.shared.lagging.load(Ordering::Acquire)
    }

    /// Whether the connection is over or about to be.
    pub fn closed(&self) -> bool {
        let state = self.state();
        state.over || state.closing.is_some()
    }

    /// Ends the connection: what is queued is still written, then `ERROR :<reason>`.
    pub fn close(&self, reason: impl Into<String>) {
        let mut state = self.state();
        if state.closing.is_none() && !state.over {
            state.closing = Some(reason.into());
            drop(state);
            self.shared.writer.wake();
            self.shared.notices.notify_one();
        }
    }

    /// The capabilities offered to this client from now on. It is told with CAP NEW and CAP DEL if it has cap-notify,
    /// in order with what was pushed before and after. Flushes.
    pub fn offer(&self, offer: Offer) {
        let mut state = self.state();
        if state.over {
            return;
        }
        let before = state.negotiation.active();
        let lines = state.negotiation.change_offer(offer);
        state.caps_changed |= before != state.negotiation.active();
        let tell = state.caps_changed;
        self.enqueue(&mut state, lines);
        drop(state);
        if tell {
            self.shared.notices.notify_one();
        }
        self.flush();
    }

    /// The capabilities the client has now.
    pub fn caps(&self) -> CapSet {
        self.state().negotiation.active()
    }

    /// Who the client is.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.shared.peer
    }

    /// Takes out everything queued, as if the client had read it. For outboxes made by [`Outbox::detached`].
    pub fn take_all(&self) -> Vec<Bytes> {
        let lines: Vec<Bytes> = self.state().queue.drain(..).collect();
        self.wrote(lines.iter().map(Bytes::len).sum());
        lines
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, state: &mut State, lines: impl IntoIterator<Item = Bytes>) {
        for line in lines {
            self.shared.queued.fetch_add(line.len(), Ordering::AcqRel);
            state.queue.push_back(line);
        }
        if self.queued() > self.shared.soft_limit {
            self.shared.lagging.store(true, Ordering::Release);
        }
    }

    /// Queues the door's own lines past the soft limit, and flushes. They are few and small.
    pub(crate) fn push_own(&self, lines: impl IntoIterator<Item = Bytes>) {
        let mut state = self.state();
        if !state.over {
            self.enqueue(&mut state, lines);
        }
        drop(state);
        self.flush();
    }

    /// Runs `change` on the negotiation and queues its replies in the same breath, so that no line encoded for other
    /// capabilities comes between.
    pub(crate) fn negotiate<T>(&self, change: impl FnOnce(&mut Negotiation, &mut Vec<Bytes>) -> T) -> T {
        let mut state = self.state();
        let mut lines = Vec::new();
        let before = state.negotiation.active();
        let result = change(&mut state.negotiation, &mut lines);
        state.caps_changed |= before != state.negotiation.active();
        self.enqueue(&mut state, lines);
        drop(state);
        self.flush();
        result
    }

    /// What flushed lines wait, moved into `into`; pending until there are some. `Ready(false)` once the backend or
    /// the door has asked for the end and nothing waits.
    pub(crate) fn poll_take(
        &self,
        cx: &mut std::task::Context<'_>,
        into: &mut VecDeque<Bytes>,
    ) -> Poll<bool> {
        self.shared.writer.register(cx.waker());
        let mut state = self.state();
        if !state.queue.is_empty() && (state.flushed || state.closing.is_some()) {
            state.flushed = false;
            if into.is_empty() {
                std::mem::swap(into, &mut state.queue);
            } else {
                into.append(&mut state.queue);
            }
            return Poll::Ready(true);
        }
        if state.closing.is_some() { Poll::Ready(false) } else { Poll::Pending }
    }

    /// Notes that `bytes` reached the socket; ends LAGGING below a quarter of the limit.
    pub(crate) fn wrote(&self, bytes: usize) {
        let left = self.shared.queued.fetch_sub(bytes, Ordering::AcqRel) - bytes;
        if self.lagging() && left <= self.shared.soft_limit / 4 {
            let mut state = self.state();
            self.shared.lagging.store(false, Ordering::Release);
            state.drained = true;
            drop(state);
            self.shared.notices.notify_one();
        }
    }

    /// Waits until there is something to tell the session, or the end was asked for (then it is empty).
    pub(crate) async fn notices(&self) -> Notices {
        loop {
            let notified = self.shared.notices.notified();
            {
                let mut state = self.state();
                let drained = std::mem::take(&mut state.drained);
                let changed = std::mem::take(&mut state.caps_changed);
                if drained || changed || state.closing.is_some() {
                    let caps = changed.then(|| state.negotiation.active());
                    return Notices { drained, caps };
                }
            }
            notified.await;
        }
    }

    /// The client's capabilities, if they have changed since this was asked.
    pub(crate) fn changed_caps(&self) -> Option<CapSet> {
        let mut state = self.state();
        std::mem::take(&mut state.caps_changed).then(|| state.negotiation.active())
    }

    /// Why [`Outbox::close`] was called, if it was.
    pub(crate) fn closing(&self) -> Option<String> {
        self.state().closing.clone()
    }

    /// From here on nothing is taken. Hands out what was never written.
    pub(crate) fn finish(&self) -> VecDeque<Bytes> {
        let mut state = self.state();
        state.over = true;
        std::mem::take(&mut state.queue)
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("peer", &self.shared.peer.id)
            .field("queued", &self.queued())
            .field("lagging", &self.lagging())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
