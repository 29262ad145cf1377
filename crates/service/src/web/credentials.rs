//! What a request shows of who sends it: cookies and bearer tokens.

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue};

/// The value of the cookie `name`; of several the first.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// A cookie to set that scripts cannot read and other sites do not send, for `seconds`; 0 takes it away. `value` is
/// base64url or the like. Never with a `Domain`, because tenants live under `*.irc.now`.
pub fn set_cookie(name: &str, value: &str, seconds: u64) -> Option<HeaderValue> {
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::from_str(&text).ok()
}

/// The token of an `Authorization: Bearer` header (RFC 6750 §2.1).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: http::HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let headers = with(COOKIE, &["a=1; session=x=y", "theme=dark;b="]);
        assert_eq!(cookie(&headers, "session"), Some("x=y"));
        assert_eq!(cookie(&headers, "theme"), Some("dark"));
        assert_eq!(cookie(&headers, "b"), Some(""));
        assert_eq!(cookie(&headers, "sess"), None);
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_not_set() {
        assert!(set_cookie("a", "b\r\nSet-Cookie: c", 1).is_none());
    }

    #[test]
    fn the_scheme_may_be_written_in_any_case() {
        assert_eq!(bearer(&with(AUTHORIZATION, &["bearer  t.o.k "])), Some("t.o.k"));
        assert_eq!(bearer(&with(AUTHORIZATION, &["Basic dDp0"])), None);
        assert_eq!(bearer(&with(AUTHORIZATION, &["Bearer"])), None);
    }
}
