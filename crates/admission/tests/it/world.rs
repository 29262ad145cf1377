//! A webhook on the control plane all tests share, configured as the manifest says, for one namespace.

use std::time::Duration;

use admission::authority::Terms;
use admission::certificate::Places;
use admission::{Certificate, Settings};
use entitlements::Table;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use service::health::Readiness;
use service::metrics::Metrics;
use service::shutdown::Shutdown;
use testkit::cluster::{Cluster, Namespace};
use testkit::eventually;
use tokio::net::TcpListener;

/// What an installation applies.
pub const MANIFEST: &str = include_str!("../../../../deploy/operators/admission.yaml");

/// A webhook that runs in this process.
pub struct Webhook {
    pub port: u16,
    pub metrics: Metrics,
    pub readiness: Readiness,
    shutdown: Shutdown,
}

impl Webhook {
    pub async fn start(client: &Client, certificate: Certificate) -> Self {
        service::tls::install_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self {
            port: listener.local_addr().unwrap().port(),
            metrics: Metrics::new(),
            readiness: Readiness::new(),
            shutdown: Shutdown::new(),
        };
        let settings = Settings { certificate, plans: Table::compiled_in().unwrap() };
        admission::run(settings, client, listener, &this.metrics, &this.readiness, &this.shutdown).unwrap();
        this
    }

    pub async fn ready(&self) {
        eventually("the webhook is ready", || async { self.readiness.is_ready().then_some(()) }).await;
    }

    /// The sum of a figure over its labels.
    pub fn figure(&self, name: &str) -> f64 {
        let text = self.metrics.encode();
        let of = |line: &str| {
            line.starts_with(&format!("ircnow_{name}")).then(|| line.rsplit(' ').next()?.parse::<f64>().ok())
        };
        text.lines().filter_map(|line| of(line)?).sum::<f64>()
    }

    /// How many questions it answered.
    pub fn answers(&self) -> f64 {
        self.figure("admission_answers_total")
    }

    /// Ends it as SIGTERM would: nobody listens at its port any more.
    pub async fn stop(&self) {
        self.shutdown.trigger();
        self.shutdown.finished(Duration::from_secs(20)).await.unwrap();
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// A namespace with a configuration of its own.
pub struct World {
    pub cluster: &'static Cluster,
    pub space: Namespace,
    pub client: Client,
}

impl World {
    pub async fn new(prefix: &str) -> Self {
        let cluster = Cluster::shared().await.unwrap();
        cluster.define(&crds::all()).await.unwrap();
        let space = cluster.namespace(prefix).await.unwrap();
        let client = cluster.admin().await.unwrap();
        Self { cluster, space, client }
    }

    /// With a webhook that makes its certificate itself, and answers.
    pub async fn with_webhook(prefix: &str) -> (Self, Webhook) {
        let world = Self::new(prefix).await;
        let webhook = Webhook::start(&world.client, world.own_making(Duration::from_secs(86_400))).await;
        world.configure(webhook.port, None).await;
        webhook.ready().await;
        world.heard("warm-up").await;
        (world, webhook)
    }

    pub fn namespace(&self) -> &str {
        self.space.name()
    }

    pub fn host(&self, name: &str) -> String {
        format!("{name}.{}.example.org", self.namespace())
    }

    /// A certificate of its own making, good for so long.
    pub fn own_making(&self, lifetime: Duration) -> Certificate {
        Certificate::OwnMaking {
            places: Places {
                namespace: self.namespace().to_owned(),
                secret: "ircnow-admission".to_owned(),
                configuration: self.namespace().to_owned(),
                names: vec!["127.0.0.1".to_owned()],
            },
            terms: Terms::lasting(lifetime),
            every: Duration::from_millis(100),
        }
    }

    /// The configuration of the manifest, for this namespace alone, with the webhook where it is.
    pub async fn configure(&self, port: u16, authority: Option<&str>) {
        let documents: Vec<Value> = serde_saphyr::from_multiple(MANIFEST).unwrap();
        let found =
            documents.into_iter().find(|document| document["kind"] == "ValidatingWebhookConfiguration");
        let mut configuration = found.expect("the manifest has a configuration");
        configuration["metadata"]["name"] = self.namespace().into();
        for webhook in configuration["webhooks"].as_array_mut().unwrap() {
            webhook["namespaceSelector"] =
                json!({ "matchLabels": { "kubernetes.io/metadata.name": self.namespace() } });
            webhook["clientConfig"] = json!({ "url": format!("https://127.0.0.1:{port}/validate") });
            if let Some(authority) = authority {
                webhook["clientConfig"]["caBundle"] = testkit::irc::base64(authority.as_bytes()).into();
            }
        }
        self.cluster.apply(&configuration.to_string(), None).await.unwrap();
    }

    /// Waits until the API server hears what the webhook says.
    pub async fn heard(&self, name: &str) {
        let plan = json!({ "plan": "nobody-knows" });
        eventually("the API server hears the webhook", || async {
            self.try_apply("SojuBouncer", name, &plan, true).await.err()
        })
        .await;
    }

    pub fn objects(&self, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("irc.now", "v1alpha1", kind));
        Api::namespaced_with(self.client.clone(), self.namespace(), &resource)
    }

    /// As `kubectl apply --server-side`. The spec is laid over the least one.
    pub async fn try_apply(
        &self,
        kind: &str,
        name: &str,
        spec: &Value,
        dry: bool,
    ) -> Result<DynamicObject, String> {
        let mut object = json!({
            "apiVersion": "irc.now/v1alpha1", "kind": kind, "metadata": { "name": name },
            "spec": { "hostname": self.host(name) },
        });
        if kind == "ErgoNetwork" {
            object["spec"]["networkName"] = "Net".into();
        }
        for (field, value) in spec.as_object().unwrap() {
            match field.as_str() {
                "annotations" => object["metadata"]["annotations"] = value.clone(),
                _ => object["spec"][field] = value.clone(),
            }
        }
        let params = PatchParams { dry_run: dry, ..PatchParams::apply("kubectl").force() };
        let applied = self.objects(kind).patch(name, &params, &Patch::Apply(&object)).await;
        applied.map_err(|error| error.to_string())
    }

    pub async fn apply(&self, kind: &str, name: &str, spec: &Value) -> DynamicObject {
        self.try_apply(kind, name, spec, false).await.unwrap()
    }

    /// The words with which an apply is refused, and whose they are.
    pub async fn refusal(&self, kind: &str, name: &str, spec: &Value) -> String {
        let said =
            self.try_apply(kind, name, spec, false).await.expect_err(&format!("{name}: {spec} was taken"));
        assert!(said.contains("early.irc.now"), "the API server itself refused {name}: {said}");
        said
    }

    /// Waits until the webhook knows of a resource: its host name is refused to another.
    pub async fn known(&self, name: &str) {
        let hostname = json!({ "hostname": self.host(name) });
        eventually(format!("{name} is known"), || async {
            self.try_apply("SojuBouncer", "thief", &hostname, true).await.err()
        })
        .await;
    }

    pub async fn create(&self, kind: &str, object: Value) -> DynamicObject {
        let made =
            self.objects(kind).create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await;
        made.unwrap()
    }

    pub async fn is_there(&self, kind: &str, name: &str) -> bool {
        self.objects(kind).get_opt(name).await.unwrap().is_some_and(|object| object.name_any() == name)
    }
}
