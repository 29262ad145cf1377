//! The trait `AccountData`: everything of an account, given away or taken away.

use async_trait::async_trait;
use contracts::{AccountData, Call, CallError, CallResult, ExportChunk};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use history::AccountId;
use serde::Serialize;

use crate::calls::{BouncerCalls, within};

#[async_trait]
impl AccountData for BouncerCalls {
    fn service(&self) -> &'static str {
        "bouncer"
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        let context = self.hub.context();
        let networks: Vec<_> =
            context.store.networks(call.account).await?.into_iter().map(|row| row.spec).collect();
        let devices: Vec<ExportedDevice> = context
            .store
            .devices(call.account)
            .await?
            .into_iter()
            .map(|row| ExportedDevice {
                client: row.client,
                software: row.software,
                last_seen_s: row.last_seen_us / 1_000_000,
            })
            .collect();
        let files = [file("networks.json", &networks), file("devices.json", &devices)];
        let lines = context.history.export(AccountId(call.account.0)).map(|piece| match piece {
            Ok(bytes) => Ok(ExportChunk { path: "history.jsonl".into(), bytes: bytes.to_vec() }),
            Err(error) => {
                Err(CallError::unavailable(format!("Your history cannot be read right now: {error}.")))
            }
        });
        Ok(stream::iter(files).chain(lines).boxed())
    }

    async fn delete(&self, call: &Call) -> CallResult<()> {
        let hub = std::sync::Arc::clone(&self.hub);
        let sub = call.account;
        within(call, async move {
            hub.gone(sub).await;
            hub.context().history.delete_account(AccountId(sub.0)).await.map_err(|error| {
                CallError::unavailable(format!("History cannot be deleted right now: {error}."))
            })?;
            hub.context().store.forget(sub).await?;
            hub.context().let_go(sub).await?;
            // A call that came in between may have brought it back.
            hub.gone(sub).await;
            Ok(())
        })
        .await
    }
}

#[derive(Serialize)]
struct ExportedDevice {
    client: Option<String>,
    software: Option<String>,
    last_seen_s: i64,
}

fn file(path: &str, content: &impl Serialize) -> CallResult<ExportChunk> {
    let bytes = serde_json::to_vec_pretty(content)
        .map_err(|error| CallError::unavailable(format!("{path} cannot be written: {error}.")))?;
    Ok(ExportChunk { path: path.into(), bytes })
}
