//! A host name belongs to one resource: a claim object named after its hash, in the operators' own namespace.
//!
//! Claims are `Lease` objects, because those are small, have a holder, and both operators may write them anyway. Creating
//! one is atomic, so of two that ask at once one wins; the holder's object is looked up before a claim is taken over.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::status::Status as _;
use crds::text::HostName;
use crds::{ErgoNetwork, Server as _, SojuBouncer};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, PostParams, Preconditions};
use kube::core::object::HasStatus as _;
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::conditions::HOSTNAME;
use crate::error::Error;
use crate::hash;
use crate::kind::{Facts, Kind};
use crate::writer::Writer;
use crate::{Context, OWNER_UID, Operator};

/// The kind claims are made of.
pub static LEASE: Kind = Kind {
    group: "coordination.k8s.io",
    versions: &["v1"],
    kind: "Lease",
    optional: false,
    observed: false,
    precious: true,
    metadata_only: false,
    reduce: Facts::none,
};

/// The annotation with the name that is claimed.
const CLAIMED: &str = "irc.now/hostname";

/// Who claims: kind, namespace, name and UID of the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The resource's kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/{}", self.kind, self.namespace, self.name, self.uid)
    }
}

impl Holder {
    /// Who a resource is where it claims something.
    pub fn of<O: Operator>(root: &O::Root) -> Self {
        Self {
            kind: O::KIND.kind.to_owned(),
            namespace: root.namespace().unwrap_or_default(),
            name: root.name_any(),
            uid: root.uid().unwrap_or_default(),
        }
    }

    /// Reads a holder back from a claim.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let (kind, namespace, name, uid) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then_some(Self { kind, namespace, name, uid })
    }
}

/// Claims this process has seen to be held. What a status says is not enough: it may have been copied, with the host name
/// it names, from the resource that holds it.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashSet<Box<str>>>);

impl Known {
    fn has(&self, me: &Holder, hostname: &str) -> bool {
        self.lock().contains(&*Self::key(me, hostname))
    }

    fn put(&self, me: &Holder, hostname: &str) {
        self.lock().insert(Self::key(me, hostname).into());
    }

    fn forget(&self, me: &Holder, hostname: &str) {
        self.lock().remove(&*Self::key(me, hostname));
    }

    fn key(me: &Holder, hostname: &str) -> String {
        format!("{}/{hostname}", me.uid)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Box<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a claim ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The name is ours.
    Ours,
    /// Somebody else has it.
    Taken(Holder),
}

/// The name of the claim on a host name.
pub fn object_name(hostname: &str) -> String {
    format!("host-{}", &hash::sha256_hex(hostname.as_bytes())[..40])
}

/// Claims a host name. `alive` says whether a holder still exists (by UID); one that does not loses its claim.
pub async fn take<F>(
    writer: &Writer,
    claims: &Api<Lease>,
    hostname: &str,
    me: &Holder,
    alive: impl FnOnce(Holder) -> F,
) -> Result<Claim, Error>
where
    F: Future<Output = Result<bool, Error>>,
{
    let name = object_name(hostname);
    let reading = |error| Error::api(format!("reading the claim on {hostname}"), error);
    let Some(mut claim) = claims.get_opt(&name).await.map_err(reading)? else {
        let claim = Lease {
            metadata: ObjectMeta {
                name: Some(name),
                annotations: Some([(CLAIMED.to_owned(), hostname.to_owned())].into()),
                labels: Some([(OWNER_UID.to_owned(), me.uid.clone())].into()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec { holder_identity: Some(me.to_string()), ..LeaseSpec::default() }),
        };
        let made = writer.write("create", &LEASE, claims.create(&PostParams::default(), &claim)).await;
        return settled(made.map(drop), hostname);
    };
    let spec = claim.spec.get_or_insert_default();
    if let Some(holder) = spec.holder_identity.as_deref().and_then(Holder::parse) {
        if holder == *me {
            return Ok(Claim::Ours);
        }
        if alive(holder.clone()).await? {
            return Ok(Claim::Taken(holder));
        }
    }
    spec.holder_identity = Some(me.to_string());
    claim.labels_mut().insert(OWNER_UID.to_owned(), me.uid.clone());
    let replaced =
        writer.write("update", &LEASE, claims.replace(&name, &PostParams::default(), &claim)).await;
    settled(replaced.map(drop), hostname)
}

/// Gives a host name back, if it is ours.
pub async fn release(writer: &Writer, claims: &Api<Lease>, hostname: &str, me: &Holder) -> Result<(), Error> {
    let name = object_name(hostname);
    let reading = |error| Error::api(format!("reading the claim on {hostname}"), error);
    let Some(claim) = claims.get_opt(&name).await.map_err(reading)? else { return Ok(()) };
    let holder = claim.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).and_then(Holder::parse);
    if holder.as_ref() != Some(me) {
        return Ok(());
    }
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: claim.metadata.uid,
            resource_version: claim.metadata.resource_version,
        }),
        ..DeleteParams::default()
    };
    match writer.write("delete", &LEASE, claims.delete(&name, &params)).await {
        Err(Error::Api { source: kube::Error::Api(status), .. }) if status.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}

