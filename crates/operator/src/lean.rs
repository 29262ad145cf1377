//! Objects as they are read: what nobody keeps is dropped while it is read, so that a page of a list takes little room.
//!
//! Most of an object is `managedFields` and `spec`. Of the first only hashes are kept, of the second nothing.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use kube::core::{ApiResource, DeserializeGuard, DynamicResourceScope, error_boundary::InvalidObject};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::hash;

/// A child: metadata, status, and who owns which fields. With `META` the API server is asked for metadata alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Whole")]
pub struct Lean<const META: bool> {
    /// Everything but `managedFields`.
    pub metadata: ObjectMeta,
    /// The status, as it is.
    pub status: Value,
    /// Who applied, with the hash of the fields that are theirs.
    pub applied: Vec<(String, u64)>,
}

#[derive(Deserialize)]
struct Whole {
    metadata: Meta,
    #[serde(default)]
    status: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Meta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    deletion_timestamp: Option<Time>,
    labels: Option<std::collections::BTreeMap<String, String>>,
    annotations: Option<std::collections::BTreeMap<String, String>>,
    managed_fields: Option<Vec<Owned>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Owned {
    manager: Option<String>,
    operation: Option<String>,
    subresource: Option<String>,
    #[serde(rename = "fieldsV1", deserialize_with = "hashed")]
    fields: u64,
}

/// The fields themselves live for as long as they are hashed.
fn hashed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Value::deserialize(deserializer).map(|fields| hash::of_value(&fields))
}

impl<const META: bool> From<Whole> for Lean<META> {
    fn from(whole: Whole) -> Self {
        let Whole { metadata: meta, status } = whole;
        let applied = meta.managed_fields.unwrap_or_default().into_iter().filter(|owned| {
            owned.operation.as_deref() == Some("Apply")
                && owned.subresource.as_deref().unwrap_or_default().is_empty()
        });
        Self {
            applied: applied.filter_map(|owned| Some((owned.manager?, owned.fields))).collect(),
            metadata: ObjectMeta {
                name: meta.name,
                namespace: meta.namespace,
                uid: meta.uid,
                resource_version: meta.resource_version,
                generation: meta.generation,
                deletion_timestamp: meta.deletion_timestamp,
                labels: meta.labels,
                annotations: meta.annotations,
                ..ObjectMeta::default()
            },
            status,
        }
    }
}

impl<const META: bool> Resource for Lean<META> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn metadata_api() -> bool {
        META
    }

    fn kind(of: &ApiResource) -> Cow<'_, str> {
        of.kind.as_str().into()
    }

    fn group(of: &ApiResource) -> Cow<'_, str> {
        of.group.as_str().into()
    }

    fn version(of: &ApiResource) -> Cow<'_, str> {
        of.version.as_str().into()
    }

    fn api_version(of: &ApiResource) -> Cow<'_, str> {
        of.api_version.as_str().into()
    }

    fn plural(of: &ApiResource) -> Cow<'_, str> {
        of.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A resource without `managedFields`; or, if it cannot be read, its metadata and why.
#[derive(Clone, Debug)]
pub struct Root<K>(pub DeserializeGuard<K>);

impl<'de, K: Resource + DeserializeOwned> Deserialize<'de> for Root<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.remove("managedFields");
        }
        let read = K::deserialize(&value).map_err(|error| InvalidObject {
            error: error.to_string(),
            metadata: ObjectMeta::deserialize(&value["metadata"]).unwrap_or_default(),
        });
        Ok(Self(DeserializeGuard(read)))
    }
}

impl<K: Resource> Resource for Root<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &K::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &K::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &K::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &K::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use crds::SojuBouncer;
    use serde_json::json;

    use super::*;

    #[test]
    fn of_what_others_own_only_a_hash_is_kept_and_of_the_rest_metadata_and_status() {
        let ours = json!({ "f:spec": { "f:replicas": {} } });
        let lean: Lean<false> = serde_json::from_value(json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "alice", "namespace": "tenants", "uid": "u", "resourceVersion": "7", "generation": 2,
                "deletionTimestamp": "2026-01-02T03:04:05Z",
                "labels": { "a": "b" }, "annotations": { "c": "d" },
                "managedFields": [
                    { "manager": "soju-operator", "operation": "Apply", "fieldsV1": ours, "time": "2026-01-02T03:04:05Z" },
                    { "manager": "soju-operator", "operation": "Apply", "subresource": "status", "fieldsV1": {} },
                    { "manager": "kubectl", "operation": "Update", "fieldsV1": {} },
                ],
            },
            "spec": { "replicas": 1 },
            "status": { "replicas": 1 },
        }))
        .unwrap();
        assert_eq!(lean.applied, [("soju-operator".to_owned(), hash::of_value(&ours))]);
        assert_eq!(lean.status, json!({ "replicas": 1 }));
        assert_eq!((lean.metadata.name.as_deref(), lean.metadata.generation), (Some("alice"), Some(2)));
        assert!(lean.metadata.deletion_timestamp.is_some());
        assert_eq!((lean.metadata.labels.unwrap()["a"].as_str(), lean.metadata.managed_fields), ("b", None));
    }

    #[test]
    fn a_resource_that_cannot_be_read_says_why_and_which_it_is() {
        let json = |spec| json!({ "metadata": { "name": "alice", "managedFields": [{ "manager": "x" }] }, "spec": spec });
        let of =
            |spec| serde_json::from_value::<Root<SojuBouncer>>(json(spec)).unwrap().0.0.map_err(Box::new);
        let read = of(json!({ "hostname": "alice.example.org" })).unwrap();
        assert_eq!(read.metadata.managed_fields, None);
        let refused = of(json!({ "hostname": 7 })).unwrap_err();
        assert_eq!(refused.metadata.name.as_deref(), Some("alice"));
        assert!(refused.error.contains("string"), "{}", refused.error);
    }
}
