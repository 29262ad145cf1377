//! What gatekeeper keeps of an account, for its owner. Secrets and what proves them are left out.

use async_trait::async_trait;
use contracts::{AccountData, Call, CallResult, ExportChunk};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use serde::Serialize;
use service::clock::now_s;

use crate::Gatekeeper;
use crate::error::{Error, Result};

#[derive(Serialize)]
struct Session {
    signed_in_at: i64,
    last_seen_at: i64,
    address: Option<String>,
    browser: Option<String>,
}

impl Gatekeeper {
    async fn exported(&self, call: &Call) -> Result<Vec<ExportChunk>> {
        let store = &self.0.store;
        let account = store.account(call.account).await?;
        let account = account.ok_or_else(|| Error::from(contracts::CallError::not_found("account")))?;
        let credentials: Vec<_> =
            store.credentials(call.account).await?.into_iter().map(|row| row.shown).collect();
        let sessions: Vec<_> = store
            .sessions_of(call.account)
            .await?
            .into_iter()
            .map(|row| Session {
                signed_in_at: row.auth_time,
                last_seen_at: row.seen_at,
                address: row.address,
                browser: row.agent,
            })
            .collect();
        let events = store.events(call.account, u32::MAX).await?;
        let servers = store.irc_servers(call.account).await?;
        Ok(vec![
            file("account.json", &self.shown(&account))?,
            file("credentials.json", &credentials)?,
            file("sessions.json", &sessions)?,
            file("security-events.json", &events)?,
            file("irc-servers.json", &servers)?,
        ])
    }
}

fn file(path: &str, what: &impl Serialize) -> Result<ExportChunk> {
    let bytes = serde_json::to_vec_pretty(what).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(ExportChunk { path: path.to_owned(), bytes })
}

#[async_trait]
impl AccountData for Gatekeeper {
    fn service(&self) -> &'static str {
        "gatekeeper"
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        let chunks = self.exported(call).await?;
        Ok(stream::iter(chunks.into_iter().map(Ok)).boxed())
    }

    /// Begins the deletion everywhere; gatekeeper's own rows go last.
    async fn delete(&self, call: &Call) -> CallResult<()> {
        Ok(self.begin_deletion(call.account, "It was asked for.", now_s()).await?)
    }
}
