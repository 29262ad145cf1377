//! The history's database and role in the Cluster's namespace. The Cluster itself is never edited.

use operator::kinds;
use operator::resources::{Desired, Parent};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::controller::validate::Valid;

/// The role's password, the role, the database. They are kept when their objects go, until the end of the network says
/// otherwise.
pub fn build(parent: &Parent, valid: &Valid) -> Vec<Desired> {
    let Some((cluster, database)) = &valid.database else { return Vec::new() };
    let (space, name) = (cluster.namespace.as_str(), valid.names.outside.as_str());
    let password = json!({
        "metadata": { "labels": { "cnpg.io/reload": "true" } },
        "type": "kubernetes.io/basic-auth",
        "data": {
            "username": super::encoded(&database.name),
            "password": super::encoded(database.password.expose_secret()),
        },
    });
    let role = json!({ "spec": {
        "cluster": { "name": cluster.name.as_str() },
        "name": database.name,
        "comment": format!("ErgoNetwork {}", parent.key),
        "ensure": "present",
        "login": true,
        "connectionLimit": 16,
        "passwordSecret": { "name": name },
        "databaseRoleReclaimPolicy": "retain",
    } });
    let rows = json!({ "spec": {
        "cluster": { "name": cluster.name.as_str() },
        "name": database.name,
        "owner": database.name,
        "ensure": "present",
        "encoding": "UTF8",
        "databaseReclaimPolicy": "retain",
    } });
    vec![
        parent.elsewhere(&kinds::SECRET, space, name, password),
        parent.elsewhere(&kinds::DATABASE_ROLE, space, name, role),
        parent.elsewhere(&kinds::DATABASE, space, name, rows),
    ]
}
