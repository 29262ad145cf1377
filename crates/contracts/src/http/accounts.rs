//! [`Accounts`] and [`IrcServers`](crate::IrcServers) over HTTP: gatekeeper, for the other services.

mod servers;

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::client::Client;
use super::sse;
use super::wire::{WireCall, WireError, answer};
use crate::{
    Account, AccountChange, Accounts, Call, CallResult, Credential, FeedCursor, NewCredential, SaslAnswer,
    SaslStep, Scope, SecurityEvent, ShownToken, Sub, TokenAnswer,
};

pub use servers::irc_servers_router;

#[derive(Serialize, Deserialize)]
struct Step {
    step: SaslStep,
}

#[derive(Serialize, Deserialize)]
struct Shown {
    shown: ShownToken,
}

#[derive(Serialize, Deserialize)]
struct Used {
    credential: Uuid,
    client: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct NewPassword {
    name: String,
    scopes: Vec<Scope>,
}

#[derive(Serialize, Deserialize)]
struct NewCertificate {
    name: String,
    fingerprint: String,
}

#[derive(Serialize, Deserialize)]
struct Which {
    credential: Uuid,
}

#[derive(Serialize, Deserialize)]
struct Limit {
    limit: u32,
}

#[derive(Serialize, Deserialize)]
struct After {
    after: Option<FeedCursor>,
}

/// Gatekeeper in another process.
#[derive(Clone)]
pub struct AccountsClient(Client);

impl AccountsClient {
    /// The gatekeeper behind `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }
}

fn nobody() -> Call {
    Call::new(Sub(Uuid::nil()), "")
}

#[async_trait]
impl Accounts for AccountsClient {
    async fn account(&self, call: &Call) -> CallResult<Account> {
        self.0.call("accounts/account", call, false, &()).await
    }

    async fn sasl(&self, step: SaslStep) -> CallResult<SaslAnswer> {
        // A step is never repeated: a second try of the same proof would count as a second failure.
        self.0.call("accounts/sasl", &nobody(), true, &Step { step }).await
    }

    async fn token(&self, shown: ShownToken) -> CallResult<TokenAnswer> {
        self.0.call("accounts/token", &nobody(), true, &Shown { shown }).await
    }

    async fn credential_used(&self, call: &Call, credential: Uuid, client: Option<String>) -> CallResult<()> {
        self.0.call("accounts/credential_used", call, false, &Used { credential, client }).await
    }

    async fn credentials(&self, call: &Call) -> CallResult<Vec<Credential>> {
        self.0.call("accounts/credentials", call, false, &()).await
    }

    async fn create_app_password(
        &self,
        call: &Call,
        name: String,
        scopes: Vec<Scope>,
    ) -> CallResult<NewCredential> {
        self.0.call("accounts/create_app_password", call, true, &NewPassword { name, scopes }).await
    }

    async fn add_certificate(
        &self,
        call: &Call,
        name: String,
        fingerprint: String,
    ) -> CallResult<Credential> {
        self.0.call("accounts/add_certificate", call, true, &NewCertificate { name, fingerprint }).await
    }

    async fn revoke_credential(&self, call: &Call, credential: Uuid) -> CallResult<()> {
        self.0.call("accounts/revoke_credential", call, true, &Which { credential }).await
    }

    async fn security_events(&self, call: &Call, limit: u32) -> CallResult<Vec<SecurityEvent>> {
        self.0.call("accounts/security_events", call, false, &Limit { limit }).await
    }

    async fn changes(&self, after: Option<FeedCursor>) -> CallResult<BoxStream<'static, AccountChange>> {
        let events = self.0.stream("accounts/changes", None, &After { after }).await?;
        Ok(events.filter_map(|event| std::future::ready(serde_json::from_str(&event.data).ok())).boxed())
    }

    async fn feed_cursor(&self) -> CallResult<FeedCursor> {
        self.0.call("accounts/feed_cursor", &nobody(), false, &()).await
    }

    async fn delete_account(&self, call: &Call) -> CallResult<()> {
        self.0.call("accounts/delete_account", call, true, &()).await
    }
}

type Service = State<Arc<dyn Accounts>>;
type Answer<T> = Result<Json<T>, WireError>;

/// The router for [`Accounts`].
pub fn accounts_router(accounts: Arc<dyn Accounts>) -> Router {
    Router::new()
        .route("/internal/accounts/account", post(account))
        .route("/internal/accounts/sasl", post(sasl))
        .route("/internal/accounts/token", post(token))
        .route("/internal/accounts/credential_used", post(credential_used))
        .route("/internal/accounts/credentials", post(credentials))
        .route("/internal/accounts/create_app_password", post(create_app_password))
        .route("/internal/accounts/add_certificate", post(add_certificate))
        .route("/internal/accounts/revoke_credential", post(revoke_credential))
        .route("/internal/accounts/security_events", post(security_events))
        .route("/internal/accounts/changes", post(changes))
        .route("/internal/accounts/feed_cursor", post(feed_cursor))
        .route("/internal/accounts/delete_account", post(delete_account))
        .with_state(accounts)
}

async fn account(State(a): Service, WireCall(call): WireCall) -> Answer<Account> {
    answer(call.timeout, a.account(&call)).await
}

async fn sasl(State(a): Service, WireCall(call): WireCall, Json(args): Json<Step>) -> Answer<SaslAnswer> {
    answer(call.timeout, a.sasl(args.step)).await
}

async fn token(State(a): Service, WireCall(call): WireCall, Json(args): Json<Shown>) -> Answer<TokenAnswer> {
    answer(call.timeout, a.token(args.shown)).await
}

async fn credential_used(State(a): Service, WireCall(call): WireCall, Json(args): Json<Used>) -> Answer<()> {
    answer(call.timeout, a.credential_used(&call, args.credential, args.client)).await
}

async fn credentials(State(a): Service, WireCall(call): WireCall) -> Answer<Vec<Credential>> {
    answer(call.timeout, a.credentials(&call)).await
}

async fn create_app_password(
    State(a): Service,
    WireCall(call): WireCall,
    Json(args): Json<NewPassword>,
) -> Answer<NewCredential> {
    answer(call.timeout, a.create_app_password(&call, args.name, args.scopes)).await
}

async fn add_certificate(
    State(a): Service,
    WireCall(call): WireCall,
    Json(args): Json<NewCertificate>,
) -> Answer<Credential> {
    answer(call.timeout, a.add_certificate(&call, args.name, args.fingerprint)).await
}

async fn revoke_credential(
    State(a): Service,
    WireCall(call): WireCall,
    Json(args): Json<Which>,
) -> Answer<()> {
    answer(call.timeout, a.revoke_credential(&call, args.credential)).await
}

async fn security_events(
    State(a): Service,
    WireCall(call): WireCall,
    Json(args): Json<Limit>,
) -> Answer<Vec<SecurityEvent>> {
    answer(call.timeout, a.security_events(&call, args.limit)).await
}

async fn changes(State(a): Service, Json(args): Json<After>) -> Result<Response, WireError> {
    let changes = a.changes(args.after).await?;
    Ok(sse::respond(changes, |change| change.cursor.0.to_string()))
}

async fn feed_cursor(State(a): Service, WireCall(call): WireCall) -> Answer<FeedCursor> {
    answer(call.timeout, a.feed_cursor()).await
}

async fn delete_account(State(a): Service, WireCall(call): WireCall) -> Answer<()> {
    answer(call.timeout, a.delete_account(&call)).await
}
