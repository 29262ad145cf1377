//! Keeps every `ErgoNetwork` as its resource says: server, history, certificate, exposure.
//!
//! [`controller`] holds the steps of one look at one network, a file each; [`ergo`] renders Ergo's configuration and says
//! what a change of it needs; [`sidecar`] runs beside Ergo in its Pod; [`schedule`] says when a snapshot is due;
//! [`crowd`] keeps a network of one machine to as many people as its plan allows.
//! Everything else (queue, lease, watches, writes) is the crate `operator`.

pub mod config;
pub mod controller;
pub mod credentials;
pub mod crowd;
pub mod ergo;
#[doc(hidden)]
pub mod fuzz;
pub mod paths;
pub mod schedule;
pub mod sidecar;

use std::sync::Arc;

pub use config::{Config, Installation};
use kube::Client;
use operator::Settings;
use service::health::Readiness;
use service::metrics::Metrics;
use service::shutdown::Shutdown;

use crate::controller::ErgoOperator;

/// Runs the operator until the process ends.
pub async fn run(
    installation: Installation,
    client: Client,
    settings: Settings,
    metrics: &Metrics,
    readiness: &Readiness,
    shutdown: Shutdown,
) {
    let operator = ErgoOperator::new(Arc::new(installation), settings.namespace.clone());
    operator::run(operator, client, settings, metrics, readiness, shutdown).await;
}
