//! The end of a bouncer. What is in its namespace goes by itself; what lies outside, and the data, by its policy.
//!
//! No step needs a valid resource, and each can be done again: an operator that dies here goes on where it was. Only what
//! carries the bouncer's UID is touched, so a bouncer that never reconciled deletes nothing.

use std::time::Duration;

use crds::SojuBouncer;
use crds::common::DeletionPolicy;
use crds::database::ClusterRef;
use operator::{ChildKey, Context, Error, Kind, Seen, kinds};
use serde_json::json;

use super::{SojuOperator, condition, names};
use crate::names::Names;

/// Settles everything, or says what it waits for.
pub async fn finalize(
    operator: &SojuOperator,
    context: &Context<'_, SojuOperator>,
    root: &SojuBouncer,
) -> Result<(), Error> {
    let names = names(root);
    let policy = root.spec.deletion_policy;
    if policy != DeletionPolicy::Retain {
        // The server first: nobody drops a database under it, and what is secured is whole.
        gone(context, &kinds::DEPLOYMENT, |_| true).await?;
        wait_for_pods(context)?;
    }
    if policy == DeletionPolicy::Snapshot {
        secure(context, root, &names).await?;
    }
    if policy != DeletionPolicy::Retain {
        drop_database(context).await?;
        gone(context, &kinds::VOLUME_CLAIM, |_| true).await?;
    }
    let held = root.status.as_ref().map(|status| status.hostnames.as_slice()).unwrap_or_default();
    let claimed = super::dereference::hostnames(root).into_iter().map(str::to_owned);
    for hostname in claimed.chain(held.iter().map(|held| held.0.clone())) {
        super::settle::release(operator, context, root, &hostname).await?;
    }
    Ok(())
}

fn waiting(message: String) -> Error {
    Error::NotReady {
        condition: condition::ACCEPTED,
        reason: "Deleting",
        message,
        after: Duration::from_secs(2),
    }
}

fn ours<'a>(
    context: &'a Context<'_, SojuOperator>,
    kind: &'static Kind,
) -> impl Iterator<Item = (&'a ChildKey, &'a Seen)> {
    context
        .children
        .iter()
        .filter(move |(key, seen)| key.kind == kind && *seen.owner_uid == *context.parent.uid)
}

/// Deletes the children of a kind and waits until they are gone.
async fn gone(
    context: &Context<'_, SojuOperator>,
    kind: &'static Kind,
    which: impl Fn(&ChildKey) -> bool,
) -> Result<(), Error> {
    let mut left = None;
    for (key, seen) in ours(context, kind).filter(|(key, _)| which(key)) {
        if !seen.deleting {
            context.writer.delete(key, &seen.uid).await?;
        }
        left = Some(key.to_string());
    }
    left.map_or(Ok(()), |left| Err(waiting(format!("waiting until {left} is gone"))))
}

fn wait_for_pods(context: &Context<'_, SojuOperator>) -> Result<(), Error> {
    match ours(context, &kinds::POD).next() {
        Some((key, _)) => Err(waiting(format!("waiting until {key} has ended"))),
        None => Ok(()),
    }
}

/// Database before role: a role that owns something cannot go. The policy is written into the objects first: it may
/// have been changed after they were last applied.
async fn drop_database(context: &Context<'_, SojuOperator>) -> Result<(), Error> {
    for (kind, policy) in
        [(&kinds::DATABASE, "databaseReclaimPolicy"), (&kinds::DATABASE_ROLE, "databaseRoleReclaimPolicy")]
    {
        for (key, seen) in ours(context, kind) {
            if !seen.deleting {
                context.writer.merge(key, &json!({ "spec": { policy: "delete" } })).await?;
            }
        }
        gone(context, kind, |_| true).await?;
    }
    let home = &*context.key.namespace;
    gone(context, &kinds::SECRET, |key| &*key.namespace != home).await
}

/// Makes a snapshot of the volume, or a backup of the database's cluster, and waits for it.
async fn secure(context: &Context<'_, SojuOperator>, root: &SojuBouncer, names: &Names) -> Result<(), Error> {
    if let Some((claim, _)) = ours(context, &kinds::VOLUME_CLAIM).next() {
        let body = json!({ "spec": { "source": { "persistentVolumeClaimName": &*claim.name } } });
        let snapshot = context.parent.survivor(&kinds::VOLUME_SNAPSHOT, &names.last, body);
        match secured(context, &kinds::VOLUME_SNAPSHOT, snapshot, |seen| seen.facts.holds("ready")).await {
            // The namespace goes, and every snapshot in it: there is no place to keep one.
            Err(Error::Terminating) => {
                tracing::warn!(resource = %context.key, "the namespace is being deleted: no snapshot can be kept in it");
            }
            other => other?,
        }
    }
    let identity = root.status.as_ref().and_then(|status| status.database.as_ref());
    let exists = ours(context, &kinds::DATABASE).next().is_some();
    if let (Some(identity), true) = (identity, exists) {
        let ClusterRef { name, namespace } = &identity.cluster;
        let body = json!({ "spec": { "cluster": { "name": name } } });
        let backup = context.parent.elsewhere(&kinds::BACKUP, &namespace.0, &names.outside, body);
        secured(context, &kinds::BACKUP, backup, |seen| seen.facts.get("phase") == Some("completed")).await?;
    }
    Ok(())
}

async fn secured(
    context: &Context<'_, SojuOperator>,
    kind: &'static Kind,
    wanted: operator::Desired,
    done: impl Fn(&Seen) -> bool,
) -> Result<(), Error> {
    if !context.has(kind) {
        return Err(Error::Invalid {
            condition: condition::SNAPSHOT,
            reason: "SnapshotImpossible",
            message: format!(
                "the cluster has no {}: set deletionPolicy to Retain or Delete to let the bouncer go",
                kind.id()
            ),
        });
    }
    let seen = match context.children.get(&wanted.key) {
        Some(seen) => seen.clone(),
        None => context.writer.apply(&wanted, false).await?,
    };
    if done(&seen) {
        return Ok(());
    }
    let why = seen.facts.get("message").unwrap_or("it is being made");
    Err(Error::NotReady {
        condition: condition::SNAPSHOT,
        reason: "Securing",
        message: format!("waiting for {}: {why}", wanted.key),
        after: Duration::from_secs(5),
    })
}
