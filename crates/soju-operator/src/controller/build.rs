//! What should exist for a bouncer: one file a child. No client, no clock.

mod certificate;
mod config;
mod deployment;
mod exposure;
mod moving;
mod network_policy;
mod service;

use crds::soju::Engine;
use operator::resources::Parent;
use operator::{Desired, Error, Prepared, Resources, kinds, pod, postgres};
use serde_json::{Value, json};

use super::validate::{Rows, Valid};
use crate::config::Installation;
use crate::scfg::Unwritable;

pub use config::text as config_text;

/// Connections to the database: soju keeps up to 25, the sidecar one.
const CONNECTIONS: i32 = 30;

/// Every child of a bouncer, by what it is.
struct Children {
    database_secret: Option<Desired>,
    database: Vec<Desired>,
    config: Desired,
    volume: Option<Desired>,
    certificate: Option<Desired>,
    network_policy: Desired,
    service: Desired,
    disruption_budget: Desired,
    monitor: Option<Desired>,
    irc_exposure: Option<Desired>,
    web_exposure: Option<Desired>,
    deployment: Option<Desired>,
    moving_policy: Option<Desired>,
    moving: Option<Desired>,
}

impl Children {
    /// In the order in which they are applied. Taken apart without `..`, so that none is forgotten.
    fn in_order(self) -> Vec<Desired> {
        let Self {
            database_secret,
            database,
            config,
            volume,
            certificate,
            network_policy,
            service,
            disruption_budget,
            monitor,
            irc_exposure,
            web_exposure,
            deployment,
            moving_policy,
            moving,
        } = self;
        // The password is kept in the bouncer's own namespace before anybody is told it; the policy is there before
        // the Pod, and the Pod comes last, when everything it mounts is there.
        let mut all: Vec<Desired> = database_secret.into_iter().chain(database).collect();
        let rest = [
            Some(config),
            volume,
            certificate,
            Some(network_policy),
            Some(service),
            Some(disruption_budget),
            monitor,
            irc_exposure,
            web_exposure,
            deployment,
            moving_policy,
            moving,
        ];
        all.extend(rest.into_iter().flatten());
        all
    }
}

/// Builds every child.
pub fn build(
    installation: &Installation,
    parent: &Parent,
    valid: &Valid,
) -> Result<Resources<Prepared>, Error> {
    let rendered = config::render(installation, parent, valid)?;
    let (names, selector) = (&valid.names, selector(valid));
    let restore = valid.spec.restore.as_ref().map(|restore| restore.snapshot_name.as_str());
    let database = match &valid.rows {
        Rows::Sqlite => None,
        Rows::Postgres(at) => Some(at),
    };
    let children = Children {
        // The password as it was made once, in the bouncer's own namespace.
        database_secret: database
            .map(|at| parent.child(&kinds::SECRET, &names.database, postgres::credentials(at))),
        database: database.map(|at| postgres::objects(parent, names, at, CONNECTIONS)).unwrap_or_default(),
        volume: has_volume(valid).then(|| {
            pod::volume(parent, names, &valid.spec.database.storage, restore, valid.spec.deletion_policy)
        }),
        certificate: certificate::certificate(parent, valid),
        network_policy: network_policy::network_policy(installation, parent, valid),
        service: service::service(parent, valid),
        disruption_budget: pod::disruption_budget(parent, names, &selector),
        monitor: valid.monitor.then(|| pod::monitor(parent, names, &selector, "admin")),
        irc_exposure: exposure::irc(parent, valid),
        web_exposure: exposure::web(parent, valid),
        // A server that was never made waits for its database; one that was made stays.
        deployment: valid.server.then(|| deployment::deployment(installation, parent, valid, &rendered)),
        moving_policy: moving::network_policy(installation, parent, valid),
        moving: moving::job(installation, parent, valid),
        config: rendered.secret,
    };
    Ok(Resources::new(children.in_order()))
}

/// Whether there is a volume: the SQLite file, or the data folder of the engine `Ircnow`.
fn has_volume(valid: &Valid) -> bool {
    matches!(valid.rows, Rows::Sqlite) || valid.spec.engine == Engine::Ircnow
}

/// The labels Pods are found by. They never change: a Deployment's selector cannot.
fn selector(valid: &Valid) -> Value {
    json!({ "app.kubernetes.io/name": "soju-bouncer", "app.kubernetes.io/instance": valid.names.main })
}

/// A value that cannot be written is the resource's fault.
fn unwritable(error: Unwritable) -> Error {
    Error::Invalid {
        condition: super::condition::ACCEPTED,
        reason: "ValueNotWritable",
        message: format!("{error}: change it in the resource"),
    }
}
