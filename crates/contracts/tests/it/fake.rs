//! A bouncer without connections: just enough state to keep the contract.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use contracts::*;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::broadcast;
use uuid::Uuid;

pub struct Fake {
    state: Mutex<State>,
    live: broadcast::Sender<BouncerChange>,
    changes: AtomicUsize,
    endless: AtomicBool,
}

#[derive(Default)]
struct State {
    networks: Vec<(Sub, Network)>,
    answered: HashMap<String, Network>,
    log: Vec<BouncerChange>,
}

impl Default for Fake {
    fn default() -> Self {
        let (live, _) = broadcast::channel(64);
        Self { state: Mutex::default(), live, changes: AtomicUsize::new(0), endless: AtomicBool::new(false) }
    }
}

impl Fake {
    pub fn changes(&self) -> usize {
        self.changes.load(Ordering::SeqCst)
    }

    pub fn never_end_exports(&self) {
        self.endless.store(true, Ordering::SeqCst);
    }

    fn publish(&self, state: &mut State, what: BouncerChangeKind) {
        let change = BouncerChange { cursor: WatchCursor(state.log.len() as u64 + 1), what };
        state.log.push(change.clone());
        let _ = self.live.send(change);
    }

    fn with<T>(
        &self,
        call: &Call,
        id: NetworkId,
        change: impl FnOnce(&mut Network) -> CallResult<T>,
    ) -> CallResult<T> {
        let mut state = self.state.lock().unwrap();
        let mine = |(sub, network): &&mut (Sub, Network)| *sub == call.account && network.id == id;
        let (_, network) =
            state.networks.iter_mut().find(mine).ok_or_else(|| CallError::not_found("network"))?;
        let result = change(network)?;
        let network = network.clone();
        self.publish(&mut state, BouncerChangeKind::Network { network: Box::new(network) });
        Ok(result)
    }
}

fn fresh(spec: NetworkSpec) -> Network {
    let state = NetworkState {
        phase: Phase::Connecting,
        since: 1,
        nick: None,
        channels: 0,
        lag_ms: vec![1, 2],
        last_error: None,
        needs_user: false,
    };
    Network { id: NetworkId(Uuid::now_v7()), spec, state, version: 1, created_at: 1, deleted_at: None }
}

#[async_trait]
impl AccountData for Fake {
    fn service(&self) -> &'static str {
        "bouncer"
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        let networks = self.networks(call).await?;
        let bytes = serde_json::to_vec(&networks).unwrap();
        let chunks = stream::iter([Ok(ExportChunk { path: "networks.json".to_owned(), bytes })]);
        let endless = self.endless.load(Ordering::SeqCst);
        Ok(if endless { chunks.chain(stream::pending()).boxed() } else { chunks.boxed() })
    }

    async fn delete(&self, call: &Call) -> CallResult<()> {
        self.state.lock().unwrap().networks.retain(|(sub, _)| *sub != call.account);
        Ok(())
    }
}

#[async_trait]
impl Bouncers for Fake {
    async fn well_known(&self) -> CallResult<Vec<WellKnownNetwork>> {
        Ok(Vec::new())
    }

    async fn networks(&self, call: &Call) -> CallResult<Vec<Network>> {
        let state = self.state.lock().unwrap();
        let mine = state.networks.iter().filter(|(sub, n)| *sub == call.account && n.deleted_at.is_none());
        Ok(mine.map(|(_, network)| network.clone()).collect())
    }

    async fn network(&self, call: &Call, id: NetworkId) -> CallResult<Network> {
        let found = self.networks(call).await?.into_iter().find(|network| network.id == id);
        found.ok_or_else(|| CallError::not_found("network"))
    }

    async fn add_network(&self, call: &Call, spec: NetworkSpec) -> CallResult<Network> {
        let mut state = self.state.lock().unwrap();
        let key = call.idempotency_key.clone().unwrap();
        if let Some(answer) = state.answered.get(&key) {
            return Ok(answer.clone());
        }
        if state.networks.iter().any(|(sub, n)| *sub == call.account && n.spec.name == spec.name) {
            return Err(CallError::Conflict { message: "You have a network of that name.".to_owned() });
        }
        let network = fresh(spec);
        state.networks.push((call.account, network.clone()));
        state.answered.insert(key, network.clone());
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.publish(&mut state, BouncerChangeKind::Network { network: Box::new(network.clone()) });
        Ok(network)
    }

    async fn change_network(&self, call: &Call, id: NetworkId, spec: NetworkSpec) -> CallResult<Network> {
        self.with(call, id, |network| {
            if call.version.is_some_and(|version| version != network.version) {
                return Err(CallError::Conflict { message: "It changed since you read it.".to_owned() });
            }
            network.spec = spec;
            network.version += 1;
            Ok(network.clone())
        })
    }

    async fn delete_network(&self, call: &Call, id: NetworkId) -> CallResult<()> {
        self.with(call, id, |network| {
            network.deleted_at = Some(1);
            Ok(())
        })
    }

    async fn restore_network(&self, call: &Call, id: NetworkId) -> CallResult<Network> {
        self.with(call, id, |network| {
            network.deleted_at = None;
            Ok(network.clone())
        })
    }

    async fn reconnect(&self, call: &Call, id: NetworkId) -> CallResult<()> {
        self.with(call, id, |_| Ok(()))
    }

    async fn devices(&self, _: &Call) -> CallResult<Vec<Device>> {
        Ok(Vec::new())
    }

    async fn mentions(&self, _: &Call, _: u32) -> CallResult<Vec<Mention>> {
        Ok(Vec::new())
    }

    async fn usage(&self, _: &Call) -> CallResult<BouncerUsage> {
        Ok(BouncerUsage::default())
    }

    async fn watch(
        &self,
        call: &Call,
        after: Option<WatchCursor>,
    ) -> CallResult<BoxStream<'static, BouncerChange>> {
        let networks = self.networks(call).await?;
        let state = self.state.lock().unwrap();
        let live = stream::unfold(self.live.subscribe(), |mut live| {
            async move { live.recv().await.ok().map(|change| (change, live)) }.boxed()
        });
        let missed = match after {
            Some(cursor) => state.log.iter().filter(|change| change.cursor.0 > cursor.0).cloned().collect(),
            None => {
                let cursor = WatchCursor(state.log.len() as u64);
                vec![BouncerChange {
                    cursor,
                    what: BouncerChangeKind::Snapshot { networks, devices: Vec::new() },
                }]
            }
        };
        Ok(stream::iter(missed).chain(live).boxed())
    }
}
