//! The userinfo endpoint (OpenID Connect Core §5.3).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use service::clock::now_s;

use service::web::bearer;

use super::client_auth::OAuthError;
use super::tokens::UserClaims;
use crate::Gatekeeper;

pub async fn userinfo(State(gate): State<Gatekeeper>, headers: HeaderMap) -> Result<Response, OAuthError> {
    let Some(token) = bearer(&headers) else { return Ok(no_token("Bearer realm=\"irc.now\"")) };
    match gate.live_access(token, now_s()).await? {
        Some(access) => {
            Ok(([(header::CACHE_CONTROL, "no-store")], Json(UserClaims::of(&access.account))).into_response())
        }
        None => Ok(no_token("Bearer realm=\"irc.now\", error=\"invalid_token\"")),
    }
}

fn no_token(challenge: &'static str) -> Response {
    let body = Json(serde_json::json!({ "error": "invalid_token" }));
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], body).into_response()
}
