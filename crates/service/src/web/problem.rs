//! Errors as their reader sees them: what happened, what to do, and an id to ask about.
//!
//! Two people read an error. The user gets whole sentences and the request id, nothing from inside. The operator finds
//! the cause in the log under the same id. So a [`Problem`] holds only words for the user, and whoever makes one from
//! an inner error goes through [`Problem::internal`], which writes the cause to the log.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

use super::accept::Format;
use super::request_id::RequestId;
use super::shell::SiteShell;

/// An answer that says why there is no other. Behind an [`Edge`](super::Edge) it becomes a page, JSON or text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    what: String,
    advice: String,
}

impl Problem {
    /// `what` happened and what to do (`advice`, may be empty): whole sentences for the user.
    pub fn new(status: StatusCode, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status, what: what.into(), advice: advice.into() }
    }

    /// The usual words for a status.
    pub fn of(status: StatusCode) -> Self {
        let (what, advice) = match status {
            StatusCode::BAD_REQUEST => (
                "The request cannot be understood.",
                "Go back, look over what you entered and send it again.",
            ),
            StatusCode::UNAUTHORIZED => ("You are not signed in.", "Sign in and try again."),
            StatusCode::FORBIDDEN => {
                ("You may not do this.", "If you should be able to, sign in with the right account.")
            }
            StatusCode::NOT_FOUND => {
                ("There is nothing here.", "Check the address, or start again from the front page.")
            }
            StatusCode::METHOD_NOT_ALLOWED => (
                "This address does not take that kind of request.",
                "Go back and use the page's own buttons.",
            ),
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => {
                ("This took too long.", "Try again in a moment.")
            }
            StatusCode::CONFLICT => (
                "It was changed by somebody else in the meantime.",
                "Load the page again and repeat your change.",
            ),
            StatusCode::GONE => ("This is not here any more.", "Start again from the front page."),
            StatusCode::PAYLOAD_TOO_LARGE => ("What you sent is too large.", "Send less."),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("This kind of content is not taken here.", "Send the form from its page.")
            }
            StatusCode::UNPROCESSABLE_ENTITY => (
                "Something in the form is missing or wrong.",
                "Go back, look over what you entered and send it again.",
            ),
            StatusCode::TOO_MANY_REQUESTS => ("That was too often.", "Wait a minute and try again."),
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => {
                ("A part of irc.now does not answer.", "Try again in a moment. Nothing you entered is lost.")
            }
            status if status.is_server_error() => (
                "The server failed while it answered.",
                "Try again. If it stays so, tell the operator the id below.",
            ),
            _ => ("This did not work.", "Go back and try again."),
        };
        Self::new(status, what, advice)
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::of(StatusCode::NOT_FOUND)
    }

    /// 500. The cause, with everything under it, goes to the log.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        tracing::error!(cause = %chain(cause.into().as_ref()), "a request failed");
        Self::of(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// 503. The cause goes to the log.
    pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        tracing::warn!(cause = %chain(cause.into().as_ref()), "a request could not be served");
        Self::of(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer in one form.
    pub(super) fn render(
        &self,
        format: Format,
        id: &RequestId,
        shell: impl FnOnce() -> SiteShell,
    ) -> Response {
        let (kind, body) = match format {
            Format::Html => {
                let page = Page { shell: shell(), problem: self, id: id.as_str() };
                match page.render() {
                    Ok(page) => ("text/html; charset=utf-8", page),
                    Err(error) => {
                        tracing::error!(%error, "the error page cannot be rendered");
                        ("text/plain; charset=utf-8", self.plain(id))
                    }
                }
            }
            Format::Json => {
                let body = serde_json::json!({
                    "error": self.status.canonical_reason().unwrap_or("error").to_ascii_lowercase().replace(' ', "_"),
                    "message": self.what,
                    "advice": self.advice,
                    "request_id": id.as_str(),
                });
                ("application/json", body.to_string())
            }
            Format::Plain => ("text/plain; charset=utf-8", self.plain(id)),
        };
        (self.status, [(CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response()
    }

    fn plain(&self, id: &RequestId) -> String {
        format!("{} {}\nRequest {}\n", self.what, self.advice, id.as_str())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{} {}\n", self.what, self.advice)).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<crate::db::DbError> for Problem {
    fn from(error: crate::db::DbError) -> Self {
        match &error {
            crate::db::DbError::Sql(inner) if crate::db::is_unavailable(inner) => Self::unavailable(error),
            _ => Self::internal(error),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        crate::db::DbError::from(error).into()
    }
}

/// An error and everything it came from, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Page<'a> {
    shell: SiteShell,
    problem: &'a Problem,
    id: &'a str,
}

impl Page<'_> {
    fn code(&self) -> u16 {
        self.problem.status.as_u16()
    }
}
