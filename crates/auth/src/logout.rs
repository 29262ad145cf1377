//! Signing out: here and at the issuer, begun by the user or by the issuer.

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use openidconnect::core::CoreJsonWebKeySet;
use serde::Deserialize;
use service::clock::now_s;
use service::web::{Problem, cookie, set_cookie};

use crate::cookies;
use crate::error::AuthError;
use crate::jwt::{self, Expect, JwtError};
use crate::login::subject;
use crate::relying_party::RelyingParty;

/// How old a logout token may be, seconds.
const OLDEST_S: i64 = 300;
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// `POST /auth/logout`: ends the session here, then goes to the issuer to end the one there.
pub(crate) async fn ours(State(party): State<RelyingParty>, headers: HeaderMap) -> Result<Response, Problem> {
    let mut hint = None;
    if let Some(token) = cookie(&headers, cookies::SESSION)
        && let Some(session) = party.inner.sessions.by_token(token).await?
    {
        // A hint that cannot be opened any more (the keys were changed) only means that the issuer asks first.
        hint = party.inner.sessions.secrets(session.info.id).await.ok().and_then(|(id_token, _)| id_token);
        party.revoke(session.info.sub, session.info.id).await?;
    }
    let after = party.inner.settings.after_logout.as_str();
    let to = match party.inner.provider.end_session_url(hint.as_ref(), Some(after)).await {
        Ok(Some(url)) => url.to_string(),
        Ok(None) => after.to_owned(),
        Err(error) => {
            tracing::warn!(%error, "signed out here, not at the issuer");
            after.to_owned()
        }
    };
    let mut response = Redirect::to(&to).into_response();
    if let Some(cookie) = set_cookie(cookies::SESSION, "", 0) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

#[derive(Deserialize)]
pub(crate) struct Notice {
    logout_token: String,
}

/// `POST /auth/backchannel-logout`: the issuer says that a session there has ended.
pub(crate) async fn theirs(
    State(party): State<RelyingParty>,
    form: Result<Form<Notice>, FormRejection>,
) -> Response {
    let done = match form {
        Ok(Form(notice)) => end_theirs(&party, &notice.logout_token).await,
        Err(_) => Err(AuthError::Untrusted("there is no logout token".to_owned())),
    };
    let no_store = [(CACHE_CONTROL, "no-store")];
    match done {
        Ok(()) => (StatusCode::OK, no_store).into_response(),
        Err(error @ (AuthError::Untrusted(_) | AuthError::Refused(_))) => {
            tracing::warn!(%error, "a logout token was refused");
            let body =
                serde_json::json!({ "error": "invalid_request", "error_description": error.to_string() });
            (StatusCode::BAD_REQUEST, no_store, axum::Json(body)).into_response()
        }
        Err(error) => Problem::from(error).into_response(),
    }
}

async fn end_theirs(party: &RelyingParty, token: &str) -> Result<(), AuthError> {
    let provider = &party.inner.provider;
    let check = |keys: &CoreJsonWebKeySet| {
        verify_logout_token(token, keys, provider.issuer(), provider.client_id(), now_s())
    };
    let mut checked = check(&provider.keys().await?);
    if checked == Err(JwtError::UnknownKey) {
        checked = check(&provider.newer_keys().await?);
    }
    let logout = checked.map_err(|error| AuthError::Untrusted(error.to_string()))?;
    let until_us = (now_s() + 2 * OLDEST_S) * 1_000_000;
    if !party.inner.sessions.first_time(&logout.jti, until_us).await? {
        return Err(AuthError::Untrusted("the logout token was used before".to_owned()));
    }
    let sub = logout.sub.as_deref().map(subject).transpose()?;
    party.end(logout.sid.as_deref(), sub).await
}

/// What a logout token says, after every check of OpenID Connect Back-Channel Logout 1.0 §2.6 but the replay of `jti`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LogoutToken {
    /// Names the token; the caller makes sure that it comes once.
    pub jti: String,
    /// When it was made, seconds since 1970.
    pub iat: i64,
    /// Whose sessions end.
    #[serde(default)]
    pub sub: Option<String>,
    /// Which session ends; without it, all of `sub`'s do.
    #[serde(default)]
    pub sid: Option<String>,
    #[serde(default)]
    nonce: Option<serde_json::Value>,
    #[serde(default)]
    events: serde_json::Map<String, serde_json::Value>,
}

/// Checks a logout token: signature, issuer, audience, age, the event, a `sub` or a `sid`, and no nonce (which would make it an
/// ID token somebody wants to pass off as one).
pub fn verify_logout_token(
    token: &str,
    keys: &CoreJsonWebKeySet,
    issuer: &str,
    client_id: &str,
    now_s: i64,
) -> Result<LogoutToken, JwtError> {
    // Keycloak calls the type `JWT`, as the first drafts did.
    let expect = Expect { issuer, audience: client_id, types: &[jwt::LOGOUT_TOKEN, jwt::ID_TOKEN], now_s };
    let logout: LogoutToken = jwt::verify(token, keys, &expect)?;
    if logout.iat < now_s - OLDEST_S {
        return Err(JwtError::Time);
    }
    let says_so = logout.events.get(EVENT).is_some_and(serde_json::Value::is_object);
    let names_something = logout.sid.is_some() || logout.sub.is_some();
    if logout.nonce.is_some() || logout.jti.is_empty() || !says_so || !names_something {
        return Err(JwtError::Type);
    }
    Ok(logout)
}
