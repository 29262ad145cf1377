//! Figures, health and state over HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use service::shutdown::Shutdown;
use tokio::net::TcpListener;

use super::Shared;
use super::config::SidecarState;

/// Serves until the process ends.
pub async fn run(listener: TcpListener, shared: Shared, shutdown: Shutdown) {
    let router = router(shared);
    let serving =
        axum::serve(listener, router).with_graceful_shutdown(async move { shutdown.cancelled().await });
    if let Err(error) = serving.await {
        tracing::error!(%error, "figures are served no more");
    }
}

/// `/metrics`, `/healthz`, `/readyz`, `/state`.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/state", get(|State(shared): State<Shared>| async move { Json(shared.get()) }))
        .with_state(shared)
}

async fn ready(State(shared): State<Shared>) -> impl IntoResponse {
    if shared.get().answering {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "ergo does not answer")
    }
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], figures(&shared.get()))
}

/// The figures in the text format of OpenMetrics. There are no labels but the version, so there are few series.
pub fn figures(state: &SidecarState) -> String {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::counter::ConstCounter;
    use prometheus_client::metrics::gauge::ConstGauge;
    use prometheus_client::metrics::info::Info;
    use prometheus_client::registry::Registry;

    let mut registry = Registry::with_prefix("ergo");
    let mut gauge =
        |name: &str, help: &str, value: i64| registry.register(name, help, ConstGauge::new(value));
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    gauge("up", "Whether the server answers", i64::from(state.answering));
    gauge("users", "Clients", signed(state.users));
    gauge("users_max", "The most clients there were at once", signed(state.max_users));
    gauge("channels", "Channels", signed(state.channels));
    gauge("full", "Whether as many clients are connected as may be", i64::from(state.full));
    if let Some(accounts) = state.accounts {
        gauge("accounts", "Accounts", signed(accounts));
    }
    if let Some(clients) = state.clients {
        gauge("users_limit", "Clients that may be connected at once", signed(clients));
    }
    if let Some(bytes) = state.storage_bytes {
        gauge("storage_bytes", "Bytes on the volume", signed(bytes));
    }
    if let Some(at) = state.started_at {
        gauge("start_time_seconds", "When the server started", at);
    }
    if let Some(rehash) = &state.rehash {
        let succeeded = i64::from(rehash.error.is_none());
        gauge("rehash_succeeded", "Whether the last configuration was taken", succeeded);
        gauge("rehash_time_seconds", "When the configuration was last read anew", rehash.at);
    }
    let turned_away = ConstCounter::new(state.turned_away);
    registry.register("turned_away", "Clients turned away because the network is full", turned_away);
    if let Some(version) = &state.version {
        registry.register("build", "The server's version", Info::new(vec![("version", version.clone())]));
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_what_the_state_says() {
        let state = SidecarState {
            answering: true,
            users: 7,
            accounts: Some(3),
            version: Some("ergo-2.19.1 \"x\"".to_owned()),
            ..SidecarState::default()
        };
        let text = figures(&state);
        for line in ["ergo_up 1", "ergo_users 7", "ergo_accounts 3", "ergo_turned_away_total 0"] {
            assert!(text.lines().any(|is| is == line), "{line} is not in {text}");
        }
        assert!(text.contains(r#"version="ergo-2.19.1 \"x\"""#), "{text}");
    }
}
