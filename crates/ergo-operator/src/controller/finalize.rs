//! The end of a network: what the deletion policy asks for, then its host names. It needs no valid resource.
//!
//! Nothing is deleted that is not ours by UID: a network that never reconciled, or a namesake of one that did, owns no
//! database and no volume.

use std::time::Duration;

use crds::ErgoNetwork;
use crds::common::DeletionPolicy;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use operator::{ChildKey, Context, Error, Kind, Seen, claim, kinds};
use serde_json::json;

use super::dereference::hostnames;
use super::{ErgoOperator, condition, holder, names, settle};

/// Settles what does not go away by itself.
pub async fn finalize(
    operator: &ErgoOperator,
    context: &Context<'_, ErgoOperator>,
    root: &ErgoNetwork,
) -> Result<(), Error> {
    match root.spec.deletion_policy {
        DeletionPolicy::Retain => {}
        DeletionPolicy::Snapshot => {
            stop(context, root).await?;
            secure(context, root).await?;
            destroy(context, root).await?;
        }
        DeletionPolicy::Delete => {
            stop(context, root).await?;
            destroy(context, root).await?;
        }
    }
    let claims: Api<Lease> = Api::namespaced(context.client.clone(), &operator.claims);
    let held = root.status.as_ref().map(|status| status.hostnames.as_slice()).unwrap_or_default();
    let held = held.iter().map(|name| name.as_str());
    for name in held.chain(hostnames(root)) {
        claim::release(context.writer, &claims, name, &holder(root)).await?;
    }
    Ok(())
}

/// Stops the server: what is written while it is secured would be lost.
async fn stop(context: &Context<'_, ErgoOperator>, root: &ErgoNetwork) -> Result<(), Error> {
    let names = names(root);
    if let Some((key, seen)) = ours(context, &kinds::STATEFUL_SET, &context.key.namespace, &names.main) {
        context.writer.delete(&key, &seen.uid).await?;
    }
    let running = context.children_of(&kinds::POD).any(|(_, pod)| *pod.owner_uid == *context.parent.uid);
    if running {
        return Err(wait("Stopping", "the server is being stopped".to_owned()));
    }
    Ok(())
}

/// Secures the data, and waits until that is done.
async fn secure(context: &Context<'_, ErgoOperator>, root: &ErgoNetwork) -> Result<(), Error> {
    let names = names(root);
    if ours(context, &kinds::VOLUME_CLAIM, &context.key.namespace, &names.volume).is_some() {
        if !context.has(&kinds::VOLUME_SNAPSHOT) {
            let message =
                "the cluster has no volume snapshots: set deletionPolicy to Retain or Delete".to_owned();
            return Err(wait("SnapshotNotSupported", message));
        }
        match ours(context, &kinds::VOLUME_SNAPSHOT, &context.key.namespace, &names.last) {
            None => {
                let class = root.spec.backup.as_ref().and_then(|backup| backup.snapshot_class_name.as_ref());
                settle::snapshot(context, &names.volume, &names.last, class.map(|class| class.as_str()))
                    .await?;
                return Err(wait("SnapshotPending", format!("the snapshot {} is being made", names.last)));
            }
            Some((_, seen)) if !seen.facts.holds("ready") => {
                let said = seen.facts.get("message").unwrap_or("it is being made");
                return Err(wait("SnapshotPending", format!("the snapshot {}: {said}", names.last)));
            }
            Some(_) => {}
        }
    }
    let Some(identity) = root.status.as_ref().and_then(|status| status.database.as_ref()) else {
        return Ok(());
    };
    let space = identity.cluster.namespace.as_str();
    if ours(context, &kinds::DATABASE, space, &names.outside).is_none() {
        return Ok(());
    }
    if !context.has(&kinds::BACKUP) {
        let message =
            "the cluster has no backups of databases: set deletionPolicy to Retain or Delete".to_owned();
        return Err(wait("BackupNotSupported", message));
    }
    match ours(context, &kinds::BACKUP, space, &names.outside) {
        None => {
            let spec = json!({ "cluster": { "name": identity.cluster.name.as_str() } });
            settle::create(context, &kinds::BACKUP, space, &names.outside, spec).await?;
            Err(wait("BackupPending", format!("the backup {} is being made", names.outside)))
        }
        Some((_, seen)) if seen.facts.get("phase") == Some("completed") => Ok(()),
        Some((_, seen)) => {
            let said = seen.facts.get("message").or(seen.facts.get("phase")).unwrap_or("it is being made");
            Err(wait("BackupPending", format!("the backup {}: {said}", names.outside)))
        }
    }
}

/// Deletes database, role and volume. The database goes before its owner.
async fn destroy(context: &Context<'_, ErgoOperator>, root: &ErgoNetwork) -> Result<(), Error> {
    let names = names(root);
    if let Some(identity) = root.status.as_ref().and_then(|status| status.database.as_ref()) {
        let space = identity.cluster.namespace.as_str();
        let policies = [
            (&kinds::DATABASE, "databaseReclaimPolicy"),
            (&kinds::DATABASE_ROLE, "databaseRoleReclaimPolicy"),
        ];
        for (kind, policy) in policies {
            if let Some((key, seen)) = ours(context, kind, space, &names.outside) {
                if !seen.deleting {
                    context.writer.merge(&key, &json!({ "spec": { policy: "delete" } })).await?;
                    context.writer.delete(&key, &seen.uid).await?;
                }
                let said = seen.facts.get("message").unwrap_or("its controller deletes it");
                return Err(Error::NotReady {
                    condition: condition::DATABASE,
                    reason: "Deleting",
                    message: format!("{key} is being deleted: {said}"),
                    after: Duration::from_secs(5),
                });
            }
        }
        if let Some((key, seen)) = ours(context, &kinds::SECRET, space, &names.outside) {
            context.writer.delete(&key, &seen.uid).await?;
        }
    }
    if let Some((key, seen)) = ours(context, &kinds::VOLUME_CLAIM, &context.key.namespace, &names.volume) {
        context.writer.delete(&key, &seen.uid).await?;
    }
    Ok(())
}

/// A child of that name, if it is this network's by UID.
fn ours<'a>(
    context: &'a Context<'_, ErgoOperator>,
    kind: &'static Kind,
    namespace: &str,
    name: &str,
) -> Option<(ChildKey, &'a Seen)> {
    let key = ChildKey::new(kind, namespace, name);
    let seen = context.children.get(&key).filter(|seen| *seen.owner_uid == *context.parent.uid)?;
    Some((key, seen))
}

fn wait(reason: &'static str, message: String) -> Error {
    Error::NotReady { condition: condition::SNAPSHOT, reason, message, after: Duration::from_secs(5) }
}
