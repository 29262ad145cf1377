//! The socket an administrator's command speaks to the running process over: one JSON line each way.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use gatekeeper::admin::Admin;
use serde::{Deserialize, Serialize};
use service::shutdown::Shutdown;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::{AdminCommand, act};
use crate::wiring::Base;

/// The longest line either side takes.
const LONGEST: u64 = 4 << 20;
/// How long a command may take: a backup of a large installation is the longest.
const PATIENCE: Duration = Duration::from_secs(3600);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(String),
    Failed(String),
}

/// Answers commands until the end.
pub fn listen(base: &Base, context: act::Context, admin: Admin) -> Result<()> {
    let path = base.data.file("admin.sock");
    // The data folder's locks say that no other process serves here, so a socket that is left over is nobody's.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).with_context(|| format!("listening on {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let shutdown: Shutdown = base.shutdown.clone();
    base.shutdown.spawn_until("admin socket", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (context, admin) = (context.clone(), admin.clone());
            shutdown.spawn_until("admin command", async move {
                if let Err(error) = serve(stream, &context, &admin).await {
                    tracing::debug!(%error, "an administrator's command broke off");
                }
            });
        }
    });
    Ok(())
}

async fn serve(stream: UnixStream, context: &act::Context, admin: &Admin) -> Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader.take(LONGEST)).read_line(&mut line).await?;
    let command: AdminCommand = serde_json::from_str(&line)?;
    let answer = match act::act(context, admin, command).await {
        Ok(text) => Answer::Done(text),
        Err(error) => Answer::Failed(format!("{error:#}")),
    };
    writer.write_all(serde_json::to_string(&answer)?.as_bytes()).await?;
    writer.write_all(b"\n").await?;
    Ok(())
}

/// Asks the running process. `None` if there is none.
pub async fn ask(path: &Path, command: &AdminCommand) -> Result<Option<String>> {
    let Ok(stream) = UnixStream::connect(path).await else { return Ok(None) };
    let (reader, mut writer) = stream.into_split();
    writer.write_all(serde_json::to_string(command)?.as_bytes()).await?;
    writer.write_all(b"\n").await?;
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(LONGEST));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line))
        .await
        .context("the running process does not answer")??;
    match serde_json::from_str(&line).context("the running process broke off")? {
        Answer::Done(text) => Ok(Some(text)),
        Answer::Failed(text) => bail!(text),
    }
}
