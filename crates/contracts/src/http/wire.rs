//! How a call and its answer look on the wire.

use std::time::Duration;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use crate::{Call, CallError, Sub};

pub(super) const ACCOUNT: &str = "x-account";
pub(super) const REQUEST_ID: &str = "x-request-id";
pub(super) const TIMEOUT_MS: &str = "x-timeout-ms";
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";
pub(super) const VERSION: &str = "x-version";

/// The longest a caller may ask a service to work for it.
const LONGEST: Duration = Duration::from_secs(60);

pub(super) fn headers_of(call: &Call) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    put(ACCOUNT, call.account.to_string());
    put(REQUEST_ID, call.request_id.clone());
    put(TIMEOUT_MS, call.timeout.as_millis().to_string());
    if let Some(key) = &call.idempotency_key {
        put(IDEMPOTENCY_KEY, key.clone());
    }
    if let Some(version) = call.version {
        put(VERSION, version.to_string());
    }
    headers
}

/// The call a request was made with.
pub(super) struct WireCall(pub(super) Call);

impl<S: Sync> FromRequestParts<S> for WireCall {
    type Rejection = WireError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, WireError> {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let account = text(ACCOUNT)
            .and_then(|value| Uuid::parse_str(value).ok())
            .ok_or_else(|| CallError::invalid(ACCOUNT, "The call names no account."))?;
        let timeout =
            text(TIMEOUT_MS).and_then(|value| value.parse().ok()).map_or(LONGEST, Duration::from_millis);
        Ok(Self(Call {
            account: Sub(account),
            request_id: text(REQUEST_ID).unwrap_or_default().to_owned(),
            timeout: timeout.min(LONGEST),
            idempotency_key: text(IDEMPOTENCY_KEY).map(str::to_owned),
            version: text(VERSION).and_then(|value| value.parse().ok()),
        }))
    }
}

/// An error on its way out.
pub(super) struct WireError(CallError);

impl From<CallError> for WireError {
    fn from(error: CallError) -> Self {
        Self(error)
    }
}

impl IntoResponse for WireError {
    fn into_response(self) -> Response {
        (status_of(&self.0), Json(self.0)).into_response()
    }
}

fn status_of(error: &CallError) -> StatusCode {
    match error {
        CallError::NotFound { .. } => StatusCode::NOT_FOUND,
        CallError::Forbidden { .. } => StatusCode::FORBIDDEN,
        CallError::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        CallError::Quota { .. } => StatusCode::PAYMENT_REQUIRED,
        CallError::Conflict { .. } => StatusCode::CONFLICT,
        CallError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Runs a method within the caller's timeout and renders its answer.
pub(super) async fn answer<T: serde::Serialize>(
    timeout: Duration,
    work: impl Future<Output = Result<T, CallError>>,
) -> Result<Json<T>, WireError> {
    match tokio::time::timeout(timeout, work).await {
        Ok(done) => Ok(Json(done?)),
        Err(_) => Err(CallError::unavailable("The service took too long to answer.").into()),
    }
}
