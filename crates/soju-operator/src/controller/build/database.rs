//! Database and role in the namespace of the PostgreSQL cluster. The `Cluster` itself is never edited.

use crds::common::DeletionPolicy;
use operator::resources::Parent;
use operator::{Desired, kinds};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::super::dereference::PostgresAt;
use super::super::validate::{Rows, Valid};
use super::config::encoded;

fn at(valid: &Valid) -> Option<&PostgresAt> {
    match &valid.rows {
        Rows::Sqlite => None,
        Rows::Postgres(at) => Some(at),
    }
}

/// What CloudNativePG does in PostgreSQL when its object goes. The operator deletes the object only if it may.
pub fn reclaim(policy: DeletionPolicy) -> &'static str {
    match policy {
        DeletionPolicy::Retain => "retain",
        DeletionPolicy::Snapshot | DeletionPolicy::Delete => "delete",
    }
}

/// The password as it was made once, in the bouncer's own namespace.
pub fn own_secret(parent: &Parent, valid: &Valid) -> Option<Desired> {
    let at = at(valid)?;
    Some(parent.child(&kinds::SECRET, &valid.names.database, credentials(at)))
}

/// The password where CloudNativePG reads it: Secret and role must be in the cluster's namespace.
pub fn role_secret(parent: &Parent, valid: &Valid) -> Option<Desired> {
    let at = at(valid)?;
    let mut body = credentials(at);
    body["metadata"] = json!({ "labels": { "cnpg.io/reload": "true" } });
    Some(parent.elsewhere(&kinds::SECRET, &at.cluster.namespace.0, &valid.names.outside, body))
}

fn credentials(at: &PostgresAt) -> serde_json::Value {
    let files = [("username", at.role.clone()), ("password", at.password.expose_secret().to_owned())];
    let data = encoded(files.iter().map(|(name, text)| (name, text)));
    json!({ "type": "kubernetes.io/basic-auth", "data": data })
}

/// The role that owns the database.
pub fn role(parent: &Parent, valid: &Valid) -> Option<Desired> {
    let at = at(valid)?;
    let body = json!({ "spec": {
        "cluster": { "name": at.cluster.name },
        "name": at.role,
        "login": true,
        // soju keeps up to 25 connections; the sidecar one.
        "connectionLimit": 30,
        "passwordSecret": { "name": valid.names.outside },
        "databaseRoleReclaimPolicy": reclaim(valid.spec.deletion_policy),
    }});
    Some(parent.elsewhere(&kinds::DATABASE_ROLE, &at.cluster.namespace.0, &valid.names.outside, body))
}

/// The database.
pub fn database(parent: &Parent, valid: &Valid) -> Option<Desired> {
    let at = at(valid)?;
    let body = json!({ "spec": {
        "cluster": { "name": at.cluster.name },
        "name": at.name,
        "owner": at.role,
        "databaseReclaimPolicy": reclaim(valid.spec.deletion_policy),
    }});
    Some(parent.elsewhere(&kinds::DATABASE, &at.cluster.namespace.0, &valid.names.outside, body))
}
