//! The end of a resource. What is in its namespace goes by itself; what lies outside, and the data, by its policy.
//!
//! No step needs a valid resource, and each can be done again: an operator that dies here goes on where it was. Only what
//! carries the resource's UID is touched, and only the database its status names: a resource that never reconciled, or a
//! namesake of one that did, owns neither a database nor a volume.

use std::time::Duration;

use crds::Server as _;
use crds::common::DeletionPolicy;
use crds::database::DatabaseIdentity;
use crds::status::Status as _;
use k8s_openapi::api::core::v1::Secret;
use kube::core::object::HasStatus as _;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::conditions::SNAPSHOT;
use crate::driver::names;
use crate::{ChildKey, Context, Error, Kind, Names, OWNER_UID, Operator, Seen, claim, kinds};

/// How a resource ends, besides its policy.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// What runs its Pod.
    pub workload: &'static Kind,
    /// The class of the last snapshot; the cluster's default where none is named.
    pub snapshot_class: Option<&'a str>,
    /// Where claims on host names are.
    pub claims: &'a str,
}

/// Settles everything, or says what it waits for.
pub async fn settle<O: Operator>(
    context: &Context<'_, O>,
    root: &O::Root,
    end: End<'_>,
) -> Result<(), Error> {
    let names = names::<O>(root);
    let database = root.status().and_then(|status| status.database());
    let policy = root.deletion_policy();
    if policy != DeletionPolicy::Retain {
        // The server first: nobody drops a database under it, and what is secured is whole.
        stop(context, &names, end.workload).await?;
    }
    if policy == DeletionPolicy::Snapshot {
        snapshot(context, &names, end.snapshot_class).await?;
        if let Some(database) = database {
            back_up(context, &names, database).await?;
        }
    }
    if policy != DeletionPolicy::Retain {
        if let Some(database) = database {
            drop_database(context, &names, database).await?;
        }
        drop_certificates(context, &names).await?;
        // It is on its way once it is asked for: what still protects it is Kubernetes' business.
        let volume = ours(context, &kinds::VOLUME_CLAIM, &context.key.namespace, &names.volume);
        if let Some((key, seen)) = volume.filter(|(_, seen)| !seen.deleting) {
            context.writer.delete(&key, &seen.uid).await?;
        }
    }
    claim::release_all(context, end.claims, root).await
}

/// A child of that name, if it is this resource's by UID.
fn ours<'a, O: Operator>(
    context: &'a Context<'_, O>,
    kind: &'static Kind,
    namespace: &str,
    name: &str,
) -> Option<(ChildKey, &'a Seen)> {
    let key = ChildKey::new(kind, namespace, name);
    let seen = context.children.get(&key).filter(|seen| *seen.owner_uid == *context.parent.uid)?;
    Some((key, seen))
}

async fn stop<O: Operator>(
    context: &Context<'_, O>,
    names: &Names,
    workload: &'static Kind,
) -> Result<(), Error> {
    gone(context, workload, &context.key.namespace, &names.main).await?;
    let running = context.children_of(&kinds::POD).find(|(_, pod)| *pod.owner_uid == *context.parent.uid);
    match running {
        Some((name, _)) => Err(wait("Stopping", format!("waiting until the Pod {name} has ended"))),
        None => Ok(()),
    }
}

/// Deletes a child, and waits until it is gone.
async fn gone<O: Operator>(
    context: &Context<'_, O>,
    kind: &'static Kind,
    namespace: &str,
    name: &str,
) -> Result<(), Error> {
    let Some((key, seen)) = ours(context, kind, namespace, name) else { return Ok(()) };
    if !seen.deleting {
        context.writer.delete(&key, &seen.uid).await?;
    }
    let said = seen.facts.get("message").map(|said| format!(": {said}")).unwrap_or_default();
    Err(wait("Deleting", format!("waiting until {key} is gone{said}")))
}

/// Makes a snapshot of the volume, and waits for it.
async fn snapshot<O: Operator>(
    context: &Context<'_, O>,
    names: &Names,
    class: Option<&str>,
) -> Result<(), Error> {
    let home = &*context.key.namespace;
    if ours(context, &kinds::VOLUME_CLAIM, home, &names.volume).is_none() {
        return Ok(());
    }
    let spec = snapshot_of(&names.volume, class);
    let done = |seen: &Seen| seen.facts.holds("ready");
    match secured(context, &kinds::VOLUME_SNAPSHOT, home, &names.last, spec, done).await {
        // The namespace goes, and every snapshot in it: there is no place to keep one.
        Err(Error::Terminating) => {
            tracing::warn!(resource = %context.key, "the namespace is being deleted: no snapshot can be kept in it");
            Ok(())
        }
        other => other,
    }
}

