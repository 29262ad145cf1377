//! Bodies of the fuzz targets in `/fuzz`; this crate's tests replay their corpora. Each takes any bytes and panics if a
//! promise is broken.

use axum::http::{HeaderMap, HeaderValue, header};
use url::Url;

use crate::clients::Client;
use crate::names::Username;
use crate::oidc::authorize::{Refused, Wish};
use crate::oidc::client_auth::{Fields, basic};
use crate::{pages, secret, text};

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[("gatekeeper_typed", typed), ("gatekeeper_oidc", oidc)];

/// What people type: usernames, app passwords and codes in any spelling, fingerprints, paths to come back to.
pub fn typed(data: &[u8]) {
    let typed = String::from_utf8_lossy(data);
    for name in Username::parse(&typed).ok().into_iter().chain(Username::suggest(&typed)) {
        assert_eq!(Username::parse(name.as_str()), Ok(name.clone()));
        assert!((1..=31).contains(&name.as_str().len()));
    }
    for canonical in [secret::as_app_password, secret::as_recovery_code] {
        if let Some(secret) = canonical(&typed) {
            assert_eq!(canonical(&secret), Some(secret));
        }
    }
    if let Some(bytes) = text::unhex(&typed) {
        assert_eq!(text::unhex(&text::hex(&bytes)), Some(bytes));
    }
    if let Some(bytes) = text::unbase64url(&typed) {
        assert_eq!(text::base64url(&bytes), typed);
    }
    let tidy = text::tidy(&typed, 40);
    assert!(tidy.chars().count() <= 40 && !tidy.contains(char::is_control));
    // Whatever a browser makes of it, it stays on the site.
    if pages::is_own_path(&typed)
        && let Ok(base) = Url::parse("https://auth.irc.test/")
    {
        let there = base.join(&typed).unwrap_or_else(|_| base.clone());
        assert_eq!(there.origin(), base.origin(), "{typed}");
    }
}

/// What relying parties send: an authorization request, a form, the credentials of a client.
pub fn oidc(data: &[u8]) {
    let query = String::from_utf8_lossy(data);
    let known = ["https://app.test/callback", "https://app.test/other?x=1"].map(|uri| Url::parse(uri).ok());
    let mut client = Client::new("app", None);
    client.redirect_uris = known.into_iter().flatten().collect();
    let wish = Wish::read(&query, |id| (id == "app").then_some(&client), "https://auth.test");
    let there = match &wish {
        Ok(wish) => Some(&wish.redirect_uri),
        Err(Refused::Back(url)) => Some(&**url),
        Err(Refused::Here(_)) => None,
    };
    // Nothing is ever sent to an address that is not the client's.
    assert!(there.is_none_or(|url| client.redirect_uris.iter().any(|known| url.path() == known.path())));
    assert!(there.is_none_or(|url| url.host_str() == Some("app.test")));

    let pairs = url::form_urlencoded::parse(data).into_owned().collect();
    if let Ok(fields) = Fields::new(pairs) {
        let _ = fields.get("client_id");
    }
    if let Ok(value) = HeaderValue::from_bytes(data) {
        let _ = basic(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
