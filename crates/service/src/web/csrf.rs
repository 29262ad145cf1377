//! What changes something comes from the same origin, or from no browser at all.
//!
//! Not "the same site": tenants live under `*.irc.now`. Browsers say where a request comes from in `Sec-Fetch-Site` (where
//! the origin is trustworthy) or in `Origin` (always, for POST); a request with neither was made by no browser that holds
//! our cookies.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method, Uri};

/// Whether the request may change something.
pub(super) fn is_allowed(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    let text =
        |name| headers.get(name).map(|value: &http::HeaderValue| value.to_str().unwrap_or("unreadable"));
    if let Some(site) = text(http::HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    match text(ORIGIN) {
        None => true,
        Some(origin) => {
            let own = text(HOST).or_else(|| uri.authority().map(|authority| authority.as_str()));
            let theirs = origin.split_once("://").map(|(_, authority)| authority);
            matches!((own, theirs), (Some(own), Some(theirs)) if own.eq_ignore_ascii_case(theirs))
        }
    }
}
