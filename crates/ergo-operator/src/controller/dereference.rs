//! What a network points to, as it is now: host names, secrets, the running server's state, snapshots.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::ErgoNetwork;
use crds::common::SecretKeyRef;
use crds::ergo::HistoryBackend;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt as _};
use operator::claim::{self, Claim};
use operator::secrets::Secrets;
use operator::{Context, Error, kinds};
use secrecy::SecretString;

use super::{ErgoOperator, condition, holder, names, snapshots};
use crate::paths;
use crate::sidecar::SidecarState;

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The values of Secrets the resource points to.
    pub secrets: BTreeMap<SecretKeyRef, SecretString>,
    /// The issuer's client, if the resource names one: id and secret.
    pub client: Option<(String, SecretString)>,
    /// Whether the database is there, as far as its controller says.
    pub database_made: bool,
    /// What the database's controller says against it.
    pub database_message: Option<String>,
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

/// Which optional kinds the cluster has.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one question each")]
pub struct Has {
    /// cert-manager's certificates.
    pub certificates: bool,
    /// OpenShift Routes.
    pub routes: bool,
    /// `HTTPRoute`s.
    pub http_routes: bool,
    /// `TLSRoute`s.
    pub tls_routes: bool,
    /// Pod monitors.
    pub monitors: bool,
    /// CloudNativePG's databases and roles.
    pub databases: bool,
    /// Snapshots of volumes.
    pub snapshots: bool,
}

/// Reads everything.
pub async fn dereference(
    operator: &ErgoOperator,
    context: &Context<'_, ErgoOperator>,
    root: &ErgoNetwork,
) -> Result<Facts, Error> {
    claim_hostnames(operator, context, root).await?;
    let secrets = Secrets {
        api: Api::namespaced(context.client.clone(), &context.key.namespace),
        condition: condition::ACCEPTED,
    };
    let client = match root.spec.auth.oauth2.as_ref().map(|oauth2| &oauth2.client) {
        Some(at) => Some(secrets.client(at).await?),
        None => None,
    };
    let names = names(root);
    let identity = root.status.as_ref().and_then(|status| status.database.as_ref());
    let (mut database_made, mut database_message) = (true, None);
    if let (HistoryBackend::Postgres, Some(identity)) = (root.spec.history.backend, identity) {
        for kind in [&kinds::DATABASE_ROLE, &kinds::DATABASE] {
            let key = operator::ChildKey::new(kind, &identity.cluster.namespace.0, &names.outside);
            let seen = context.children.get(&key);
            if !seen.is_some_and(|seen| seen.facts.holds("applied")) {
                database_made = false;
                let said = seen.and_then(|seen| seen.facts.get("message")).map(str::to_owned);
                database_message = database_message.or(said);
            }
        }
    }
    let pods = || {
        context
            .children_of(&kinds::POD)
            .filter(|(_, pod)| !pod.deleting && *pod.owner_uid == *context.parent.uid)
            .map(|(_, pod)| &pod.facts)
    };
    let address = pods().find_map(|pod| pod.get("ip").map(str::to_owned));
    Ok(Facts {
        secrets: secrets.values(pointed_to(root)).await?,
        client,
        database_made,
        database_message,
        server_made: context.has_child(&kinds::STATEFUL_SET, &context.key.namespace, &names.main),
        has: Has {
            certificates: context.has(&kinds::CERTIFICATE),
            routes: context.has(&kinds::ROUTE),
            http_routes: context.has(&kinds::HTTP_ROUTE),
            tls_routes: context.has(&kinds::TLS_ROUTE),
            monitors: context.has(&kinds::POD_MONITOR),
            databases: context.has(&kinds::DATABASE) && context.has(&kinds::DATABASE_ROLE),
            snapshots: context.has(&kinds::VOLUME_SNAPSHOT),
        },
        state: match address {
            Some(address) if !root.spec.suspend => state(operator, address).await,
            _ => None,
        },
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

/// The host names of a network.
pub fn hostnames(root: &ErgoNetwork) -> Vec<&str> {
    let mut hosts = vec![root.spec.hostname.as_str()];
    if let Some(web) = &root.spec.expose.web_hostname
        && web != &root.spec.hostname
    {
        hosts.push(web.as_str());
    }
    hosts
}

async fn claim_hostnames(
    operator: &ErgoOperator,
    context: &Context<'_, ErgoOperator>,
    root: &ErgoNetwork,
) -> Result<(), Error> {
    let claims: Api<Lease> = Api::namespaced(context.client.clone(), &operator.claims);
    let me = holder(root);
    let held = root.status.as_ref().map(|status| status.hostnames.as_slice()).unwrap_or_default();
    for hostname in hostnames(root) {
        // What the status says we hold stays ours until we give it back: no need to ask at every look.
        if held.iter().any(|held| held.as_str() == hostname) {
            continue;
        }
        let taken = older_claimant(context, root, hostname) || {
            let alive = |holder| claim::is_alive(context.client, holder);
            claim::take(context.writer, &claims, hostname, &me, alive).await? != Claim::Ours
        };
        if taken {
            // Whose it is, is nobody else's business.
            return Err(Error::NotReady {
                condition: condition::HOSTNAME,
                reason: "HostnameTaken",
                message: format!("{hostname} belongs to another resource: choose another host name"),
                after: Duration::from_secs(60),
            });
        }
    }
    Ok(())
}

/// Whether another network asks for the name and is older: of those that ask at once, the oldest wins.
fn older_claimant(context: &Context<'_, ErgoOperator>, root: &ErgoNetwork, hostname: &str) -> bool {
    let age = |network: &ErgoNetwork| {
        let made = network.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (made, network.uid())
    };
    let mine = age(root);
    context.store.roots().into_iter().any(|(key, other)| {
        key != *context.key
            && other.metadata.deletion_timestamp.is_none()
            && age(&other) < mine
            && hostnames(&other).contains(&hostname)
    })
}

/// Every value the resource points to.
fn pointed_to(root: &ErgoNetwork) -> Vec<&SecretKeyRef> {
    let hashes = root.spec.operators.iter().filter_map(|operator| operator.password_hash.as_ref());
    hashes.chain(root.spec.auth.jwt.as_ref().map(|jwt| &jwt.key)).collect()
}

/// Asks the sidecar. That it does not answer is nothing unusual.
async fn state(operator: &ErgoOperator, address: String) -> Option<SidecarState> {
    let host = if address.contains(':') { format!("[{address}]") } else { address };
    let url = format!("http://{host}:{}/state", paths::SIDECAR_PORT);
    let answer = operator.http.get(url).send().await.ok()?;
    answer.error_for_status().ok()?.json().await.ok()
}
