//! What a bouncer points to, as it is now: host names, secrets, the database's password, the running server's state.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::SojuBouncer;
use crds::common::SecretKeyRef;
use crds::database::{ClusterRef, DatabaseEngine};
use crds::sidecar::{SIDECAR_PORT, SidecarState};
use crds::soju::Engine;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt as _};
use operator::claim::{self, Claim};
use operator::secrets::{Secrets, text_of};
use operator::{Context, Error, kinds};
use secrecy::{ExposeSecret as _, SecretString};

use super::{SojuOperator, condition, holder, names};
use crate::credentials;

/// What was read.
#[derive(Debug)]
pub struct Facts {
    /// The bouncer's UID.
    pub uid: String,
    /// The values of Secrets the resource points to.
    pub secrets: BTreeMap<SecretKeyRef, SecretString>,
    /// The issuer's client, if the resource names one: id and secret.
    pub client: Option<(String, SecretString)>,
    /// Where the database is, and its password.
    pub postgres: Option<PostgresAt>,
    /// Whether the database answers already, as far as its controller says.
    pub database_made: bool,
    /// Whether the server was made already: it stays, whatever happens to the database.
    pub server_made: bool,
    /// Which optional kinds the cluster has.
    pub has: Has,
    /// What the sidecar says, if one runs.
    pub state: Option<SidecarState>,
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
}

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
    /// The address as `postgres://` wants it. Everything in it comes from a UID, a hash or a checked name.
    pub fn url(&self) -> String {
        format!(
            "postgres://{}:{}@{}:5432/{}?sslmode=require",
            self.role,
            self.password.expose_secret(),
            self.host,
            self.name
        )
    }
}

/// Reads everything.
pub async fn dereference(
    operator: &SojuOperator,
    context: &Context<'_, SojuOperator>,
    root: &SojuBouncer,
) -> Result<Facts, Error> {
    claim_hostnames(operator, context, root).await?;
    let secrets = Secrets {
        api: Api::namespaced(context.client.clone(), &context.key.namespace),
        condition: condition::ACCEPTED,
    };
    let client = match &root.spec.auth.client {
        Some(at) => Some(secrets.client(at).await?),
        None => None,
    };
    let names = names(root);
    let postgres = postgres(context, root, &secrets, &names.database).await?;
    let database_made = match &postgres {
        None => true,
        Some(at) => [&kinds::DATABASE, &kinds::DATABASE_ROLE].into_iter().all(|kind| {
            let key = operator::ChildKey::new(kind, &at.cluster.namespace.0, &names.outside);
            context.children.get(&key).is_some_and(|seen| seen.facts.holds("applied"))
        }),
    };
    Ok(Facts {
        uid: root.uid().unwrap_or_default(),
        secrets: secrets.values(pointed_to(root)).await?,
        client,
        postgres,
        database_made,
        server_made: context.has_child(&kinds::DEPLOYMENT, &context.key.namespace, &names.main),
        has: Has {
            certificates: context.has(&kinds::CERTIFICATE),
            routes: context.has(&kinds::ROUTE),
            http_routes: context.has(&kinds::HTTP_ROUTE),
            tls_routes: context.has(&kinds::TLS_ROUTE),
            monitors: context.has(&kinds::POD_MONITOR),
            databases: context.has(&kinds::DATABASE) && context.has(&kinds::DATABASE_ROLE),
        },
        state: state(operator, context, root).await,
    })
}

/// The host names of a bouncer.
pub fn hostnames(root: &SojuBouncer) -> Vec<&str> {
    let mut hosts = vec![root.spec.hostname.as_str()];
    if let Some(web) = &root.spec.expose.web_hostname
        && web != &root.spec.hostname
    {
        hosts.push(web.as_str());
    }
    hosts
}

