//! Both adapters of `Networks` hold the same promises.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use contracts::http::{Client, NetworksClient, NoBearer, networks_router};
use contracts::*;
use entitlements::Amount;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use testkit::proxy::{Mood, Proxy};
use tokio::sync::broadcast;
use uuid::Uuid;

/// Hosting without servers: just enough state to keep the contract.
struct Fake {
    state: Mutex<State>,
    live: broadcast::Sender<HostedChange>,
}

#[derive(Default)]
struct State {
    networks: Vec<(Sub, HostedNetwork)>,
    answered: HashMap<String, HostedId>,
    log: Vec<HostedChange>,
}

impl Default for Fake {
    fn default() -> Self {
        Self { state: Mutex::default(), live: broadcast::channel(64).0 }
    }
}

impl Fake {
    fn publish(&self, state: &mut State, network: &HostedNetwork) {
        let what = HostedChangeKind::Network { network: Box::new(network.clone()) };
        let change = HostedChange { cursor: WatchCursor(state.log.len() as u64 + 1), what };
        state.log.push(change.clone());
        let _ = self.live.send(change);
    }

    fn with(
        &self,
        call: &Call,
        id: HostedId,
        change: impl FnOnce(&mut HostedNetwork),
    ) -> CallResult<HostedNetwork> {
        let mut state = self.state.lock().unwrap();
        let mine = |(sub, network): &&mut (Sub, HostedNetwork)| *sub == call.account && network.id == id;
        let (_, network) =
            state.networks.iter_mut().find(mine).ok_or_else(|| CallError::not_found("network"))?;
        if call.version.is_some_and(|version| version != network.version) {
            return Err(CallError::Conflict { message: "It changed since you read it.".to_owned() });
        }
        change(network);
        network.version += 1;
        let network = network.clone();
        self.publish(&mut state, &network);
        Ok(network)
    }
}

#[async_trait]
impl AccountData for Fake {
    fn service(&self) -> &'static str {
        "hosting"
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        let bytes = serde_json::to_vec(&self.networks(call).await?).unwrap();
        Ok(stream::iter([Ok(ExportChunk { path: "networks.json".to_owned(), bytes })]).boxed())
    }

    async fn delete(&self, call: &Call) -> CallResult<()> {
        self.state.lock().unwrap().networks.retain(|(sub, _)| *sub != call.account);
        Ok(())
    }
}

#[async_trait]
impl Networks for Fake {
    async fn offer(&self, call: &Call) -> CallResult<HostingOffer> {
        Ok(HostingOffer {
            domain: "net.example".to_owned(),
            used: self.networks(call).await?.len() as u64,
            allowed: Amount::AtMost(3),
            users: Amount::AtMost(200),
            refused: None,
        })
    }

    async fn networks(&self, call: &Call) -> CallResult<Vec<HostedNetwork>> {
        let state = self.state.lock().unwrap();
        let mine = state.networks.iter().filter(|(sub, n)| *sub == call.account && n.deleted_at.is_none());
        Ok(mine.map(|(_, network)| network.clone()).collect())
    }

    async fn network(&self, call: &Call, id: HostedId) -> CallResult<HostedNetwork> {
        let found = self.networks(call).await?.into_iter().find(|network| network.id == id);
        found.ok_or_else(|| CallError::not_found("network"))
    }

    async fn create_network(&self, call: &Call, spec: HostedSpec) -> CallResult<HostedNetwork> {
        let key = call.idempotency_key.clone().unwrap();
        let again = self.state.lock().unwrap().answered.get(&key).copied();
        if let Some(id) = again {
            return self.network(call, id).await;
        }
        let mut state = self.state.lock().unwrap();
        if state.networks.iter().any(|(_, n)| n.spec.name == spec.name) {
            return Err(CallError::Conflict { message: "There is a network of that name.".to_owned() });
        }
        let network = HostedNetwork {
            id: HostedId(Uuid::now_v7()),
            hostname: format!("{}.net.example", spec.name),
            spec,
            suspended: false,
            users_allowed: Amount::AtMost(200),
            state: HostedState {
                phase: HostedPhase::Starting,
                since: 1,
                detail: None,
                addresses: vec![HostedAddress { host: "localhost".to_owned(), port: 6697, tls: true }],
                websocket: None,
                users: 0,
                channels: 0,
                software: None,
                keeps_history: None,
            },
            version: 1,
            created_at: 1,
            deleted_at: None,
        };
        state.networks.push((call.account, network.clone()));
        state.answered.insert(key, network.id);
        self.publish(&mut state, &network);
        Ok(network)
    }

    async fn change_network(&self, call: &Call, id: HostedId, spec: HostedSpec) -> CallResult<HostedNetwork> {
        self.with(call, id, |network| network.spec = spec)
    }

    async fn suspend_network(&self, call: &Call, id: HostedId, suspended: bool) -> CallResult<HostedNetwork> {
        self.with(call, id, |network| network.suspended = suspended)
    }

    async fn delete_network(&self, call: &Call, id: HostedId) -> CallResult<()> {
        self.with(call, id, |network| network.deleted_at = Some(1)).map(drop)
    }

