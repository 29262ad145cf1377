//! What the portal sees of one account: networks and devices as they are now, and a bounded ring of what changed.
//!
//! The account's own task writes; anybody reads, without waiting for that task.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contracts::{BouncerChange, BouncerChangeKind, Device, Network, NetworkId, WatchCursor};
use futures_util::stream::{BoxStream, StreamExt as _, unfold};
use tokio::sync::watch;
use uuid::Uuid;

/// How many changes a watcher may miss before it gets a snapshot instead.
const RING: usize = 128;

/// One account's board. A cursor of another process, or of before a restart, is answered with a snapshot.
pub struct Board {
    inner: Mutex<Inner>,
    moved: watch::Sender<()>,
}

struct Inner {
    /// The cursor of the newest change. Begins with the time, so that cursors of an earlier life are older than all.
    newest: u64,
    ring: VecDeque<BouncerChange>,
    networks: BTreeMap<NetworkId, Network>,
    devices: BTreeMap<Uuid, Device>,
    over: bool,
}

impl Board {
    /// An empty board.
    pub fn new() -> Self {
        let newest = u64::try_from(service::clock::now_ms()).unwrap_or_default() << 12;
        Self {
            inner: Mutex::new(Inner {
                newest,
                ring: VecDeque::new(),
                networks: BTreeMap::new(),
                devices: BTreeMap::new(),
                over: false,
            }),
            moved: watch::Sender::new(()),
        }
    }

    /// The networks, by name.
    pub fn networks(&self) -> Vec<Network> {
        let mut networks: Vec<Network> = self.lock().networks.values().cloned().collect();
        networks.sort_by_key(|network| network.spec.name.to_lowercase());
        networks
    }

    /// One of them.
    pub fn network(&self, id: NetworkId) -> Option<Network> {
        self.lock().networks.get(&id).cloned()
    }

    /// The devices, the latest seen first.
    pub fn devices(&self) -> Vec<Device> {
        let mut devices: Vec<Device> = self.lock().devices.values().cloned().collect();
        devices.sort_by_key(|device| (std::cmp::Reverse(device.last_seen), device.id));
        devices
    }

    /// A network is new or another. Says nothing where nothing changed.
    pub fn set_network(&self, network: Network) {
        let mut inner = self.lock();
        if inner.networks.get(&network.id) == Some(&network) {
            return;
        }
        inner.networks.insert(network.id, network.clone());
        inner.push(BouncerChangeKind::Network { network: Box::new(network) });
        drop(inner);
        self.moved.send_replace(());
    }

    /// A network is gone.
    pub fn remove_network(&self, id: NetworkId) {
        let mut inner = self.lock();
        if inner.networks.remove(&id).is_some() {
            inner.push(BouncerChangeKind::NetworkGone { id });
            drop(inner);
            self.moved.send_replace(());
        }
    }

    /// A device is new or another.
    pub fn set_device(&self, device: Device) {
        let mut inner = self.lock();
        if inner.devices.get(&device.id) == Some(&device) {
            return;
        }
        inner.devices.insert(device.id, device.clone());
        inner.push(BouncerChangeKind::Device { device });
        drop(inner);
        self.moved.send_replace(());
    }

    /// Changes a device where it is known.
    pub fn change_device(&self, id: Uuid, change: impl FnOnce(&mut Device)) {
        let changed = self.lock().devices.get(&id).cloned().map(|mut device| {
            change(&mut device);
            device
        });
        if let Some(device) = changed {
            self.set_device(device);
        }
    }

