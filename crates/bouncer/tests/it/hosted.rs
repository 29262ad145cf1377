//! Hosting moves an account from one bouncer to another and back, and is killed by `kill -9` at every request it makes:
//! before it is carried out, and after, when nobody is left to hear the answer. Nothing is lost, nothing comes twice.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use contracts::http::{AccountsClient, BouncersClient, Client, Far, NoBearer, accounts_router};
use contracts::{BouncerEngine, Call, DedicatedId, DedicatedPhase, HostedId, HostedState, Reach, Sub, Tally};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use hosting::dedicated::Parts;
use hosting::dedicated::host::{BouncerHost, BouncerState, WantedBouncer};
use hosting::{Config, Deps, Host, HostError, Hosting, States, Wanted};
use serde_json::{Value, json};
use service::config::Source;
use service::metrics::Metrics;
use service::paths::DataDir;
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use service::sites::Sites;
use testkit::lives::{Here, Life};
use testkit::wait::PATIENCE;
use tokio::sync::mpsc;

use crate::world::World;

/// A host whose bouncers all run already, at one address.
struct Ready {
    reach: Reach,
    states: States<DedicatedId, BouncerState>,
}

#[async_trait]
impl BouncerHost for Ready {
    fn engines(&self) -> Vec<BouncerEngine> {
        vec![BouncerEngine::Ircnow]
    }

    async fn refuses(&self) -> Option<String> {
        None
    }

    async fn keep(&self, wanted: WantedBouncer) -> Result<(), HostError> {
        let state = BouncerState {
            phase: DedicatedPhase::Ready,
            detail: None,
            address: None,
            websocket: None,
            reach: Some(self.reach.clone()),
        };
        self.states.tell(wanted.id, state, PartialEq::eq);
        Ok(())
    }

    async fn remove(&self, _: Sub, _: DedicatedId) -> Result<(), HostError> {
        Ok(())
    }

    fn states(&self) -> BoxStream<'static, (DedicatedId, BouncerState)> {
        self.states.changes()
    }
}

/// Nobody asks for networks here.
struct NoNetworks;

#[async_trait]
impl Host for NoNetworks {
    async fn refuses(&self) -> Option<String> {
        None
    }

    async fn keep(&self, _: Wanted) -> Result<(), HostError> {
        Ok(())
    }

    async fn remove(&self, _: HostedId) -> Result<(), HostError> {
        Ok(())
    }

    fn states(&self) -> BoxStream<'static, (HostedId, HostedState)> {
        stream::pending().boxed()
    }
}

fn client(told: &Value, of: &str) -> Client {
    let base = told[of].as_str().unwrap().parse().unwrap();
    Client::new(reqwest::Client::new(), base, "test", Arc::new(NoBearer))
}

/// Hosting, as the tests that kill it start it: an account orders a bouncer, or gives it back.
#[tokio::test]
#[ignore = "the other half of the tests that kill hosting"]
async fn hosting_in_a_process_of_its_own() {
    let Some(here) = Here::of_parent() else { return };
    let told = &here.settings;
    service::tls::install_provider();
    let shutdown = Shutdown::new();
    let reach = Reach { url: told["own"].as_str().unwrap().parse().unwrap(), audience: "test".to_owned() };
    let deps = Deps {
        accounts: Arc::new(AccountsClient::new(client(told, "gatekeeper"))),
        host: Arc::new(NoNetworks),
        dedicated: Parts {
            host: Arc::new(Ready { reach, states: States::default() }),
            moves: Arc::new(BouncersClient::new(client(told, "shared"))),
            far: Far::new(reqwest::Client::new(), Arc::new(NoBearer)),
        },
        keyring: Keyring::ephemeral().unwrap(),
        sites: Sites::from_base("https://irc.example").unwrap(),
        folder: DataDir::open(told["folder"].as_str().unwrap()).unwrap().service("hosting").unwrap(),
        metrics: Metrics::new(),
        shutdown: shutdown.clone(),
    };
    let hosting = Hosting::open(Config::load(&Source::from_toml("").unwrap()).unwrap(), deps).await.unwrap();
    let dedicated = hosting.dedicated();
    let sub = Sub(told["sub"].as_str().unwrap().parse().unwrap());
    let call = Call::new(sub, "test").changing();
    let own = dedicated.dedicated(&call).await.unwrap();
    match (told["goal"].as_str().unwrap(), own) {
        ("there", None) => drop(dedicated.order_dedicated(&call, BouncerEngine::Ircnow).await.unwrap()),
        ("back", Some(_)) => drop(dedicated.cancel_dedicated(&call).await.unwrap()),
        _ => {}
    }
    let mut seen = dedicated.watch_dedicated(&call).await.unwrap();
    while let Some(own) = seen.next().await {
        here.say(&own.map_or("none".to_owned(), |own| own.detail.unwrap_or_default()));
    }
}

