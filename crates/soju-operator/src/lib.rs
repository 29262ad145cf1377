//! Keeps every `SojuBouncer` as its resource says: bouncer, database, certificate, exposure.
//!
//! [`controller`] holds the steps of one look at one bouncer, a file each; [`soju`] renders soju's configuration;
//! everything else (queue, lease, watches, writes) is the crate `operator`.

pub mod config;
pub mod controller;
pub mod credentials;
pub mod names;
pub mod scfg;
pub mod soju;

use std::sync::Arc;

pub use config::{Config, Installation};
use kube::Client;
use operator::Settings;
use service::health::Readiness;
use service::metrics::Metrics;
use service::shutdown::Shutdown;

use crate::controller::SojuOperator;

/// Runs the operator until the process ends.
pub async fn run(
    installation: Installation,
    client: Client,
    settings: Settings,
    metrics: &Metrics,
    readiness: &Readiness,
    shutdown: Shutdown,
) {
    let operator = SojuOperator::new(Arc::new(installation), settings.namespace.clone());
    operator::run(operator, client, settings, metrics, readiness, shutdown).await;
}
