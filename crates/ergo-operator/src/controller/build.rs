//! What should exist for a network, a file for each child. No client.

mod certificate;
mod config;
mod network_policy;
mod service;
mod stateful_set;
mod web;

use operator::resources::{Desired, Parent};
use operator::{Error, Prepared, Resources, pod, postgres};
use serde_json::{Value, json};

use super::validate::Valid;
use crate::config::Installation;

/// Connections Ergo keeps to its history.
const CONNECTIONS: i32 = 16;

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
    let (names, selector) = (&valid.names, selector(parent));
    let restore = valid.spec.restore.as_ref().map(|restore| restore.snapshot_name.as_str());
    let children = Children {
        database: match &valid.database {
            Some(at) => postgres::objects(parent, names, at, CONNECTIONS),
            None => Vec::new(),
        },
        config: config::build(parent, valid),
        volume: pod::volume(parent, names, &valid.spec.storage, restore, valid.spec.deletion_policy),
        certificates: certificate::build(parent, valid),
        services: service::build(parent, valid),
        network_policy: network_policy::build(installation, parent, valid),
        disruption_budget: pod::disruption_budget(parent, names, &selector),
        // A server that cannot reach its database yet would only crash. One that was made stays.
        stateful_set: valid.server.then(|| stateful_set::build(installation, parent, valid)),
        web: web::build(parent, valid),
        monitor: valid.monitor.then(|| pod::monitor(parent, names, &selector, "metrics")),
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
