//! `ircnow soju-sidecar`: what runs beside a soju in its Pod.

use std::time::Duration;

use anyhow::{Context as _, Result};
use service::config::Source;
use service::shutdown::Shutdown;
use service::telemetry::LogConfig;

use crate::cli::Common;

/// How long what is under way may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Runs by the file of `--config`, which the operator wrote, until the end. How to log is in the environment.
pub async fn soju(common: Common) -> Result<()> {
    service::telemetry::init(&LogConfig::load(&Source::load(None)?)?);
    service::tls::install_provider();
    let path = common.config.context("say where the operator's file is with --config FILE")?;
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    soju_sidecar::run(&path, shutdown.clone()).await?;
    shutdown.trigger();
    if let Err(late) = shutdown.finished(LAST_WORDS).await {
        tracing::warn!(?late, "stopped in the middle");
    }
    Ok(())
}
