//! A child as it is kept in memory: who it is, what was asked for, what is ours in it, and a few words.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use crate::kind::{Facts, Kind};
use crate::lean::Lean;
use crate::store::RootKey;
use crate::{HASH, INSTANCE, MANAGED_BY, OWNER_NAMESPACE, OWNER_UID, hash};

/// Which object: kind, namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildKey {
    /// What it is.
    pub kind: &'static Kind,
    /// Where it is.
    pub namespace: Box<str>,
    /// What it is called.
    pub name: Box<str>,
}

impl ChildKey {
    /// Names a child.
    pub fn new(kind: &'static Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for ChildKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind.kind, self.namespace, self.name)
    }
}

/// A child as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its UID.
    pub uid: Box<str>,
    /// The UID of the resource it belongs to.
    pub owner_uid: Box<str>,
    /// The hash of what was asked for when it was last written.
    pub hash: u64,
    /// The hash of the fields the API server says are ours.
    pub fields: u64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its resource version: what arrives late is told from what is new by it.
    pub version: u64,
    /// A few words.
    pub facts: Facts,
}

/// Reduces an object on arrival. `None` if it does not say whose child it is.
pub fn reduce<const META: bool>(
    kind: &'static Kind,
    manager: &str,
    object: Lean<META>,
) -> Option<(RootKey, ChildKey, Seen)> {
    let meta = &object.metadata;
    let labels = meta.labels.as_ref()?;
    let root = RootKey::new(labels.get(OWNER_NAMESPACE)?, labels.get(INSTANCE)?);
    let key = ChildKey::new(
        kind,
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default(),
    );
    let seen = Seen {
        uid: meta.uid.as_deref().unwrap_or_default().into(),
        owner_uid: labels.get(OWNER_UID).map(String::as_str).unwrap_or_default().into(),
        hash: annotation_hash(meta),
        fields: fields_hash(&object.applied, manager),
        deleting: meta.deletion_timestamp.is_some(),
        version: version(meta),
        facts: (kind.reduce)(&Value::Object(
            [
                ("metadata".to_owned(), json!({ "generation": meta.generation })),
                ("status".to_owned(), object.status),
            ]
            .into_iter()
            .collect(),
        )),
    };
    Some((root, key, seen))
}

/// The resource version as a number. The API server promises that they can be compared.
pub fn version(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// The labels that make an object a child.
pub fn labels(operator: &str, root: &RootKey, owner_uid: &str) -> BTreeMap<String, String> {
    [
        (MANAGED_BY, operator),
        (INSTANCE, &root.name),
        (OWNER_NAMESPACE, &root.namespace),
        (OWNER_UID, owner_uid),
    ]
    .into_iter()
    .map(|(label, value)| (label.to_owned(), value.to_owned()))
    .collect()
}

/// The hash of what was asked for, from the annotation.
fn annotation_hash(meta: &ObjectMeta) -> u64 {
    let written = meta.annotations.as_ref().and_then(|annotations| annotations.get(HASH));
    written.map(|text| hash::parse(text)).unwrap_or_default()
}

/// The hash of our entry in `managedFields`, without its time: what we own. When somebody else changes a field of ours,
/// they own it, and this hash changes.
fn fields_hash(applied: &[(String, u64)], manager: &str) -> u64 {
    let ours = applied.iter().find(|(by, _)| by == manager);
    ours.map_or_else(|| hash::of_value(&Value::Null), |(_, fields)| *fields)
}