    /// The account is gone: every watcher's stream ends.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.over = true;
        inner.networks.clear();
        inner.devices.clear();
        inner.ring.clear();
        drop(inner);
        self.moved.send_replace(());
    }

    /// What came after `after`, then what comes; begins with a snapshot where `after` cannot be resumed.
    pub fn watch(self: &Arc<Self>, after: Option<WatchCursor>) -> BoxStream<'static, BouncerChange> {
        let watcher = Watcher {
            board: Arc::clone(self),
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
    fn push(&mut self, what: BouncerChangeKind) {
        self.newest += 1;
        if self.ring.len() == RING {
            self.ring.pop_front();
        }
        self.ring.push_back(BouncerChange { cursor: WatchCursor(self.newest), what });
    }

    /// The changes after a cursor, or a snapshot if they are not all there any more.
    fn after(&self, after: Option<u64>) -> Vec<BouncerChange> {
        let oldest_resumable = self.newest - self.ring.len() as u64;
        match after {
            Some(cursor) if (oldest_resumable..=self.newest).contains(&cursor) => {
                self.ring.iter().filter(|change| change.cursor.0 > cursor).cloned().collect()
            }
            _ => vec![BouncerChange {
                cursor: WatchCursor(self.newest),
                what: BouncerChangeKind::Snapshot {
                    networks: self.networks.values().cloned().collect(),
                    devices: self.devices.values().cloned().collect(),
                },
            }],
        }
    }
}

struct Watcher {
    board: Arc<Board>,
    after: Option<u64>,
    ready: VecDeque<BouncerChange>,
    moved: watch::Receiver<()>,
}

impl Watcher {
    async fn next(mut self) -> Option<(BouncerChange, Self)> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                self.after = Some(change.cursor.0);
                return Some((change, self));
            }
            self.moved.borrow_and_update();
            {
                let inner = self.board.lock();
                if inner.over {
                    return None;
                }
                self.ready.extend(inner.after(self.after));
            }
            if self.ready.is_empty() && self.moved.changed().await.is_err() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::BouncerChangeKind as Kind;

    fn device(n: u128, connections: u32) -> Device {
        Device {
            id: Uuid::from_u128(n),
            credential: Uuid::nil(),
            client: None,
            software: None,
            connections,
            last_seen: 0,
        }
    }

    #[tokio::test]
    async fn a_watcher_begins_with_everything_and_goes_on_with_changes() {
        let board = Arc::new(Board::new());
        board.set_device(device(1, 0));
        let mut watch = board.watch(None);
        let first = watch.next().await.map(|change| change.what);
        assert!(matches!(first, Some(Kind::Snapshot { devices, .. }) if devices.len() == 1));
        board.set_device(device(1, 1));
        let second = watch.next().await.map(|change| change.what);
        assert!(matches!(second, Some(Kind::Device { device }) if device.connections == 1));
    }

    #[tokio::test]
    async fn a_watcher_comes_back_where_it_left() {
        let board = Arc::new(Board::new());
        board.set_device(device(1, 0));
        let cursor = board.watch(None).next().await.map(|change| change.cursor);
        board.set_device(device(2, 0));
        let next = board.watch(cursor).next().await.map(|change| change.what);
        assert!(matches!(next, Some(Kind::Device { device }) if device.id == Uuid::from_u128(2)));
    }

    #[tokio::test]
    async fn one_that_was_away_too_long_gets_everything_again() {
        let board = Arc::new(Board::new());
        let cursor = board.watch(None).next().await.map(|change| change.cursor);
        for n in 0..300 {
            board.set_device(device(n, 0));
        }
        let next = board.watch(cursor).next().await.map(|change| change.what);
        assert!(matches!(next, Some(Kind::Snapshot { devices, .. }) if devices.len() == 300));
        let from_another_life = Some(WatchCursor(7));
        let next = board.watch(from_another_life).next().await.map(|change| change.what);
        assert!(matches!(next, Some(Kind::Snapshot { .. })));
    }

    #[tokio::test]
    async fn what_did_not_change_is_not_told() {
        let board = Arc::new(Board::new());
        board.set_device(device(1, 0));
        let mut watch = board.watch(None);
        watch.next().await;
        board.set_device(device(1, 0));
        board.set_device(device(1, 2));
        let next = watch.next().await.map(|change| change.what);
        assert!(matches!(next, Some(Kind::Device { device }) if device.connections == 2));
    }
}
