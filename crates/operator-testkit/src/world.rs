//! A namespace with an operator of its own, on the control plane all tests share.

use std::time::Duration;

use crds::status::Status;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::object::HasStatus;
use kube::{Client, Resource, ResourceExt as _};
use operator::{Names, Operator as _};
use serde_json::{Value, json};
use testkit::cluster::{Cluster, Kinds, Namespace, Standin, stage};
use testkit::eventually;
use testkit::wait::PATIENCE;

use crate::life::{self, Running, Writes};
use crate::paper::merge;
use crate::{Root, Subject, kind};

/// A namespace with an operator that looks at nothing else.
pub struct World<S: Subject> {
    /// The control plane.
    pub cluster: &'static Cluster,
    /// The namespace.
    pub space: Namespace,
    /// May do everything.
    pub client: Client,
    /// What the operators of this world wrote.
    pub writes: Writes,
    more: String,
    running: Option<Running>,
    of: std::marker::PhantomData<S>,
}

impl<S: Subject> World<S> {
    /// A world that has every kind but backups.
    pub async fn new(prefix: &str) -> Self {
        Self::with(prefix, "").await
    }

    /// A world whose operator has more configuration (TOML of its section).
    pub async fn with(prefix: &str, more: &str) -> Self {
        Self::on(Cluster::shared().await.unwrap(), prefix, more).await
    }

    /// A world on a control plane of one's own.
    pub async fn on(cluster: &'static Cluster, prefix: &str, more: &str) -> Self {
        life::log();
        cluster.define(&crds::all()).await.unwrap();
        cluster.install(Kinds::ALL).await.unwrap();
        let space = cluster.namespace(prefix).await.unwrap();
        let client = cluster.admin().await.unwrap();
        let mut world = Self {
            cluster,
            space,
            client,
            writes: Writes::default(),
            more: more.to_owned(),
            running: None,
            of: std::marker::PhantomData,
        };
        world.start().await;
        world
    }

    /// A world with a PostgreSQL cluster in a namespace of its own, and somebody who makes what is asked of it.
    pub async fn with_rows(prefix: &str) -> (Self, Rows) {
        Self::with_rows_on(Cluster::shared().await.unwrap(), prefix).await
    }

    /// The same on a control plane of one's own.
    pub async fn with_rows_on(cluster: &'static Cluster, prefix: &str) -> (Self, Rows) {
        cluster.install(Kinds::ALL).await.unwrap();
        let space = cluster.namespace("rows").await.unwrap();
        let pg = "{apiVersion: postgresql.cnpg.io/v1, kind: Cluster, metadata: {name: pg}, spec: {instances: 1, storage: {size: 1Gi}}}";
        cluster.apply(pg, Some(space.name())).await.unwrap();
        let more = format!("postgres_clusters = '{}/pg'\n", space.name());
        let world = Self::on(cluster, prefix, &more).await;
        let standin = Standin::start(cluster, &[space.name(), world.namespace()]).await.unwrap();
        (world, Rows { space, standin })
    }

    /// Starts an operator, and waits until it is ready.
    pub async fn start(&mut self) {
        self.begin(self.client.clone());
        self.running.as_ref().unwrap().is_ready().await;
    }

    /// Starts an operator that has this client.
    pub fn begin(&mut self, client: Client) {
        let home = self.namespace();
        let told = json!({ "claims": home, "watch": home, "identity": "test", "more": self.more });
        self.running = Some(Running::begin::<S>(&told, client, self.writes.clone()));
    }

    /// Ends the operator as SIGTERM would.
    pub async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    /// The namespace's name.
    pub fn namespace(&self) -> &str {
        self.space.name()
    }

    /// The resources.
    pub fn roots(&self) -> Api<Root<S>> {
        Api::namespaced(self.client.clone(), self.namespace())
    }

    /// The host name of a resource.
    pub fn host(&self, name: &str) -> String {
        format!("{name}.{}.example.org", self.namespace())
    }

    /// A resource with this spec over the least one.
    pub async fn make(&self, name: &str, spec: Value) -> Root<S> {
        let mut whole = S::least();
        whole["hostname"] = self.host(name).into();
        merge(&mut whole, &spec);
        stage::make(&self.client, kind::<S>(), self.namespace(), name, &whole).await.unwrap();
        self.roots().get(name).await.unwrap()
    }

