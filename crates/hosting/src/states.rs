//! How everything that a host runs is, told to whoever asks.

use std::collections::BTreeMap;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::watch;

/// The states of what a host runs. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct States<I, S>(watch::Sender<BTreeMap<I, S>>);

impl<I, S> Default for States<I, S> {
    fn default() -> Self {
        Self(watch::Sender::new(BTreeMap::new()))
    }
}

impl<I, S> States<I, S>
where
    I: Ord + Copy + Send + Sync + 'static,
    S: Clone + PartialEq + Send + Sync + 'static,
{
    /// It is this now. Not told where `same` finds no difference that is worth it to what was told before.
    pub fn tell(&self, id: I, state: S, same: impl FnOnce(&S, &S) -> bool) {
        self.0.send_if_modified(|states| {
            let other = states.get(&id).is_none_or(|known| !same(known, &state));
            if other {
                states.insert(id, state);
            }
            other
        });
    }

    /// It is gone. Nobody is told: it was taken away by whoever would be.
    pub fn forget(&self, id: I) {
        self.0.send_if_modified(|states| states.remove(&id).is_some());
    }

    /// How everything is, then every change of it. A slow reader is told only how each is in the end.
    pub fn changes(&self) -> BoxStream<'static, (I, S)> {
        let mut all = self.0.subscribe();
        all.mark_changed();
        stream::unfold((all, BTreeMap::<I, S>::new()), |(mut all, told)| async move {
            all.changed().await.ok()?;
            let now = all.borrow_and_update().clone();
            let other: Vec<_> = now
                .iter()
                .filter(|(id, state)| told.get(*id) != Some(*state))
                .map(|(id, state)| (*id, state.clone()))
                .collect();
            Some((stream::iter(other), (all, now)))
        })
        .flatten()
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(states: &States<u8, &'static str>, id: u8, state: &'static str) {
        states.tell(id, state, |known, now| known.eq_ignore_ascii_case(now));
    }

    #[tokio::test]
    async fn a_reader_is_told_everything_and_then_what_is_another() {
        let states = States::default();
        tell(&states, 1, "starting");
        tell(&states, 2, "ready");
        let mut changes = states.changes();
        assert_eq!(changes.next().await, Some((1, "starting")));
        assert_eq!(changes.next().await, Some((2, "ready")));
        tell(&states, 2, "READY");
        tell(&states, 1, "failing");
        tell(&states, 1, "ready");
        assert_eq!(changes.next().await, Some((1, "ready")));
    }

    #[tokio::test]
    async fn what_is_gone_and_comes_back_is_told_again_and_the_end_is_seen() {
        let states = States::default();
        let mut changes = states.changes();
        tell(&states, 1, "ready");
        assert_eq!(changes.next().await, Some((1, "ready")));
        states.forget(1);
        tell(&states, 2, "ready");
        assert_eq!(changes.next().await, Some((2, "ready")));
        tell(&states, 1, "ready");
        assert_eq!(changes.next().await, Some((1, "ready")));
        drop(states);
        assert_eq!(changes.next().await, None);
    }
}
