//! Everything kept for an account, to export and delete.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{AccountData, Call, CallError, CallResult, ExportChunk};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use service::clock::now_us;

use crate::app::App;
use crate::draft;
use crate::store::{After, Seal, StoreError};

/// How many pastes are looked up at once.
const PAGE: u32 = 200;

/// The pastes of accounts.
pub struct PasteData(pub Arc<App>);

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the pastes of an account cannot be read or deleted");
        Self::unavailable("The pastes cannot be reached right now. Try again in a moment.")
    }
}

#[async_trait]
impl AccountData for PasteData {
    fn service(&self) -> &'static str {
        "paste"
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        let owner = call.account.0.as_bytes().to_vec();
        let now = now_us();
        let (mut after, mut all) = (After::NOTHING, Vec::new());
        loop {
            let page = self.0.store.list(&owner, "", after, PAGE, now).await?;
            let Some(last) = page.last() else { break };
            after = After { created_us: last.created_us, id: Some(last.id) };
            all.extend(page);
        }
        let listed: Vec<_> = all
            .iter()
            .map(|paste| {
                serde_json::json!({
                    "id": paste.id,
                    "title": paste.title,
                    "language": paste.language,
                    "bytes": paste.size,
                    "seal": paste.seal.key(),
                    "read_once": paste.burn,
                    "revision": paste.revision,
                    "created_at": paste.created_us / 1_000_000,
                    "expires_at": paste.expires_us.map(|us| us / 1_000_000),
                })
            })
            .collect();
        let index = serde_json::to_vec_pretty(&listed)
            .map_err(|error| CallError::unavailable(format!("The list cannot be written: {error}.")))?;
        let index = ExportChunk { path: "pastes.json".to_owned(), bytes: index };
        let app = Arc::clone(&self.0);
        let texts = stream::iter(all).filter_map(move |paste| {
            let app = Arc::clone(&app);
            async move {
                let row = match app.store.get(paste.id, now).await {
                    Ok(row) => row?,
                    Err(error) => return Some(Err(error.into())),
                };
                let end = if row.seal == Seal::None { "" } else { ".encrypted" };
                let name = draft::file_name(&row.title, &row.language);
                let path = format!("pastes/{}/{name}{end}", row.id);
                Some(Ok(ExportChunk { path, bytes: row.body.to_vec() }))
            }
        });
        Ok(stream::iter([Ok(index)]).chain(texts).boxed())
    }

    async fn delete(&self, call: &Call) -> CallResult<()> {
        for id in self.0.store.delete_account(call.account).await? {
            self.0.cache.forget(id);
        }
        let owner = call.account.0.as_bytes().to_vec();
        self.0.abuse.forget_reporter(&owner).await.map_err(StoreError::from)?;
        self.0.party.delete_account(call.account).await.map_err(|error| {
            tracing::warn!(%error, "the sessions of an account cannot be deleted");
            CallError::unavailable("The sessions cannot be reached right now. Try again in a moment.")
        })
    }
}
