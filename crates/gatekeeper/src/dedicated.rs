//! What a dedicated bouncer of the engine `Ircnow` may ask: everything the shared one may, about the one account it is for.
//!
//! It runs in the customer's part of a cluster and proves itself with a secret of its own. It is served on the public site,
//! where soju and Ergo ask too, so that no Pod of a customer ever reaches an admin listener.

use std::sync::Arc;

use async_trait::async_trait;
use auth::jwt::{ACCESS_TOKEN, Expect};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use contracts::http::accounts_router;
use contracts::{
    Account, AccountChange, Accounts, Call, CallError, CallResult, Credential, FeedCursor, NewCredential,
    SaslAnswer, SaslStep, Scope, SecurityEvent, ServerId, ShownToken, Sub, TokenAnswer,
};
use futures_util::stream::BoxStream;
use serde::Deserialize;
use service::clock::now_s;
use service::web::bearer;
use uuid::Uuid;

use crate::Gatekeeper;
use crate::error::Error;

/// The audience of its tokens: no other door takes them.
pub const AUDIENCE: &str = "gatekeeper-dedicated";
/// Where it is served on the site.
pub const PATH: &str = "/dedicated";

#[derive(Deserialize)]
struct Caller {
    sub: String,
    client_id: String,
}

tokio::task_local! {
    /// The account the call under way is about: set where its token is checked, read by [`OneAccount`].
    static OWNER: Sub;
}

/// The calls, each with a token of a dedicated bouncer.
pub fn router(gate: Gatekeeper) -> Router {
    accounts_router(Arc::new(OneAccount(gate.clone())))
        .fallback(nothing)
        .layer(from_fn_with_state(gate, only_bouncers))
}

async fn nothing() -> StatusCode {
    StatusCode::NOT_FOUND
}

async fn only_bouncers(State(gate): State<Gatekeeper>, request: Request, next: Next) -> Response {
    match gate.dedicated_to(request.headers()).await {
        Ok(owner) => OWNER.scope(owner, next.run(request)).await,
        Err(error) => {
            let status = match error {
                CallError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::UNAUTHORIZED,
            };
            (status, axum::Json(error)).into_response()
        }
    }
}

impl Gatekeeper {
    /// The account the calling bouncer is for, now: a bouncer that was dropped is not asked for its token's lifetime.
    async fn dedicated_to(&self, headers: &HeaderMap) -> CallResult<Sub> {
        let refused = || CallError::Forbidden {
            reason: "Only dedicated bouncers of this installation may call this.".to_owned(),
        };
        let token = bearer(headers).ok_or_else(refused)?;
        let expect =
            Expect { issuer: self.issuer(), audience: AUDIENCE, types: &[ACCESS_TOKEN], now_s: now_s() };
        let caller = self.0.keys.verify::<Caller>(token, &expect).ok_or_else(refused)?;
        let server = ServerId::parse(&caller.client_id).filter(|_| caller.sub == caller.client_id);
        let owner = self.owner_of_bouncer(server.ok_or_else(refused)?).await?;
        owner.ok_or_else(refused)
    }
}

/// [`Accounts`], as far as the account of the call under way goes.
struct OneAccount(Gatekeeper);

impl OneAccount {
    /// The account of the call under way. Outside of one there is nobody to speak for.
    fn owner(&self) -> CallResult<Sub> {
        OWNER.try_with(|owner| *owner).or_else(|_| Self::never())
    }

    fn is_ours(&self, call: &Call) -> CallResult<()> {
        if call.account == self.owner()? { Ok(()) } else { Err(CallError::not_found("account")) }
    }

    fn never<T>() -> CallResult<T> {
        Err(CallError::Forbidden { reason: "A dedicated bouncer may not do this.".to_owned() })
    }
}

#[async_trait]
impl Accounts for OneAccount {
    async fn account(&self, call: &Call) -> CallResult<Account> {
        self.is_ours(call)?;
        self.0.account(call).await
    }

    async fn sasl(&self, step: SaslStep) -> CallResult<SaslAnswer> {
        let owner = self.owner()?;
        Ok(match self.0.sasl(step).await? {
            SaslAnswer::Success { login } if login.account.sub != owner => SaslAnswer::Refused {
                text: "This bouncer belongs to another account. Log in at your own.".to_owned(),
            },
            answer => answer,
        })
    }

    async fn token(&self, _: ShownToken) -> CallResult<TokenAnswer> {
        Self::never()
    }

    async fn credential_used(&self, call: &Call, credential: Uuid, client: Option<String>) -> CallResult<()> {
        self.is_ours(call)?;
        self.0.credential_used(call, credential, client).await
    }

    async fn credentials(&self, _: &Call) -> CallResult<Vec<Credential>> {
        Self::never()
    }

    async fn create_app_password(&self, _: &Call, _: String, _: Vec<Scope>) -> CallResult<NewCredential> {
        Self::never()
    }

    async fn add_certificate(&self, _: &Call, _: String, _: String) -> CallResult<Credential> {
        Self::never()
    }

    async fn revoke_credential(&self, _: &Call, _: Uuid) -> CallResult<()> {
        Self::never()
    }

    async fn security_events(&self, _: &Call, _: u32) -> CallResult<Vec<SecurityEvent>> {
        Self::never()
    }

    async fn changes(&self, after: Option<FeedCursor>) -> CallResult<BoxStream<'static, AccountChange>> {
        Ok(self.0.change_feed_of(self.owner()?, after).await?)
    }

    async fn feed_cursor(&self) -> CallResult<FeedCursor> {
        Ok(FeedCursor(self.0.0.store.feed_head_of(self.owner()?).await.map_err(Error::from)?))
    }

    async fn delete_account(&self, _: &Call) -> CallResult<()> {
        Self::never()
    }
}
