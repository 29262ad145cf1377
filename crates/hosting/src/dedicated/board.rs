//! What watchers see: each account's dedicated bouncer as it is now.

use std::collections::BTreeMap;

use contracts::{DedicatedBouncer, Sub};
use futures_util::stream::{BoxStream, StreamExt as _, unfold};
use tokio::sync::watch;

/// Every dedicated bouncer.
pub struct Board(watch::Sender<BTreeMap<Sub, DedicatedBouncer>>);

impl Board {
    pub fn new() -> Self {
        Self(watch::Sender::new(BTreeMap::new()))
    }

    /// The account's.
    pub fn of(&self, sub: Sub) -> Option<DedicatedBouncer> {
        self.0.borrow().get(&sub).cloned()
    }

    /// It is this now. Says nothing where nothing changed.
    pub fn set(&self, sub: Sub, bouncer: DedicatedBouncer) {
        self.0.send_if_modified(|all| {
            let other = all.get(&sub) != Some(&bouncer);
            if other {
                all.insert(sub, bouncer);
            }
            other
        });
    }

    /// It is gone.
    pub fn remove(&self, sub: Sub) {
        self.0.send_if_modified(|all| all.remove(&sub).is_some());
    }

    /// How the account's is, then every change.
    pub fn watch(&self, sub: Sub) -> BoxStream<'static, Option<DedicatedBouncer>> {
        let mut all = self.0.subscribe();
        all.mark_changed();
        unfold((all, None), move |(mut all, told)| async move {
            loop {
                all.changed().await.ok()?;
                let now = all.borrow_and_update().get(&sub).cloned();
                if told.as_ref() != Some(&now) {
                    return Some((now.clone(), (all, Some(now))));
                }
            }
        })
        .boxed()
    }
}
