//! The id that ties an answer, an error page and the log lines of one request together.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use http::{HeaderMap, HeaderName};
use uuid::Uuid;

/// The header it travels in, both ways.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// A request's id. As an extractor it is there behind an [`Edge`](super::Edge).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    /// A new one.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7().simple().to_string().into())
    }

    /// The one the caller brought, if it looks like one (8 to 64 letters, digits, hyphens), else a new one.
    pub fn of(headers: &HeaderMap) -> Self {
        headers
            .get(HEADER)
            .and_then(|value| value.to_str().ok())
            .filter(|id| (8..=64).contains(&id.len()))
            .filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
            .map_or_else(Self::fresh, |id| Self(id.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::of(&parts.headers)))
    }
}
