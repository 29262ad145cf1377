//! One control plane with a node and both operators for all tests of this folder, and a namespace for each test.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use testkit::cluster::node::{Image, Images, Node, Options};
use testkit::cluster::{Cluster, Kinds, Namespace, Standin};
use testkit::{Part, irc};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::time::Instant;

/// Where the operators run, as their manifests say.
pub const SYSTEM: &str = "ircnow-system";

/// Where the PostgreSQL cluster is.
const ROWS: &str = "postgres";

/// Where gatekeeper's pages are for Pods of a test that runs one: the operators are told before any test begins.
pub fn gatekeeper_port() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| testkit::net::free_port().unwrap())
}

/// Only one test at a time has a gatekeeper there.
pub async fn gatekeeper_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// Two cores run a control plane, a node and whatever other tests do at the same time.
const PATIENCE: Duration = Duration::from_secs(150);

/// An image of the node's table, by digest as the definitions want it.
pub fn image(name: &str) -> String {
    format!("registry.test/{name}@sha256:{}", "0".repeat(64))
}

/// What all tests share.
pub struct Installed {
    pub cluster: &'static Cluster,
    pub node: Node,
    rows: Standin,
}

/// The cluster with both operators running in it; `None` after a loud line where there can be no node.
async fn installed() -> Option<&'static Installed> {
    static INSTALLED: OnceCell<Option<Installed>> = OnceCell::const_new();
    INSTALLED.get_or_init(install).await.as_ref()
}

async fn install() -> Option<Installed> {
    for part in [Part::Kubernetes, Part::Postgres, Part::Soju, Part::SojuTrixie, Part::Ergo, Part::ErgoTrixie]
    {
        part.find_or_skip()?;
    }
    let cluster = Cluster::shared().await.unwrap();
    cluster.define(&crds::all()).await.unwrap();
    let kinds = Kinds::CERT_MANAGER | Kinds::CLOUDNATIVE_PG | Kinds::PROMETHEUS_OPERATOR;
    cluster.install(kinds).await.unwrap();
    let options = Options {
        named_namespaces: vec![ROWS.into()],
        host_names: vec!["auth.localhost".into()],
        images: images(),
        ..Options::default()
    };
    let node = Node::start_or_skip(cluster, options).await.unwrap()?;
    node.expose(gatekeeper_port()).await.unwrap();
    for name in [SYSTEM, ROWS] {
        cluster.apply(&namespace(name), None).await.unwrap();
    }
    let rows = Standin::start(cluster, &[ROWS]).await.unwrap();
    cluster.apply(BESIDE, None).await.unwrap();
    for (operator, server) in [("soju", "SOJU"), ("ergo", "ERGO")] {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../../deploy/operators/{operator}-operator.yaml"));
        let text = std::fs::read_to_string(file).unwrap();
        // What an installation adds: its PostgreSQL cluster.
        let env = "          env:\n";
        let clusters = format!(
            "{env}            - {{name: IRCNOW_{server}_OPERATOR_POSTGRES_CLUSTERS, value: {ROWS}/pg}}\n"
        );
        // Debian's Ergo, where a network names no version.
        let version =
            format!("{clusters}            - {{name: IRCNOW_ERGO_OPERATOR_ERGO_VERSION, value: 2.18.0}}\n");
        let text = text
            .replacen(env, if server == "ERGO" { &version } else { &clusters }, 1)
            .replace("https://auth.irc.now", &format!("http://auth.localhost:{}", gatekeeper_port()))
            .replace("IMAGE-OF-IRCNOW", &image("ircnow"))
            .replace(&format!("IMAGE-OF-{server}"), &image(operator));
        cluster.apply(&text, None).await.unwrap();
    }
    let deployments: Api<Deployment> = Api::namespaced(cluster.admin().await.unwrap(), SYSTEM);
    for name in ["soju-operator", "ergo-operator"] {
        until(name, || async {
            let status = deployments.get(name).await.unwrap().status.unwrap_or_default();
            let ready = status.ready_replicas == Some(2) && status.updated_replicas == Some(2);
            if ready && status.replicas == Some(2) { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    }
    Some(Installed { cluster, node, rows })
}

fn namespace(name: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } },
    })
    .to_string()
}

