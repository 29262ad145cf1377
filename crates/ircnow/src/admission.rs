//! `ircnow admission`: the webhook that speaks early about bouncers and networks.

use anyhow::Result;
use service::shutdown::Shutdown;
use service::telemetry::LogConfig;

use crate::cli::Common;
use crate::wiring;

/// Answers the API server, until the end.
pub async fn run(common: Common) -> Result<()> {
    let source = common.source()?;
    service::telemetry::init(&LogConfig::load(&source)?);
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    admission::serve(&source, wiring::plans(&source)?, &shutdown).await?;
    shutdown.cancelled().await;
    if let Err(late) = shutdown.finished(wiring::GRACE).await {
        tracing::warn!(?late, "stopped what did not end in time");
    }
    Ok(())
}
