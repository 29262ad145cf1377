//! A database of a resource's own in a PostgreSQL cluster of CloudNativePG. The `Cluster` itself is never edited.
//!
//! Names come from the UID, and are written into the status before anything is made: what the status does not name is
//! not ours.

use crds::Server as _;
use crds::database::{ClusterRef, DatabaseIdentity};
use crds::status::Status as _;
use kube::core::object::HasStatus as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::conditions::DATABASE;
use crate::driver::names;
use crate::error::Error;
use crate::resources::{Desired, Parent};
use crate::secrets::{encoded, percent_encoded};
use crate::{ChildKey, Context, Names, Operator, kinds};

/// Where a database is.
#[derive(Clone, Debug)]
pub struct PostgresAt {
    /// The cluster.
    pub cluster: ClusterRef,
    /// The Service of its primary.
    pub host: String,
    /// The database.
    pub name: String,
    /// The role.
    pub role: String,
    /// The role's password.
    pub password: SecretString,
}

impl PostgresAt {
    /// The database a status names, with its password.
    pub fn new(identity: &DatabaseIdentity, password: SecretString) -> Self {
        let cluster = identity.cluster.clone();
        Self {
            host: format!("{}-rw.{}.svc", cluster.name, cluster.namespace),
            cluster,
            name: identity.name.0.clone(),
            role: identity.role.0.clone(),
            password,
        }
    }

    /// The address as `postgres://` wants it. All but the password comes from a UID, a hash or a checked name; that is read
    /// from a Secret which others may write, so it is encoded.
    pub fn url(&self) -> String {
        format!(
            "postgres://{}:{}@{}:5432/{}?sslmode=require",
            self.role,
            percent_encoded(self.password.expose_secret()),
            self.host,
            self.name
        )
    }
}

/// The status with the database's name in it, if it is not there yet. One that names another's was copied from there.
pub(crate) fn identify<O: Operator>(operator: &O, root: &O::Root) -> Result<Option<Value>, Error> {
    let mut status = root.status().cloned().unwrap_or_default();
    if !root.uses_postgres() {
        return Ok(None);
    }
    let name = names::<O>(root).postgres;
    if let Some(identity) = status.database() {
        return if identity.name.0 == name && identity.role.0 == name {
            Ok(None)
        } else {
            Err(of_another(&identity.name.0))
        };
    }
    *status.database_mut() = Some(DatabaseIdentity {
        cluster: cluster(operator.clusters(), root.cluster(), O::SECTION)?,
        name: name.as_str().into(),
        role: name.as_str().into(),
    });
    let status = serde_json::to_value(&status);
    status.map(Some).map_err(|error| Error::Internal(format!("the status cannot be written: {error}")))
}

fn of_another(name: &str) -> Error {
    Error::Invalid {
        condition: DATABASE,
        reason: "DatabaseOfAnother",
        message: format!(
            "the status names the database {name}, which was made for another resource: take `database` out of the \
             status (`kubectl edit --subresource=status`) to have one made, and move the rows there"
        ),
    }
}

/// The PostgreSQL cluster a resource uses: one the installation allows, the first where it names none.
pub fn cluster(
    allowed: &[ClusterRef],
    named: Option<&ClusterRef>,
    section: &str,
) -> Result<ClusterRef, Error> {
    let wrong = |reason, message| Error::Invalid { condition: DATABASE, reason, message };
    match named {
        None => allowed.first().cloned().ok_or_else(|| {
            let key = format!("{section}.postgres_clusters");
            wrong("NoCluster", format!("this installation has no PostgreSQL cluster: set `{key}`"))
        }),
        Some(named) if allowed.contains(named) => Ok(named.clone()),
        Some(_) => Err(wrong(
            "ClusterNotAllowed",
            format!("this PostgreSQL cluster is not one of `{section}.postgres_clusters`"),
        )),
    }
}

/// The database a resource has, as its status names it; `None` if it keeps its rows elsewhere.
pub fn identity<O: Operator>(root: &O::Root) -> Result<Option<&DatabaseIdentity>, Error> {
    if !root.uses_postgres() {
        return Ok(None);
    }
    let identity = root.status().and_then(|status| status.database());
    identity.map(Some).ok_or_else(|| Error::Internal("the database has no name yet".to_owned()))
}

/// How far CloudNativePG is with role and database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Whether both are there.
    pub done: bool,
    /// What it says against the first that is not.
    pub message: Option<String>,
}

/// Looks at role and database. Who has none of its own waits for nothing.
pub fn made<O: Operator>(context: &Context<'_, O>, root: &O::Root) -> Result<Made, Error> {
    let Some(identity) = identity::<O>(root)? else { return Ok(Made { done: true, message: None }) };
    let outside = names::<O>(root).outside;
    let waits = [&kinds::DATABASE_ROLE, &kinds::DATABASE].into_iter().find_map(|kind| {
        let key = ChildKey::new(kind, identity.cluster.namespace.as_str(), &outside);
        let facts = context.children.get(&key).map(|seen| &seen.facts);
        let applied = facts.is_some_and(|facts| facts.holds("applied"));
        (!applied).then(|| {
            facts.and_then(|facts| facts.get("message")).map(|said| format!("{}: {said}", kind.kind))
        })
    });
    Ok(Made { done: waits.is_none(), message: waits.flatten() })
}

/// The role's password where CloudNativePG reads it, the role, the database: all in the cluster's namespace. They are
/// kept when their objects go, until the end of the resource says otherwise.
pub fn objects(parent: &Parent, names: &Names, at: &PostgresAt, connections: i32) -> Vec<Desired> {
    let (space, name) = (at.cluster.namespace.as_str(), names.outside.as_str());
    let mut secret = credentials(at);
    secret["metadata"] = json!({ "labels": { "cnpg.io/reload": "true" } });
    let role = json!({ "spec": {
        "cluster": { "name": at.cluster.name.as_str() },
        "name": at.role,
        "comment": format!("{} {}", parent.owner.kind, parent.key),
        "ensure": "present",
        "login": true,
        "connectionLimit": connections,
        "passwordSecret": { "name": name },
        "databaseRoleReclaimPolicy": "retain",
    } });
    let database = json!({ "spec": {
        "cluster": { "name": at.cluster.name.as_str() },
        "name": at.name,
        "owner": at.role,
        "ensure": "present",
        "encoding": "UTF8",
        "databaseReclaimPolicy": "retain",
    } });
    vec![
        parent.elsewhere(&kinds::SECRET, space, name, secret),
        parent.elsewhere(&kinds::DATABASE_ROLE, space, name, role),
        parent.elsewhere(&kinds::DATABASE, space, name, database),
    ]
}

/// A Secret with the role's name and password.
pub fn credentials(at: &PostgresAt) -> Value {
    json!({
        "type": "kubernetes.io/basic-auth",
        "data": { "username": encoded(&at.role), "password": encoded(at.password.expose_secret()) },
    })
}
