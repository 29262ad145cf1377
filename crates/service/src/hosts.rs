//! Many sites on one port, told apart by the `Host` header, as `ircnow up` serves them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tower::ServiceExt as _;

use crate::sites::Origin;

/// Sites by name. What asks for none of them is told so (421), so that a name somebody else points at us serves nothing.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    sites: HashMap<String, Router>,
}

impl Hosts {
    /// No site yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves `router` under the host name of `site`, whatever port the browser names.
    pub fn site(mut self, site: &Origin, router: Router) -> Self {
        self.sites.insert(site.host().to_ascii_lowercase(), router);
        self
    }

    /// All of it as one router.
    pub fn into_router(self) -> Router {
        let sites = Arc::new(self.sites);
        Router::new().fallback(move |request: Request| {
            let sites = Arc::clone(&sites);
            async move { dispatch(&sites, request).await }
        })
    }
}

async fn dispatch(sites: &HashMap<String, Router>, request: Request) -> Response {
    let site = host(&request).and_then(|host| sites.get(&host).cloned());
    match site {
        Some(router) => match router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None => (
            StatusCode::MISDIRECTED_REQUEST,
            "No site of this installation has that name. Check the address.\n",
        )
            .into_response(),
    }
}

/// The host name a request is for, in lower case, without port.
fn host<B>(request: &http::Request<B>) -> Option<String> {
    let authority = match request.headers().get(header::HOST) {
        Some(value) => value.to_str().ok()?,
        None => request.uri().authority()?.as_str(),
    };
    let host = match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    };
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}
