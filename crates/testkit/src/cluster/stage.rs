//! A control plane of one's own for an operator with exactly the rights its manifest gives it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Namespace as Space;
use k8s_openapi::api::rbac::v1::{ClusterRole, Role};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use super::{Cluster, Kinds, Pretender, audit};
use crate::wait::PATIENCE;

/// Where operators run, as their manifests say.
pub const HOME: &str = "ircnow-system";
/// Where the PostgreSQL cluster is.
pub const ROWS: &str = "rows";

/// A control plane with the manifest of an operator. What others control is pretended to be there.
pub struct Stage {
    /// The control plane.
    pub cluster: Cluster,
    /// May do everything.
    pub client: Client,
    /// For the operator: its ServiceAccount's token.
    pub kubeconfig: PathBuf,
    account: &'static str,
    _pretender: Pretender,
}

impl Stage {
    /// A control plane with our definitions, these kinds of others, and a manifest whose ServiceAccount, ClusterRole and
    /// Role have one name.
    pub async fn start(
        definitions: &[CustomResourceDefinition],
        kinds: Kinds,
        manifest: &str,
        account: &'static str,
    ) -> Result<Self> {
        let cluster = Cluster::start().await?;
        cluster.define(definitions).await?;
        cluster.install(kinds).await?;
        let client = cluster.admin().await?;
        let pretender = Pretender::start(&cluster)?;
        let spaces: Api<Space> = Api::all(client.clone());
        for name in [HOME, ROWS] {
            let space = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
            spaces.create(&PostParams::default(), &space).await?;
        }
        cluster.apply(manifest, None).await?;
        let kubeconfig = cluster.kubeconfig(HOME, account).await?;
        Ok(Self { cluster, client, kubeconfig, account, _pretender: pretender })
    }

    /// What an operator is told. `watch` is the only namespace it looks at, if it is not to look at all.
    pub fn told(&self, identity: &str, watch: Option<&str>) -> Value {
        json!({ "kubeconfig": self.kubeconfig, "claims": HOME, "identity": identity, "watch": watch })
    }

    /// The objects of a kind the operators know.
    pub fn objects(&self, kind: &str, namespace: &str) -> Api<DynamicObject> {
        objects(&self.client, kind, namespace)
    }

    /// Everything the manifest allows and nobody used so far. Fails if anything was refused.
    pub async fn unused_rights(&self) -> Result<BTreeSet<String>> {
        let requests = self.cluster.audit_of(HOME, self.account)?;
        let refused: Vec<_> = requests.iter().filter(|request| !request.allowed).collect();
        ensure!(refused.is_empty(), "the manifest lacks rights: {refused:#?}");
        let role = Api::<ClusterRole>::all(self.client.clone()).get(self.account).await?;
        let mut rules = role.rules.context("a ClusterRole without rules")?;
        let role = Api::<Role>::namespaced(self.client.clone(), HOME).get(self.account).await?;
        rules.extend(role.rules.into_iter().flatten());
        Ok(audit::unused(&rules, &requests))
    }
}

/// The objects of a kind the operators know.
pub fn objects(client: &Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let (group, version) = match kind {
        "Deployment" | "StatefulSet" => ("apps", "v1"),
        "Job" => ("batch", "v1"),
        "NetworkPolicy" | "Ingress" => ("networking.k8s.io", "v1"),
        "PodDisruptionBudget" => ("policy", "v1"),
        "Certificate" => ("cert-manager.io", "v1"),
        "Route" => ("route.openshift.io", "v1"),
        "HTTPRoute" | "TLSRoute" => ("gateway.networking.k8s.io", "v1"),
        "PodMonitor" => ("monitoring.coreos.com", "v1"),
        "Cluster" | "Database" | "DatabaseRole" | "Backup" => ("postgresql.cnpg.io", "v1"),
        "VolumeSnapshot" => ("snapshot.storage.k8s.io", "v1"),
        "Lease" => ("coordination.k8s.io", "v1"),
        "SojuBouncer" | "ErgoNetwork" => ("irc.now", "v1alpha1"),
        _ => ("", "v1"),
    };
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Makes a resource of ours.
pub async fn make(client: &Client, kind: &str, namespace: &str, name: &str, spec: &Value) -> Result<()> {
    let object = json!({
        "apiVersion": "irc.now/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec,
    });
    objects(client, kind, namespace).create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

/// Changes fields of a resource's `spec`.
pub async fn change(client: &Client, kind: &str, namespace: &str, name: &str, spec: &Value) -> Result<()> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    objects(client, kind, namespace).patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Waits until a resource is as wanted.
///
/// # Panics
/// If it is not within [`PATIENCE`].
pub async fn until(
    client: &Client,
    kind: &str,
    namespace: &str,
    name: &str,
    what: &str,
    wanted: impl Fn(&DynamicObject) -> bool,
) -> DynamicObject {
    let api = objects(client, kind, namespace);
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = api.get_opt(name).await;
        if let Ok(Some(object)) = &found
            && wanted(object)
        {
            return object.clone();
        }
        let last = found.map(|object| object.map(|object| object.data["status"].clone()));
        assert!(tokio::time::Instant::now() < end, "{namespace}/{name} {what}: {last:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// What a condition of a resource says under `field`: `status`, `reason` or `message`.
pub fn condition<'a>(object: &'a DynamicObject, type_: &str, field: &str) -> &'a str {
    let conditions = object.data["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|is| is["type"] == type_));
    found.and_then(|is| is[field].as_str()).unwrap_or_default()
}

/// Whether the operator looked at the present generation and took it.
pub fn is_current(object: &DynamicObject) -> bool {
    object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
        && condition(object, "Accepted", "status") == "True"
}

/// Kind, namespace and name of an object that knows its kind.
pub fn title(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map(|types| types.kind.as_str()).unwrap_or_default();
    format!("{kind} {}/{}", object.namespace().unwrap_or_default(), object.name_any())
}
