//! `ircnow ergo-operator` and `ircnow ergo-sidecar`: hosted networks on Kubernetes.

use std::io::{BufRead as _, Read as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use axum::Router;
use clap::Args;
use ergo_operator::Installation;
use ergo_operator::sidecar;
use operator::Settings;
use service::health::Readiness;
use service::metrics::Metrics;
use service::shutdown::Shutdown;
use service::telemetry::LogConfig;

use crate::cli::{Common, say};
use crate::wiring;

/// What the sidecar beside Ergo does: it runs by the file of `--config`, which the operator wrote, unless it is told to
/// do one thing.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct SidecarArgs {
    /// Ask a running sidecar at this socket what stands on standard input.
    #[arg(long, value_name = "SOCKET")]
    ask: Option<PathBuf>,
    /// Copy this program to where Ergo can start it.
    #[arg(long, value_name = "FILE")]
    install: Option<PathBuf>,
}

/// Keeps every `ErgoNetwork` as its resource says, until the end.
pub async fn operator(common: Common) -> Result<()> {
    let source = common.source()?;
    service::telemetry::init(&LogConfig::load(&source)?);
    service::tls::install_provider();
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let (config, installation) = Installation::load(&source, wiring::plans(&source)?)?;
    let client = kube::Client::try_default().await.context("finding the API server")?;
    let (metrics, readiness) = (Metrics::new(), Readiness::new());
    let admin = wiring::bind(config.admin_listen).await?;
    let router = service::admin::router(metrics.clone(), readiness.clone(), Router::new());
    let ending = shutdown.clone();
    shutdown.spawn("admin", async move {
        if let Err(error) = service::serve::serve(admin, router, None, ending).await {
            tracing::error!(%error, "the admin listener ended");
        }
    });
    let identity = config.identity.clone().unwrap_or_else(|| format!("ergo-operator-{}", std::process::id()));
    let mut settings = Settings::new(identity, config.namespace.clone());
    settings.workers = config.workers;
    ergo_operator::run(installation, client, settings, &metrics, &readiness, shutdown.clone()).await;
    if let Err(late) = shutdown.finished(wiring::GRACE).await {
        tracing::warn!(?late, "stopped what did not end in time");
    }
    Ok(())
}

/// Runs beside Ergo, or does one thing for it.
pub async fn sidecar(common: Common, args: SidecarArgs) -> Result<()> {
    if let Some(to) = args.install {
        return sidecar::install::install(&to)
            .with_context(|| format!("copying this program to {}", to.display()));
    }
    if let Some(socket) = args.ask {
        let mut question = String::new();
        // Ergo writes one line and keeps the pipe open until it has its answer.
        std::io::stdin().lock().take(64 * 1024).read_line(&mut question)?;
        let answer = sidecar::answers::ask(&socket, &question).await;
        say(answer.with_context(|| format!("asking {}", socket.display()))?.trim_end());
        return Ok(());
    }
    let path = common.config.context("say which file with --config")?;
    // The file is the sidecar's own; only the environment configures the log.
    service::telemetry::init(&LogConfig::load(&service::config::Source::load(None)?)?);
    service::tls::install_provider();
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    sidecar::run(&path, shutdown).await?;
    Ok(())
}
