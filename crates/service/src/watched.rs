//! A state that others watch: as it is now, and a bounded ring of what changed, in which a watcher resumes.
//!
//! One writer or many change it; anybody reads without waiting for them, and a watcher that reads nothing costs a writer
//! nothing. A watcher gets everything as it is, then every change; one that comes back with a cursor gets exactly what it
//! missed, and everything anew where the ring does not reach back that far, or the cursor is of another life.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{BoxStream, StreamExt as _, unfold};
use tokio::sync::watch;

/// How many changes a watcher takes at a time, so that none holds a copy of a whole ring.
const AT_A_TIME: usize = 32;

/// What can be watched.
pub trait State: Send + 'static {
    /// Who watches: each is told only of changes that are its own. `()` where all see all.
    type Watcher: Copy + Eq + Send + Sync + 'static;
    /// What watchers are told.
    type Change: Clone + Send + 'static;

    /// Everything that the watcher may see, as it is now.
    fn everything(&self, of: Self::Watcher) -> Self::Change;
}

/// A state with its watchers.
pub struct Watched<S: State> {
    inner: Mutex<Inner<S>>,
    moved: watch::Sender<()>,
}

struct Inner<S: State> {
    state: S,
    /// The cursor of the newest change. Begins with the time, so that cursors of an earlier life are older than all.
    newest: u64,
    ring: VecDeque<(S::Watcher, S::Change)>,
    most: usize,
    over: bool,
}

impl<S: State> Watched<S> {
    /// A state of which the last `most` changes are kept.
    pub fn new(state: S, most: usize) -> Self {
        let newest = u64::try_from(crate::clock::now_ms()).unwrap_or_default() << 12;
        let inner = Inner { state, newest, ring: VecDeque::new(), most: most.max(1), over: false };
        Self { inner: Mutex::new(inner), moved: watch::Sender::new(()) }
    }

    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&S) -> T) -> T {
        look(&self.lock().state)
    }

    /// Changes the state, and tells whoever it concerns what changed; `None` where nothing did.
    pub fn write(&self, change: impl FnOnce(&mut S) -> Option<(S::Watcher, S::Change)>) {
        let mut inner = self.lock();
        let Some(told) = change(&mut inner.state) else { return };
        inner.newest += 1;
        if inner.ring.len() == inner.most {
            inner.ring.pop_front();
        }
        inner.ring.push_back(told);
        drop(inner);
        self.moved.send_replace(());
    }

    /// There is nothing to watch any more: every watcher's stream ends, and `last` is the state from now on.
    pub fn close(&self, last: S) {
        let mut inner = self.lock();
        inner.over = true;
        inner.ring.clear();
        inner.state = last;
        drop(inner);
        self.moved.send_replace(());
    }

    /// What came after `after`, then what comes, each with the cursor to resume after; begins with everything where
    /// `after` cannot be resumed.
    pub fn watch(
        self: &Arc<Self>,
        of: S::Watcher,
        after: Option<u64>,
    ) -> BoxStream<'static, (u64, S::Change)> {
        let moved = self.moved.subscribe();
        let reader = Reader { watched: Arc::clone(self), of, after, ready: VecDeque::new(), moved };
        unfold(reader, Reader::next).boxed()
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: State> Inner<S> {
    /// The cursor before the oldest change that is kept.
    fn oldest(&self) -> u64 {
        self.newest - self.ring.len() as u64
    }
}

struct Reader<S: State> {
    watched: Arc<Watched<S>>,
    of: S::Watcher,
    after: Option<u64>,
    ready: VecDeque<(u64, S::Change)>,
    moved: watch::Receiver<()>,
}

impl<S: State> Reader<S> {
    async fn next(mut self) -> Option<((u64, S::Change), Self)> {
        loop {
            if let Some((cursor, change)) = self.ready.pop_front() {
                self.after = Some(cursor);
                return Some(((cursor, change), self));
            }
            self.moved.borrow_and_update();
            if !self.collect() {
                return None;
            }
            if self.ready.is_empty() {
                self.moved.changed().await.ok()?;
            }
        }
    }

    /// Takes what is there; `false` once nothing comes any more.
    fn collect(&mut self) -> bool {
        let inner = self.watched.lock();
        if inner.over {
            return false;
        }
        let oldest = inner.oldest();
        match self.after.filter(|after| (oldest..=inner.newest).contains(after)) {
            None => self.ready.push_back((inner.newest, inner.state.everything(self.of))),
            Some(after) => {
                let behind = usize::try_from(after - oldest).unwrap_or(usize::MAX);
                let rest = (after + 1..).zip(inner.ring.iter().skip(behind));
                let own = rest.filter(|(_, (of, _))| *of == self.of).take(AT_A_TIME);
                self.ready.extend(own.map(|(cursor, (_, change))| (cursor, change.clone())));
                // Others' changes are behind us too, so that they never push us out of the ring.
                if self.ready.is_empty() {
                    self.after = Some(inner.newest);
                }
            }
        }
        true
    }
}
