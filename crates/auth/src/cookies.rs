//! The names of the cookies: `__Host-`, so that no other host can set them.

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
