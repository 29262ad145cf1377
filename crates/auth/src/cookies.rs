//! The cookies: `__Host-`, Secure, HttpOnly, Lax, never with a `Domain`, because tenants live under `*.irc.now`.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// The session's cookie.
pub(crate) const SESSION: &str = "__Host-session";
/// What the cookie of a sign-in under way begins with; the rest is the beginning of its state, so that two tabs do not
/// disturb each other.
const LOGIN: &str = "__Host-login-";

/// The name of the cookie of a sign-in under way.
pub(crate) fn login_name(state: &str) -> String {
    let short: String = state.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("{LOGIN}{short}")
}

/// The value of a cookie.
pub(crate) fn get(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// A cookie to set. `value` is base64url.
pub(crate) fn set(name: &str, value: &str, max_age_s: i64) -> Option<HeaderValue> {
    let text = format!("{name}={value}; Path=/; Max-Age={max_age_s}; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::from_str(&text).ok()
}

/// A cookie to take away.
pub(crate) fn clear(name: &str) -> Option<HeaderValue> {
    set(name, "", 0)
}
