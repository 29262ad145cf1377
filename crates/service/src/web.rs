//! What every page and every answer has in common.
//!
//! A site wraps its routes once: `Edge::new("portal", sites, metrics).wrap(routes)`. From then on each request has an id,
//! is counted and logged, may not come from another site if it changes something, is answered in time and with the headers
//! a browser needs to distrust everything else; a panic or an error becomes a page that says what happened and what to do.
//! Merge [`crate::assets::router`] for the design.

mod accept;
mod client_ip;
mod credentials;
mod csrf;
mod edge;
pub(crate) mod fuzz;
mod headers;
mod problem;
mod request_id;
mod routes;
mod shell;

pub use accept::{Format, wants};
pub use client_ip::{Cidr, ClientIp};
pub use credentials::{bearer, cookie, set_cookie};
pub use edge::Edge;
pub use headers::{ContentSecurityPolicy, FormAction, ImagesFrom};
pub use problem::Problem;
pub use request_id::RequestId;
pub use routes::{Route, Who};
pub use shell::{ShellUser, SiteShell};

/// How a request came to the listener. Behind an ingress that ends TLS this says `Http`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}
