//! What should exist for a network, a file for each child. No client.

mod certificate;
mod config;
mod database;
mod disruption_budget;
mod monitor;
mod network_policy;
mod service;
mod stateful_set;
mod volume;
mod web;

use base64::Engine as _;
use operator::resources::{Desired, Parent};
use operator::{Error, Prepared, Resources};
use serde_json::{Value, json};

use super::validate::Valid;
use crate::config::Installation;

/// Everything a network has. A new child is added here, and the compiler asks for its place in the order.
struct Children {
    database: Vec<Desired>,
    config: Vec<Desired>,
    volume: Desired,
    certificates: Vec<Desired>,
    services: Vec<Desired>,
    network_policy: Desired,
    disruption_budget: Desired,
    stateful_set: Option<Desired>,
    web: Vec<Desired>,
    monitor: Option<Desired>,
}

/// Builds everything.
pub fn build(
    installation: &Installation,
    parent: &Parent,
    valid: &Valid,
) -> Result<Resources<Prepared>, Error> {
    let children = Children {
        database: database::build(parent, valid),
        config: config::build(parent, valid),
        volume: volume::build(parent, valid),
        certificates: certificate::build(parent, valid),
        services: service::build(parent, valid),
        network_policy: network_policy::build(installation, parent, valid),
        disruption_budget: disruption_budget::build(parent, valid),
        // A server that cannot reach its database yet would only crash. One that was made stays.
        stateful_set: valid.server.then(|| stateful_set::build(installation, parent, valid)),
        web: web::build(parent, valid),
        monitor: valid.monitor.then(|| monitor::build(parent, valid)),
    };
    Ok(ordered(children))
}

/// What others need comes first: the role before the database, both before the server, files and volume before the Pod
/// that mounts them; what sends clients to the server comes last.
fn ordered(children: Children) -> Resources<Prepared> {
    let Children {
        database,
        config,
        volume,
        certificates,
        services,
        network_policy,
        disruption_budget,
        stateful_set,
        web,
        monitor,
    } = children;
    let mut all = database;
    all.extend(config);
    all.push(volume);
    all.extend(certificates);
    all.push(network_policy);
    all.extend(services);
    all.push(disruption_budget);
    all.extend(stateful_set);
    all.extend(web);
    all.extend(monitor);
    Resources::new(all)
}

/// What chooses the network's Pods.
fn selector(parent: &Parent) -> Value {
    json!({ operator::MANAGED_BY: parent.operator, operator::OWNER_UID: parent.uid })
}

/// A value of a Secret. `stringData` would be easier to read, but what is applied that way never goes away again.
fn encoded(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}
