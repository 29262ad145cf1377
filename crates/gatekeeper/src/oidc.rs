//! The OpenID provider: how our sites, our services and other IRC servers learn who somebody is.
//!
//! Authorization code with PKCE (S256 only), rotating refresh tokens, client credentials between services, introspection
//! (RFC 7662), metadata (RFC 8414 and OpenID discovery), RP-initiated and back-channel logout. Every client is first-party
//! and configured: nobody registers, nobody is asked for consent.

mod authorize;
mod backchannel;
mod client_auth;
mod introspect;
mod logout;
mod metadata;
mod token;
mod tokens;
mod userinfo;

use axum::Router;
use axum::routing::{get, post};

use crate::Gatekeeper;

pub use authorize::redirect_origin;

/// The provider's endpoints.
pub fn router() -> Router<Gatekeeper> {
    Router::new()
        .route("/.well-known/openid-configuration", get(metadata::openid))
        .route("/.well-known/oauth-authorization-server", get(metadata::oauth))
        .route("/.well-known/oauth-authorization-server/{*path}", get(metadata::oauth_of_path))
        .route("/jwks", get(metadata::jwks))
        .route("/authorize", get(authorize::authorize))
        .route("/token", post(token::token))
        .route("/userinfo", get(userinfo::userinfo).post(userinfo::userinfo))
        .route("/introspect", post(introspect::introspect))
        .route("/logout", get(logout::page).post(logout::confirmed))
        .route("/signed-out", get(logout::signed_out))
}
