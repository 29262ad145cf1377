//! `ircnow soju-sidecar`: what runs beside a soju in its Pod, or in its place while an account moves.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use auth::TokenVerifier;
use service::config::Source;
use service::health::Readiness;
use service::http::HttpClient;
use service::metrics::Metrics;
use service::shutdown::Shutdown;
use service::telemetry::LogConfig;
use soju_sidecar::moves::{Direction, SojuMoves};

use crate::cli::Common;

/// How long what is under way may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What it does where soju does not run.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum Instead {
    /// Take an account's networks, messages and read markers in, before soju's first start.
    Import,
    /// Hand them over while soju stands still.
    Export,
}

/// Serves the moves of one account until the end. What it serves is what hosting calls; nobody else is answered.
pub async fn moves(common: Common, way: Instead) -> Result<()> {
    service::telemetry::init(&LogConfig::load(&Source::load(None)?)?);
    service::tls::install_provider();
    let path = common.config.context("say where the operator's file is with --config FILE")?;
    let config = soju_sidecar::moves::read_config(&path)?;
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let direction = match way {
        Instead::Import => Direction::In,
        Instead::Export => Direction::Out,
    };
    let moves = Arc::new(SojuMoves::open(&config, direction)?);
    let readiness = Readiness::new();
    let (part, looking) = (readiness.part("soju's rows"), Arc::clone(&moves));
    shutdown.spawn_until("rows", async move {
        while let Err(error) = looking.look().await {
            part.not_ready(error.to_string());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        part.ready();
    });
    let verifier = TokenVerifier::remote(HttpClient::new()?, &config.issuer)?;
    let audience = format!("bouncer-{}", config.bouncer);
    let routes = contracts::http::moves_router(moves);
    let routes = crate::wiring::guarded(&verifier, &audience, &["hosting"], routes);
    let router = service::admin::router(Metrics::new(), readiness, routes);
    let listener = crate::wiring::bind(config.listen).await?;
    service::serve::serve(listener, router, None, shutdown.clone()).await?;
    shutdown.trigger();
    if let Err(late) = shutdown.finished(LAST_WORDS).await {
        tracing::warn!(?late, "stopped in the middle");
    }
    Ok(())
}

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
