//! Where a server keeps its rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::Storage;
use crate::schema;
use crate::text::{Label, Line, ObjectName};

/// Which database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DatabaseEngine {
    /// A file on a volume of its own.
    #[default]
    Sqlite,
    /// A database and a role of its own in a PostgreSQL cluster of CloudNativePG.
    Postgres,
}

/// Where rows are kept. Names in the cluster come from the resource's UID, never from here, so nobody can name
/// somebody else's database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[
    ("!has(self.cluster) || self.engine == 'Postgres'", "a cluster is for engine Postgres"),
    ("has(self.cluster) == has(oldSelf.cluster)", "the cluster cannot be changed: the data would stay behind"),
])))]
pub struct Database {
    /// Which database. It cannot be changed: the data would stay behind.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self == oldSelf", "the engine cannot be changed: the data would stay behind")])))]
    pub engine: DatabaseEngine,
    /// The PostgreSQL cluster; the installation's own where none is named. Only clusters the operator was configured
    /// to use are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self == oldSelf", "the cluster cannot be changed: the data would stay behind")])))]
    pub cluster: Option<ClusterRef>,
    /// The volume, where files are kept.
    pub storage: Storage,
}

/// A `Cluster` of CloudNativePG.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRef {
    /// Its name.
    pub name: ObjectName,
    /// Its namespace.
    pub namespace: Label,
}

/// A database as it was made. Written before anything is made, and never changed: a resource owns only what this names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseIdentity {
    /// The cluster.
    pub cluster: ClusterRef,
    /// The database's name, from the resource's UID.
    pub name: Line<63>,
    /// The role's name, from the resource's UID.
    pub role: Line<63>,
}
