//! [`AccountData`] over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::sse;
use super::wire::{WireCall, WireError, answer};
use crate::{AccountData, Call, CallError, CallResult, ExportChunk};

/// What the export stream carries: pieces, then a closing word, so that a cut is told from the end.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Piece {
    Chunk { chunk: ExportChunk },
    Failed { error: CallError },
    End,
}

/// Another service's account data, over HTTP.
pub struct AccountDataClient {
    service: &'static str,
    client: Client,
}

impl AccountDataClient {
    /// The data of the service called `service` behind `client`.
    pub fn new(service: &'static str, client: Client) -> Self {
        Self { service, client }
    }
}

#[async_trait]
impl AccountData for AccountDataClient {
    fn service(&self) -> &'static str {
        self.service
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        export(&self.client, call).await
    }

    async fn delete(&self, call: &Call) -> CallResult<()> {
        self.client.call("data/delete", call, false, &()).await
    }
}

pub(super) async fn export(
    client: &Client,
    call: &Call,
) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
    let events = client.stream("data/export", Some(call), &()).await?;
    let cut = || CallError::unavailable("The export broke off. Start it again.");
    let pieces = events.map(|event| serde_json::from_str::<Piece>(&event.data).ok());
    let closed = pieces.chain(futures_util::stream::iter([None]));
    let chunks = closed.scan(false, move |ended, piece| {
        let item = match (*ended, piece) {
            (true, _) | (false, Some(Piece::End)) => None,
            (false, Some(Piece::Chunk { chunk })) => return std::future::ready(Some(Ok(chunk))),
            (false, Some(Piece::Failed { error })) => Some(Err(error)),
            (false, None) => Some(Err(cut())),
        };
        *ended = true;
        std::future::ready(item)
    });
    Ok(chunks.boxed())
}

/// The router for `data`: export and delete of one service's rows of an account.
pub fn account_data_router(data: Arc<dyn AccountData>) -> Router {
    Router::new()
        .route("/internal/data/export", post(export_route))
        .route("/internal/data/delete", post(delete_route))
        .with_state(data)
}

async fn export_route(
    State(data): State<Arc<dyn AccountData>>,
    WireCall(call): WireCall,
) -> Result<Response, WireError> {
    let chunks = data.export(&call).await?;
    let pieces = chunks.map(|chunk| match chunk {
        Ok(chunk) => Piece::Chunk { chunk },
        Err(error) => Piece::Failed { error },
    });
    Ok(sse::respond(pieces.chain(futures_util::stream::iter([Piece::End])), |_| String::new()))
}

async fn delete_route(
    State(data): State<Arc<dyn AccountData>>,
    WireCall(call): WireCall,
) -> Result<Json<()>, WireError> {
    answer(call.timeout, data.delete(&call)).await
}
