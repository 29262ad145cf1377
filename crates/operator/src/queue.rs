//! What is due when: at most one look at a resource at a time, none forgotten, back-off for each, jitter for all.
//!
//! [`Due`] is the pure part: time comes in as a number of milliseconds. [`Queue`] gives it a clock and lets workers wait.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The first wait after a failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const LONGEST: Duration = Duration::from_secs(300);

/// How a look at a resource ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Well: look again after this time, if nothing changes before. The back-off begins anew.
    Fine(Duration),
    /// As [`Done::Fine`], but the back-off is kept: it was a wait, neither success nor failure.
    Waiting(Duration),
    /// Badly: look again after the back-off.
    Failed,
    /// The resource is gone.
    Gone,
}

/// What is due when. Time is milliseconds since anything.
#[derive(Debug)]
pub struct Due<K> {
    entries: HashMap<K, Entry>,
    order: BTreeSet<(u64, u64)>,
    keys: HashMap<u64, K>,
    next_id: u64,
    running: usize,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    /// When it is due, if it waits.
    due: Option<u64>,
    /// Since when it should have been looked at: what queue delay is measured from.
    since: u64,
    running: bool,
    /// Whether something changed while it was running.
    again: Option<u64>,
    failures: u32,
}

impl<K> Default for Due<K> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: BTreeSet::new(), keys: HashMap::new(), next_id: 0, running: 0 }
    }
}

impl<K: Clone + Eq + Hash> Due<K> {
    /// Something changed: look at it at `at`, or earlier if that was planned already.
    pub fn add(&mut self, key: K, at: u64) {
        let entry = self.entries.entry(key.clone()).or_insert_with(|| {
            self.next_id += 1;
            Entry { id: self.next_id, due: None, since: at, running: false, again: None, failures: 0 }
        });
        if entry.running {
            entry.again = Some(entry.again.map_or(at, |planned| planned.min(at)));
            return;
        }
        if entry.due.is_some_and(|due| due <= at) {
            return;
        }
        if let Some(due) = entry.due.replace(at) {
            self.order.remove(&(due, entry.id));
        }
        entry.since = at;
        self.order.insert((at, entry.id));
        self.keys.insert(entry.id, key);
    }

    /// The next one that is due, and for how long it has been.
    pub fn take(&mut self, now: u64) -> Option<(K, u64)> {
        let &(due, id) = self.order.first()?;
        if due > now {
            return None;
        }
        self.order.pop_first();
        let key = self.keys.remove(&id)?;
        let entry = self.entries.get_mut(&key)?;
        entry.due = None;
        entry.running = true;
        self.running += 1;
        Some((key, now.saturating_sub(entry.since)))
    }

    /// When the next one is due.
    pub fn next_at(&self) -> Option<u64> {
        self.order.first().map(|(due, _)| *due)
    }

    /// How a look ended. `jitter` is between 0 and 1.
    pub fn done(&mut self, key: &K, how: Done, now: u64, jitter: f64) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if !entry.running {
            return;
        }
        entry.running = false;
        self.running -= 1;
        let again = entry.again.take();
        let wait = match how {
            Done::Fine(after) => {
                entry.failures = 0;
                Some(spread(after, jitter))
            }
            Done::Waiting(after) => Some(spread(after, jitter)),
            Done::Failed => {
                let wait = back_off(entry.failures, jitter);
                entry.failures = entry.failures.saturating_add(1);
                Some(wait)
            }
            Done::Gone => None,
        };
        // After a failure even a change waits: our own write may be what changed.
        let at = match (wait, again, how) {
            (None, None, _) => {
                self.entries.remove(key);
                return;
            }
            (Some(wait), _, Done::Failed) => now + millis(wait),
            (Some(wait), again, _) => (now + millis(wait)).min(again.unwrap_or(u64::MAX)),
            (None, Some(again), _) => again,
        };
        self.add(key.clone(), at);
    }

    /// How many wait for their time or are due.
    pub fn waiting(&self) -> usize {
        self.order.len()
    }

    /// How many are due and nobody looks at them yet.
    pub fn overdue(&self, now: u64) -> usize {
        self.order.range(..(now + 1, 0)).count()
    }

    /// How many are being looked at.
    pub fn running(&self) -> usize {
        self.running
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2)
}

/// A wait that is up to a tenth longer, so that what began together does not stay together.
fn spread(wait: Duration, jitter: f64) -> Duration {
    wait.mul_f64(1.0 + 0.1 * jitter.clamp(0.0, 1.0))
}

