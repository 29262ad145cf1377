//! The headers that tell a browser to distrust everything a page did not say itself.

use std::convert::Infallible;

use axum::response::{IntoResponseParts, ResponseParts};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response};

use crate::sites::Origin;

/// Where a page's forms may lead besides its own origin. Chromium checks every redirect that follows, so a login page
/// names the origin it finally returns to. Part of an answer: `(FormAction::to([..]), page)`.
#[derive(Clone, Debug, Default)]
pub struct FormAction(Vec<String>);

impl FormAction {
    /// These origins too. Each must have been checked against a registered redirect URI.
    pub fn to(origins: impl IntoIterator<Item = Origin>) -> Self {
        Self(origins.into_iter().map(|origin| origin.to_string()).collect())
    }
}

impl IntoResponseParts for FormAction {
    type Error = Infallible;

    fn into_response_parts(self, mut res: ResponseParts) -> Result<ResponseParts, Infallible> {
        // What an inner layer said stays.
        let mut all = res.extensions_mut().remove::<Self>().unwrap_or_default();
        for origin in self.0 {
            if !all.0.contains(&origin) {
                all.0.push(origin);
            }
        }
        res.extensions_mut().insert(all);
        Ok(res)
    }
}

/// Where a page's pictures come from besides its own origin. Part of an answer: `(ImagesFrom::origin(…), page)`.
#[derive(Clone, Debug)]
pub struct ImagesFrom(Origin);

impl ImagesFrom {
    /// This origin too.
    pub fn origin(origin: Origin) -> Self {
        Self(origin)
    }
}

impl IntoResponseParts for ImagesFrom {
    type Error = Infallible;

    fn into_response_parts(self, mut res: ResponseParts) -> Result<ResponseParts, Infallible> {
        res.extensions_mut().insert(self);
        Ok(res)
    }
}

/// A policy of its own for a page that cannot live with the common one (`sandbox` for what users uploaded).
#[derive(Clone, Copy, Debug)]
pub struct ContentSecurityPolicy(pub &'static str);

impl IntoResponseParts for ContentSecurityPolicy {
    type Error = Infallible;

    fn into_response_parts(self, mut res: ResponseParts) -> Result<ResponseParts, Infallible> {
        res.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(self.0));
        Ok(res)
    }
}

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; font-src 'self'; img-src 'self' data:; \
     connect-src 'self'; manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Sets what the answer has not said itself.
pub(super) fn secure<B>(response: &mut Response<B>, https: bool) {
    let extra = response.extensions_mut().remove::<FormAction>().unwrap_or_default();
    let images = response.extensions_mut().remove::<ImagesFrom>();
    let headers = response.headers_mut();
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        let mut policy =
            extra.0.iter().fold(POLICY.to_owned(), |policy, origin| format!("{policy} {origin}"));
        if let Some(ImagesFrom(origin)) = images {
            policy = policy.replace("img-src 'self'", &format!("img-src 'self' {origin}"));
        }
        // An origin is printable ASCII; if it were not, the page does without it rather than without a policy.
        let value = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(POLICY));
        headers.insert(CONTENT_SECURITY_POLICY, value);
    }
    let mut default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(X_FRAME_OPTIONS, "DENY");
    default(REFERRER_POLICY, "same-origin");
    default(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    default(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    default(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    );
    // Pages show what only their user may see: no cache keeps one unless it says so itself.
    default(CACHE_CONTROL, "no-store");
    if https {
        default(STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}
