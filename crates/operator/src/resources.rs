//! What an operator wants to exist, before and after it was applied.
//!
//! [`Resources<Prepared>`] comes from `build`, [`Resources<Applied>`] only from the driver: a status cannot be computed
//! from what was not applied.

use std::collections::BTreeMap;

use crds::status::ChildState;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use serde_json::{Map, Value, json};

use crate::child::{self, ChildKey, Seen};
use crate::kind::{Facts, Kind};
use crate::store::RootKey;
use crate::{HASH, hash};

/// An object that should exist.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Which.
    pub key: ChildKey,
    /// The whole object without `apiVersion`, which depends on what the API server serves.
    pub object: Value,
    /// The hash of it.
    pub hash: u64,
}

/// Whose children are built: what every one of them carries.
#[derive(Clone, Debug)]
pub struct Parent {
    /// The operator's name.
    pub operator: &'static str,
    /// Which resource.
    pub key: RootKey,
    /// Its UID.
    pub uid: String,
    /// The reference children in its own namespace carry.
    pub owner: OwnerReference,
}

impl Parent {
    /// What the children of a resource carry; `None` if it came without a name or a UID.
    pub fn of<K: Resource<DynamicType = ()>>(operator: &'static str, root: &K) -> Option<Self> {
        // Who deletes it in the foreground wants to see it until its children are gone.
        let owner = OwnerReference { block_owner_deletion: Some(true), ..root.controller_owner_ref(&())? };
        let key = RootKey::new(root.meta().namespace.as_deref().unwrap_or_default(), &owner.name);
        Some(Self { operator, key, uid: owner.uid.clone(), owner })
    }

    /// An object in the parent's own namespace, with labels, owner reference and hash. `body` holds everything but
    /// `metadata`, and may hold `metadata` with more labels and annotations.
    pub fn child(&self, kind: &'static Kind, name: &str, body: Value) -> Desired {
        self.make(kind, &self.key.namespace.clone(), name, body, true)
    }

    /// An object in the parent's own namespace that outlives it: labels and hash, no owner reference.
    pub fn survivor(&self, kind: &'static Kind, name: &str, body: Value) -> Desired {
        self.make(kind, &self.key.namespace.clone(), name, body, false)
    }

    /// An object in another namespace: labels and hash, no owner reference (those never cross namespaces).
    pub fn elsewhere(&self, kind: &'static Kind, namespace: &str, name: &str, body: Value) -> Desired {
        self.make(kind, namespace, name, body, false)
    }

    fn make(&self, kind: &'static Kind, namespace: &str, name: &str, body: Value, owned: bool) -> Desired {
        let mut object = match body {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let mut meta = match object.remove("metadata") {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let mut labels: BTreeMap<String, Value> = match meta.remove("labels") {
            Some(Value::Object(fields)) => fields.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        for (label, value) in child::labels(self.operator, &self.key, &self.uid) {
            labels.insert(label, value.into());
        }
        meta.insert("name".to_owned(), name.into());
        meta.insert("namespace".to_owned(), namespace.into());
        meta.insert("labels".to_owned(), json!(labels));
        if owned {
            meta.insert("ownerReferences".to_owned(), json!([self.owner]));
        }
        object.insert("kind".to_owned(), kind.kind.into());
        object.insert("metadata".to_owned(), Value::Object(meta));
        let mut object = without_nulls(Value::Object(object));
        let hash = hash::of_value(&object);
        object["metadata"]["annotations"][HASH] = hash::text(hash).into();
        Desired { key: ChildKey::new(kind, namespace, name), object, hash }
    }
}

/// Typed objects are written with `null` for what is not set, which server-side apply would own.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Built, but not yet applied.
#[derive(Clone, Debug)]
pub struct Prepared(Vec<Desired>);

/// Applied: every object exists as it was built.
#[derive(Clone, Debug)]
pub struct Applied(Vec<AppliedChild>);

#[derive(Clone, Debug)]
pub(crate) struct AppliedChild {
    pub key: ChildKey,
    pub uid: Box<str>,
    pub hash: u64,
    pub fields: u64,
    pub facts: Facts,
}

impl AppliedChild {
    /// A child that is as it should be.
    pub fn kept(key: &ChildKey, is: &Seen) -> Self {
        Self {
            key: key.clone(),
            uid: is.uid.clone(),
            hash: is.hash,
            fields: is.fields,
            facts: is.facts.clone(),
        }
    }

    fn state(&self, home: &str) -> ChildState {
        ChildState {
            kind: self.key.kind.id().as_str().into(),
            namespace: if &*self.key.namespace == home { "".into() } else { (&*self.key.namespace).into() },
            name: (&*self.key.name).into(),
            uid: (&*self.uid).into(),
            hash: hash::text(self.hash).as_str().into(),
            fields: hash::text(self.fields).as_str().into(),
        }
    }
}

/// What the status keeps of children that were applied.
pub(crate) fn states(children: &[AppliedChild], home: &str) -> Vec<ChildState> {
    children.iter().map(|child| child.state(home)).collect()
}

/// All children of one resource, in the order in which they are applied.
#[derive(Clone, Debug)]
pub struct Resources<State>(State);

impl Resources<Prepared> {
    /// What should exist, in this order.
    pub fn new(children: Vec<Desired>) -> Self {
        Self(Prepared(children))
    }

    /// What should exist, in this order.
    pub fn children(&self) -> &[Desired] {
        &self.0.0
    }

    pub(crate) fn applied(children: Vec<AppliedChild>) -> Resources<Applied> {
        Resources(Applied(children))
    }
}

impl Resources<Applied> {
    /// What is known of a child.
    pub fn facts(&self, kind: &'static Kind, name: &str) -> Option<&Facts> {
        self.0
            .0
            .iter()
            .find(|child| child.key.kind == kind && &*child.key.name == name)
            .map(|child| &child.facts)
    }
}
