//! What the portal sees of one account: networks and devices as they are now, and what changed.
//!
//! The account's own task writes; anybody reads, without waiting for that task.

use std::collections::BTreeMap;
use std::sync::Arc;

use contracts::{BouncerChange, BouncerChangeKind, Device, Network, NetworkId, WatchCursor};
use futures_util::stream::{BoxStream, StreamExt as _};
use service::watched::{State, Watched};
use uuid::Uuid;

/// How many changes a watcher may miss before it gets a snapshot instead.
const RING: usize = 128;

/// One account's board. A cursor of another process, or of before a restart, is answered with a snapshot.
pub struct Board {
    shown: Arc<Watched<Shown>>,
}

#[derive(Default)]
struct Shown {
    networks: BTreeMap<NetworkId, Network>,
    devices: BTreeMap<Uuid, Device>,
}

impl State for Shown {
    type Watcher = ();
    type Change = BouncerChangeKind;

    fn everything(&self, (): ()) -> BouncerChangeKind {
        BouncerChangeKind::Snapshot {
            networks: self.networks.values().cloned().collect(),
            devices: self.devices.values().cloned().collect(),
        }
    }
}

impl Shown {
    /// Says nothing where nothing changed.
    fn set_device(&mut self, device: Device) -> Option<((), BouncerChangeKind)> {
        let before = self.devices.insert(device.id, device.clone());
        (before.as_ref() != Some(&device)).then_some(((), BouncerChangeKind::Device { device }))
    }
}

impl Board {
    /// An empty board.
    pub fn new() -> Self {
        Self { shown: Arc::new(Watched::new(Shown::default(), RING)) }
    }

    /// The networks, by name.
    pub fn networks(&self) -> Vec<Network> {
        let mut networks: Vec<Network> = self.shown.read(|shown| shown.networks.values().cloned().collect());
        networks.sort_by_key(|network| network.spec.name.to_lowercase());
        networks
    }

    /// One of them.
    pub fn network(&self, id: NetworkId) -> Option<Network> {
        self.shown.read(|shown| shown.networks.get(&id).cloned())
    }

    /// The devices, the latest seen first.
    pub fn devices(&self) -> Vec<Device> {
        let mut devices: Vec<Device> = self.shown.read(|shown| shown.devices.values().cloned().collect());
        devices.sort_by_key(|device| (std::cmp::Reverse(device.last_seen), device.id));
        devices
    }

    /// A network is new or another. Says nothing where nothing changed.
    pub fn set_network(&self, network: Network) {
        self.shown.write(|shown| {
            let before = shown.networks.insert(network.id, network.clone());
            let same = before.is_some_and(|before| before == network);
            (!same).then(|| ((), BouncerChangeKind::Network { network: Box::new(network) }))
        });
    }

    /// A network is gone.
    pub fn remove_network(&self, id: NetworkId) {
        self.shown.write(|shown| {
            shown.networks.remove(&id)?;
            Some(((), BouncerChangeKind::NetworkGone { id }))
        });
    }

    /// A device is new or another.
    pub fn set_device(&self, device: Device) {
        self.shown.write(|shown| shown.set_device(device));
    }

    /// Changes a device where it is known.
    pub fn change_device(&self, id: Uuid, change: impl FnOnce(&mut Device)) {
        self.shown.write(|shown| {
            let mut device = shown.devices.get(&id).cloned()?;
            change(&mut device);
            shown.set_device(device)
        });
    }

    /// The account is gone: every watcher's stream ends.
    pub fn close(&self) {
        self.shown.close(Shown::default());
    }

    /// What came after `after`, then what comes; begins with a snapshot where `after` cannot be resumed.
    pub fn watch(&self, after: Option<WatchCursor>) -> BoxStream<'static, BouncerChange> {
        let changes = self.shown.watch((), after.map(|cursor| cursor.0));
        changes.map(|(cursor, what)| BouncerChange { cursor: WatchCursor(cursor), what }).boxed()
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
        let board = Board::new();
        board.set_device(device(1, 0));
        let mut watch = board.watch(None);
        let first = watch.next().await.map(|change| change.what);
        assert!(matches!(first, Some(Kind::Snapshot { devices, .. }) if devices.len() == 1));
        board.set_device(device(1, 1));
        let second = watch.next().await.map(|change| change.what);
        assert!(matches!(second, Some(Kind::Device { device }) if device.connections == 1));
    }

    #[tokio::test]
    async fn what_did_not_change_is_not_told() {
        let board = Board::new();
        board.set_device(device(1, 0));
        let mut watch = board.watch(None);
        watch.next().await;
        board.set_device(device(1, 0));
        board.set_device(device(1, 2));
        let next = watch.next().await.map(|change| change.what);
        assert!(matches!(next, Some(Kind::Device { device }) if device.connections == 2));
    }
}
