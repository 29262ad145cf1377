//! What watchers see: every network as it is now, and a bounded ring of what changed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contracts::{HostedChange, HostedChangeKind, HostedId, HostedNetwork, Sub, WatchCursor};
use futures_util::stream::{BoxStream, StreamExt as _, unfold};
use tokio::sync::watch;

/// How many changes, of all accounts, a watcher may miss before it gets a snapshot instead.
const RING: usize = 1024;

/// All networks of all accounts.
pub struct Board {
    inner: Mutex<Inner>,
    moved: watch::Sender<()>,
}

struct Inner {
    /// The cursor of the newest change. Begins with the time, so that cursors of an earlier life are older than all.
    newest: u64,
    ring: VecDeque<(Sub, HostedChange)>,
    networks: BTreeMap<HostedId, (Sub, HostedNetwork)>,
}

impl Board {
    pub fn new() -> Self {
        let newest = u64::try_from(service::clock::now_ms()).unwrap_or_default() << 12;
        let inner = Inner { newest, ring: VecDeque::new(), networks: BTreeMap::new() };
        Self { inner: Mutex::new(inner), moved: watch::Sender::new(()) }
    }

    /// The account's networks, by name; deleted ones are left out.
    pub fn networks(&self, sub: Sub) -> Vec<HostedNetwork> {
        let mut networks = self.lock().of(sub);
        networks.sort_by_key(|network| network.spec.name.to_lowercase());
        networks
    }

    /// One of the account's networks.
    pub fn network(&self, sub: Sub, id: HostedId) -> Option<HostedNetwork> {
        self.lock().networks.get(&id).filter(|(owner, _)| *owner == sub).map(|(_, network)| network.clone())
    }

    /// Every network of the account, deleted ones too.
    pub fn ids(&self, sub: Sub) -> Vec<HostedId> {
        let inner = self.lock();
        inner.networks.iter().filter(|(_, (owner, _))| *owner == sub).map(|(id, _)| *id).collect()
    }

    /// Every network there is.
    pub fn every(&self) -> Vec<HostedNetwork> {
        self.lock().networks.values().map(|(_, network)| network.clone()).collect()
    }

    /// A network is new or another. Says nothing where nothing changed.
    pub fn set(&self, sub: Sub, network: HostedNetwork) {
        let mut inner = self.lock();
        if inner.networks.get(&network.id).is_some_and(|(_, known)| *known == network) {
            return;
        }
        inner.networks.insert(network.id, (sub, network.clone()));
        inner.push(sub, HostedChangeKind::Network { network: Box::new(network) });
        drop(inner);
        self.moved.send_replace(());
    }

    /// Changes a network where it is known.
    pub fn change(&self, id: HostedId, change: impl FnOnce(&mut HostedNetwork)) {
        let known = self.lock().networks.get(&id).cloned();
        if let Some((sub, mut network)) = known {
            change(&mut network);
            self.set(sub, network);
        }
    }

    /// A network is gone.
    pub fn remove(&self, id: HostedId) {
        let mut inner = self.lock();
        if let Some((sub, _)) = inner.networks.remove(&id) {
            inner.push(sub, HostedChangeKind::Gone { id });
            drop(inner);
            self.moved.send_replace(());
        }
    }

    /// What came after `after`, then what comes; begins with a snapshot where `after` cannot be resumed.
    pub fn watch(self: &Arc<Self>, sub: Sub, after: Option<WatchCursor>) -> BoxStream<'static, HostedChange> {
        let watcher = Watcher {
            board: Arc::clone(self),
            sub,
            after: after.map(|cursor| cursor.0),
            ready: VecDeque::new(),
            moved: self.moved.subscribe(),
        };
        unfold(watcher, Watcher::next).boxed()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn of(&self, sub: Sub) -> Vec<HostedNetwork> {
        let own =
            self.networks.values().filter(|(owner, network)| *owner == sub && network.deleted_at.is_none());
        own.map(|(_, network)| network.clone()).collect()
    }

    fn push(&mut self, sub: Sub, what: HostedChangeKind) {
        self.newest += 1;
        if self.ring.len() == RING {
            self.ring.pop_front();
        }
        self.ring.push_back((sub, HostedChange { cursor: WatchCursor(self.newest), what }));
    }

    /// The account's changes after a cursor and where the ring ends, or a snapshot if they are not all there any more.
    fn after(&self, sub: Sub, after: Option<u64>) -> Vec<HostedChange> {
        let oldest_resumable = self.newest - self.ring.len() as u64;
        match after {
            Some(cursor) if (oldest_resumable..=self.newest).contains(&cursor) => {
                let own =
                    self.ring.iter().filter(|(owner, change)| *owner == sub && change.cursor.0 > cursor);
                own.map(|(_, change)| change.clone()).collect()
            }
            _ => vec![HostedChange {
                cursor: WatchCursor(self.newest),
                what: HostedChangeKind::Snapshot { networks: self.of(sub) },
            }],
        }
    }
}

struct Watcher {
    board: Arc<Board>,
    sub: Sub,
    after: Option<u64>,
    ready: VecDeque<HostedChange>,
    moved: watch::Receiver<()>,
}

impl Watcher {
    async fn next(mut self) -> Option<(HostedChange, Self)> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                self.after = Some(change.cursor.0);
                return Some((change, self));
            }
            self.moved.borrow_and_update();
            {
                let inner = self.board.lock();
                self.ready.extend(inner.after(self.sub, self.after));
                // Others' changes are behind us too, so that they never push us out of the ring.
                if self.ready.is_empty() {
                    self.after = Some(inner.newest);
                }
            }
            if self.ready.is_empty() && self.moved.changed().await.is_err() {
                return None;
            }
        }
    }
}