/// A request, and whether it had been carried out when whoever asked died.
type Death = (&'static str, String, Bytes, bool);

/// Stands before the bouncers, and says who dies of which request: the first to make it, twice.
#[derive(Clone)]
struct Reaper {
    deaths: Arc<Mutex<HashSet<Death>>>,
    reap: mpsc::UnboundedSender<()>,
}

impl Reaper {
    fn new() -> (Self, mpsc::UnboundedReceiver<()>) {
        let (reap, reaped) = mpsc::unbounded_channel();
        (Self { deaths: Arc::default(), reap }, reaped)
    }

    /// Ends whoever asked, if nobody died so before.
    async fn comes(&self, death: Death) {
        if self.deaths.lock().unwrap().insert(death) {
            self.reap.send(()).unwrap();
            // Nobody hears the answer.
            std::future::pending::<()>().await;
        }
    }

    /// How many died at each call, by bouncer and call.
    fn count(&self) -> BTreeMap<(&'static str, String), usize> {
        let mut count = BTreeMap::new();
        for (at, path, _, _) in &*self.deaths.lock().unwrap() {
            *count.entry((*at, path.replace("/internal/moves/", ""))).or_default() += 1;
        }
        count
    }
}

async fn deadly(
    State((reaper, at)): State<(Reaper, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    let is_move = path.contains("/moves/");
    if is_move {
        reaper.comes((at, path.clone(), bytes.clone(), false)).await;
    }
    let answer = next.run(Request::from_parts(parts, Body::from(bytes.clone()))).await;
    if is_move {
        reaper.comes((at, path, bytes, true)).await;
    }
    answer
}

async fn serve(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

/// The shared bouncer, and the one alice gets, with so many lines in her network's log.
async fn both(lines: usize) -> (World, World, Sub) {
    let mut shared = World::new().await;
    let mut own = World::new().await;
    own.stop().await;
    own.gatekeeper = shared.gatekeeper.clone();
    own.start().await;
    let call = shared.call("alice");
    let mut spec = crate::world::spec("alice", "tea", 1);
    spec.enabled = false;
    let network = shared.calls().add_network(&call, spec).await.unwrap();
    shared.put_lines(call.account, network.id, lines).await;
    (shared, own, call.account)
}

/// Until everything is where it is to be. From the shared bouncer it is forgotten then; the other goes away as it is.
async fn settled(goal: &str, shared: &World, own: &World, call: &Call) {
    loop {
        let is_done = if goal == "there" {
            own.calls().networks(call).await.is_ok()
                && shared.moves().tally(call).await.unwrap() == Tally::default()
        } else {
            shared.calls().networks(call).await.is_ok()
        };
        if is_done {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosting_dies_at_every_request_of_a_move_and_the_account_arrives_whole() {
    let (shared, own, sub) = both(300).await;
    let call = shared.call("alice");
    let before = shared.msgids().await;
    let tally = shared.moves().tally(&call).await.unwrap();
    assert_eq!((before.len(), tally.networks[0].markers), (300, 1));
    let gatekeeper = serve(accounts_router(Arc::new(shared.gatekeeper.clone()))).await;
    let folder = tempfile::tempdir().unwrap();

    for (goal, to) in [("there", &own), ("back", &shared)] {
        let (reaper, mut reaped) = Reaper::new();
        let door = |world: &World, at| {
            serve(world.internal().layer(from_fn_with_state((reaper.clone(), at), deadly)))
        };
        let told = json!({
            "goal": goal,
            "sub": sub.to_string(),
            "folder": folder.path(),
            "gatekeeper": gatekeeper,
            "shared": door(&shared, "shared").await,
            "own": door(&own, "own").await,
        });
        let arrives = async {
            loop {
                let life = Life::start("hosted::hosting_in_a_process_of_its_own", &told, None).unwrap();
                if reaped.recv().await.is_none() {
                    return;
                }
                life.kill().unwrap();
            }
        };
        tokio::select! {
            () = arrives => unreachable!(),
            arrived = tokio::time::timeout(PATIENCE * 10, settled(goal, &shared, &own, &call)) => arrived.unwrap(),
        }
        let deaths = reaper.count();
        println!("{goal}: {deaths:?}");
        let died = |at, of| deaths.get(&(at, String::from(of))).copied().unwrap_or_default();
        let (left, came) = if goal == "there" { ("shared", "own") } else { ("own", "shared") };
        // Rows, 250 lines, 50 lines, no more lines, how far they were read; each before and after.
        assert_eq!((died(left, "pack"), died(came, "unpack")), (10, 10), "{deaths:?}");
        for (at, of) in [(left, "hold"), (came, "hold"), (left, "count"), (came, "count"), (came, "clear")] {
            assert!(died(at, of) >= 2, "nobody died at {at} {of}: {deaths:?}");
        }
        // By id, in their order, each once.
        assert_eq!(to.msgids().await, before);
        assert_eq!(to.moves().tally(&call).await.unwrap(), tally);
    }
}

/// Gives every call so little time that nothing long would ever end.
async fn hasty(mut request: Request, next: Next) -> Response {
    request.headers_mut().insert("x-timeout-ms", "500".parse().unwrap());
    next.run(request).await
}

/// `MOVED_LINES=300000` for a history that takes a while.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_any_length_arrives_in_calls_that_each_end_soon() {
    let lines = std::env::var("MOVED_LINES").ok().map_or(8_000, |lines| lines.parse().unwrap());
    let (shared, own, sub) = both(lines).await;
    let call = shared.call("alice");
    let before = shared.msgids().await;
    assert_eq!(before.len(), lines);
    let folder = tempfile::tempdir().unwrap();
    let door = |world: &World| serve(world.internal().layer(from_fn(hasty)));
    let mut told = json!({
        "sub": sub.to_string(),
        "folder": folder.path(),
        "gatekeeper": serve(accounts_router(Arc::new(shared.gatekeeper.clone()))).await,
        "shared": door(&shared).await,
        "own": door(&own).await,
    });
    for (goal, to) in [("there", &own), ("back", &shared)] {
        told["goal"] = goal.into();
        let began = Instant::now();
        let life = Life::start("hosted::hosting_in_a_process_of_its_own", &told, None).unwrap();
        let arrived = tokio::time::timeout(PATIENCE * 20, settled(goal, &shared, &own, &call)).await;
        let said = life.lines();
        assert!(arrived.is_ok(), "{said:?}");
        println!("{lines} lines {goal} in {:.1?}; the page said: {said:#?}", began.elapsed());
        // It went forward, and never began anew.
        let percents: Vec<u64> = said
            .iter()
            .filter_map(|line| line.split_once(" percent)")?.0.rsplit_once('(')?.1.parse().ok())
            .collect();
        assert!(percents.is_sorted(), "{said:?}");
        assert_eq!(to.msgids().await, before);
        life.kill().unwrap();
    }
}
