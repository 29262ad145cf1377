//! Identity and tokens: accounts, login, the OpenID provider, app passwords, SASL for every door, introspection and the change feed.
//!
//! Gatekeeper is the only issuer the other services know. Start with [`Gatekeeper`] (what the rest of the platform holds),
//! then `sign_up` and `sign_in` (how people come in), `oidc` (how our sites learn who they are), `sasl` (how IRC clients
//! come in) `servers` (how customers' bouncers and networks ask) and `store` (what is kept). Its pages are in `pages`, what an administrator may do in [`admin`].

pub mod admin;
mod clients;
mod config;
mod contract;
mod credentials;
mod dedicated;
mod deletion;
mod error;
mod export;
mod feed;
mod figures;
#[doc(hidden)]
pub mod fuzz;
mod gatekeeper;
mod keys;
mod mail;
mod names;
mod oidc;
mod pages;
mod password;
mod pepper;
mod routes;
mod sasl;
mod secret;
mod servers;
mod sessions;
mod shown;
mod sign_in;
mod sign_up;
mod store;
mod text;
mod throttle;
mod totp;
mod upstream;

pub use clients::{Client, Proof};
pub use config::{Config, Registration};
pub use dedicated::AUDIENCE as DEDICATED_AUDIENCE;
pub use error::Error;
pub use gatekeeper::{Deps, Gatekeeper};
pub use names::{NameError, Username};
pub use oidc::OIDC_ROUTES;
pub use pages::PAGE_ROUTES;