    /// Changes fields of a resource's spec.
    pub async fn change(&self, name: &str, spec: Value) -> Root<S> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.roots().patch(name, &PatchParams::default(), &patch).await.unwrap()
    }

    /// The resource, once it is as wanted.
    pub async fn until(&self, name: &str, what: &str, wanted: impl Fn(&Root<S>) -> bool) -> Root<S> {
        let api = self.roots();
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let root = api.get(name).await.unwrap();
            if wanted(&root) {
                return root;
            }
            let status = || serde_json::to_string_pretty(&root.status()).unwrap_or_default();
            assert!(tokio::time::Instant::now() < end, "{name} {what}: {}", status());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until everything was made for the present generation.
    pub async fn reconciled(&self, name: &str) -> Root<S> {
        self.until(name, "was reconciled", |root| is_seen(root) && holds(root, "Accepted", "True")).await
    }

    /// The objects of a kind in this namespace.
    pub fn objects(&self, kind: &str) -> Api<DynamicObject> {
        stage::objects(&self.client, kind, self.namespace())
    }

    /// A child of this namespace, if it is there.
    pub async fn child(&self, kind: &str, name: &str) -> Option<DynamicObject> {
        self.objects(kind).get_opt(name).await.unwrap()
    }

    /// Asks for a resource to go.
    pub async fn delete(&self, name: &str) {
        self.roots().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until a resource is gone.
    pub async fn gone(&self, name: &str) {
        let api = self.roots();
        eventually(format!("{name} is gone"), || async {
            api.get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    /// Lets a volume go that is asked to: there is no controller here that sees that nobody uses it.
    pub async fn free_volume(&self, root: &Root<S>) {
        let free = Patch::Merge(json!({ "metadata": { "finalizers": [] } }));
        let volume = names::<S>(root).volume;
        self.objects("PersistentVolumeClaim").patch(&volume, &PatchParams::default(), &free).await.unwrap();
    }

    /// Waits until nothing was written for two seconds, and says how much was.
    pub async fn quiet(&self) -> usize {
        let mut before = self.writes.total();
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let now = self.writes.total();
            if now == before {
                return now;
            }
            before = now;
        }
    }
}

/// A PostgreSQL cluster, `pg`.
pub struct Rows {
    /// Where it is.
    pub space: Namespace,
    /// Who makes databases and roles in it.
    pub standin: Standin,
}

impl Rows {
    /// Runs SQL in a database; what `psql -At` prints.
    pub async fn sql(&self, database: &str, sql: &str) -> String {
        self.standin.sql(self.space.name(), "pg", database, sql).await.unwrap().trim().to_owned()
    }

    /// The databases that were made.
    pub async fn databases(&self) -> Vec<String> {
        self.standin.databases(self.space.name(), "pg").await.unwrap()
    }

    /// The roles that were made.
    pub async fn roles(&self) -> Vec<String> {
        self.standin.roles(self.space.name(), "pg").await.unwrap()
    }
}

/// The names of a resource's objects.
pub fn names<S: Subject>(root: &Root<S>) -> Names {
    Names::of(S::Operator::PREFIX, &root.name_any(), &root.uid().unwrap())
}

/// Whether the operator looked at the present generation.
pub fn is_seen<K: Resource + HasStatus<Status: Status>>(root: &K) -> bool {
    let status = serde_json::to_value(root.status()).unwrap_or_default();
    status["observedGeneration"].as_i64() == root.meta().generation
}

/// Whether a condition has this status.
pub fn holds(root: &impl HasStatus<Status: Status>, condition: &str, status: &str) -> bool {
    let conditions = root.status().map(Status::conditions).unwrap_or_default();
    conditions.iter().any(|is| is.type_ == condition && is.status == status)
}

/// The reason of a condition.
pub fn reason(root: &impl HasStatus<Status: Status>, condition: &str) -> String {
    let conditions = root.status().map(Status::conditions).unwrap_or_default();
    conditions.iter().find(|is| is.type_ == condition).map(|is| is.reason.clone()).unwrap_or_default()
}
