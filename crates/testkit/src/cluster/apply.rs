//! Manifests as `kubectl apply --server-side` takes them.

use anyhow::{Context, Result};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, Resource};
use serde::Serialize;
use serde_json::Value;

use super::Cluster;

impl Cluster {
    /// Applies every document of a YAML text (server-side, as field manager `testkit`). What names no namespace goes
    /// into `namespace`.
    pub async fn apply(&self, yaml: &str, namespace: Option<&str>) -> Result<Vec<DynamicObject>> {
        self.apply_documents(&documents(yaml)?, namespace).await
    }

    pub(super) async fn apply_documents(
        &self,
        documents: &[Value],
        namespace: Option<&str>,
    ) -> Result<Vec<DynamicObject>> {
        let client = self.admin().await?;
        let mut applied = Vec::with_capacity(documents.len());
        for document in documents {
            applied.push(apply_one(&client, document, namespace).await?);
        }
        Ok(applied)
    }
}

async fn apply_one(client: &Client, document: &Value, namespace: Option<&str>) -> Result<DynamicObject> {
    let text = |field: &Value| field.as_str().map(str::to_owned);
    let kind = text(&document["kind"]).context("a document without kind")?;
    let name = text(&document["metadata"]["name"]).with_context(|| format!("a {kind} without name"))?;
    let api_version =
        text(&document["apiVersion"]).with_context(|| format!("{kind} {name} without apiVersion"))?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let (resource, capabilities) = pinned_kind(client, &GroupVersionKind::gvk(group, version, &kind))
        .await
        .with_context(|| format!("looking up {kind} in {api_version}"))?;
    let api: Api<DynamicObject> = if capabilities.scope == Scope::Cluster {
        Api::all_with(client.clone(), &resource)
    } else {
        let own = text(&document["metadata"]["namespace"]);
        let namespace =
            own.or_else(|| namespace.map(str::to_owned)).context("no namespace for the object")?;
        Api::namespaced_with(client.clone(), &namespace, &resource)
    };
    api.patch(&name, &PatchParams::apply("testkit").force(), &Patch::Apply(document))
        .await
        .with_context(|| format!("applying {kind} {name}"))
}

/// The documents of a YAML text; empty ones are left out.
pub(super) fn documents(yaml: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("reading YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// An object with its `apiVersion` and `kind`, which the types of k8s-openapi do not carry.
pub(super) fn with_types<K: Resource<DynamicType = ()> + Serialize>(object: &K) -> Result<Value> {
    let mut document = serde_json::to_value(object)?;
    document["apiVersion"] = K::api_version(&()).into();
    document["kind"] = K::kind(&()).into();
    if let Some(fields) = document.as_object_mut() {
        fields.remove("status");
    }
    Ok(document)
}