async fn claim_hostnames(
    operator: &SojuOperator,
    context: &Context<'_, SojuOperator>,
    root: &SojuBouncer,
) -> Result<(), Error> {
    let claims: Api<Lease> = Api::namespaced(context.client.clone(), &operator.claims);
    let me = holder(root);
    let held = root.status.as_ref().map(|status| status.hostnames.as_slice()).unwrap_or_default();
    for hostname in hostnames(root) {
        // What the status says we hold stays ours until we give it back: no need to ask at every look.
        if held.iter().any(|held| held.as_str() == hostname) {
            continue;
        }
        let older = older_claimant(context, root, hostname);
        let taken = match older {
            Some(other) => Some(other),
            None => {
                let alive = |holder| claim::is_alive(context.client, holder);
                match claim::take(context.writer, &claims, hostname, &me, alive).await? {
                    Claim::Ours => None,
                    Claim::Taken(by) => Some(by.to_string()),
                }
            }
        };
        if taken.is_some() {
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

/// Another bouncer that asks for the name and is older: of those that ask at once, the oldest wins.
fn older_claimant(context: &Context<'_, SojuOperator>, root: &SojuBouncer, hostname: &str) -> Option<String> {
    let age = |bouncer: &SojuBouncer| {
        let made = bouncer.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (made, bouncer.uid())
    };
    let mine = age(root);
    context
        .store
        .roots()
        .into_iter()
        .find(|(key, other)| {
            key != context.key
                && other.metadata.deletion_timestamp.is_none()
                && age(other) < mine
                && hostnames(other).contains(&hostname)
        })
        .map(|(key, _)| key.to_string())
}

/// Every value the resource points to.
fn pointed_to(root: &SojuBouncer) -> Vec<&SecretKeyRef> {
    let mut all = Vec::new();
    for user in &root.spec.users {
        all.extend(&user.password);
        for network in &user.networks {
            all.extend(&network.server_password);
            all.extend(network.sasl.as_ref().map(|sasl| &sasl.password));
        }
    }
    all
}

/// Where the database is. Its password is the one that was made once; it is made anew only if that Secret is gone.
async fn postgres(
    context: &Context<'_, SojuOperator>,
    root: &SojuBouncer,
    secrets: &Secrets,
    name: &str,
) -> Result<Option<PostgresAt>, Error> {
    if root.spec.database.engine != DatabaseEngine::Postgres {
        return Ok(None);
    }
    let identity = root.status.as_ref().and_then(|status| status.database.clone());
    let identity = identity.ok_or_else(|| Error::Internal("the database has no name yet".to_owned()))?;
    let kept = match secrets.get(name).await? {
        // Somebody else's Secret of that name is refused when ours is applied.
        Some(secret) if secret.labels().get(operator::OWNER_UID) == Some(&context.parent.uid) => {
            text_of(&secret, "password")
        }
        _ => None,
    };
    let password = match kept {
        Some(password) => password,
        None => {
            credentials::password().map_err(|_| Error::Internal("no random bytes to be had".to_owned()))?
        }
    };
    Ok(Some(PostgresAt {
        host: format!("{}-rw.{}.svc", identity.cluster.name, identity.cluster.namespace),
        cluster: identity.cluster,
        name: identity.name.0,
        role: identity.role.0,
        password: password.into(),
    }))
}

/// Asks the sidecar, if one runs. That it does not answer is nothing unusual.
async fn state(
    operator: &SojuOperator,
    context: &Context<'_, SojuOperator>,
    root: &SojuBouncer,
) -> Option<SidecarState> {
    if root.spec.suspend || root.spec.engine != Engine::Soju {
        return None;
    }
    let address = context.children_of(&kinds::POD).find_map(|(_, pod)| {
        (!pod.deleting && *pod.owner_uid == *context.parent.uid)
            .then(|| pod.facts.get("ip").map(str::to_owned))?
    })?;
    let host = if address.contains(':') { format!("[{address}]") } else { address };
    let mut request = operator.http.get(format!("http://{host}:{SIDECAR_PORT}/state"));
    if let Some(secret) = &operator.installation.client_secret {
        request = request.bearer_auth(credentials::state_token(secret, &context.parent.uid).expose_secret());
    }
    let answer = request.send().await.ok()?;
    answer.error_for_status().ok()?.json().await.ok()
}
