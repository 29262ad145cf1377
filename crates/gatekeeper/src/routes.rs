//! What gatekeeper serves: its public site, and the calls of other services on the admin listener.

use std::sync::Arc;

use async_trait::async_trait;
use auth::jwt::{ACCESS_TOKEN, Expect};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use contracts::http::{Bearer, account_data_router, accounts_router, irc_servers_router};
use contracts::{CallError, CallResult};
use serde::Deserialize;
use service::clock::now_s;
use service::web::{Edge, bearer};

use crate::{Gatekeeper, dedicated, oidc, pages};

/// Its name as an audience, a caller and a folder.
pub const NAME: &str = "gatekeeper";

#[derive(Deserialize)]
struct Caller {
    sub: String,
    client_id: String,
}

impl Gatekeeper {
    /// The public site: pages and the provider's endpoints, inside the edge every site has.
    pub fn site(&self) -> Router {
        let routes =
            pages::router().merge(oidc::router()).with_state(self.clone()).merge(service::assets::router());
        let routes = routes.nest_service(dedicated::PATH, dedicated::router(self.clone()));
        Edge::new("auth", self.0.sites.clone(), self.0.metrics.clone())
            .trusted_proxies(self.0.config.trusted_proxies.clone())
            .wrap(routes)
    }

    /// The calls of other services, each with a token made for us.
    pub fn internal(&self) -> Router {
        accounts_router(self.accounts())
            .merge(account_data_router(Arc::new(self.clone())))
            .merge(irc_servers_router(self.irc_servers()))
            .layer(from_fn_with_state(self.clone(), only_services))
    }

    /// Tokens for calls of the service `caller` in this process.
    pub fn bearer(&self, caller: &'static str) -> Arc<dyn Bearer> {
        Arc::new(OwnBearer { gate: self.clone(), caller })
    }

    fn is_service(&self, headers: &HeaderMap) -> bool {
        let Some(token) = bearer(headers) else { return false };
        let expect = Expect { issuer: self.issuer(), audience: NAME, types: &[ACCESS_TOKEN], now_s: now_s() };
        let caller = self.0.keys.verify::<Caller>(token, &expect);
        // A user's token names a user as its subject; a service's names the service itself.
        caller.is_some_and(|caller| caller.sub == caller.client_id)
    }
}

async fn only_services(State(gate): State<Gatekeeper>, request: Request, next: Next) -> Response {
    if gate.is_service(request.headers()) {
        return next.run(request).await;
    }
    let refused =
        CallError::Forbidden { reason: "Only services of this installation may call this.".to_owned() };
    (StatusCode::UNAUTHORIZED, axum::Json(refused)).into_response()
}

struct OwnBearer {
    gate: Gatekeeper,
    caller: &'static str,
}

#[async_trait]
impl Bearer for OwnBearer {
    async fn bearer(&self, audience: &str) -> CallResult<String> {
        Ok(self.gate.service_token(self.caller, audience)?)
    }
}
