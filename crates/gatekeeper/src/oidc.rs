//! The OpenID provider: how our sites, our services and other IRC servers learn who somebody is.
//!
//! Authorization code with PKCE (S256 only), rotating refresh tokens, client credentials between services, introspection
//! (RFC 7662), metadata (RFC 8414 and OpenID discovery), RP-initiated and back-channel logout. Every client is first-party
//! and configured: nobody registers, nobody is asked for consent.

pub(crate) mod authorize;
mod backchannel;
pub(crate) mod client_auth;
mod introspect;
mod logout;
mod metadata;
mod token;
mod tokens;
mod userinfo;

use crate::Gatekeeper;

pub use authorize::redirect_origin;

service::routes! {
    /// The provider's endpoints.
    OIDC_ROUTES, pub router<Gatekeeper>,
    get "/.well-known/openid-configuration" Anyone => metadata::openid;
    get "/.well-known/oauth-authorization-server" Anyone => metadata::oauth;
    get "/.well-known/oauth-authorization-server/{*path}" Anyone => metadata::oauth_of_path;
    get "/jwks" Anyone => metadata::jwks;
    get "/authorize" Anyone => authorize::authorize;
    post "/token" Bearer => token::token;
    get "/userinfo" Bearer => userinfo::userinfo;
    post "/userinfo" Bearer => userinfo::userinfo;
    post "/introspect" Bearer => introspect::introspect;
    get "/logout" Anyone => logout::page;
    post "/logout" Anyone => logout::confirmed;
    get "/signed-out" Anyone => logout::signed_out;
}
