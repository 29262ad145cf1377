//! The one layer around a site's routes.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use tracing::Instrument as _;

use super::accept::{Format, wants};
use super::client_ip::{Cidr, ClientIp};
use super::problem::Problem;
use super::request_id::{self, RequestId};
use super::shell::{ShellUser, SiteShell};
use super::{Scheme, csrf, headers};
use crate::metrics::Metrics;
use crate::sites::Sites;

/// What surrounds a site: see [the module](super).
#[derive(Clone, Debug)]
pub struct Edge {
    site: &'static str,
    sites: Sites,
    metrics: Metrics,
    body_limit: usize,
    timeout: Duration,
    trusted_proxies: Vec<Cidr>,
}

impl Edge {
    /// The edge of the site called `site` in figures and logs: bodies up to 256 KiB, answers within 30 s, no proxy trusted.
    pub fn new(site: &'static str, sites: Sites, metrics: Metrics) -> Self {
        Self {
            site,
            sites,
            metrics,
            body_limit: 256 * 1024,
            timeout: Duration::from_secs(30),
            trusted_proxies: Vec::new(),
        }
    }

    /// Takes bodies up to `bytes`.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Gives handlers this long to begin an answer. Streams may take longer once they have begun.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Believes `X-Forwarded-For` from these.
    pub fn trusted_proxies(mut self, ranges: Vec<Cidr>) -> Self {
        self.trusted_proxies = ranges;
        self
    }

    /// Puts the edge around `routes`. Do it last: what is added afterwards is outside.
    pub fn wrap(self, routes: Router) -> Router {
        let limit = DefaultBodyLimit::max(self.body_limit);
        routes.layer(limit).layer(from_fn_with_state(Arc::new(self), frame))
    }
}

/// What the edge must still know of a request when its answer comes.
struct Asked {
    uri: Uri,
    headers: HeaderMap,
    format: Format,
    id: RequestId,
}

async fn frame(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let in_flight = edge.metrics.begin(edge.site);
    let asked = Asked {
        uri: request.uri().clone(),
        headers: request.headers().clone(),
        format: wants(request.headers()),
        id: RequestId::of(request.headers()),
    };
    let client = ClientIp::find(request.extensions(), request.headers(), &edge.trusted_proxies);
    let https = edge.sites.root.is_https() || request.extensions().get::<Scheme>() == Some(&Scheme::Https);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    request.extensions_mut().insert(asked.id.clone());
    request.extensions_mut().insert(client);

    let span = tracing::info_span!("request", request_id = asked.id.as_str(), site = edge.site);
    async {
        let answer = if csrf::is_allowed(&method, &asked.uri, &asked.headers) {
            run(&edge, request, next).await
        } else {
            from_elsewhere().into_response()
        };
        let mut answer = edge.words(answer, &asked);
        headers::secure(&mut answer, https);
        if let Ok(id) = HeaderValue::from_str(asked.id.as_str()) {
            answer.headers_mut().insert(request_id::HEADER, id);
        }
        let (took, status) = (begun.elapsed(), answer.status());
        edge.metrics.answered(edge.site, &method, route.as_deref(), status, took);
        // The template, not the path: a path may hold what must not stand in a log.
        tracing::info!(
            target: "access",
            method = %method,
            route = route.as_deref().unwrap_or("none"),
            status = status.as_u16(),
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            client = %client.0,
            "answered"
        );
        drop(in_flight);
        answer
    }
    .instrument(span)
    .await
}

async fn run(edge: &Edge, request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(edge.timeout, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => {
            tracing::error!(panic = panic_words(panic.as_ref()), "a request panicked");
            Problem::of(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
        Err(_) => {
            tracing::warn!("a request took too long");
            Problem::of(StatusCode::GATEWAY_TIMEOUT).into_response()
        }
    }
}

fn panic_words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}

fn from_elsewhere() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "This request comes from another website.",
        "Open the page on irc.now itself and send it from there.",
    )
}

impl Edge {
    /// Puts an error into the words and the form its reader wants.
    fn words(&self, mut answer: Response, asked: &Asked) -> Response {
        let status = answer.status();
        let problem = match answer.extensions_mut().remove::<Problem>() {
            Some(problem) => problem,
            None if (status.is_client_error() || status.is_server_error())
                && is_bare(&answer, asked.format) =>
            {
                Problem::of(status)
            }
            None => return answer,
        };
        let user = answer.extensions_mut().remove::<ShellUser>();
        let shell = || SiteShell { user, ..SiteShell::new(&self.sites, &asked.uri, &asked.headers) };
        let mut rendered = problem.render(asked.format, &asked.id, shell);
        // What the handler said besides (cookies, `Retry-After`, `Allow`) stays.
        for (name, value) in answer.headers() {
            if name != CONTENT_TYPE && name != http::header::CONTENT_LENGTH {
                rendered.headers_mut().append(name, value.clone());
            }
        }
        rendered
    }
}

/// Whether an error has no body of its own worth keeping: none at all, or the framework's plain line where a page is wanted.
fn is_bare(answer: &Response, format: Format) -> bool {
    match answer.headers().get(CONTENT_TYPE) {
        None => true,
        Some(kind) => format == Format::Html && kind.as_bytes().starts_with(b"text/plain"),
    }
}