/// Whoever was faster is looked at in the next round.
fn settled(written: Result<(), Error>, hostname: &str) -> Result<Claim, Error> {
    match written {
        Ok(()) => Ok(Claim::Ours),
        Err(Error::Api { source: kube::Error::Api(status), .. })
            if status.is_already_exists() || status.is_conflict() || status.is_not_found() =>
        {
            Err(Error::NotReady {
                condition: "HostnameClaimed",
                reason: "Claiming",
                message: format!("somebody else is claiming {hostname} at this moment"),
                after: std::time::Duration::from_secs(1),
            })
        }
        Err(Error::Api { source, .. }) => Err(Error::Api { doing: format!("claiming {hostname}"), source }),
        Err(error) => Err(error),
    }
}

/// Claims every host name of a resource, or says that one is somebody else's. Claims are kept in `space`.
pub async fn take_all<O: Operator>(
    context: &Context<'_, O>,
    space: &str,
    root: &O::Root,
) -> Result<(), Error> {
    let claims: Api<Lease> = Api::namespaced(context.client.clone(), space);
    let me = Holder::of::<O>(root);
    let held = held::<O>(root);
    for hostname in root.hostnames() {
        let is_held = held.iter().any(|held| held.as_str() == hostname);
        // What we were seen to hold stays ours until we give it back: no need to ask at every look.
        if is_held && context.claims.has(&me, hostname) {
            continue;
        }
        // Of those that ask at once the oldest wins; who is older comes first only where nobody holds the name yet.
        let taken = (!is_held && context.store.has_older_claimant(context.key, root, hostname)) || {
            let alive = |holder| is_alive(context.client, holder);
            take(context.writer, &claims, hostname, &me, alive).await? != Claim::Ours
        };
        if taken {
            // Whose it is, is nobody else's business.
            return Err(Error::NotReady {
                condition: HOSTNAME,
                reason: "HostnameTaken",
                message: format!("{hostname} belongs to another resource: choose another host name"),
                after: Duration::from_secs(60),
            });
        }
        context.claims.put(&me, hostname);
    }
    Ok(())
}

/// Gives back the host names a resource holds and does not name any more. It comes last, so that nobody else takes a
/// name that is still served.
pub async fn release_unused<O: Operator>(
    context: &Context<'_, O>,
    space: &str,
    root: &O::Root,
) -> Result<(), Error> {
    let used = root.hostnames();
    let held = held::<O>(root).iter().map(HostName::as_str);
    let unused: Vec<&str> = held.filter(|held| !used.contains(held)).collect();
    release_each(context, space, root, &unused).await?;
    if is_settled::<O>(root) {
        return Ok(());
    }
    let claimed = claimed(context, space).await?;
    let left: Vec<&str> = claimed.iter().map(String::as_str).filter(|name| !used.contains(name)).collect();
    release_each(context, space, root, &left).await
}

/// Whether a look at this very spec came to its end: then there is no claim the status does not tell of. An operator that
/// died between a claim and the status leaves one, and it is only found by its label.
fn is_settled<O: Operator>(root: &O::Root) -> bool {
    let conditions = crate::driver::conditions_of::<O>(root);
    conditions.iter().any(|is| {
        is.type_ == HOSTNAME && is.status == "True" && is.observed_generation == root.meta().generation
    })
}

/// The host names that are claimed for a resource, as the claims themselves say.
async fn claimed<O: Operator>(context: &Context<'_, O>, space: &str) -> Result<Vec<String>, Error> {
    let claims: Api<Lease> = Api::namespaced(context.client.clone(), space);
    let ours = ListParams::default().labels(&format!("{OWNER_UID}={}", context.parent.uid));
    let listed = claims.list(&ours).await;
    let listed = listed.map_err(|error| Error::api("listing the claims on host names", error))?;
    Ok(listed.items.iter().filter_map(|claim| claim.annotations().get(CLAIMED).cloned()).collect())
}

/// Gives back every host name a resource holds or may have claimed.
pub async fn release_all<O: Operator>(
    context: &Context<'_, O>,
    space: &str,
    root: &O::Root,
) -> Result<(), Error> {
    let held = held::<O>(root).iter().map(HostName::as_str);
    let claimed = if is_settled::<O>(root) { Vec::new() } else { claimed(context, space).await? };
    let claimed = claimed.iter().map(String::as_str);
    let all: BTreeSet<&str> = root.hostnames().into_iter().chain(held).chain(claimed).collect();
    release_each(context, space, root, &all.into_iter().collect::<Vec<_>>()).await
}

async fn release_each<O: Operator>(
    context: &Context<'_, O>,
    space: &str,
    root: &O::Root,
    hostnames: &[&str],
) -> Result<(), Error> {
    let claims: Api<Lease> = Api::namespaced(context.client.clone(), space);
    let me = Holder::of::<O>(root);
    for hostname in hostnames {
        context.claims.forget(&me, hostname);
        release(context.writer, &claims, hostname, &me).await?;
    }
    Ok(())
}

fn held<O: Operator>(root: &O::Root) -> &[HostName] {
    root.status().map(|status| status.hostnames()).unwrap_or_default()
}

/// Whether whoever claims is still there. A kind that is not ours counts as there.
pub async fn is_alive(client: &Client, holder: Holder) -> Result<bool, Error> {
    match holder.kind.as_str() {
        "SojuBouncer" => exists::<SojuBouncer>(client, &holder).await,
        "ErgoNetwork" => exists::<ErgoNetwork>(client, &holder).await,
        _ => Ok(true),
    }
}

async fn exists<K>(client: &Client, holder: &Holder) -> Result<bool, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), &holder.namespace);
    let found = api.get_metadata_opt(&holder.name).await;
    let found = found.map_err(|error| Error::api(format!("looking for {holder}"), error))?;
    Ok(found.is_some_and(|found| found.metadata.uid.as_deref() == Some(&*holder.uid)))
}
