//! Thousands of resources that stand still: nothing is written for them, not even by an operator that starts anew.
//!
//! `make bench-operators`. By environment: `FLEET` (50 resources; 5,000 there), `FLEET_REST` (3 seconds of rest; 60 there),
//! `FLEET_PLOT` (a folder for the plots; none).

mod plot;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde_json::json;
use testkit::cluster::stage::{condition, is_current, make};
use testkit::cluster::{Kinds, Stage};
use testkit::lives::Life;
use testkit::part;

use crate::{Subject, kind, name, paper};
use plot::{Plot, Sample};

fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// The operator's process, as it is seen from outside.
struct Seen {
    life: Life,
    plot: Arc<Plot>,
    before: usize,
}

impl Seen {
    fn start<S: Subject>(stage: &Stage, plot: &Arc<Plot>) -> Self {
        let mut told = stage.told("fleet", None);
        told["lease_ms"] = 15_000.into();
        told["figures"] = true.into();
        let before = plot.writes();
        Self { life: Life::start(S::LIFE, &told, None).unwrap(), plot: Arc::clone(plot), before }
    }

    fn writes(&self) -> usize {
        self.life.lines().iter().filter(|line| !line.starts_with("figures") && *line != "ready").count()
    }

    fn is_ready(&self) -> bool {
        self.life.lines().iter().any(|line| line == "ready")
    }

    /// How many looks at a resource came to their end.
    fn looks(&self) -> usize {
        let lines = self.life.lines();
        let last = lines.iter().rev().find_map(|line| line.strip_prefix("figures "));
        last.and_then(|looks| looks.parse().ok()).unwrap_or_default()
    }

    /// Memory in MB, now and at the most.
    fn memory(&self) -> (f64, f64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.life.id())).unwrap_or_default();
        let of = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
            Some(kilobytes * 1024.0 / 1e6)
        };
        (of("VmRSS:").unwrap_or_default(), of("VmHWM:").unwrap_or_default())
    }

    async fn tick(&self) {
        self.plot.add(Sample { writes: self.before + self.writes(), memory: self.memory().0 });
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// Waits for at least this long, and until nothing was written for three seconds.
    async fn rest(&self, at_least: Duration) {
        let (began, mut writes, mut since) = (Instant::now(), self.writes(), Instant::now());
        while began.elapsed() < at_least || since.elapsed() < Duration::from_secs(3) {
            self.tick().await;
            if self.writes() != writes {
                (writes, since) = (self.writes(), Instant::now());
            }
        }
    }
}

/// How many requests that change something the API server answered to the operator, leases and events apart.
fn changes<S: Subject>(stage: &Stage) -> usize {
    let requests = stage.cluster.audit_of(testkit::cluster::stage::HOME, name::<S>()).unwrap();
    let reads = ["get", "list", "watch"];
    let others = ["leases", "events"];
    let is_change = |verb: &str, resource: &str| !reads.contains(&verb) && !others.contains(&resource);
    requests.iter().filter(|request| is_change(&request.verb, &request.resource)).count()
}

async fn make_all<S: Subject>(stage: &Stage, home: &str, count: usize) {
    let (next, home) = (Arc::new(AtomicUsize::new(0)), home.to_owned());
    let mut makers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (next, home, client) = (Arc::clone(&next), home.clone(), stage.client.clone());
        makers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= count {
                    return;
                }
                let mut spec = S::least();
                paper::merge(&mut spec, &S::stored());
                let name = format!("fleet-{number}");
                // A load balancer takes three node ports, of which a cluster has 2,768.
                let more = json!({
                    "hostname": format!("{name}.example.org"),
                    "suspend": true,
                    "expose": { "irc": "ClusterIP" },
                });
                paper::merge(&mut spec, &more);
                make(&client, kind::<S>(), &home, &name, &spec).await.unwrap();
            }
        });
    }
    makers.join_all().await;
}

