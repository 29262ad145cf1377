//! What a network points to, as it is now: host names, secrets, the running server's state, snapshots.

use std::collections::BTreeMap;

use crds::ErgoNetwork;
use crds::common::SecretKeyRef;
use jiff::Timestamp;
use kube::Api;
use operator::expose::Has;
use operator::postgres::{self, Made};
use operator::secrets::Secrets;
use operator::{Context, Error, claim, driver, kinds, sidecar};
use secrecy::SecretString;

use super::{ErgoOperator, condition, snapshots};
use crate::paths;
use crate::sidecar::SidecarState;

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The values of Secrets the resource points to.
    pub secrets: BTreeMap<SecretKeyRef, SecretString>,
    /// The issuer's client, if the resource names one: id and secret.
    pub client: Option<(String, SecretString)>,
    /// How far the database is.
    pub database: Made,
    /// Whether the server was made already: it stays, whatever happens to the database.
    pub server_made: bool,
    /// Which optional kinds the cluster has.
    pub has: Has,
    /// What the sidecar says, if one runs.
    pub state: Option<SidecarState>,
    /// How often containers were started again, and what is wrong with the Pod.
    pub pod: Pod,
    /// Snapshots of the volume that were made by schedule.
    pub snapshots: Vec<snapshots::Snapshot>,
    /// The time of this look.
    pub now: Timestamp,
}

/// What is known of the server's Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// How often its containers were started again.
    pub restarts: Option<i32>,
    /// What is wrong with it.
    pub trouble: Option<String>,
}

/// Reads everything.
pub async fn dereference(
    operator: &ErgoOperator,
    context: &Context<'_, ErgoOperator>,
    root: &ErgoNetwork,
) -> Result<Facts, Error> {
    claim::take_all(context, &operator.claims, root).await?;
    let secrets = Secrets {
        api: Api::namespaced(context.client.clone(), &context.key.namespace),
        condition: condition::ACCEPTED,
    };
    let client = match root.spec.auth.oauth2.as_ref().map(|oauth2| &oauth2.client) {
        Some(at) => Some(secrets.client(at).await?),
        None => None,
    };
    let names = driver::names::<ErgoOperator>(root);
    let pods = || sidecar::pods(context).map(|pod| &pod.facts);
    let state = if root.spec.suspend {
        None
    } else {
        sidecar::state(&operator.http, context, paths::SIDECAR_PORT, None).await
    };
    Ok(Facts {
        secrets: secrets.values(pointed_to(root)).await?,
        client,
        database: postgres::made(context, root)?,
        server_made: context.has_child(&kinds::STATEFUL_SET, &context.key.namespace, &names.main),
        has: Has::of(context),
        state,
        pod: Pod {
            restarts: pods().map(|pod| i32::try_from(pod.number("restarts")).unwrap_or(i32::MAX)).max(),
            trouble: pods().find_map(|pod| pod.get("trouble").map(str::to_owned)),
        },
        snapshots: context
            .children_of(&kinds::VOLUME_SNAPSHOT)
            .filter(|(_, seen)| *seen.owner_uid == *context.parent.uid && !seen.deleting)
            .filter_map(|(name, seen)| snapshots::Snapshot::seen(&names.snapshots, name, seen))
            .collect(),
        now: Timestamp::now(),
    })
}

/// Every value the resource points to.
fn pointed_to(root: &ErgoNetwork) -> Vec<&SecretKeyRef> {
    let hashes = root.spec.operators.iter().filter_map(|operator| operator.password_hash.as_ref());
    hashes.chain(root.spec.auth.jwt.as_ref().map(|jwt| &jwt.key)).collect()
}
