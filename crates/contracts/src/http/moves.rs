//! [`Moves`] over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::bouncers::BouncersClient;
use super::wire::{WireCall, WireError, answer};
use crate::{Call, CallResult, Checked, Counted, Hold, Moves, Packed, Parcel};

/// The most bytes of a parcel on the wire.
const LARGEST: usize = 8 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Why {
    why: Hold,
}

#[derive(Serialize, Deserialize)]
struct After {
    after: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Taken {
    parcel: Parcel,
}

#[async_trait]
impl Moves for BouncersClient {
    async fn hold(&self, call: &Call, why: Hold) -> CallResult<()> {
        self.0.call("moves/hold", call, false, &Why { why }).await
    }

    async fn let_go(&self, call: &Call) -> CallResult<()> {
        self.0.call("moves/let_go", call, false, &()).await
    }

    async fn pack(&self, call: &Call, after: Option<String>) -> CallResult<Packed> {
        self.0.call("moves/pack", call, false, &After { after }).await
    }

    async fn unpack(&self, call: &Call, parcel: Parcel) -> CallResult<()> {
        // What is there already is there once.
        self.0.call("moves/unpack", call, false, &Taken { parcel }).await
    }

    async fn check(&self, call: &Call, parcel: Parcel) -> CallResult<Checked> {
        self.0.call("moves/check", call, false, &Taken { parcel }).await
    }

    async fn about(&self, call: &Call) -> CallResult<u64> {
        self.0.call("moves/about", call, false, &()).await
    }

    async fn count(&self, call: &Call, after: Option<String>) -> CallResult<Counted> {
        self.0.call("moves/count", call, false, &After { after }).await
    }

    async fn clear(&self, call: &Call) -> CallResult<bool> {
        self.0.call("moves/clear", call, false, &()).await
    }
}

type Service = State<Arc<dyn Moves>>;
type Answer<T> = Result<Json<T>, WireError>;

/// The router for [`Moves`].
pub fn moves_router(moves: Arc<dyn Moves>) -> Router {
    Router::new()
        .route("/internal/moves/hold", post(hold))
        .route("/internal/moves/let_go", post(let_go))
        .route("/internal/moves/pack", post(pack))
        .route("/internal/moves/unpack", post(unpack).layer(DefaultBodyLimit::max(LARGEST)))
        .route("/internal/moves/check", post(check).layer(DefaultBodyLimit::max(LARGEST)))
        .route("/internal/moves/about", post(about))
        .route("/internal/moves/count", post(count))
        .route("/internal/moves/clear", post(clear))
        .with_state(moves)
}

async fn hold(State(m): Service, WireCall(call): WireCall, Json(args): Json<Why>) -> Answer<()> {
    answer(call.timeout, m.hold(&call, args.why)).await
}

async fn let_go(State(m): Service, WireCall(call): WireCall) -> Answer<()> {
    answer(call.timeout, m.let_go(&call)).await
}

async fn pack(State(m): Service, WireCall(call): WireCall, Json(args): Json<After>) -> Answer<Packed> {
    answer(call.timeout, m.pack(&call, args.after)).await
}

async fn unpack(State(m): Service, WireCall(call): WireCall, Json(args): Json<Taken>) -> Answer<()> {
    answer(call.timeout, m.unpack(&call, args.parcel)).await
}

async fn check(State(m): Service, WireCall(call): WireCall, Json(args): Json<Taken>) -> Answer<Checked> {
    answer(call.timeout, m.check(&call, args.parcel)).await
}

async fn about(State(m): Service, WireCall(call): WireCall) -> Answer<u64> {
    answer(call.timeout, m.about(&call)).await
}

async fn count(State(m): Service, WireCall(call): WireCall, Json(args): Json<After>) -> Answer<Counted> {
    answer(call.timeout, m.count(&call, args.after)).await
}

async fn clear(State(m): Service, WireCall(call): WireCall) -> Answer<bool> {
    answer(call.timeout, m.clear(&call)).await
}
