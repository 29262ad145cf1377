//! An operator that is told what to do: in this process, or in one of its own that can be killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use operator::lease::Terms;
use operator::writer::Probe;
use operator::{Error, Settings};
use serde_json::Value;
use service::config::Source;
use service::health::Readiness;
use service::metrics::Metrics;
use service::shutdown::Shutdown;
use soju_operator::Installation;
use testkit::cluster::stage::ROWS;
use testkit::eventually;
use testkit::lives::Here;

use crate::world::DIGEST;

/// An operator in this process.
pub struct Running {
    shutdown: Shutdown,
    pub readiness: Readiness,
    writes: Arc<AtomicUsize>,
}

impl Running {
    /// Starts one, and waits until it is ready.
    pub async fn start(told: &Value) -> Self {
        let running = Self::begin(told, client_of(told).await);
        eventually("the operator is ready", || async { running.readiness.is_ready().then_some(()) }).await;
        running
    }

    /// Starts one with a client.
    pub fn begin(told: &Value, client: Client) -> Self {
        let running = Self { shutdown: Shutdown::new(), readiness: Readiness::new(), writes: Arc::default() };
        // It is not ready before it has said what it waits for.
        let begun = running.readiness.part("begun");
        begun.not_ready("it has not begun");
        let writes = Arc::clone(&running.writes);
        let probe: Probe = Arc::new(move |point| {
            if point.starts_with("after ") {
                writes.fetch_add(1, Ordering::SeqCst);
            }
            Ok::<_, Error>(())
        });
        let (told, readiness, shutdown) = (told.clone(), running.readiness.clone(), running.shutdown.clone());
        tokio::spawn(async move {
            let metrics = Metrics::new();
            let mut running = std::pin::pin!(run(&told, client, probe, &metrics, &readiness, shutdown));
            std::future::poll_fn(|context| {
                let state = running.as_mut().poll(context);
                begun.ready();
                state
            })
            .await;
        });
        running
    }

    /// How much it wrote so far.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// Ends it as SIGTERM would.
    pub async fn stop(self) {
        self.shutdown.trigger();
        self.shutdown.finished(Duration::from_secs(20)).await.unwrap();
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

async fn run(
    told: &Value,
    client: Client,
    probe: Probe,
    metrics: &Metrics,
    readiness: &Readiness,
    shutdown: Shutdown,
) {
    let claims = told["claims"].as_str().unwrap();
    let text = format!(
        "[soju_operator]\nnamespace = '{claims}'\nsoju_image = 'soju{DIGEST}'\nircnow_image = 'ircnow{DIGEST}'\n\
         issuer_url = 'https://auth.example.org'\nclient_secret = 'for tests'\ncertificate_issuer = 'Issuer/test'\n\
         postgres_clusters = '{ROWS}/pg'\n"
    );
    let (_, installation) = Installation::load(&Source::from_toml(&text).unwrap()).unwrap();
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
    soju_operator::run(installation, client, settings, metrics, readiness, shutdown).await;
}

/// Run in a process of its own by the tests that kill it.
#[tokio::test]
#[ignore = "the other half of the tests that kill the operator"]
async fn an_operator_in_a_process_of_its_own() {
    let Some(here) = Here::of_parent() else { return };
    crate::world::log();
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
    let running = run(&here.settings, client, probe, &metrics, &readiness, Shutdown::new());
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

/// The path of the test above.
pub const LIFE: &str = "faults::life::an_operator_in_a_process_of_its_own";
