//! The way to the upstream provider and back, the first login's username, and its logout notices.

use askama::Template;
use askama_web::WebTemplate;
use auth::provider::Identity;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use contracts::Status;
use serde::{Deserialize, Serialize};
use service::view::Form;
use service::web::{Problem, SiteShell};

use super::{Destination, Posted, Visit, cookie, enter, query, refuse, set_cookie, trouble};
use crate::Gatekeeper;
use crate::error::{Error, Result, forbidden};
use crate::names::Username;
use crate::sasl::not_active;
use crate::sessions::UpstreamSession;
use crate::store::{AccountRow, SessionRow};
use crate::text::{base64url, unbase64url};
use crate::upstream::Journey;

const JOURNEY: &str = "__Host-gate-journey";
const JOURNEY_SEAL: &str = "gatekeeper:upstream-journey";
const NEWCOMER_SEAL: &str = "gatekeeper:upstream-newcomer";
const NEWCOMER_SECONDS: i64 = 3600;

#[derive(Template, WebTemplate)]
#[template(path = "welcome.html")]
struct Welcome {
    shell: SiteShell,
    form: Form,
    newcomer: String,
    provider: String,
}

/// Somebody the provider vouches for who has no account yet.
#[derive(Serialize, Deserialize)]
struct Newcomer {
    identity: Identity,
    id_token: String,
    next: String,
    until: i64,
}

/// The address that begins a login there.
pub fn start_url(next: &str, sign_up: bool) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    pairs.append_pair("next", next);
    if sign_up {
        pairs.append_pair("sign_up", "yes");
    }
    format!("/keycloak/start?{}", pairs.finish())
}

pub async fn start(visit: Visit, State(gate): State<Gatekeeper>, RawQuery(asked): RawQuery) -> Response {
    let Some(upstream) = &gate.0.upstream else { return Redirect::to("/sign-in").into_response() };
    let sign_up = query(asked.as_deref(), "sign_up") == "yes";
    let begun = upstream.begin(&query(asked.as_deref(), "next"), sign_up, visit.now).await;
    match begun.and_then(|(url, journey)| Ok((url, gate.seal_text(JOURNEY_SEAL, &journey)?))) {
        Ok((url, sealed)) => {
            let mut response = Redirect::to(&url).into_response();
            set_cookie(&mut response, JOURNEY, &sealed, 1800);
            response
        }
        Err(error) => trouble(error),
    }
}

pub async fn callback(
    visit: Visit,
    State(gate): State<Gatekeeper>,
    headers: HeaderMap,
    RawQuery(asked): RawQuery,
) -> Response {
    let journey =
        cookie(&headers, JOURNEY).and_then(|sealed| gate.open_text::<Journey>(JOURNEY_SEAL, sealed));
    let state = query(asked.as_deref(), "state");
    let Some(journey) = journey.filter(|journey| journey.until >= visit.now && journey.state == state) else {
        let advice = "Start again from the page you came from.";
        return Problem::new(
            StatusCode::BAD_REQUEST,
            "This sign-in took too long, or began in another browser.",
            advice,
        )
        .into_response();
    };
    if !query(asked.as_deref(), "error").is_empty() {
        let what = format!("{} did not sign you in.", gate.0.config.keycloak_name);
        return Problem::new(StatusCode::FORBIDDEN, what, "Start again from the page you came from.")
            .into_response();
    }
    let arrived = gate.arrive(&query(asked.as_deref(), "code"), &journey, &visit).await;
    let mut response = arrived.unwrap_or_else(trouble);
    set_cookie(&mut response, JOURNEY, "", 0);
    response
}

pub async fn welcome(visit: Visit, State(gate): State<Gatekeeper>, RawQuery(asked): RawQuery) -> Response {
    let sealed = query(asked.as_deref(), "newcomer");
    let Some(newcomer) = gate.newcomer(&sealed, visit.now) else {
        return Redirect::to("/sign-in").into_response();
    };
    let suggested = newcomer.identity.username.as_deref().and_then(Username::suggest);
    let form = Form::new().with("username", suggested.map(|name| name.to_string()).unwrap_or_default());
    render(&gate, visit, form, sealed, &newcomer.next, StatusCode::OK)
}

fn render(
    gate: &Gatekeeper,
    visit: Visit,
    form: Form,
    newcomer: String,
    next: &str,
    status: StatusCode,
) -> Response {
    let to = Destination::of(gate, next);
    let provider = gate.0.config.keycloak_name.clone();
    (status, to.form_action, Welcome { shell: visit.shell, form, newcomer, provider }).into_response()
}

