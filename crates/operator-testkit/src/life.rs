//! An operator that is told what to do: in this process, or in one of its own that can be killed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use operator::lease::Terms;
use operator::writer::Probe;
use operator::{Operator, Settings};
use serde_json::Value;
use service::config::Source;
use service::health::Readiness;
use service::metrics::Metrics;
use service::shutdown::Shutdown;
use testkit::cluster::stage::ROWS;
use testkit::eventually;
use testkit::lives::Here;

use crate::{DIGEST, Subject};

/// Every write an operator made so far, by `verb Kind`. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Writes(Arc<Mutex<BTreeMap<String, usize>>>);

impl Writes {
    /// How many there were.
    pub fn total(&self) -> usize {
        self.each().values().sum()
    }

    /// How many there were of each.
    pub fn each(&self) -> BTreeMap<String, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn probe(&self) -> Probe {
        let this = self.clone();
        Arc::new(move |point| {
            if let Some(write) = point.strip_prefix("after ") {
                let mut writes = this.0.lock().unwrap_or_else(PoisonError::into_inner);
                *writes.entry(write.to_owned()).or_default() += 1;
            }
            Ok(())
        })
    }
}

/// An operator in this process.
pub struct Running {
    shutdown: Shutdown,
    /// What it waits for.
    pub readiness: Readiness,
    writes: Writes,
}

impl Running {
    /// Starts one, and waits until it is ready.
    pub async fn start<S: Subject>(told: &Value) -> Self {
        let running = Self::begin::<S>(told, client_of(told).await, Writes::default());
        running.is_ready().await;
        running
    }

    /// Starts one with a client. What it writes is added to `writes`.
    pub fn begin<S: Subject>(told: &Value, client: Client, writes: Writes) -> Self {
        let running = Self { shutdown: Shutdown::new(), readiness: Readiness::new(), writes };
        // It is not ready before it has said what it waits for.
        let begun = running.readiness.part("begun");
        begun.not_ready("it has not begun");
        let probe = running.writes.probe();
        let (told, readiness, shutdown) = (told.clone(), running.readiness.clone(), running.shutdown.clone());
        tokio::spawn(async move {
            let metrics = Metrics::new();
            let mut running = std::pin::pin!(run::<S>(&told, client, probe, &metrics, &readiness, shutdown));
            std::future::poll_fn(|context| {
                let state = running.as_mut().poll(context);
                begun.ready();
                state
            })
            .await;
        });
        running
    }

    /// Waits until it is ready.
    pub async fn is_ready(&self) {
        eventually("the operator is ready", || async { self.readiness.is_ready().then_some(()) }).await;
    }

    /// How much it wrote so far.
    pub fn writes(&self) -> usize {
        self.writes.total()
    }

    /// Ends it as SIGTERM would.
    pub async fn stop(self) {
        self.shutdown.trigger();
        self.shutdown.finished(Duration::from_secs(60)).await.unwrap();
    }
}

/// The client of a kubeconfig file.
pub async fn client_of(told: &Value) -> Client {
    service::tls::install_provider();
    let file = told["kubeconfig"].as_str().unwrap();
    let config = Kubeconfig::read_from(file).unwrap();
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// The configuration of an installation; `more` is TOML of the operator's section.
pub fn configuration<S: Subject>(home: &str, more: &str) -> Source {
    let text = format!(
        "[{}]\nnamespace = '{home}'\n{} = 'server{DIGEST}'\nircnow_image = 'ircnow{DIGEST}'\n\
         issuer_url = 'https://auth.example.org'\nclient_secret = 'for tests'\ncertificate_issuer = 'Issuer/test'\n{more}",
        S::Operator::SECTION,
        S::IMAGE,
    );
    Source::from_toml(&text).unwrap()
}

async fn run<S: Subject>(
    told: &Value,
    client: Client,
    probe: Probe,
    metrics: &Metrics,
    readiness: &Readiness,
    shutdown: Shutdown,
) {
    let claims = told["claims"].as_str().unwrap();
    // On a stage of its own there is one PostgreSQL cluster.
    let rows = format!("postgres_clusters = '{ROWS}/pg'\n");
    let operator = S::operator(&configuration::<S>(claims, told["more"].as_str().unwrap_or(&rows)), claims);
    let mut settings = Settings::new(told["identity"].as_str().unwrap(), claims);
    settings.watch = told["watch"].as_str().map(str::to_owned);
    settings.poll = Duration::from_millis(300);
    // Alone unless told otherwise: nobody waits for the lease of one that was killed.
    settings.lease = told["lease_ms"].as_u64().map(|lease| Terms {
        duration: Duration::from_millis(lease),
        trust: Duration::from_millis(lease * 2 / 3),
        retry: Duration::from_millis(lease / 6),
    });
    settings.probe = Some(probe);
    operator::run(operator, client, settings, metrics, readiness, shutdown).await;
}

/// The whole of the ignored test that is run in a process of its own by the tests that kill it.
pub async fn of_parent<S: Subject>() {
    let Some(here) = Here::of_parent() else { return };
    log();
    let here = Arc::new(here);
    let client = client_of(&here.settings).await;
    let passing = Arc::clone(&here);
    let probe: Probe = Arc::new(move |point| {
        if let Some(step) = point.strip_prefix("after ") {
            passing.pass(step);
        }
        Ok(())
    });
    let (metrics, readiness) = (Metrics::new(), Readiness::new());
    let running = run::<S>(&here.settings, client, probe, &metrics, &readiness, Shutdown::new());
    let telling = async {
        // An operator of thousands lists for a while.
        while !readiness.is_ready() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        here.say("ready");
        if here.settings["figures"] != true {
            return;
        }
        loop {
            here.say(&format!("figures {}", looks(&metrics)));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::join!(running, telling);
}

/// How many looks at a resource came to their end.
fn looks(metrics: &Metrics) -> u64 {
    let text = metrics.encode();
    let line = text.lines().find(|line| line.starts_with("ircnow_operator_reconcile_duration_seconds_count"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

/// Prints what the operator logs: warnings, or what RUST_LOG says.
pub fn log() {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned());
    let log = Source::from_toml(&format!("[log]\nfilter = '{filter}'")).unwrap();
    service::telemetry::init(&service::telemetry::LogConfig::load(&log).unwrap());
}
