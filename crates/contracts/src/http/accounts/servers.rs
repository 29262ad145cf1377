//! [`IrcServers`] over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::{AccountsClient, Answer};
use crate::http::wire::{WireCall, answer};
use crate::{Call, CallResult, IrcServer, IrcServers, ServerId};

#[derive(Serialize, Deserialize)]
struct Put {
    server: IrcServer,
}

#[derive(Serialize, Deserialize)]
struct Which {
    id: ServerId,
}

#[async_trait]
impl IrcServers for AccountsClient {
    async fn put_irc_server(&self, call: &Call, server: IrcServer) -> CallResult<()> {
        // Saying it twice says no more than once.
        self.0.call("irc_servers/put", call, false, &Put { server }).await
    }

    async fn drop_irc_server(&self, call: &Call, id: ServerId) -> CallResult<()> {
        self.0.call("irc_servers/drop", call, false, &Which { id }).await
    }

    async fn irc_servers(&self, call: &Call) -> CallResult<Vec<IrcServer>> {
        self.0.call("irc_servers/list", call, false, &()).await
    }
}

type Service = State<Arc<dyn IrcServers>>;

/// The router for [`IrcServers`].
pub fn irc_servers_router(servers: Arc<dyn IrcServers>) -> Router {
    Router::new()
        .route("/internal/irc_servers/put", post(put))
        .route("/internal/irc_servers/drop", post(forget))
        .route("/internal/irc_servers/list", post(list))
        .with_state(servers)
}

async fn put(State(s): Service, WireCall(call): WireCall, Json(args): Json<Put>) -> Answer<()> {
    answer(call.timeout, s.put_irc_server(&call, args.server)).await
}

async fn forget(State(s): Service, WireCall(call): WireCall, Json(args): Json<Which>) -> Answer<()> {
    answer(call.timeout, s.drop_irc_server(&call, args.id)).await
}

async fn list(State(s): Service, WireCall(call): WireCall) -> Answer<Vec<IrcServer>> {
    answer(call.timeout, s.irc_servers(&call)).await
}
