//! What the sidecar answers: figures, health, readiness, state.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use crds::sidecar::SidecarState;
use service::health::Readiness;
use service::http::HttpClient;
use service::metrics::Metrics;

/// How long soju may take for its figures.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most of them that is passed on.
const LONGEST: usize = 4 << 20;

/// What the answers are made of. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Answers {
    /// How things stand.
    pub state: Arc<Mutex<SidecarState>>,
    /// Our own figures.
    pub metrics: Metrics,
    /// Whether soju answers.
    pub readiness: Readiness,
    /// Where soju's own figures are.
    pub soju_metrics: Arc<Mutex<Option<String>>>,
    /// For asking soju for them.
    pub http: HttpClient,
    /// The file that holds the token for `/state`, if there is to be one.
    pub token_file: PathBuf,
}

/// `/metrics`, `/healthz`, `/readyz`, `/state`.
pub fn router(answers: Answers) -> Router {
    Router::new()
        .route("/metrics", get(figures))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/state", get(state))
        .with_state(answers)
}

async fn state(State(answers): State<Answers>, headers: HeaderMap) -> Response {
    if !allowed(&answers.token_file, &headers) {
        let words = "the state is for the operator: bring the bouncer's token\n";
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], words).into_response();
    }
    let state = answers.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ([(header::CACHE_CONTROL, "no-store")], Json(state)).into_response()
}

/// The file is read each time: tokens are changed under running processes. Only one that is not there lets everybody in;
/// one that cannot be read, or is empty, lets nobody in.
fn allowed(file: &Path, headers: &HeaderMap) -> bool {
    let token = match std::fs::read_to_string(file) {
        Ok(token) => token,
        Err(error) => return error.kind() == std::io::ErrorKind::NotFound,
    };
    let token = token.trim();
    let brought = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    brought.is_some_and(|brought| {
        !token.is_empty() && service::secrets::same(brought.trim().as_bytes(), token.as_bytes())
    })
}

async fn ready(State(answers): State<Answers>) -> (StatusCode, String) {
    let missing = answers.readiness.missing();
    if missing.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    let lines = missing.iter().map(|(name, reason)| format!("{name}: {reason}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines)
}

/// Ours and soju's in one answer, in the older text format, which both can be read as. soju's being away is no reason to
/// keep ours back.
async fn figures(State(answers): State<Answers>) -> impl IntoResponse {
    let own = answers.metrics.encode();
    let mut text = own.trim_end().strip_suffix("# EOF").unwrap_or(&own).to_owned();
    let place = answers.soju_metrics.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(place) = place {
        match soju_figures(&answers.http, &place).await {
            Ok(theirs) => text.push_str(&theirs),
            Err(error) => tracing::debug!(%error, "soju's figures are not to be had"),
        }
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

async fn soju_figures(http: &HttpClient, place: &str) -> Result<String, String> {
    let request = http.get(place).map_err(|error| error.to_string())?;
    let request = request.timeout(PATIENCE).header(header::ACCEPT, "text/plain;version=0.0.4");
    let mut answer = request.send().await.map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(answer.status().to_string());
    }
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        if text.len() + chunk.len() > LONGEST {
            return Err("they have no end".to_owned());
        }
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).map_err(|error| error.to_string())
}
