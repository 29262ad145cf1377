//! [`DedicatedBouncers`] over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::networks::NetworksClient;
use super::sse;
use super::wire::{WireCall, WireError, answer};
use crate::{BouncerEngine, Call, CallResult, DedicatedBouncer, DedicatedBouncers, DedicatedOffer};

#[derive(Serialize, Deserialize)]
struct Order {
    engine: BouncerEngine,
}

#[async_trait]
impl DedicatedBouncers for NetworksClient {
    async fn dedicated_offer(&self, call: &Call) -> CallResult<DedicatedOffer> {
        self.0.call("dedicated/offer", call, false, &()).await
    }

    async fn dedicated(&self, call: &Call) -> CallResult<Option<DedicatedBouncer>> {
        self.0.call("dedicated/dedicated", call, false, &()).await
    }

    async fn order_dedicated(&self, call: &Call, engine: BouncerEngine) -> CallResult<DedicatedBouncer> {
        self.0.call("dedicated/order", call, true, &Order { engine }).await
    }

    async fn cancel_dedicated(&self, call: &Call) -> CallResult<DedicatedBouncer> {
        self.0.call("dedicated/cancel", call, true, &()).await
    }

    async fn watch_dedicated(&self, call: &Call) -> CallResult<BoxStream<'static, Option<DedicatedBouncer>>> {
        let events = self.0.stream("dedicated/watch", Some(call), &()).await?;
        Ok(events.filter_map(|event| std::future::ready(serde_json::from_str(&event.data).ok())).boxed())
    }
}

type Service = State<Arc<dyn DedicatedBouncers>>;
type Answer<T> = Result<Json<T>, WireError>;

/// The router for [`DedicatedBouncers`].
pub fn dedicated_router(dedicated: Arc<dyn DedicatedBouncers>) -> Router {
    Router::new()
        .route("/internal/dedicated/offer", post(offer))
        .route("/internal/dedicated/dedicated", post(one))
        .route("/internal/dedicated/order", post(order))
        .route("/internal/dedicated/cancel", post(cancel))
        .route("/internal/dedicated/watch", post(watch))
        .with_state(dedicated)
}

async fn offer(State(d): Service, WireCall(call): WireCall) -> Answer<DedicatedOffer> {
    answer(call.timeout, d.dedicated_offer(&call)).await
}

async fn one(State(d): Service, WireCall(call): WireCall) -> Answer<Option<DedicatedBouncer>> {
    answer(call.timeout, d.dedicated(&call)).await
}

async fn order(
    State(d): Service,
    WireCall(call): WireCall,
    Json(args): Json<Order>,
) -> Answer<DedicatedBouncer> {
    answer(call.timeout, d.order_dedicated(&call, args.engine)).await
}

async fn cancel(State(d): Service, WireCall(call): WireCall) -> Answer<DedicatedBouncer> {
    answer(call.timeout, d.cancel_dedicated(&call)).await
}

async fn watch(State(d): Service, WireCall(call): WireCall) -> Result<Response, WireError> {
    let changes = d.watch_dedicated(&call).await?;
    Ok(sse::respond(changes, |_| String::new()))
}
