//! [`Bouncers`] over HTTP.

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
    AccountData, BouncerChange, BouncerUsage, Bouncers, Call, CallResult, Device, ExportChunk, Mention,
    Network, NetworkId, NetworkSpec, WatchCursor, WellKnownNetwork,
};

#[derive(Serialize, Deserialize)]
struct Id {
    id: NetworkId,
}

#[derive(Serialize, Deserialize)]
struct Spec {
    spec: NetworkSpec,
}

#[derive(Serialize, Deserialize)]
struct Change {
    id: NetworkId,
    spec: NetworkSpec,
}

#[derive(Serialize, Deserialize)]
struct Limit {
    limit: u32,
}

#[derive(Serialize, Deserialize)]
struct After {
    after: Option<WatchCursor>,
}

/// Another process's bouncer.
#[derive(Clone)]
pub struct BouncersClient(pub(super) Client);

impl BouncersClient {
    /// The bouncer behind `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }
}

#[async_trait]
impl AccountData for BouncersClient {
    fn service(&self) -> &'static str {
        "bouncer"
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        data::export(&self.0, call).await
    }

    async fn delete(&self, call: &Call) -> CallResult<()> {
        self.0.call("data/delete", call, false, &()).await
    }
}

#[async_trait]
impl Bouncers for BouncersClient {
    async fn well_known(&self) -> CallResult<Vec<WellKnownNetwork>> {
        let anybody = Call::new(crate::Sub(uuid::Uuid::nil()), "");
        self.0.call("bouncers/well_known", &anybody, false, &()).await
    }

    async fn networks(&self, call: &Call) -> CallResult<Vec<Network>> {
        self.0.call("bouncers/networks", call, false, &()).await
    }

    async fn network(&self, call: &Call, id: NetworkId) -> CallResult<Network> {
        self.0.call("bouncers/network", call, false, &Id { id }).await
    }

    async fn add_network(&self, call: &Call, spec: NetworkSpec) -> CallResult<Network> {
        self.0.call("bouncers/add_network", call, true, &Spec { spec }).await
    }

    async fn change_network(&self, call: &Call, id: NetworkId, spec: NetworkSpec) -> CallResult<Network> {
        self.0.call("bouncers/change_network", call, true, &Change { id, spec }).await
    }

    async fn delete_network(&self, call: &Call, id: NetworkId) -> CallResult<()> {
        self.0.call("bouncers/delete_network", call, true, &Id { id }).await
    }

    async fn restore_network(&self, call: &Call, id: NetworkId) -> CallResult<Network> {
        self.0.call("bouncers/restore_network", call, true, &Id { id }).await
    }

    async fn reconnect(&self, call: &Call, id: NetworkId) -> CallResult<()> {
        self.0.call("bouncers/reconnect", call, true, &Id { id }).await
    }

    async fn devices(&self, call: &Call) -> CallResult<Vec<Device>> {
        self.0.call("bouncers/devices", call, false, &()).await
    }

    async fn mentions(&self, call: &Call, limit: u32) -> CallResult<Vec<Mention>> {
        self.0.call("bouncers/mentions", call, false, &Limit { limit }).await
    }

    async fn usage(&self, call: &Call) -> CallResult<BouncerUsage> {
        self.0.call("bouncers/usage", call, false, &()).await
    }

    async fn watch(
        &self,
        call: &Call,
        after: Option<WatchCursor>,
    ) -> CallResult<BoxStream<'static, BouncerChange>> {
        let events = self.0.stream("bouncers/watch", Some(call), &After { after }).await?;
        Ok(events.filter_map(|event| std::future::ready(serde_json::from_str(&event.data).ok())).boxed())
    }
}

type Service = State<Arc<dyn Bouncers>>;
type Answer<T> = Result<Json<T>, WireError>;

/// The router for [`Bouncers`] and its [`AccountData`].
pub fn bouncers_router(bouncers: Arc<dyn Bouncers>) -> Router {
    let data: Arc<dyn AccountData> = bouncers.clone();
    Router::new()
        .route("/internal/bouncers/well_known", post(well_known))
        .route("/internal/bouncers/networks", post(networks))
        .route("/internal/bouncers/network", post(network))
        .route("/internal/bouncers/add_network", post(add_network))
        .route("/internal/bouncers/change_network", post(change_network))
        .route("/internal/bouncers/delete_network", post(delete_network))
        .route("/internal/bouncers/restore_network", post(restore_network))
        .route("/internal/bouncers/reconnect", post(reconnect))
        .route("/internal/bouncers/devices", post(devices))
        .route("/internal/bouncers/mentions", post(mentions))
        .route("/internal/bouncers/usage", post(usage))
        .route("/internal/bouncers/watch", post(watch))
        .with_state(bouncers)
        .merge(data::account_data_router(data))
}

async fn well_known(State(b): Service, WireCall(call): WireCall) -> Answer<Vec<WellKnownNetwork>> {
    answer(call.timeout, b.well_known()).await
}

async fn networks(State(b): Service, WireCall(call): WireCall) -> Answer<Vec<Network>> {
    answer(call.timeout, b.networks(&call)).await
}

async fn network(State(b): Service, WireCall(call): WireCall, Json(args): Json<Id>) -> Answer<Network> {
    answer(call.timeout, b.network(&call, args.id)).await
}

async fn add_network(State(b): Service, WireCall(call): WireCall, Json(args): Json<Spec>) -> Answer<Network> {
    answer(call.timeout, b.add_network(&call, args.spec)).await
}

async fn change_network(
    State(b): Service,
    WireCall(call): WireCall,
    Json(args): Json<Change>,
) -> Answer<Network> {
    answer(call.timeout, b.change_network(&call, args.id, args.spec)).await
}

async fn delete_network(State(b): Service, WireCall(call): WireCall, Json(args): Json<Id>) -> Answer<()> {
    answer(call.timeout, b.delete_network(&call, args.id)).await
}

async fn restore_network(
    State(b): Service,
    WireCall(call): WireCall,
    Json(args): Json<Id>,
) -> Answer<Network> {
    answer(call.timeout, b.restore_network(&call, args.id)).await
}

async fn reconnect(State(b): Service, WireCall(call): WireCall, Json(args): Json<Id>) -> Answer<()> {
    answer(call.timeout, b.reconnect(&call, args.id)).await
}

async fn devices(State(b): Service, WireCall(call): WireCall) -> Answer<Vec<Device>> {
    answer(call.timeout, b.devices(&call)).await
}

async fn mentions(
    State(b): Service,
    WireCall(call): WireCall,
    Json(args): Json<Limit>,
) -> Answer<Vec<Mention>> {
    answer(call.timeout, b.mentions(&call, args.limit)).await
}

async fn usage(State(b): Service, WireCall(call): WireCall) -> Answer<BouncerUsage> {
    answer(call.timeout, b.usage(&call)).await
}

async fn watch(
    State(b): Service,
    WireCall(call): WireCall,
    Json(args): Json<After>,
) -> Result<Response, WireError> {
    let changes = b.watch(&call, args.after).await?;
    Ok(sse::respond(changes, |change| change.cursor.0.to_string()))
}