pub async fn welcome_submit(
    visit: Visit,
    State(gate): State<Gatekeeper>,
    axum::Form(pairs): Posted,
) -> Response {
    let mut form = Form::from_pairs(pairs);
    let sealed = form.value("newcomer").to_owned();
    let (Some(newcomer), Some(upstream)) = (gate.newcomer(&sealed, visit.now), &gate.0.upstream) else {
        return Redirect::to("/sign-in").into_response();
    };
    let who = &newcomer.identity;
    let email = who.email.as_deref().map(|email| (email, who.email_verified));
    let identity = (upstream.issuer(), who.sub.as_str());
    let made =
        gate.sign_up_from_upstream(form.value("username"), email, identity, &visit.visitor, visit.now).await;
    match made {
        Ok(account) => {
            let there =
                UpstreamSession { sid: who.ours.sid.clone(), id_token: Some(newcomer.id_token.clone()) };
            enter(&gate, &visit, &account, Some(&there), &newcomer.next).await
        }
        Err(error) => match refuse(&mut form, error) {
            Ok(status) => render(&gate, visit, form, sealed, &newcomer.next, status),
            Err(response) => response,
        },
    }
}

/// Back-channel logout, as the provider sends it: 200 when it was heard, 400 when it makes no sense.
pub async fn logout(visit: Visit, State(gate): State<Gatekeeper>, axum::Form(pairs): Posted) -> Response {
    let token = Form::from_pairs(pairs).value("logout_token").to_owned();
    match gate.logged_out_there(&token, visit.now).await {
        Ok(true) => ([("cache-control", "no-store")], StatusCode::OK).into_response(),
        Ok(false) => ([("cache-control", "no-store")], StatusCode::BAD_REQUEST).into_response(),
        Err(error) => trouble(error),
    }
}

impl Gatekeeper {
    fn seal_text(&self, context: &str, what: &impl Serialize) -> Result<String> {
        let plain = serde_json::to_vec(what).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(base64url(&self.0.keyring.seal(context, &plain)?))
    }

    fn open_text<T: serde::de::DeserializeOwned>(&self, context: &str, sealed: &str) -> Option<T> {
        let plain = self.0.keyring.unseal(context, &unbase64url(sealed)?).ok()?;
        serde_json::from_slice(&plain).ok()
    }

    fn newcomer(&self, sealed: &str, now: i64) -> Option<Newcomer> {
        self.open_text::<Newcomer>(NEWCOMER_SEAL, sealed).filter(|newcomer| newcomer.until >= now)
    }

    async fn arrive(&self, code: &str, journey: &Journey, visit: &Visit) -> Result<Response> {
        let Some(upstream) = &self.0.upstream else { return Ok(Redirect::to("/sign-in").into_response()) };
        let (identity, id_token) = upstream.finish(code, journey).await?;
        let Some(account) = self.0.store.account_by_upstream(upstream.issuer(), &identity.sub).await? else {
            let newcomer = Newcomer {
                identity,
                id_token,
                next: journey.next.clone(),
                until: visit.now + NEWCOMER_SECONDS,
            };
            let sealed = self.seal_text(NEWCOMER_SEAL, &newcomer)?;
            return Ok(Redirect::to(&format!("/welcome?newcomer={sealed}")).into_response());
        };
        if account.status != Status::Active {
            return Err(forbidden(not_active(account.status)));
        }
        self.follow_address(&account, &identity, visit.now).await?;
        let there = UpstreamSession { sid: identity.ours.sid.clone(), id_token: Some(id_token) };
        Ok(enter(self, visit, &account, Some(&there), &journey.next).await)
    }

    /// An address changed there is changed here at the next login.
    async fn follow_address(&self, account: &AccountRow, identity: &Identity, now: i64) -> Result<()> {
        if account.email == identity.email && account.email_verified == identity.email_verified {
            return Ok(());
        }
        let mut tx = self.0.store.begin().await?;
        self.0
            .store
            .set_email(&mut tx, account.sub, identity.email.as_deref(), identity.email_verified)
            .await?;
        self.0.store.touch(&mut tx, account.sub, now).await?;
        Ok(self.0.store.commit(tx).await?)
    }

    /// Ends here what ended there; `false` if the token is not good. A token that comes again has done its work.
    async fn logged_out_there(&self, token: &str, now: i64) -> Result<bool> {
        let Some(upstream) = &self.0.upstream else { return Ok(false) };
        let Some(logout) = upstream.logout_token(token, now).await? else { return Ok(false) };
        let sessions: Vec<SessionRow> = match (&logout.sid, &logout.sub) {
            (Some(sid), _) => self.0.store.sessions_of_upstream(sid).await?,
            (None, Some(sub)) => match self.0.store.account_by_upstream(upstream.issuer(), sub).await? {
                Some(account) => self.0.store.sessions_of(account.sub).await?,
                None => Vec::new(),
            },
            (None, None) => Vec::new(),
        };
        let mut tx = self.0.store.begin().await?;
        match self.0.store.see_logout_token(&mut tx, &logout.jti, now + 3600).await {
            Err(error) if error.is_taken() => return Ok(true),
            other => other?,
        }
        for session in &sessions {
            self.0.store.end_session(&mut tx, session, now).await?;
        }
        self.0.store.commit(tx).await?;
        Ok(true)
    }
}