/// What an installation has beside the manifests: the operators' secrets, an issuer, a PostgreSQL cluster.
const BESIDE: &str = "
{apiVersion: v1, kind: Secret, metadata: {name: soju-operator, namespace: ircnow-system}, stringData: {client-secret: for tests}}
---
{apiVersion: v1, kind: Secret, metadata: {name: ergo-operator, namespace: ircnow-system}, stringData: {client-secret: for tests}}
---
{apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: {name: letsencrypt}, spec: {selfSigned: {}}}
---
{apiVersion: postgresql.cnpg.io/v1, kind: Cluster, metadata: {name: pg, namespace: postgres}, spec: {instances: 1, storage: {size: 1Gi}}}
";

fn images() -> Images {
    let ircnow = Image::program("ircnow", stripped()).user(10_001, 10_001);
    let ergo = |part: Part| Image::new(&["/ircd-bin/ergo"]).file(part.find().unwrap(), "/ircd-bin/ergo");
    let soju = |part: Part| {
        let program = part.find().unwrap();
        let tool = program.with_file_name("sojudb");
        Image::program("soju", program).file(tool, "/usr/local/bin/sojudb")
    };
    Images::default()
        .with(&image("ircnow"), ircnow)
        .with(&image("soju"), soju(Part::Soju))
        .with(&image("soju-0.9"), soju(Part::SojuTrixie))
        .with(&image("ergo"), ergo(Part::Ergo))
        .with(&image("ergo-2.15"), ergo(Part::ErgoTrixie))
}

/// The program without its line tables, as an image has it: containers copy it into folders with a bound.
fn stripped() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_ircnow"));
    let to = program.with_file_name("ircnow-stripped");
    let part = to.with_extension(std::process::id().to_string());
    let made = Command::new("strip").arg("-o").arg(&part).arg(&program).status();
    if made.is_ok_and(|status| status.success()) && std::fs::rename(&part, &to).is_ok() {
        to
    } else {
        program
    }
}

/// A namespace of its own, with certificates signed in it.
pub struct World {
    pub all: &'static Installed,
    pub space: Namespace,
    pub client: Client,
    _standin: Standin,
}

impl World {
    pub async fn new(prefix: &str) -> Option<Self> {
        let all = installed().await?;
        let space = all.cluster.namespace(prefix).await.unwrap();
        let client = all.cluster.admin().await.unwrap();
        let standin = Standin::start(all.cluster, &[space.name()]).await.unwrap();
        Some(Self { all, space, client, _standin: standin })
    }

    pub fn namespace(&self) -> &str {
        self.space.name()
    }

    /// A host name nobody else asks for.
    pub fn host(&self) -> String {
        format!("{}.example.org", self.namespace())
    }

    pub async fn apply(&self, object: Value) {
        self.all.cluster.apply(&object.to_string(), Some(self.namespace())).await.unwrap();
    }

    pub async fn secret(&self, name: &str, data: Value) {
        self.apply(
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": data }),
        )
        .await;
    }

    /// A resource of ours with this spec.
    pub async fn make(&self, kind: &str, name: &str, spec: &Value) {
        self.try_make(kind, name, spec, false).await.unwrap();
    }

    /// The same, which may be refused; `dry` leaves nothing behind.
    pub async fn try_make(&self, kind: &str, name: &str, spec: &Value, dry: bool) -> Result<(), String> {
        let object = json!({
            "apiVersion": "irc.now/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec,
        });
        let params = PostParams { dry_run: dry, ..PostParams::default() };
        let made = self.ours(kind).create(&params, &serde_json::from_value(object).unwrap()).await;
        made.map(drop).map_err(|error| error.to_string())
    }