/// Whether everything is made for a resource that has a database, the server too.
pub fn is_made<S: Subject>(root: &DynamicObject) -> bool {
    let made = root.data["status"]["children"].as_array();
    let workload = format!("apps/{}", S::WORKLOAD);
    is_current(root)
        && ["DatabaseReady", "CertificateReady"].iter().all(|is| condition(root, is, "status") == "True")
        && made.is_some_and(|made| made.iter().any(|child| child["kind"] == workload))
}

/// Waits until all are made, in pages: thousands at once are too much for one answer.
async fn all_made<S: Subject>(seen: &Seen, api: &Api<DynamicObject>, count: usize) {
    let end = Instant::now() + Duration::from_secs(60 + count as u64);
    loop {
        let (mut made, mut next) = (0, None);
        loop {
            let mut page = ListParams::default().limit(500);
            page.continue_token = next;
            let list = api.list(&page).await.unwrap();
            made += list.items.iter().filter(|root| is_made::<S>(root)).count();
            next = list.metadata.continue_.filter(|token| !token.is_empty());
            if next.is_none() {
                break;
            }
        }
        if made == count {
            return;
        }
        assert!(Instant::now() < end, "{made} of {count} are made:\n{}", seen.life.output());
        for _ in 0..(1 + count / 1000) {
            seen.tick().await;
        }
    }
}

/// A fleet at rest costs no write, and an operator started anew sends none.
///
/// # Panics
/// If it does.
pub async fn costs_nothing_at_rest<S: Subject>() {
    part!(Kubernetes);
    let count = setting("FLEET", 50);
    let rest = Duration::from_secs(setting("FLEET_REST", 3) as u64);
    let stage = crate::stage::<S>(Kinds::ALL).await;
    let space = stage.cluster.namespace("fleet").await.unwrap();
    let plot = Arc::new(Plot::new(count, kind::<S>()));
    make_all::<S>(&stage, space.name(), count).await;

    let first = Seen::start::<S>(&stage, &plot);
    let began = Instant::now();
    all_made::<S>(&first, &stage.objects(kind::<S>(), space.name()), count).await;
    let took = began.elapsed();
    plot.phase("all made");
    first.rest(Duration::from_secs(3)).await;
    let (made_by, peak) = (first.writes(), first.memory().1);
    let settled = changes::<S>(&stage);
    plot.phase("at rest");
    first.rest(rest).await;
    let at_rest = first.writes() - made_by;
    let memory = first.memory().0;
    first.life.kill().unwrap();

    plot.phase("kill -9, started anew");
    let again = Seen::start::<S>(&stage, &plot);
    let began = Instant::now();
    let limit = Duration::from_secs(60);
    while !again.is_ready() {
        assert!(began.elapsed() < limit, "not ready within {limit:?}:\n{}", again.life.output());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ready = began.elapsed();
    let end = Instant::now() + Duration::from_secs(60 + count as u64 / 10);
    while again.looks() < count {
        assert!(Instant::now() < end, "it looked at {} of {count}:\n{}", again.looks(), again.life.output());
        again.tick().await;
    }
    let looked = began.elapsed();
    again.rest(rest).await;
    let (memory_again, peak_again) = again.memory();
    let anew = again.writes();

    println!("{} resources of the kind {}, suspended, each with all its children", count, kind::<S>());
    println!("made in {took:.1?} with {made_by} writes, memory {memory:.0} MB (at the most {peak:.0} MB)");
    println!("writes in {rest:?} of rest: {at_rest}");
    println!("started anew: ready after {ready:.2?}, all looked at after {looked:.1?}, writes: {anew}");
    println!("memory then: {memory_again:.0} MB (at the most {peak_again:.0} MB)");
    if let Ok(folder) = std::env::var("FLEET_PLOT") {
        let file = std::path::Path::new(&folder).join(format!("{}.svg", name::<S>()));
        std::fs::write(file, plot.draw()).unwrap();
    }
    assert_eq!((at_rest, anew), (0, 0), "{:?}", again.life.lines().iter().take(20).collect::<Vec<_>>());
    assert_eq!(changes::<S>(&stage), settled, "the API server says otherwise");
}