/// Doubles from one second to five minutes; half of it is chance.
pub fn back_off(failures: u32, jitter: f64) -> Duration {
    let whole = FIRST.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(LONGEST);
    whole.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

/// [`Due`] with a clock, for workers.
#[derive(Debug)]
pub struct Queue<K> {
    due: Mutex<Due<K>>,
    changed: Notify,
    start: Instant,
}

impl<K: Clone + Eq + Hash> Default for Queue<K> {
    fn default() -> Self {
        Self { due: Mutex::default(), changed: Notify::new(), start: Instant::now() }
    }
}

impl<K: Clone + Eq + Hash> Queue<K> {
    /// Something changed: look at it now.
    pub fn add(&self, key: K) {
        let now = self.now();
        self.lock().add(key, now);
        self.changed.notify_one();
    }

    /// Look at it within this time, at a moment left to chance: for many that are alike.
    pub fn add_within(&self, key: K, within: Duration) {
        let at = self.now() + millis(within.mul_f64(rand::random::<f64>()));
        self.lock().add(key, at);
        self.changed.notify_one();
    }

    /// Waits for the next one that is due. Returns it and for how long it has been.
    pub async fn next(&self) -> (K, Duration) {
        loop {
            let wait = {
                let mut due = self.lock();
                let now = self.now();
                if let Some((key, late)) = due.take(now) {
                    // The next worker may have been woken for this one: pass it on.
                    self.changed.notify_one();
                    return (key, Duration::from_millis(late));
                }
                due.next_at().map(|at| Duration::from_millis(at.saturating_sub(now)))
            };
            let changed = self.changed.notified();
            match wait {
                Some(wait) => {
                    let _ = tokio::time::timeout(wait, changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// How a look ended.
    pub fn done(&self, key: &K, how: Done) {
        let now = self.now();
        self.lock().done(key, how, now, rand::random());
        self.changed.notify_one();
    }

    /// Due and not looked at, being looked at.
    pub fn depth(&self) -> (usize, usize) {
        let now = self.now();
        let due = self.lock();
        (due.overdue(now), due.running())
    }

    fn now(&self) -> u64 {
        millis(self.start.elapsed())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Due<K>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Add(u8),
        Take,
        Done(u8, Done),
        Pass(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..4_u8).prop_map(Op::Add),
            Just(Op::Take),
            (
                0..4_u8,
                prop_oneof![
                    Just(Done::Fine(Duration::from_secs(3600))),
                    Just(Done::Waiting(Duration::from_secs(5))),
                    Just(Done::Failed),
                    Just(Done::Gone),
                ]
            )
                .prop_map(|(key, how)| Op::Done(key, how)),
            (0..10_000_u64).prop_map(Op::Pass),
        ]
    }

    proptest! {
        #[test]
        fn nothing_runs_twice_at_once_and_no_change_is_forgotten(ops in prop::collection::vec(op(), 1..200)) {
            let mut due = Due::default();
            let mut now = 0;
            let mut running = HashSet::new();
            // Changes that no look began after.
            let mut unseen = HashSet::new();
            for op in ops {
                match op {
                    Op::Add(key) => {
                        due.add(key, now);
                        unseen.insert(key);
                    }
                    Op::Take => {
                        if let Some((key, _)) = due.take(now) {
                            prop_assert!(running.insert(key), "{key} runs twice");
                            unseen.remove(&key);
                        }
                    }
                    Op::Done(key, how) => {
                        due.done(&key, how, now, 0.5);
                        running.remove(&key);
                    }
                    Op::Pass(by) => now += by,
                }
            }
            for key in running.drain() {
                due.done(&key, Done::Fine(Duration::from_secs(3600)), now, 0.5);
            }
            // Within the longest back-off every change has been looked at.
            let mut seen = HashSet::new();
            while let Some((key, _)) = due.take(now + millis(LONGEST)) {
                seen.insert(key);
            }
            prop_assert!(unseen.is_subset(&seen), "{unseen:?} was forgotten");
            prop_assert_eq!(due.running(), seen.len());
        }
    }

    #[test]
    fn failures_wait_longer_each_time_and_success_begins_anew() {
        assert_eq!(back_off(0, 1.0), Duration::from_secs(1));
        assert_eq!(back_off(3, 1.0), Duration::from_secs(8));
        assert_eq!(back_off(60, 1.0), LONGEST);
        let mut due = Due::default();
        due.add("a", 0);
        for expected in [1_000, 2_000, 4_000] {
            let (key, _) = due.take(u64::MAX).unwrap();
            due.done(&key, Done::Failed, 0, 1.0);
            assert_eq!(due.next_at(), Some(expected));
        }
        let (key, _) = due.take(u64::MAX).unwrap();
        due.done(&key, Done::Fine(Duration::ZERO), 0, 1.0);
        let (key, _) = due.take(u64::MAX).unwrap();
        due.done(&key, Done::Failed, 0, 1.0);
        assert_eq!(due.next_at(), Some(1_000));
    }

    #[test]
    fn a_change_during_a_failing_look_waits_for_the_back_off() {
        let mut due = Due::default();
        due.add("a", 0);
        let (key, _) = due.take(0).unwrap();
        due.add("a", 0);
        due.done(&key, Done::Failed, 0, 1.0);
        assert_eq!(due.next_at(), Some(1_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_sleeps_until_something_is_due() {
        let queue = Queue::default();
        queue.add("a");
        let (key, _) = queue.next().await;
        queue.done(&key, Done::Waiting(Duration::from_secs(60)));
        let before = Instant::now();
        let (key, _) = queue.next().await;
        assert_eq!(key, "a");
        assert!(before.elapsed() >= Duration::from_secs(60));
    }
}
