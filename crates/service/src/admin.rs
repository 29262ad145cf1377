//! The admin listener: figures, health, readiness, and the calls between services. Never on a public address.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::health::Readiness;
use crate::metrics::Metrics;

/// `/metrics`, `/healthz`, `/readyz`, and `internal` as it comes (its routes begin with `/internal/`, and whoever hands
/// it over has put the check of the caller's token in front of it).
pub fn router(metrics: Metrics, readiness: Readiness, internal: Router) -> Router {
    Router::new()
        .route("/metrics", get(figures).with_state(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(readiness))
        .merge(internal)
}

async fn figures(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.encode())
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    let missing = readiness.missing();
    if missing.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    let lines = missing.iter().map(|(name, reason)| format!("{name}: {reason}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines)
}
