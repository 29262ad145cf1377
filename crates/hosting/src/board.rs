//! What watchers see: every network as it is now, and what changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use contracts::{HostedChange, HostedChangeKind, HostedId, HostedNetwork, Sub, WatchCursor};
use futures_util::stream::{BoxStream, StreamExt as _};
use service::watched::{State, Watched};

/// How many changes, of all accounts, a watcher may miss before it gets a snapshot instead.
const RING: usize = 1024;

/// All networks of all accounts.
pub struct Board {
    networks: Arc<Watched<Networks>>,
}

#[derive(Default)]
struct Networks(BTreeMap<HostedId, (Sub, HostedNetwork)>);

impl State for Networks {
    type Watcher = Sub;
    type Change = HostedChangeKind;

    fn everything(&self, of: Sub) -> HostedChangeKind {
        HostedChangeKind::Snapshot { networks: self.of(of) }
    }
}

impl Networks {
    fn of(&self, sub: Sub) -> Vec<HostedNetwork> {
        let own = self.0.values().filter(|(owner, network)| *owner == sub && network.deleted_at.is_none());
        own.map(|(_, network)| network.clone()).collect()
    }

    /// Says nothing where nothing changed.
    fn set(&mut self, sub: Sub, network: HostedNetwork) -> Option<(Sub, HostedChangeKind)> {
        let before = self.0.insert(network.id, (sub, network.clone()));
        let same = before.is_some_and(|(_, before)| before == network);
        (!same).then(|| (sub, HostedChangeKind::Network { network: Box::new(network) }))
    }
}

impl Board {
    pub fn new() -> Self {
        Self { networks: Arc::new(Watched::new(Networks::default(), RING)) }
    }

    /// The account's networks, by name; deleted ones are left out.
    pub fn networks(&self, sub: Sub) -> Vec<HostedNetwork> {
        let mut networks = self.networks.read(|networks| networks.of(sub));
        networks.sort_by_key(|network| network.spec.name.to_lowercase());
        networks
    }

    /// One of the account's networks.
    pub fn network(&self, sub: Sub, id: HostedId) -> Option<HostedNetwork> {
        self.networks.read(|networks| {
            networks.0.get(&id).filter(|(owner, _)| *owner == sub).map(|(_, network)| network.clone())
        })
    }

    /// Every network of the account, deleted ones too.
    pub fn ids(&self, sub: Sub) -> Vec<HostedId> {
        self.networks.read(|networks| {
            networks.0.iter().filter(|(_, (owner, _))| *owner == sub).map(|(id, _)| *id).collect()
        })
    }

    /// Every network there is.
    pub fn every(&self) -> Vec<HostedNetwork> {
        self.networks.read(|networks| networks.0.values().map(|(_, network)| network.clone()).collect())
    }

    /// A network is new or another.
    pub fn set(&self, sub: Sub, network: HostedNetwork) {
        self.networks.write(|networks| networks.set(sub, network));
    }

    /// Changes a network where it is known.
    pub fn change(&self, id: HostedId, change: impl FnOnce(&mut HostedNetwork)) {
        self.networks.write(|networks| {
            let (sub, mut network) = networks.0.get(&id).cloned()?;
            change(&mut network);
            networks.set(sub, network)
        });
    }

    /// A network is gone.
    pub fn remove(&self, id: HostedId) {
        self.networks.write(|networks| {
            let (sub, _) = networks.0.remove(&id)?;
            Some((sub, HostedChangeKind::Gone { id }))
        });
    }

    /// What came after `after`, then what comes; begins with a snapshot where `after` cannot be resumed.
    pub fn watch(&self, sub: Sub, after: Option<WatchCursor>) -> BoxStream<'static, HostedChange> {
        let changes = self.networks.watch(sub, after.map(|cursor| cursor.0));
        changes.map(|(cursor, what)| HostedChange { cursor: WatchCursor(cursor), what }).boxed()
    }
}
