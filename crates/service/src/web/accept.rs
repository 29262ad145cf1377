//! In which form a client wants its answer.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};

/// What an error is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For browsers.
    Html,
    /// For programs.
    Json,
    /// For curl.
    Plain,
}

/// The form `headers` ask for. Who says `text/html` gets a page; who sends or wants JSON gets that; others get text.
pub fn wants(headers: &HeaderMap) -> Format {
    let has = |name, what: &[&str]| {
        headers
            .get_all(&name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| what.iter().any(|what| value.to_ascii_lowercase().contains(what)))
    };
    if has(ACCEPT, &["text/html"]) {
        Format::Html
    } else if has(ACCEPT, &["application/json", "+json"]) || has(CONTENT_TYPE, &["application/json"]) {
        Format::Json
    } else {
        Format::Plain
    }
}
