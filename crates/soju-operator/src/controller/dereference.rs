//! What a bouncer points to, as it is now: host names, secrets, the database's password, the running server's state.

use std::collections::BTreeMap;

use crds::SojuBouncer;
use crds::common::SecretKeyRef;
use crds::sidecar::{SIDECAR_PORT, SidecarState};
use crds::soju::Engine;
use kube::{Api, ResourceExt as _};
use operator::expose::Has;
use operator::postgres::{self, Made, PostgresAt};
use operator::secrets::{Secrets, text_of};
use operator::{Context, Error, claim, driver, kinds, sidecar};
use secrecy::SecretString;

use super::{SojuOperator, condition};
use crate::credentials;

/// What was read.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The bouncer's UID.
    pub uid: String,
    /// The values of Secrets the resource points to.
    pub secrets: BTreeMap<SecretKeyRef, SecretString>,
    /// The issuer's client, if the resource names one: id and secret.
    pub client: Option<(String, SecretString)>,
    /// Where the database is, and its password.
    pub postgres: Option<PostgresAt>,
    /// How far the database is.
    pub database: Made,
    /// Whether the server was made already: it stays, whatever happens to the database.
    pub server_made: bool,
    /// Which optional kinds the cluster has.
    pub has: Has,
    /// What the sidecar says, if one runs.
    pub state: Option<SidecarState>,
    /// The Pods of the job that moves an account, if there are any.
    pub movers: Option<Movers>,
    /// Whether a Pod of the server is there, perhaps on its way out.
    pub serving: bool,
}

/// The Pods of the job that moves an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Movers {
    /// Whether one answers.
    pub ready: bool,
    /// Why none does.
    pub trouble: Option<String>,
}

/// Reads everything.
pub async fn dereference(
    operator: &SojuOperator,
    context: &Context<'_, SojuOperator>,
    root: &SojuBouncer,
) -> Result<Facts, Error> {
    claim::take_all(context, &operator.claims, root).await?;
    let secrets = Secrets {
        api: Api::namespaced(context.client.clone(), &context.key.namespace),
        condition: condition::ACCEPTED,
    };
    let client = match &root.spec.auth.client {
        Some(at) => Some(secrets.client(at).await?),
        None => None,
    };
    let names = driver::names::<SojuOperator>(root);
    let (movers, serving) = pods(context, &names.moving);
    Ok(Facts {
        uid: root.uid().unwrap_or_default(),
        secrets: secrets.values(pointed_to(root)).await?,
        client,
        postgres: postgres(context, root, &secrets, &names.database).await?,
        database: postgres::made(context, root)?,
        server_made: context.has_child(&kinds::DEPLOYMENT, &context.key.namespace, &names.main),
        has: Has::of(context),
        state: state(operator, context, root).await,
        movers,
        serving,
    })
}

/// Who has the rows: Pods of the job, whose names begin so, and others.
fn pods(context: &Context<'_, SojuOperator>, moving: &str) -> (Option<Movers>, bool) {
    let prefix = format!("{moving}-");
    let (mut movers, mut serving) = (None, false);
    for (name, pod) in context.children_of(&kinds::POD) {
        if *pod.owner_uid != *context.parent.uid {
            continue;
        }
        if !name.starts_with(&prefix) {
            serving = true;
            continue;
        }
        let all: &mut Movers = movers.get_or_insert_default();
        all.ready |= !pod.deleting && pod.facts.holds("ready");
        if let Some(trouble) = pod.facts.get("trouble") {
            all.trouble = Some(trouble.to_owned());
        }
    }
    (movers, serving)
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
    let Some(identity) = postgres::identity::<SojuOperator>(root)? else { return Ok(None) };
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
    Ok(Some(PostgresAt::new(identity, password.into())))
}

/// Asks the sidecar, if one runs. That it does not answer is nothing unusual.
async fn state(
    operator: &SojuOperator,
    context: &Context<'_, SojuOperator>,
    root: &SojuBouncer,
) -> Option<SidecarState> {
    if root.spec.suspend || root.spec.moving.is_some() || root.spec.engine != Engine::Soju {
        return None;
    }
    let secret = operator.installation.client_secret.as_ref();
    let token = secret.map(|secret| credentials::state_token(secret, &context.parent.uid));
    sidecar::state(&operator.http, context, SIDECAR_PORT, token.as_ref()).await
}
