//! What both kinds say in the same words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{Cidr, ObjectName, Quantity, SecretKey, Subject, Username};

/// One value of a Secret in the resource's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The Secret.
    pub name: ObjectName,
    /// The key in it.
    pub key: SecretKey,
}

/// A whole Secret in the resource's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret.
    pub name: ObjectName,
}

/// Whom a resource belongs to at irc.now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// The account's id, which never changes.
    pub sub: Subject,
    /// The account's name, which never changes either.
    pub username: Username,
}

/// What happens to the data when the resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Database, role and volume stay where they are, without the operator.
    #[default]
    Retain,
    /// A snapshot of the volume, or a backup of the database, is made and awaited; then as `Delete`.
    Snapshot,
    /// Database, role and volume are deleted. A resource that never reconciled deletes nothing it did not make.
    Delete,
}

/// What the server's container may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Processor time that is set aside.
    pub cpu: Quantity,
    /// Processor time it may use at most; without one, what is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<Quantity>,
    /// Memory that is set aside.
    pub memory: Quantity,
    /// Memory it may use at most.
    pub memory_limit: Quantity,
}

impl Default for Resources {
    fn default() -> Self {
        Self { cpu: "20m".into(), cpu_limit: None, memory: "48Mi".into(), memory_limit: "256Mi".into() }
    }
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Storage {
    /// How much. It can grow where the storage class allows it, never shrink.
    pub size: Quantity,
    /// The storage class; the cluster's default where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_name: Option<ObjectName>,
}

impl Default for Storage {
    fn default() -> Self {
        Self { size: "1Gi".into(), class_name: None }
    }
}

/// A snapshot a server begins from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// A `VolumeSnapshot` in the resource's namespace.
    pub snapshot_name: ObjectName,
}

/// What the server may connect to. The cluster's own, private, link-local and metadata ranges are always denied, except
/// for name resolution, the resource's own database, and what is listed here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Egress {
    /// Private ranges that may be reached all the same, such as a network of one's own.
    #[schemars(length(max = 16))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<EgressRule>,
}

/// A private range that may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EgressRule {
    /// The range.
    pub cidr: Cidr,
    /// Ports there; all of them where none is listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(range(min = 1, max = 65535)))]
    pub ports: Vec<i32>,
}

pub(crate) fn yes() -> bool {
    true
}
