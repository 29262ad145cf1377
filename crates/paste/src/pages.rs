//! What is answered, a module each: what it asks for, what it shows, what its forms do.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod edit;
pub(crate) mod help;
pub(crate) mod lines;
pub(crate) mod mine;
pub(crate) mod moderation;
pub(crate) mod new;
pub(crate) mod open;
pub(crate) mod openapi;
pub(crate) mod qr;
pub(crate) mod raw;
pub(crate) mod report;
pub(crate) mod revisions;
pub(crate) mod show;

use askama::Template;
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, StatusCode, Uri};
use service::view::Moment;
use service::web::{Format, Problem, wants};

use crate::app::Visitor;

/// What a page's handler answers.
pub(crate) type Page = Result<Response, Problem>;

/// What a browser sends with a form.
pub(crate) type Sent = axum::Form<Vec<(String, String)>>;

/// A rendered page.
pub(crate) fn page(template: &impl Template) -> Page {
    page_with(StatusCode::OK, template)
}

/// A rendered page with a status of its own.
pub(crate) fn page_with(status: StatusCode, template: &impl Template) -> Page {
    let html = template.render().map_err(Problem::internal)?;
    Ok((status, [(CACHE_CONTROL, "no-store")], Html(html)).into_response())
}

/// A text for programs.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Response {
    let head = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (status, head, text.into()).into_response()
}

/// Off to another page of the same site, after a form was taken.
pub(crate) fn go(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// What somebody gets who asks to manage what is not theirs: whoever is not signed in may be its owner and signs in first.
pub(crate) fn not_yours(visitor: &Visitor, uri: &Uri, headers: &HeaderMap) -> Response {
    if visitor.whose.account().is_some() {
        return Problem::new(
            StatusCode::NOT_FOUND,
            "You have no such paste.",
            "It may be another account's, or have expired.",
        )
        .into_response();
    }
    if wants(headers) != Format::Html {
        return Problem::new(
            StatusCode::UNAUTHORIZED,
            "Only its owner may do this.",
            "Show your username and an app password, or the token you got when you put it up.",
        )
        .into_response();
    }
    let query: String =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", uri.path()).finish();
    go(&format!("/auth/login?{query}"))
}

/// A moment of a row.
pub(crate) fn moment(at_us: i64) -> Moment {
    Moment::new(at_us / 1_000_000, service::clock::now_s())
}

/// A size in words.
pub(crate) fn size_words(bytes: u64) -> String {
    match bytes {
        0..1_000 => service::view::count(bytes, "byte", "bytes"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        _ => format!("{}.{:02} MB", bytes / 1_000_000, bytes % 1_000_000 / 10_000),
    }
}

/// The value of a field or a query; empty if it was not sent.
pub(crate) fn value<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    pairs.iter().rev().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_with_their_unit() {
        assert_eq!(size_words(1), "1 byte");
        assert_eq!(size_words(9_640), "9.6 kB");
        assert_eq!(size_words(1_048_576), "1.04 MB");
    }
}
