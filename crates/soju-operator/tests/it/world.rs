//! A namespace with an operator of its own, on the control plane all tests share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crds::SojuBouncer;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt as _};
use operator::Settings;
use serde_json::{Value, json};
use service::config::Source;
use service::health::Readiness;
use service::metrics::Metrics;
use service::shutdown::Shutdown;
use soju_operator::Installation;
use testkit::cluster::{Cluster, Kinds, Namespace};
use testkit::eventually;

pub const DIGEST: &str = "@sha256:0000000000000000000000000000000000000000000000000000000000000000";

pub struct World {
    pub cluster: &'static Cluster,
    pub space: Namespace,
    pub client: Client,
    shutdown: Shutdown,
    /// Every write the operator made, by `verb Kind`.
    pub writes: Arc<Mutex<BTreeMap<String, usize>>>,
    pub count: Arc<AtomicUsize>,
}

impl World {
    pub async fn new(prefix: &str) -> Self {
        Self::with(prefix, "").await
    }

    /// A world whose operator has more configuration (TOML of its section).
    pub async fn with(prefix: &str, more: &str) -> Self {
        log();
        let cluster = Cluster::shared().await.unwrap();
        cluster.define(&crds::all()).await.unwrap();
        cluster.install(Kinds::ALL).await.unwrap();
        let space = cluster.namespace(prefix).await.unwrap();
        let client = cluster.admin().await.unwrap();
        let mut world = Self {
            cluster,
            space,
            client,
            shutdown: Shutdown::new(),
            writes: Arc::default(),
            count: Arc::default(),
        };
        world.start(more).await;
        world
    }

    /// Starts an operator, and waits until it is ready.
    pub async fn start(&mut self, more: &str) {
        let text = format!(
            "[soju_operator]\nnamespace = '{}'\nsoju_image = 'soju{DIGEST}'\nircnow_image = 'ircnow{DIGEST}'\n\
             issuer_url = 'https://auth.example.org'\nclient_secret = 'for tests'\ncertificate_issuer = 'Issuer/test'\n{more}",
            self.space.name()
        );
        let (_, installation) = Installation::load(&Source::from_toml(&text).unwrap()).unwrap();
        let (writes, count) = (Arc::clone(&self.writes), Arc::clone(&self.count));
        let mut settings = Settings::new("test", self.space.name());
        settings.watch = Some(self.space.name().to_owned());
        settings.poll = Duration::from_millis(300);
        settings.probe = Some(Arc::new(move |point| {
            if let Some(write) = point.strip_prefix("after ") {
                *writes.lock().unwrap().entry(write.to_owned()).or_default() += 1;
                count.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        }));
        let (metrics, readiness) = (Metrics::new(), Readiness::new());
        let (client, shutdown) = (self.client.clone(), self.shutdown.clone());
        let watched = readiness.clone();
        tokio::spawn(async move {
            soju_operator::run(installation, client, settings, &metrics, &watched, shutdown).await;
        });
        tokio::task::yield_now().await;
        eventually("the operator is ready", || async { readiness.is_ready().then_some(()) }).await;
    }

    /// Ends the operator as SIGTERM would.
    pub async fn stop(&mut self) {
        self.shutdown.trigger();
        self.shutdown.finished(Duration::from_secs(20)).await.unwrap();
        self.shutdown = Shutdown::new();
    }

    pub fn namespace(&self) -> &str {
        self.space.name()
    }

    pub fn bouncers(&self) -> Api<SojuBouncer> {
        Api::namespaced(self.client.clone(), self.namespace())
    }

    pub fn host(&self, name: &str) -> String {
        format!("{name}.{}.example.org", self.namespace())
    }

    /// A bouncer with this spec over the least one.
    pub async fn make(&self, name: &str, spec: Value) -> SojuBouncer {
        let mut whole = json!({ "hostname": self.host(name) });
        for (field, value) in spec.as_object().unwrap() {
            whole[field] = value.clone();
        }
        let object = json!({ "apiVersion": "irc.now/v1alpha1", "kind": "SojuBouncer", "metadata": { "name": name }, "spec": whole });
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("irc.now", "v1alpha1", "SojuBouncer"));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), self.namespace(), &resource);
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
        self.bouncers().get(name).await.unwrap()
    }

    pub async fn change(&self, name: &str, spec: Value) -> SojuBouncer {
        let patch = json!({ "spec": spec });
        self.bouncers().patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap()
    }

    /// The bouncer, once it is as wanted.
    pub async fn until(&self, name: &str, what: &str, wanted: impl Fn(&SojuBouncer) -> bool) -> SojuBouncer {
        let api = self.bouncers();
        let last = Mutex::new(String::new());
        let found = tokio::time::timeout(Duration::from_secs(25), async {
            loop {
                let bouncer = api.get(name).await.unwrap();
                if wanted(&bouncer) {
                    return bouncer;
                }
                *last.lock().unwrap() = serde_json::to_string_pretty(&bouncer.status).unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        found.unwrap_or_else(|_| panic!("{what}: {}", last.lock().unwrap()))
    }

    /// Waits until everything was made for the present generation.
    pub async fn reconciled(&self, name: &str) -> SojuBouncer {
        self.until(name, "was reconciled", |bouncer| {
            let status = bouncer.status.clone().unwrap_or_default();
            status.observed_generation == bouncer.metadata.generation && holds(bouncer, "Accepted", "True")
        })
        .await
    }

    pub fn objects(&self, group: &str, version: &str, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    /// A child of this namespace, if it is there.
    pub async fn child(&self, kind: &str, name: &str) -> Option<DynamicObject> {
        let group = group_of(kind);
        self.objects(group, "v1", kind, self.namespace()).get_opt(name).await.unwrap()
    }

    pub async fn delete(&self, name: &str) {
        self.bouncers().delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub async fn gone(&self, name: &str) {
        let api = self.bouncers();
        eventually(format!("{name} is gone"), || async {
            api.get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    /// How many writes the operator makes until `event` has come about.
    pub fn writes(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

/// Prints what the operator logs: warnings, or what RUST_LOG says.
pub fn log() {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned());
    let log = Source::from_toml(&format!("[log]\nfilter = '{filter}'")).unwrap();
    service::telemetry::init(&service::telemetry::LogConfig::load(&log).unwrap());
}

pub fn group_of(kind: &str) -> &'static str {
    match kind {
        "Deployment" => "apps",
        "NetworkPolicy" | "Ingress" => "networking.k8s.io",
        "PodDisruptionBudget" => "policy",
        "Certificate" => "cert-manager.io",
        "Route" => "route.openshift.io",
        "HTTPRoute" | "TLSRoute" => "gateway.networking.k8s.io",
        "PodMonitor" => "monitoring.coreos.com",
        "Database" | "DatabaseRole" | "Cluster" => "postgresql.cnpg.io",
        "Lease" => "coordination.k8s.io",
        _ => "",
    }
}

pub fn holds(bouncer: &SojuBouncer, condition: &str, status: &str) -> bool {
    let conditions = bouncer.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|is| is.type_ == condition && is.status == status)
}

pub fn reason(bouncer: &SojuBouncer, condition: &str) -> String {
    let conditions = bouncer.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().find(|is| is.type_ == condition).map(|is| is.reason.clone()).unwrap_or_default()
}

pub fn volume_name(bouncer: &SojuBouncer) -> String {
    let uid: String = bouncer.uid().unwrap().chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("{}-data-{uid}", bouncer.name_any())
}
