//! [`Networks`] over HTTP.

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
use super::data;
use super::sse;
use super::wire::{WireCall, WireError, answer};
use crate::{
    AccountData, Call, CallResult, ExportChunk, HostedChange, HostedId, HostedNetwork, HostedSpec,
    HostingOffer, Networks, WatchCursor,
};

#[derive(Serialize, Deserialize)]
struct Id {
    id: HostedId,
}

#[derive(Serialize, Deserialize)]
struct Spec {
    spec: HostedSpec,
}

#[derive(Serialize, Deserialize)]
struct Change {
    id: HostedId,
    spec: HostedSpec,
}

#[derive(Serialize, Deserialize)]
struct Suspend {
    id: HostedId,
    suspended: bool,
}

#[derive(Serialize, Deserialize)]
struct After {
    after: Option<WatchCursor>,
}

/// Another process's hosting.
#[derive(Clone)]
pub struct NetworksClient(pub(super) Client);

impl NetworksClient {
    /// The hosting behind `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }
}

#[async_trait]
impl AccountData for NetworksClient {
    fn service(&self) -> &'static str {
        "hosting"
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        data::export(&self.0, call).await
    }

    async fn delete(&self, call: &Call) -> CallResult<()> {
        self.0.call("data/delete", call, false, &()).await
    }
}

#[async_trait]
impl Networks for NetworksClient {
    async fn offer(&self, call: &Call) -> CallResult<HostingOffer> {
        self.0.call("networks/offer", call, false, &()).await
    }

    async fn networks(&self, call: &Call) -> CallResult<Vec<HostedNetwork>> {
        self.0.call("networks/networks", call, false, &()).await
    }

    async fn network(&self, call: &Call, id: HostedId) -> CallResult<HostedNetwork> {
        self.0.call("networks/network", call, false, &Id { id }).await
    }

    async fn create_network(&self, call: &Call, spec: HostedSpec) -> CallResult<HostedNetwork> {
        self.0.call("networks/create_network", call, true, &Spec { spec }).await
    }

    async fn change_network(&self, call: &Call, id: HostedId, spec: HostedSpec) -> CallResult<HostedNetwork> {
        self.0.call("networks/change_network", call, true, &Change { id, spec }).await
    }

    async fn suspend_network(&self, call: &Call, id: HostedId, suspended: bool) -> CallResult<HostedNetwork> {
        self.0.call("networks/suspend_network", call, true, &Suspend { id, suspended }).await
    }

    async fn delete_network(&self, call: &Call, id: HostedId) -> CallResult<()> {
        self.0.call("networks/delete_network", call, true, &Id { id }).await
    }

    async fn restore_network(&self, call: &Call, id: HostedId) -> CallResult<HostedNetwork> {
        self.0.call("networks/restore_network", call, true, &Id { id }).await
    }

    async fn watch(
        &self,
        call: &Call,
        after: Option<WatchCursor>,
    ) -> CallResult<BoxStream<'static, HostedChange>> {
        let events = self.0.stream("networks/watch", Some(call), &After { after }).await?;
        Ok(events.filter_map(|event| std::future::ready(serde_json::from_str(&event.data).ok())).boxed())
    }
}

type Service = State<Arc<dyn Networks>>;
type Answer<T> = Result<Json<T>, WireError>;

/// The router for [`Networks`] and its [`AccountData`].
pub fn networks_router(networks: Arc<dyn Networks>) -> Router {
    let data: Arc<dyn AccountData> = networks.clone();
    Router::new()
        .route("/internal/networks/offer", post(offer))
        .route("/internal/networks/networks", post(list))
        .route("/internal/networks/network", post(network))
        .route("/internal/networks/create_network", post(create_network))
        .route("/internal/networks/change_network", post(change_network))
        .route("/internal/networks/suspend_network", post(suspend_network))
        .route("/internal/networks/delete_network", post(delete_network))
        .route("/internal/networks/restore_network", post(restore_network))
        .route("/internal/networks/watch", post(watch))
        .with_state(networks)
        .merge(data::account_data_router(data))
}

async fn offer(State(n): Service, WireCall(call): WireCall) -> Answer<HostingOffer> {
    answer(call.timeout, n.offer(&call)).await
}

async fn list(State(n): Service, WireCall(call): WireCall) -> Answer<Vec<HostedNetwork>> {
    answer(call.timeout, n.networks(&call)).await
}

async fn network(State(n): Service, WireCall(call): WireCall, Json(args): Json<Id>) -> Answer<HostedNetwork> {
    answer(call.timeout, n.network(&call, args.id)).await
}

async fn create_network(
    State(n): Service,
    WireCall(call): WireCall,
    Json(args): Json<Spec>,
) -> Answer<HostedNetwork> {
    answer(call.timeout, n.create_network(&call, args.spec)).await
}

async fn change_network(
    State(n): Service,
    WireCall(call): WireCall,
    Json(args): Json<Change>,
) -> Answer<HostedNetwork> {
    answer(call.timeout, n.change_network(&call, args.id, args.spec)).await
}

async fn suspend_network(
    State(n): Service,
    WireCall(call): WireCall,
    Json(args): Json<Suspend>,
) -> Answer<HostedNetwork> {
    answer(call.timeout, n.suspend_network(&call, args.id, args.suspended)).await
}

async fn delete_network(State(n): Service, WireCall(call): WireCall, Json(args): Json<Id>) -> Answer<()> {
    answer(call.timeout, n.delete_network(&call, args.id)).await
}

async fn restore_network(
    State(n): Service,
    WireCall(call): WireCall,
    Json(args): Json<Id>,
) -> Answer<HostedNetwork> {
    answer(call.timeout, n.restore_network(&call, args.id)).await
}

async fn watch(
    State(n): Service,
    WireCall(call): WireCall,
    Json(args): Json<After>,
) -> Result<Response, WireError> {
    let changes = n.watch(&call, args.after).await?;
    Ok(sse::respond(changes, |change| change.cursor.0.to_string()))
}
