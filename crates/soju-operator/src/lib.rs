//! Keeps every `SojuBouncer` as its resource says: bouncer, database, certificate, exposure.
//!
//! [`controller`] holds the steps of one look at one bouncer, a file each; [`soju`] renders soju's configuration;
//! everything else (queue, lease, watches, writes) is the crate `operator`.

pub mod config;
pub mod controller;
pub mod credentials;
pub mod ircnow;
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

/// Why the operator could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not usable.
    #[error(transparent)]
    Config(#[from] service::config::ConfigError),
    /// The API server is not known.
    #[error("finding the API server: {0}")]
    ApiServer(#[source] kube::Error),
    /// The admin listener could not be opened.
    #[error("listening for figures and health: {0}")]
    Listen(#[from] std::io::Error),
}

/// Runs the operator as a process of its own: configuration, the API server from the environment (a Pod's token, or
/// KUBECONFIG), the admin listener. Returns when `shutdown` is triggered; the caller waits for the tasks.
pub async fn serve(source: &service::config::Source, shutdown: Shutdown) -> Result<(), StartError> {
    let (config, installation) = Installation::load(source)?;
    let client = Client::try_default().await.map_err(StartError::ApiServer)?;
    let (metrics, readiness) = (Metrics::new(), Readiness::new());
    let listener = tokio::net::TcpListener::bind(config.admin_listen).await?;
    let router = service::admin::router(metrics.clone(), readiness.clone(), axum::Router::new());
    let ending = shutdown.clone();
    shutdown.spawn("admin", async move {
        if let Err(error) = service::serve::serve(listener, router, None, ending).await {
            tracing::error!(%error, "the admin listener ended");
        }
    });
    let identity = config.identity.unwrap_or_else(|| format!("soju-operator-{}", std::process::id()));
    let mut settings = Settings::new(identity, config.namespace);
    settings.workers = config.workers;
    run(installation, client, settings, &metrics, &readiness, shutdown).await;
    Ok(())
}
