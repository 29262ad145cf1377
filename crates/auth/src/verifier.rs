//! Bearer tokens at the door of a service: who may call `/internal`.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use contracts::CallError;
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use openidconnect::core::CoreJsonWebKeySet;
use secrecy::SecretString;
use serde::Deserialize;
use service::clock::now_s;
use service::http::HttpClient;
use service::web::bearer;

use crate::error::AuthError;
use crate::jwt::{self, Expect, JwtError};
use crate::provider::Provider;

/// Where an issuer's keys come from.
#[async_trait]
pub trait KeySource: Send + Sync + 'static {
    /// The keys as last read.
    async fn keys(&self) -> Result<CoreJsonWebKeySet, AuthError>;

    /// The keys read anew, because a token names an unknown one.
    async fn newer_keys(&self) -> Result<CoreJsonWebKeySet, AuthError>;
}

#[async_trait]
impl KeySource for Provider {
    async fn keys(&self) -> Result<CoreJsonWebKeySet, AuthError> {
        Self::keys(self).await
    }

    async fn newer_keys(&self) -> Result<CoreJsonWebKeySet, AuthError> {
        Self::newer_keys(self).await
    }
}

/// What an access token says (RFC 9068).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AccessClaims {
    /// The account, or the service that calls for itself.
    pub sub: String,
    /// The client the token was given to; a service's name.
    #[serde(default)]
    pub client_id: String,
    /// What it is good for, words apart by spaces.
    #[serde(default)]
    pub scope: String,
    /// Until when, seconds since 1970.
    pub exp: i64,
}

/// Checks bearer tokens. Cheap to clone.
#[derive(Clone)]
pub struct TokenVerifier {
    issuer: Arc<str>,
    keys: Arc<dyn KeySource>,
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenVerifier").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl TokenVerifier {
    /// With the keys the issuer publishes, discovered at first use.
    pub fn remote(http: HttpClient, issuer: &str) -> Result<Self, AuthError> {
        let nobody = SecretString::from(String::new());
        let provider = Provider::new(http, issuer, "none", &nobody, issuer)?;
        Ok(Self::with_keys(issuer, Arc::new(provider)))
    }

    /// With keys from elsewhere: the issuer's own, in the issuer.
    pub fn with_keys(issuer: &str, keys: Arc<dyn KeySource>) -> Self {
        Self { issuer: issuer.into(), keys }
    }

    /// Checks an access token meant for `audience`. [`AuthError::Untrusted`] says what is wrong with it; any other error,
    /// that it cannot be checked.
    pub async fn verify(&self, token: &str, audience: &str) -> Result<AccessClaims, AuthError> {
        let check = |keys: &CoreJsonWebKeySet| {
            let expect =
                Expect { issuer: &self.issuer, audience, types: &[jwt::ACCESS_TOKEN], now_s: now_s() };
            jwt::verify::<AccessClaims>(token, keys, &expect)
        };
        let mut checked = check(&self.keys.keys().await?);
        if checked == Err(JwtError::UnknownKey) {
            checked = check(&self.keys.newer_keys().await?);
        }
        checked.map_err(|error| AuthError::Untrusted(error.to_string()))
    }

    /// Lets only `callers` (services, by client id) through to `routes`, with a token meant for `audience`. Handlers find
    /// [`AccessClaims`] among the request's extensions.
    pub fn guard(&self, audience: &str, callers: &'static [&'static str], routes: Router) -> Router {
        let guard = Guard { verifier: self.clone(), audience: audience.into(), callers };
        routes.layer(from_fn_with_state(guard, check_caller))
    }
}

#[derive(Clone)]
struct Guard {
    verifier: TokenVerifier,
    audience: Arc<str>,
    callers: &'static [&'static str],
}

async fn check_caller(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let token = bearer(request.headers()).map(str::to_owned);
    let Some(token) = token else {
        return refuse(StatusCode::UNAUTHORIZED, "This address takes calls of other services only.");
    };
    match guard.verifier.verify(&token, &guard.audience).await {
        Ok(claims) if guard.callers.contains(&claims.client_id.as_str()) => {
            request.extensions_mut().insert(claims);
            next.run(request).await
        }
        Ok(claims) => {
            tracing::warn!(caller = claims.client_id, "a service called that may not");
            refuse(StatusCode::FORBIDDEN, "This service may not call here.")
        }
        Err(AuthError::Untrusted(error)) => {
            tracing::warn!(error, "a call came with a token that is not good");
            refuse(StatusCode::UNAUTHORIZED, "The token of this call is not good.")
        }
        Err(error) => {
            tracing::warn!(%error, "a token cannot be checked");
            let body = CallError::unavailable(
                "The caller's token cannot be checked right now. Try again in a moment.",
            );
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    let body = CallError::Forbidden { reason: reason.to_owned() };
    (status, [(WWW_AUTHENTICATE, "Bearer")], Json(body)).into_response()
}