/// The `spec` of a snapshot of a volume.
pub fn snapshot_of(volume: &str, class: Option<&str>) -> Value {
    let mut spec = json!({ "source": { "persistentVolumeClaimName": volume } });
    if let Some(class) = class {
        spec["volumeSnapshotClassName"] = class.into();
    }
    spec
}

/// Makes a backup of the database's cluster, and waits for it.
async fn back_up<O: Operator>(
    context: &Context<'_, O>,
    names: &Names,
    database: &DatabaseIdentity,
) -> Result<(), Error> {
    let space = database.cluster.namespace.as_str();
    if ours(context, &kinds::DATABASE, space, &names.outside).is_none() {
        return Ok(());
    }
    let spec = json!({ "cluster": { "name": database.cluster.name.as_str() } });
    let done = |seen: &Seen| seen.facts.get("phase") == Some("completed");
    secured(context, &kinds::BACKUP, space, &names.outside, spec, done).await
}

async fn secured<O: Operator>(
    context: &Context<'_, O>,
    kind: &'static Kind,
    space: &str,
    name: &str,
    spec: Value,
    done: impl Fn(&Seen) -> bool,
) -> Result<(), Error> {
    if !context.has(kind) {
        let message = format!(
            "the cluster has no {}: set deletionPolicy to Retain or Delete to let the resource go",
            kind.id()
        );
        return Err(wait("SnapshotNotSupported", message));
    }
    match ours(context, kind, space, name) {
        Some((_, seen)) if done(seen) => Ok(()),
        Some((key, seen)) => {
            let said = seen.facts.get("message").or(seen.facts.get("phase")).unwrap_or("it is being made");
            Err(wait("SnapshotPending", format!("{key}: {said}")))
        }
        None => {
            context.create(kind, space, name, spec).await?;
            Err(wait("SnapshotPending", format!("{} {space}/{name} is being made", kind.kind)))
        }
    }
}

/// Database before role: a role that owns something cannot go. The policy is written into the objects only now, so that
/// whoever deletes one of them by hand before loses nothing.
async fn drop_database<O: Operator>(
    context: &Context<'_, O>,
    names: &Names,
    database: &DatabaseIdentity,
) -> Result<(), Error> {
    let space = database.cluster.namespace.as_str();
    for (kind, policy) in
        [(&kinds::DATABASE, "databaseReclaimPolicy"), (&kinds::DATABASE_ROLE, "databaseRoleReclaimPolicy")]
    {
        if let Some((key, seen)) = ours(context, kind, space, &names.outside)
            && !seen.deleting
        {
            context.writer.merge(&key, &json!({ "spec": { policy: "delete" } })).await?;
        }
        gone(context, kind, space, &names.outside).await?;
    }
    gone(context, &kinds::SECRET, space, &names.outside).await
}

/// cert-manager leaves the Secret of a certificate that goes. While the certificate is there, a Secret that is deleted is
/// made again; so that goes first.
async fn drop_certificates<O: Operator>(context: &Context<'_, O>, names: &Names) -> Result<(), Error> {
    let home = &*context.key.namespace;
    for name in [&names.main, &names.web] {
        gone(context, &kinds::CERTIFICATE, home, name).await?;
    }
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), home);
    for name in [&names.tls, &names.web_tls] {
        let found = secrets.get_metadata_opt(name).await;
        let found = found.map_err(|error| Error::api(format!("reading the Secret {name}"), error))?;
        // One that somebody else keeps has no mark, or another's.
        if let Some(found) = found
            && found.labels().get(OWNER_UID) == Some(&context.parent.uid)
        {
            let uid = found.uid().unwrap_or_default();
            context.writer.delete(&ChildKey::new(&kinds::SECRET, home, name), &uid).await?;
        }
    }
    Ok(())
}

fn wait(reason: &'static str, message: String) -> Error {
    Error::NotReady { condition: SNAPSHOT, reason, message, after: Duration::from_secs(5) }
}
