//! Everything kept for an account: what its pictures are called, the pictures themselves, its browser sessions.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{AccountData, Call, CallError, CallResult, ExportChunk};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use serde_json::json;

use crate::app::App;
use crate::objects::CLEAN;
use crate::store::Picture;

/// How many rows are read at once.
const PAGE: u32 = 200;

/// Pictures as [`AccountData`].
pub struct PicsData(pub Arc<App>);

#[async_trait]
impl AccountData for PicsData {
    fn service(&self) -> &'static str {
        "pics"
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        let app = Arc::clone(&self.0);
        let (mut all, mut before) = (Vec::new(), i64::MAX);
        loop {
            let page = app.store.pictures(call.account, before, PAGE).await.map_err(unavailable)?;
            let Some(last) = page.last() else { break };
            before = last.made_us;
            all.extend(page);
        }
        let rows: Vec<_> = all.iter().map(|picture| row(&app, picture)).collect();
        let list = serde_json::to_vec_pretty(&rows).map_err(unavailable)?;
        let list = ExportChunk { path: "pictures.json".to_owned(), bytes: list };
        let sessions = app.party.data("pics").export(call).await?;
        let files = stream::iter(all).then(move |picture| file(Arc::clone(&app), picture)).flatten();
        Ok(stream::iter([Ok(list)]).chain(sessions).chain(files).boxed())
    }

    async fn delete(&self, call: &Call) -> CallResult<()> {
        loop {
            let gone = self.0.store.delete_of(call.account).await.map_err(unavailable)?;
            if gone.is_empty() {
                break;
            }
            for gone in gone {
                self.0.take_away(gone).await;
            }
        }
        let reporter = call.account.0.as_bytes().to_vec();
        self.0.abuse.forget_reporter(&reporter).await.map_err(unavailable)?;
        self.0.party.delete_account(call.account).await.map_err(unavailable)
    }
}

fn row(app: &App, picture: &Picture) -> serde_json::Value {
    json!({
        "file": path(picture),
        "address": app.address(picture),
        "name": picture.name,
        "caption": picture.said.caption,
        "alt": picture.said.alt,
        "album": picture.said.album,
        "made_at": picture.made_us / 1_000_000,
        "expires_at": picture.said.expires_us.map(|at| at / 1_000_000),
        "bytes": picture.bytes,
    })
}

fn path(picture: &Picture) -> String {
    format!("{}.{}", picture.id, picture.told.kind)
}

/// A picture's bytes, piece by piece. One whose bytes are gone is left out.
async fn file(app: Arc<App>, picture: Picture) -> BoxStream<'static, CallResult<ExportChunk>> {
    let path = path(&picture);
    match app.objects.get(picture.key, CLEAN, None).await {
        Ok(Some(read)) => read
            .stream
            .map(move |piece| match piece {
                Ok(bytes) => Ok(ExportChunk { path: path.clone(), bytes: bytes.to_vec() }),
                Err(error) => Err(unavailable(error)),
            })
            .boxed(),
        Ok(None) => stream::empty().boxed(),
        Err(error) => stream::iter([Err(unavailable(error))]).boxed(),
    }
}

fn unavailable(error: impl std::fmt::Display) -> CallError {
    tracing::warn!(%error, "the pictures of an account cannot be read or deleted");
    CallError::unavailable("The pictures cannot be reached right now. Try again in a moment.")
}
