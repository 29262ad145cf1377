//! The pages of the auth site. They work without a script; every form is posted to its own origin, and a page whose form
//! finally leads to a relying party names that party's checked origin in its policy.

mod account;
mod certificates;
mod recover;
mod second_step;
mod sign_in;
mod sign_up;
mod upstream;

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use contracts::CallError;
use service::assets::local_path;
use service::clock::now_s;
use service::sites::Origin;
use service::view::Form;
use service::web::{ClientIp, FormAction, Problem, SiteShell, cookie};

use crate::Gatekeeper;
use crate::error::{Error, Result};
use crate::oidc::redirect_origin;
use crate::password::PasswordError;
use crate::sessions::{SignedIn, Visitor};

pub(crate) const COOKIE: &str = "__Host-gate";

/// What a browser posts.
pub(crate) type Posted = axum::Form<Vec<(String, String)>>;

service::routes! {
    /// The pages.
    PAGE_ROUTES, pub router<Gatekeeper>,
    get "/" Anyone => front;
    get "/sign-up" Anyone => sign_up::page;
    post "/sign-up" Anyone => sign_up::submit;
    get "/sign-in" Anyone => sign_in::page;
    post "/sign-in" Anyone => sign_in::submit;
    post "/sign-in/code" Anyone => sign_in::second_factor;
    get "/forgot" Anyone => recover::forgot;
    post "/forgot" Anyone => recover::forgot_submit;
    get "/reset" Anyone => recover::reset;
    post "/reset" Anyone => recover::reset_submit;
    get "/verify" Anyone => recover::verify;
    post "/verify" Anyone => recover::verify_submit;
    get "/account" SignedIn => account::page;
    post "/account/password" SignedIn => account::password;
    post "/account/email" SignedIn => account::email;
    post "/account/email/again" SignedIn => account::email_again;
    post "/account/sessions/end" Owner => account::end_session;
    post "/account/sessions/end-others" SignedIn => account::end_others;
    post "/account/certificates/add" SignedIn => certificates::add;
    post "/account/certificates/revoke" Owner => certificates::revoke;
    get "/account/two-step" SignedIn => second_step::page;
    post "/account/two-step" SignedIn => second_step::enable;
    post "/account/two-step/off" SignedIn => second_step::disable;
    get "/keycloak/start" Anyone => upstream::start;
    get "/keycloak/callback" Anyone => upstream::callback;
    post "/keycloak/logout" Anyone => upstream::logout;
    get "/welcome" Anyone => upstream::welcome;
    post "/welcome" Anyone => upstream::welcome_submit;
}

async fn front(visit: Visit, State(gate): State<Gatekeeper>) -> Response {
    match visit.signed_in(&gate).await {
        Ok(Some(_)) => Redirect::to("/account").into_response(),
        Ok(None) => Redirect::to("/sign-in").into_response(),
        Err(error) => trouble(error),
    }
}

/// A request for a page: who asks, and what the layout needs.
pub struct Visit {
    pub shell: SiteShell,
    pub visitor: Visitor,
    pub cookie: Option<String>,
    pub now: i64,
}

impl FromRequestParts<Gatekeeper> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        gate: &Gatekeeper,
    ) -> std::result::Result<Self, Infallible> {
        let ClientIp(address) = ClientIp::from_request_parts(parts, gate).await?;
        let agent =
            parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        Ok(Self {
            shell: SiteShell::new(&gate.0.sites, &parts.uri, &parts.headers),
            visitor: Visitor { address: known(address), agent: agent.to_owned() },
            cookie: session_cookie(&parts.headers),
            now: now_s(),
        })
    }
}

fn known(address: IpAddr) -> Option<IpAddr> {
    (!address.is_unspecified()).then_some(address)
}

impl Visit {
    pub async fn signed_in(&self, gate: &Gatekeeper) -> Result<Option<SignedIn>> {
        match &self.cookie {
            Some(cookie) => gate.signed_in(cookie, self.now).await,
            None => Ok(None),
        }
    }

    /// Who is signed in, or the answer that sends to the sign-in page and back here.
    pub async fn required(&self, gate: &Gatekeeper) -> std::result::Result<SignedIn, Response> {
        match self.signed_in(gate).await {
            Ok(Some(who)) => Ok(who),
            Ok(None) => Err(Redirect::to("/sign-in?next=%2Faccount").into_response()),
            Err(error) => Err(trouble(error)),
        }
    }
}

pub(crate) fn session_cookie(headers: &HeaderMap) -> Option<String> {
    cookie(headers, COOKIE).map(str::to_owned)
}

