//! A network's life on a real API server: made, looked at, edited by others, suspended, deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crds::ErgoNetwork;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt as _};
use operator::Settings;
use serde_json::{Value, json};
use service::health::Readiness;
use service::metrics::Metrics;
use service::shutdown::Shutdown;
use testkit::cluster::{Cluster, Kinds, Namespace};
use testkit::{eventually, part};

struct World {
    space: Namespace,
    client: Client,
    writes: Arc<AtomicUsize>,
    shutdown: Shutdown,
}

impl World {
    async fn new() -> Self {
        service::tls::install_provider();
        let cluster = Cluster::shared().await.unwrap();
        cluster.define(&crds::all()).await.unwrap();
        cluster.install(Kinds::ALL).await.unwrap();
        let space = cluster.namespace("networks").await.unwrap();
        let client = cluster.admin().await.unwrap();
        let mut world = Self { space, client, writes: Arc::default(), shutdown: Shutdown::new() };
        world.start().await;
        world
    }

    async fn start(&mut self) {
        let mut installation = crate::world::installation();
        let space = self.space.name().to_owned();
        installation.namespace = space.clone();
        installation.postgres_clusters =
            vec![crds::database::ClusterRef { name: "main".into(), namespace: space.as_str().into() }];
        let writes = Arc::clone(&self.writes);
        let mut settings = Settings::new("test", &space);
        settings.poll = Duration::from_millis(300);
        settings.probe = Some(Arc::new(move |point| {
            if point.starts_with("after ") {
                writes.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        }));
        let (metrics, readiness) = (Metrics::new(), Readiness::new());
        let (client, shutdown, watched) = (self.client.clone(), self.shutdown.clone(), readiness.clone());
        // The part that is not ready must be there before it is asked about.
        let part = readiness.part("test");
        tokio::spawn(async move {
            ergo_operator::run(installation, client, settings, &metrics, &watched, shutdown).await;
        });
        tokio::task::yield_now().await;
        part.ready();
        eventually("the operator is ready", || async { readiness.is_ready().then_some(()) }).await;
    }

    async fn stop(&mut self) {
        self.shutdown.trigger();
        self.shutdown.finished(Duration::from_secs(20)).await.unwrap();
        self.shutdown = Shutdown::new();
    }

    fn networks(&self) -> Api<ErgoNetwork> {
        Api::namespaced(self.client.clone(), self.space.name())
    }

    async fn make(&self, name: &str, host: &str, more: Value) {
        let mut spec =
            json!({ "networkName": "ExampleNet", "hostname": host, "expose": { "irc": "ClusterIP" } });
        crate::world::merge(&mut spec, &more);
        let object = json!({
            "apiVersion": "irc.now/v1alpha1", "kind": "ErgoNetwork", "metadata": { "name": name }, "spec": spec,
        });
        let api = self.objects("irc.now", "v1alpha1", "ErgoNetwork");
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    }

    fn objects(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), self.space.name(), &resource)
    }

    async fn child(&self, kind: &str, name: &str) -> Option<DynamicObject> {
        let group = match kind {
            "StatefulSet" => "apps",
            "NetworkPolicy" | "Ingress" => "networking.k8s.io",
            "PodDisruptionBudget" => "policy",
            "Certificate" => "cert-manager.io",
            "Route" => "route.openshift.io",
            "PodMonitor" => "monitoring.coreos.com",
            "Database" | "DatabaseRole" => "postgresql.cnpg.io",
            _ => "",
        };
        self.objects(group, "v1", kind).get_opt(name).await.unwrap()
    }

    async fn until(&self, name: &str, what: &str, wanted: impl Fn(&ErgoNetwork) -> bool) -> ErgoNetwork {
        let end = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let network = self.networks().get(name).await.unwrap();
            if wanted(&network) {
                return network;
            }
            assert!(tokio::time::Instant::now() < end, "{name} {what}: {:#?}", network.status);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn reconciled(&self, name: &str) -> ErgoNetwork {
        self.until(name, "was reconciled", |network| {
            let status = network.status.clone().unwrap_or_default();
            status.observed_generation == network.metadata.generation
                && reason(network, "Accepted") == "Accepted"
        })
        .await
    }

    async fn gone(&self, name: &str) {
        self.networks().delete(name, &DeleteParams::default()).await.unwrap();
        eventually(format!("{name} is gone"), || async {
            self.networks().get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    /// Waits until nothing was written for two seconds, and says how much was.
    async fn quiet(&self) -> usize {
        let mut before = self.writes.load(Ordering::SeqCst);
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let now = self.writes.load(Ordering::SeqCst);
            if now == before {
                return now;
            }
            before = now;
        }
    }
}

fn reason(network: &ErgoNetwork, condition: &str) -> String {
    let conditions = network.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().find(|is| is.type_ == condition).map(|is| is.reason.clone()).unwrap_or_default()
}

fn short(network: &ErgoNetwork) -> String {
    network.uid().unwrap().chars().take(8).collect()
}

/// One operator at a time watches the whole control plane, so its promises are kept in one test, one after another.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_made_kept_and_ended_as_its_resource_says() {
    part!(Kubernetes);
    let mut world = World::new().await;
    everything_is_made_once_and_nothing_is_written_at_rest(&mut world).await;
    what_others_edit_or_delete_is_put_back(&world).await;
    a_host_name_belongs_to_the_oldest(&world).await;
    a_volume_goes_or_stays_as_the_policy_says(&world).await;
    a_database_goes_or_stays_as_the_policy_says(&world).await;
    world.stop().await;
}

async fn everything_is_made_once_and_nothing_is_written_at_rest(world: &mut World) {
    world.make("rest", "rest.example.org", json!({ "suspend": true })).await;
    let network = world.reconciled("rest").await;
    for (kind, name) in [
        ("Secret", "rest-config"),
        ("ConfigMap", "rest-config"),
        ("StatefulSet", "rest"),
        ("Service", "rest"),
        ("NetworkPolicy", "rest"),
        ("PodDisruptionBudget", "rest"),
        ("Certificate", "rest"),
        ("Route", "rest-web"),
        ("PodMonitor", "rest"),
    ] {
        let child = world.child(kind, name).await.unwrap_or_else(|| panic!("no {kind} {name}"));
        assert_eq!(child.owner_references()[0].uid, network.uid().unwrap(), "{kind}");
    }
    let volume =
        world.child("PersistentVolumeClaim", &format!("rest-data-{}", short(&network))).await.unwrap();
    assert!(volume.owner_references().is_empty(), "a volume outlives its network");
    assert_eq!(reason(&network, "Ready"), "Suspended");
    let settled = world.quiet().await;
    world.stop().await;
    world.start().await;
    assert_eq!(world.quiet().await, settled);
}

async fn what_others_edit_or_delete_is_put_back(world: &World) {
    let before = world.child("NetworkPolicy", "rest").await.unwrap();
    let api = world.objects("networking.k8s.io", "v1", "NetworkPolicy");
    let edit = json!({ "spec": { "egress": [{}] } });
    api.patch("rest", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    eventually("the policy is put back", || async {
        let now = api.get("rest").await.unwrap();
        (now.data["spec"] == before.data["spec"]).then_some(())
    })
    .await;
    let secrets = world.objects("", "v1", "Secret");
    secrets.delete("rest-config", &DeleteParams::default()).await.unwrap();
    eventually("the Secret is back", || async { secrets.get_opt("rest-config").await.unwrap() }).await;
}

async fn a_host_name_belongs_to_the_oldest(world: &World) {
    world.make("thief", "rest.example.org", json!({ "suspend": true })).await;
    world
        .until("thief", "shows that the name is taken", |is| reason(is, "HostnameClaimed") == "HostnameTaken")
        .await;
    assert!(world.child("StatefulSet", "thief").await.is_none());
    world.gone("rest").await;
    world.gone("thief").await;
    world.make("heir", "rest.example.org", json!({ "suspend": true })).await;
    let heir = world.reconciled("heir").await;
    assert_eq!(heir.status.unwrap().hostnames[0].as_str(), "rest.example.org");
}

async fn a_volume_goes_or_stays_as_the_policy_says(world: &World) {
    for (name, policy, stays) in [("keeps", "Retain", true), ("leaves", "Delete", false)] {
        let host = format!("{name}.example.org");
        world.make(name, &host, json!({ "suspend": true, "deletionPolicy": policy })).await;
        let volume = format!("{name}-data-{}", short(&world.reconciled(name).await));
        world.gone(name).await;
        eventually(format!("the volume of {policy}"), || async {
            let there = world.child("PersistentVolumeClaim", &volume).await;
            let stays_now = there.is_some_and(|there| there.metadata.deletion_timestamp.is_none());
            (stays_now == stays).then_some(())
        })
        .await;
    }
}

async fn a_database_goes_or_stays_as_the_policy_says(world: &World) {
    for (name, policy, stays) in [("archive", "Retain", true), ("scratch", "Delete", false)] {
        let host = format!("{name}.example.org");
        let spec = json!({ "suspend": true, "deletionPolicy": policy, "history": { "backend": "Postgres" } });
        world.make(name, &host, spec).await;
        let network =
            world.until(name, "waits for its database", |is| reason(is, "DatabaseReady") == "Pending").await;
        let uid: String = network.uid().unwrap().chars().filter(char::is_ascii_alphanumeric).collect();
        let outside = format!("network-{uid}");
        let database = world.child("Database", &outside).await.unwrap();
        assert_eq!(database.data["spec"]["databaseReclaimPolicy"], "retain");
        assert_eq!(network.status.unwrap().database.unwrap().name.0, format!("network_{uid}"));
        assert!(world.child("StatefulSet", name).await.is_none(), "the server waits for its database");
        world.gone(name).await;
        for kind in ["Database", "DatabaseRole"] {
            assert_eq!(world.child(kind, &outside).await.is_some(), stays, "{kind} of {policy}");
        }
    }
}
