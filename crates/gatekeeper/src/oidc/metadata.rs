//! What the provider says of itself: OpenID discovery, RFC 8414 metadata, the key set.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::Gatekeeper;

impl Gatekeeper {
    fn metadata(&self, issuer: &str) -> Value {
        let url = |path: &str| self.0.sites.auth.url(path);
        json!({
            "issuer": issuer,
            "authorization_endpoint": url("/authorize"),
            "token_endpoint": url("/token"),
            "userinfo_endpoint": url("/userinfo"),
            "jwks_uri": url("/jwks"),
            "introspection_endpoint": url("/introspect"),
            "end_session_endpoint": url("/logout"),
            "scopes_supported": ["openid", "profile", "email", "irc", "upload", "offline_access"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "prompt_values_supported": ["none", "login", "create"],
            "claims_supported": [
                "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "sid",
                "preferred_username", "email", "email_verified", "plan", "roles",
            ],
            "authorization_response_iss_parameter_supported": true,
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
        })
    }
}

fn public(document: Value) -> Response {
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    (headers, Json(document)).into_response()
}

pub async fn openid(State(gate): State<Gatekeeper>) -> Response {
    public(gate.metadata(gate.issuer()))
}

pub async fn oauth(State(gate): State<Gatekeeper>) -> Response {
    public(gate.metadata(gate.issuer()))
}

/// RFC 8414 §3.1 inserts the well-known part before the path of the issuer: soju is told `https://auth.irc.now/bouncer`,
/// say, and asks here. The answer must name the very issuer that was asked for (§3.3).
pub async fn oauth_of_path(State(gate): State<Gatekeeper>, Path(path): Path<String>) -> Response {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '/');
    if path.len() > 100 || !path.chars().all(plain) {
        return StatusCode::NOT_FOUND.into_response();
    }
    public(gate.metadata(&format!("{}/{path}", gate.issuer())))
}

pub async fn jwks(State(gate): State<Gatekeeper>) -> Response {
    public(gate.0.keys.jwks())
}
