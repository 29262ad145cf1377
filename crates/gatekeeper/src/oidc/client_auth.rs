//! How a client proves itself at the token and introspection endpoints (RFC 6749 §2.3.1), and how it is refused.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::ServerId;
use serde_json::json;

use crate::Gatekeeper;
use crate::clients::Client;
use crate::error::Error;

/// An error as RFC 6749 §5.2 writes it.
#[derive(Debug)]
pub struct OAuthError {
    status: StatusCode,
    code: &'static str,
    text: &'static str,
}

impl OAuthError {
    pub const INVALID_CLIENT: Self = Self {
        status: StatusCode::UNAUTHORIZED,
        code: "invalid_client",
        text: "The client is unknown or its secret is wrong.",
    };

    pub const fn new(code: &'static str, text: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, text }
    }

    pub const fn grant(text: &'static str) -> Self {
        Self::new("invalid_grant", text)
    }
}

impl From<Error> for OAuthError {
    fn from(error: Error) -> Self {
        tracing::error!(%error, "the provider could not answer");
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "temporarily_unavailable",
            text: "Accounts cannot be reached right now.",
        }
    }
}

impl From<crate::store::StoreError> for OAuthError {
    fn from(error: crate::store::StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<service::secrets::SecretError> for OAuthError {
    fn from(error: service::secrets::SecretError) -> Self {
        Error::from(error).into()
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.code, "error_description": self.text }));
        let mut response = (self.status, [(header::CACHE_CONTROL, "no-store")], body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"irc.now\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// A form as it was posted: each name at most once (RFC 6749 §3.2).
pub struct Fields(Vec<(String, String)>);

impl Fields {
    pub fn new(pairs: Vec<(String, String)>) -> Result<Self, OAuthError> {
        let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(OAuthError::new("invalid_request", "A parameter came twice."));
        }
        Ok(Self(pairs))
    }

    /// The value of a name; an empty one counts as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

/// Who asks, proven.
pub enum Asker<'a> {
    /// A client that was configured.
    Client(&'a Client),
    /// An IRC server of a customer, by its derived secret.
    Server(ServerId),
}

impl Gatekeeper {
    /// The configured client or the server a request comes from, proven by its secret; or a public client.
    pub(super) fn asker(&self, headers: &HeaderMap, fields: &Fields) -> Result<Asker<'_>, OAuthError> {
        let (id, secret) = match basic(headers) {
            Some(pair) => pair,
            None => (
                fields.get("client_id").ok_or(OAuthError::INVALID_CLIENT)?.to_owned(),
                fields.get("client_secret").unwrap_or_default().to_owned(),
            ),
        };
        if let Some(server) = self.proven_server(&id, &secret) {
            return Ok(Asker::Server(server));
        }
        let client = self.client(&id).ok_or(OAuthError::INVALID_CLIENT)?;
        let proven = match client.secret {
            Some(_) => client.has_secret(&secret),
            None => secret.is_empty(),
        };
        if proven { Ok(Asker::Client(client)) } else { Err(OAuthError::INVALID_CLIENT) }
    }
}

/// Name and secret of a Basic header; both are form-encoded inside (RFC 6749 §2.3.1).
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| {
        url::form_urlencoded::parse(format!("x={text}").as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    Some((plain(id), plain(secret)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn name_and_secret_are_form_encoded_inside_the_header() {
        let mut headers = HeaderMap::new();
        let value = format!("Basic {}", STANDARD.encode("my%2Dportal:a%20b+c%3A"));
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        assert_eq!(basic(&headers), Some(("my-portal".to_owned(), "a b c:".to_owned())));
    }

    #[test]
    fn a_parameter_that_comes_twice_is_refused() {
        let twice = vec![("code".to_owned(), "a".to_owned()), ("code".to_owned(), "b".to_owned())];
        assert!(Fields::new(twice).is_err());
    }
}