    pub async fn change(&self, kind: &str, name: &str, spec: Value) {
        let patch = json!({ "spec": spec });
        self.ours(kind).patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    fn ours(&self, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("irc.now", "v1alpha1", kind));
        Api::namespaced_with(self.client.clone(), self.namespace(), &resource)
    }

    /// The resource, once the operator has looked at its present spec and it is as wanted.
    pub async fn until(&self, kind: &str, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let api = self.ours(kind);
        until(&format!("{kind} {name}: {what}"), || async {
            let found = api.get(name).await.unwrap();
            let status = &found.data["status"];
            let seen = status["observedGeneration"].as_i64() == found.metadata.generation;
            if seen && wanted(status) { Ok(status.clone()) } else { Err(self.story(name, status).await) }
        })
        .await
    }

    pub async fn ready(&self, kind: &str, name: &str) -> Value {
        self.until(kind, name, "is ready", |status| holds(status, "Ready", "True")).await
    }

    /// What is worth reading of a resource that does not become what it should.
    async fn story(&self, name: &str, status: &Value) -> String {
        let mut story = format!("{:#}\n", status["conditions"]);
        for pod in self.pods().await {
            story.push_str(&format!("{}: {:?}\n", pod.name_any(), pod.status));
            for container in ["install", "soju", "ergo", "sidecar", "bouncer", "tables", "move"] {
                let log = self.all.node.logs(self.namespace(), &pod.name_any(), container);
                let last: Vec<_> = log.lines().rev().take(8).collect();
                story.push_str(&format!("{name} {container}: {last:#?}\n"));
            }
        }
        story
    }