/// Sets a cookie that only we get back. `seconds` of 0 takes it away.
pub(crate) fn set_cookie(response: &mut Response, name: &str, value: &str, seconds: u64) {
    if let Some(cookie) = service::web::set_cookie(name, value, seconds) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Where a sign-in leads: a path of ours, or the portal.
pub(crate) struct Destination {
    pub url: String,
    pub form_action: FormAction,
}

impl Destination {
    /// Only paths of our own are followed; everything else leads to the portal.
    pub fn of(gate: &Gatekeeper, next: &str) -> Self {
        if !is_own_path(next) {
            let my = &gate.0.sites.my;
            return Self { url: my.url("/"), form_action: FormAction::to([my.clone()]) };
        }
        let origin: Option<Origin> = redirect_origin(gate, next);
        Self { url: next.to_owned(), form_action: FormAction::to(origin) }
    }
}

/// A path a `Location` header can carry as it is.
pub(crate) fn is_own_path(next: &str) -> bool {
    local_path(next).is_some() && next.is_ascii() && next.len() <= 4096
}

/// A query's value, form-decoded.
pub(crate) fn query(uri_query: Option<&str>, name: &str) -> String {
    url::form_urlencoded::parse(uri_query.unwrap_or_default().as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// Signs a browser in and sends it on.
pub(crate) async fn enter(
    gate: &Gatekeeper,
    visit: &Visit,
    account: &crate::store::AccountRow,
    upstream: Option<&crate::sessions::UpstreamSession>,
    next: &str,
) -> Response {
    let begun =
        gate.begin_session(account, &visit.visitor, upstream, visit.cookie.as_deref(), visit.now).await;
    match begun {
        Ok(token) => {
            let mut response = Redirect::to(&Destination::of(gate, next).url).into_response();
            set_cookie(&mut response, COOKIE, &token, gate.0.config.session_lifetime.as_secs());
            response
        }
        Err(error) => trouble(error),
    }
}

/// Writes what is wrong into the form, and says with which status the page comes back. What is no matter of the form
/// becomes a page of its own.
#[expect(
    clippy::result_large_err,
    reason = "the error is the answer itself, made once and handed on at once"
)]
pub(crate) fn refuse(form: &mut Form, error: Error) -> std::result::Result<StatusCode, Response> {
    let answer = match error {
        Error::Answer(answer) => answer,
        Error::Password(weak @ (PasswordError::Weak(_) | PasswordError::Busy)) => {
            CallError::from(Error::Password(weak))
        }
        other => return Err(trouble(other)),
    };
    Ok(match answer {
        CallError::Invalid { field, message } => {
            form.refuse(&field, message);
            StatusCode::UNPROCESSABLE_ENTITY
        }
        CallError::Forbidden { reason } => {
            form.refuse("", reason);
            StatusCode::FORBIDDEN
        }
        CallError::Unavailable { reason } => {
            form.refuse("", reason);
            StatusCode::TOO_MANY_REQUESTS
        }
        CallError::Conflict { message } | CallError::Quota { message, .. } => {
            form.refuse("", message);
            StatusCode::CONFLICT
        }
        not_found @ CallError::NotFound { .. } => return Err(trouble(not_found.into())),
    })
}

/// An error as a page of its own.
pub(crate) fn trouble(error: Error) -> Response {
    let (status, what, advice) = match CallError::from(error) {
        CallError::NotFound { what } => (
            StatusCode::NOT_FOUND,
            format!("This {what} is not there any more."),
            "Go back and load the page again.",
        ),
        CallError::Forbidden { reason } => (StatusCode::FORBIDDEN, reason, ""),
        CallError::Invalid { message, .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, message, "Go back and change it.")
        }
        CallError::Quota { message, .. } | CallError::Conflict { message } => {
            (StatusCode::CONFLICT, message, "")
        }
        CallError::Unavailable { reason } => (StatusCode::SERVICE_UNAVAILABLE, reason, ""),
    };
    Problem::new(status, what, advice).into_response()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sign_in_leads_nowhere_but_to_our_own_paths() {
        for next in ["/account", "/authorize?client_id=portal&state=a%2Fb"] {
            assert!(is_own_path(next), "{next}");
        }
        for next in [
            "",
            "account",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nb",
            "/a\\b",
            "/ä",
        ] {
            assert!(!is_own_path(next), "{next}");
        }
    }

    proptest! {
        #[test]
        fn an_own_path_never_names_another_host(next in "\\PC{0,40}") {
            if is_own_path(&next) {
                let base = url::Url::parse("https://auth.irc.now/").ok();
                let joined = base.as_ref().and_then(|base| base.join(&next).ok());
                prop_assert_eq!(joined.and_then(|url| url.host_str().map(str::to_owned)), Some("auth.irc.now".to_owned()));
            }
        }
    }
}
