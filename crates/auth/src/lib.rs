//! The relying party every service uses: OIDC login, session rows, bearer tokens, user claims, CSRF and roles.
//!
//! A service with pages opens a [`RelyingParty`], merges its [`RelyingParty::router`] and puts [`RelyingParty::layer`]
//! around its routes; from then on [`UserClaims`] as an argument means "signed in", and [`Admin`] "as an administrator".
//! A service that others call puts [`TokenVerifier::guard`] before its `/internal` routes; one that calls others shows
//! the tokens of [`ServiceTokens`]. Only OpenID Connect is spoken, so that the issuer may be anybody.
//!
//! Cross-site requests are refused by [`service::web::Edge`], which every site has around it: this crate's cookies are of
//! no use without it.

mod account_cache;
mod claims;
mod cookies;
mod error;
mod follow;
#[doc(hidden)]
pub mod fuzz;
pub mod jwt;
mod live;
mod login;
mod logout;
pub mod provider;
mod relying_party;
mod service_tokens;
mod sessions;
mod verifier;

pub use account_cache::AccountCache;
pub use claims::{Admin, Denied, MaybeUser, UserClaims};
pub use error::{AuthError, problem_of};
pub use logout::{LogoutToken, verify_logout_token};
pub use openidconnect;
pub use relying_party::{ROUTES, RelyingParty, Settings};
pub use service_tokens::ServiceTokens;
pub use sessions::{MIGRATIONS, SessionInfo};
pub use verifier::{AccessClaims, KeySource, TokenVerifier};