    pub async fn pods(&self) -> Vec<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), self.namespace());
        pods.list(&ListParams::default()).await.unwrap().items
    }

    /// The one Pod there is: its name, its uid and its address.
    pub async fn pod(&self) -> (String, String, std::net::IpAddr) {
        let pods = self.pods().await;
        assert_eq!(pods.len(), 1, "{:?}", pods.iter().map(|pod| pod.name_any()).collect::<Vec<_>>());
        let address = pods[0].status.as_ref().and_then(|status| status.pod_ip.as_ref()).unwrap();
        (pods[0].name_any(), pods[0].uid().unwrap(), address.parse().unwrap())
    }

    /// A client that is connected to the server in the one Pod, over TLS.
    pub async fn connect(&self) -> irc::Client {
        let (.., address) = self.pod().await;
        irc::Client::connect_tls_to((address, 6697).into()).await.unwrap()
    }

    pub async fn delete(&self, kind: &str, name: &str) {
        let api = self.ours(kind);
        api.delete(name, &DeleteParams::default()).await.unwrap();
        until(&format!("{kind} {name} is gone"), || async {
            match api.get_opt(name).await.unwrap() {
                None => Ok(()),
                Some(left) => Err(format!("{:#}", left.data["status"]["conditions"])),
            }
        })
        .await;
    }

    /// Everything in the namespace, and what stands for it elsewhere, as `Kind name`.
    pub async fn objects(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for (group, kind) in KINDS {
            for object in self.list(group, kind, self.namespace()).await {
                all.insert(format!("{}: {kind} {}", self.namespace(), object.name_any()));
            }
        }
        // What lies elsewhere names the namespace it is for.
        let claims = ("coordination.k8s.io", "Lease", SYSTEM);
        let rows = |kind| ("postgresql.cnpg.io", kind, ROWS);
        for (group, kind, place) in [claims, rows("Database"), rows("DatabaseRole"), ("", "Secret", ROWS)] {
            for object in self.list(group, kind, place).await {
                if serde_json::to_string(&object).unwrap().contains(self.namespace()) {
                    all.insert(format!("{place}: {kind} {}", object.name_any()));
                }
            }
        }
        all
    }

    async fn list(&self, group: &str, kind: &str, namespace: &str) -> Vec<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        api.list(&ListParams::default()).await.unwrap().items
    }

    /// Waits until nothing is there that was not there `before`, but what `stays`.
    pub async fn only(&self, before: &BTreeSet<String>, stays: &[String]) {
        until("what belonged to it is gone", || async {
            let more: BTreeSet<_> = self.objects().await.difference(before).cloned().collect();
            let wanted: BTreeSet<_> =
                stays.iter().map(|object| format!("{}: {object}", self.namespace())).collect();
            if more == wanted { Ok(()) } else { Err(format!("{more:#?}")) }
        })
        .await;
    }

    /// The UID of a resource of ours.
    pub async fn uid(&self, kind: &str, name: &str) -> String {
        self.ours(kind).get(name).await.unwrap().uid().unwrap()
    }

    /// An object in the namespace.
    pub async fn object(&self, group: &str, kind: &str, name: &str) -> Value {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), self.namespace(), &resource);
        serde_json::to_value(api.get(name).await.unwrap()).unwrap()
    }

    /// Writes into the status of a Service what a cloud's controller would.
    pub async fn balance(&self, service: &str, address: &str) {
        let status = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": address }] } } });
        let services: Api<Service> = Api::namespaced(self.client.clone(), self.namespace());
        services.patch_status(service, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    }

    /// Where a Service leads: the addresses of its ready Pods, with the port of this name.
    pub async fn behind(&self, service: &str, port: &str) -> Vec<SocketAddr> {
        let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), self.namespace());
        let of = ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
        let mut found = Vec::new();
        for slice in slices.list(&of).await.unwrap() {
            let mut ports = slice.ports.iter().flatten();
            let port = ports.find(|is| is.name.as_deref() == Some(port)).and_then(|is| is.port);
            let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else { continue };
            for end in slice.endpoints.iter().flatten() {
                if end.conditions.as_ref().is_some_and(|conditions| conditions.ready == Some(true)) {
                    let addresses = end.addresses.iter().map(|address| address.parse().unwrap());
                    found.extend(addresses.map(|address| SocketAddr::new(address, port)));
                }
            }
        }
        found
    }

    /// Where the PostgreSQL server is.
    pub async fn rows(&self) -> SocketAddr {
        self.all.rows.address(ROWS, "pg").await.unwrap()
    }

    /// The databases there are.
    pub async fn databases(&self) -> Vec<String> {
        self.all.rows.databases(ROWS, "pg").await.unwrap()
    }
}

/// Kinds that may belong to one of our resources.
const KINDS: [(&str, &str); 15] = [
    ("", "Secret"),
    ("", "ConfigMap"),
    ("", "Service"),
    ("", "PersistentVolumeClaim"),
    ("", "Pod"),
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
    ("apps", "StatefulSet"),
    ("apps", "ControllerRevision"),
    ("discovery.k8s.io", "EndpointSlice"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("networking.k8s.io", "Ingress"),
    ("policy", "PodDisruptionBudget"),
    ("cert-manager.io", "Certificate"),
    ("monitoring.coreos.com", "PodMonitor"),
];

/// Whether a condition of a status is as wanted.
pub fn holds(status: &Value, condition: &str, wanted: &str) -> bool {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.any(|is| is["type"] == condition && is["status"] == wanted)
}

/// Waits until the server has closed the connection.
pub async fn ended(client: &mut irc::Client) {
    let end = Instant::now() + PATIENCE;
    while client.wait_for_end().await.is_err() {
        assert!(Instant::now() < end, "the connection is still open");
    }
}

/// Asks until the answer is good; fails with the last bad one.
pub async fn until<T, F: Future<Output = Result<T, String>>>(what: &str, question: impl Fn() -> F) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match question().await {
            Ok(answer) => return answer,
            Err(last) => assert!(Instant::now() < end, "{what}: did not happen, {last}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