    async fn restore_network(&self, call: &Call, id: HostedId) -> CallResult<HostedNetwork> {
        self.with(call, id, |network| network.deleted_at = None)
    }

    async fn watch(
        &self,
        call: &Call,
        after: Option<WatchCursor>,
    ) -> CallResult<BoxStream<'static, HostedChange>> {
        let networks = self.networks(call).await?;
        let state = self.state.lock().unwrap();
        let live = stream::unfold(self.live.subscribe(), |mut live| async move {
            live.recv().await.ok().map(|change| (change, live))
        });
        let missed = match after {
            Some(cursor) => state.log.iter().filter(|change| change.cursor.0 > cursor.0).cloned().collect(),
            None => vec![HostedChange {
                cursor: WatchCursor(state.log.len() as u64),
                what: HostedChangeKind::Snapshot { networks },
            }],
        };
        Ok(stream::iter(missed).chain(live).boxed())
    }
}

fn call() -> Call {
    Call::new(Sub(Uuid::from_u128(1)), "test")
}

fn spec(name: &str) -> HostedSpec {
    HostedSpec {
        name: name.to_owned(),
        access: HostedAccess::AccountsOnly,
        motd: "Welcome.\nBe kind.".to_owned(),
        operators: vec![HostedOperator {
            name: "root".to_owned(),
            role: HostedRole::Admin,
            password: Some("not to be seen".to_owned()),
        }],
    }
}

async fn served(networks: Arc<dyn Networks>) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, networks_router(networks)).await });
    address
}

fn client(address: std::net::SocketAddr) -> NetworksClient {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let base = format!("http://{address}/").parse().unwrap();
    NetworksClient::new(Client::new(http, base, "hosting", Arc::new(NoBearer)))
}

async fn suite(networks: Arc<dyn Networks>) {
    assert_eq!(networks.offer(&call()).await.unwrap().users, Amount::AtMost(200));
    let mut watch = networks.watch(&call(), None).await.unwrap();
    let first = watch.next().await.unwrap();
    assert!(matches!(first.what, HostedChangeKind::Snapshot { networks } if networks.is_empty()));

    let creating = call().changing();
    let made = networks.create_network(&creating, spec("pixels")).await.unwrap();
    assert_eq!(networks.create_network(&creating, spec("pixels")).await.unwrap(), made, "a repeat");
    let taken = networks.create_network(&call().changing(), spec("pixels")).await;
    assert!(matches!(taken, Err(CallError::Conflict { .. })), "{taken:?}");
    let seen = watch.next().await.unwrap();
    assert_eq!(seen.what, HostedChangeKind::Network { network: Box::new(made.clone()) });

    let changing = call().changing().at_version(made.version);
    let changed = networks.change_network(&changing, made.id, spec("pixels")).await.unwrap();
    assert_eq!(changed.version, made.version + 1);
    let stale = networks.change_network(&changing, made.id, spec("pixels")).await;
    assert!(matches!(stale, Err(CallError::Conflict { .. })), "{stale:?}");
    assert!(networks.suspend_network(&call().changing(), made.id, true).await.unwrap().suspended);
    assert!(!networks.suspend_network(&call().changing(), made.id, false).await.unwrap().suspended);

    let stranger = Call::new(Sub(Uuid::from_u128(2)), "test");
    assert_eq!(networks.network(&stranger, made.id).await, Err(CallError::not_found("network")));

    networks.delete_network(&call().changing(), made.id).await.unwrap();
    assert_eq!(networks.networks(&call()).await.unwrap(), []);
    assert_eq!(networks.restore_network(&call().changing(), made.id).await.unwrap().id, made.id);
    let resumed = networks.watch(&call(), Some(seen.cursor)).await.unwrap().next().await.unwrap();
    assert_eq!(resumed.cursor, WatchCursor(seen.cursor.0 + 1));

    let chunks: Vec<_> = networks.export(&call()).await.unwrap().collect().await;
    assert!(!chunks.is_empty() && chunks.iter().all(Result::is_ok));
    networks.delete(&call()).await.unwrap();
    assert_eq!(networks.networks(&call()).await.unwrap(), []);
}

#[tokio::test]
async fn hosting_in_process_keeps_the_contract() {
    suite(Arc::new(Fake::default())).await;
}

#[tokio::test]
async fn hosting_over_http_keeps_the_contract() {
    suite(Arc::new(client(served(Arc::new(Fake::default())).await))).await;
}

#[tokio::test]
async fn a_network_whose_answer_got_lost_is_made_once() {
    let fake = Arc::new(Fake::default());
    let proxy = Proxy::start(served(fake.clone()).await).await.unwrap();
    let client = client(proxy.address());
    proxy.set(Mood::LoseAnswers);
    let creating = call().changing();
    let lost = client.create_network(&creating, spec("pixels")).await;
    assert!(matches!(lost, Err(CallError::Unavailable { .. })), "{lost:?}");
    proxy.set(Mood::Through);
    let again = client.create_network(&creating, spec("pixels")).await.unwrap();
    assert_eq!(client.networks(&call()).await.unwrap(), [again]);
}
