//! What should exist for a bouncer: one file a child. No client, no clock.

mod certificate;
mod config;
mod database;
mod deployment;
mod disruption_budget;
mod exposure;
mod monitor;
mod network_policy;
mod service;
mod volume;

use operator::resources::Parent;
use operator::{Desired, Error, Prepared, Resources};
use serde_json::{Value, json};

use super::validate::Valid;
use crate::config::Installation;
use crate::scfg::Unwritable;

pub use config::text as config_text;

/// Every child of a bouncer, by what it is.
struct Children {
    role_secret: Option<Desired>,
    role: Option<Desired>,
    database: Option<Desired>,
    database_secret: Option<Desired>,
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
}

impl Children {
    /// In the order in which they are applied. Taken apart without `..`, so that none is forgotten.
    fn in_order(self) -> Vec<Desired> {
        let Self {
            role_secret,
            role,
            database,
            database_secret,
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
        } = self;
        // The password is kept in the bouncer's own namespace before anybody is told it; the policy is there before
        // the Pod, and the Pod comes last, when everything it mounts is there.
        [
            database_secret,
            role_secret,
            role,
            database,
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
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Builds every child.
pub fn build(
    installation: &Installation,
    parent: &Parent,
    valid: &Valid,
) -> Result<Resources<Prepared>, Error> {
    let rendered = config::render(installation, parent, valid)?;
    let children = Children {
        role_secret: database::role_secret(parent, valid),
        role: database::role(parent, valid),
        database: database::database(parent, valid),
        database_secret: database::own_secret(parent, valid),
        volume: volume::volume(parent, valid),
        certificate: certificate::certificate(parent, valid),
        network_policy: network_policy::network_policy(installation, parent, valid),
        service: service::service(parent, valid),
        disruption_budget: disruption_budget::disruption_budget(parent, valid),
        monitor: monitor::monitor(parent, valid),
        irc_exposure: exposure::irc(parent, valid),
        web_exposure: exposure::web(parent, valid),
        // A server that was never made waits for its database; one that was made stays.
        deployment: valid.server.then(|| deployment::deployment(installation, parent, valid, &rendered)),
        config: rendered.secret,
    };
    Ok(Resources::new(children.in_order()))
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
