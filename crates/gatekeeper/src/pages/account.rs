//! The security of one's own account: password, address, sessions, certificates, what happened.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use contracts::{Credential, CredentialKind};
use secrecy::SecretString;
use service::view::{Form, Moment};
use service::web::SiteShell;

use super::{Posted, Visit, query, refuse, trouble};
use crate::Gatekeeper;
use crate::error::Result;
use crate::sessions::{SignedIn, client_of};

const EVENTS_SHOWN: u32 = 30;

#[derive(Template, WebTemplate)]
#[template(path = "account.html")]
struct Page {
    shell: SiteShell,
    form: Form,
    done: &'static str,
    username: String,
    email: Option<String>,
    email_verified: bool,
    /// Where password and second factor are kept, if not with us: its name and page.
    elsewhere: Option<(String, String)>,
    two_step: bool,
    recovery_codes: i64,
    sessions: Vec<Session>,
    certificates: Vec<Certificate>,
    events: Vec<Event>,
    passwords_url: String,
}

struct Session {
    sid: String,
    browser: String,
    address: String,
    seen: Moment,
    this: bool,
}

struct Certificate {
    id: String,
    name: String,
    fingerprint: String,
    used: Option<Moment>,
}

struct Event {
    when: Moment,
    text: String,
    address: String,
}

/// What a change says when the page comes back.
fn said(done: &str) -> &'static str {
    match done {
        "password" => "Your password is changed. Other browsers were signed out.",
        "email" => "Your address is changed.",
        "sent" => "A link was sent to your address.",
        "session" => "The browser is signed out.",
        "others" => "Every other browser is signed out.",
        "certificate" => "The certificate may log in now.",
        "revoked" => "The certificate is revoked. Whoever used it is disconnected.",
        "two-step-off" => "Two-step sign-in is off.",
        _ => "",
    }
}

pub(super) async fn render(
    gate: &Gatekeeper,
    visit: Visit,
    who: &SignedIn,
    form: Form,
    done: &'static str,
    status: StatusCode,
) -> Response {
    match build(gate, visit, who, form, done).await {
        Ok(page) => (status, page).into_response(),
        Err(error) => trouble(error),
    }
}

async fn build(
    gate: &Gatekeeper,
    visit: Visit,
    who: &SignedIn,
    form: Form,
    done: &'static str,
) -> Result<Page> {
    let (store, sub, now) = (&gate.0.store, who.account.sub, visit.now);
    let sessions = store.sessions_of(sub).await?.into_iter().map(|row| Session {
        browser: row.agent.as_deref().and_then(client_of).unwrap_or_else(|| "A program".to_owned()),
        address: row.address.unwrap_or_default(),
        seen: Moment::new(row.seen_at, now),
        this: row.sid == who.session.sid,
        sid: row.sid,
    });
    let certificates =
        store.credentials(sub).await?.into_iter().filter_map(|row| certificate(row.shown, now));
    let events = store.events(sub, EVENTS_SHOWN).await?.into_iter().map(|event| Event {
        when: Moment::new(event.at, now),
        text: event.text,
        address: event.address.unwrap_or_default(),
    });
    let elsewhere =
        gate.0.upstream.as_ref().map(|up| (gate.0.config.keycloak_name.clone(), up.account_page()));
    Ok(Page {
        form,
        done,
        sessions: sessions.collect(),
        certificates: certificates.collect(),
        events: events.collect(),
        username: who.account.username.clone(),
        email: who.account.email.clone(),
        email_verified: who.account.email_verified,
        elsewhere,
        two_step: who.account.totp.is_some(),
        recovery_codes: store.recovery_codes_left(sub).await?,
        passwords_url: gate.0.sites.my.url("/passwords"),
        shell: visit.shell.user(&who.account.username, &who.account.plan).section("account"),
    })
}

fn certificate(shown: Credential, now: i64) -> Option<Certificate> {
    let CredentialKind::Certificate { fingerprint } = shown.kind else { return None };
    Some(Certificate {
        id: shown.id.to_string(),
        name: shown.name,
        fingerprint,
        used: shown.last_used_at.map(|at| Moment::new(at, now)),
    })
}

/// Back to the page, with a word about what was done.
pub(super) fn back(done: &str) -> Response {
    Redirect::to(&format!("/account?done={done}")).into_response()
}

/// Back to the page with what is wrong.
pub(super) async fn again(
    gate: &Gatekeeper,
    visit: Visit,
    who: &SignedIn,
    mut form: Form,
    error: crate::error::Error,
) -> Response {
    match refuse(&mut form, error) {
        Ok(status) => render(gate, visit, who, form, "", status).await,
        Err(response) => response,
    }
}

pub async fn page(visit: Visit, State(gate): State<Gatekeeper>, RawQuery(asked): RawQuery) -> Response {
    let who = match visit.required(&gate).await {
        Ok(who) => who,
        Err(response) => return response,
    };
    let form = Form::new().with("email", who.account.email.clone().unwrap_or_default());
    let done = said(&query(asked.as_deref(), "done"));
    render(&gate, visit, &who, form, done, StatusCode::OK).await
}

pub async fn password(visit: Visit, State(gate): State<Gatekeeper>, axum::Form(pairs): Posted) -> Response {
    let who = match visit.required(&gate).await {
        Ok(who) => who,
        Err(response) => return response,
    };
    let form = Form::from_pairs(pairs);
    let current = SecretString::from(form.value("current").to_owned());
    let new = SecretString::from(form.value("password").to_owned());
    let changed = match gate.confirm_password(&who.account, &current, visit.now).await {
        Ok(()) => gate.change_password(&who.account, &new, Some(&who.session.sid), visit.now).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(()) => back("password"),
        Err(error) => again(&gate, visit, &who, form, error).await,
    }
}

pub async fn email(visit: Visit, State(gate): State<Gatekeeper>, axum::Form(pairs): Posted) -> Response {
    let who = match visit.required(&gate).await {
        Ok(who) => who,
        Err(response) => return response,
    };
    if gate.0.upstream.is_some() {
        return back("");
    }
    let form = Form::from_pairs(pairs);
    let current = SecretString::from(form.value("current_for_email").to_owned());
    let changed = match gate.confirm_password(&who.account, &current, visit.now).await {
        Ok(()) => gate.change_email(&who.account, form.value("email"), visit.now).await,
        Err(crate::error::Error::Answer(contracts::CallError::Invalid { message, .. })) => {
            Err(crate::error::invalid("current_for_email", message))
        }
        Err(error) => Err(error),
    };
    match changed {
        Ok(()) => back("email"),
        Err(error) => again(&gate, visit, &who, form, error).await,
    }
}

pub async fn email_again(visit: Visit, State(gate): State<Gatekeeper>) -> Response {
    let who = match visit.required(&gate).await {
        Ok(who) => who,
        Err(response) => return response,
    };
    if let Some(address) = visit.visitor.address
        && gate.0.mails.take(service::rate::Neighbourhood::from(address), 1.0).is_err()
    {
        return trouble(crate::error::unavailable(
            "Too many links were asked for from your address. Try again in an hour.",
        ));
    }
    match gate.send_verification(&who.account, visit.now).await {
        Ok(()) => back("sent"),
        Err(error) => trouble(error),
    }
}

pub async fn end_session(
    visit: Visit,
    State(gate): State<Gatekeeper>,
    axum::Form(pairs): Posted,
) -> Response {
    let who = match visit.required(&gate).await {
        Ok(who) => who,
        Err(response) => return response,
    };
    let form = Form::from_pairs(pairs);
    match gate.end_session(who.account.sub, form.value("sid"), visit.now).await {
        Ok(_) => back("session"),
        Err(error) => trouble(error),
    }
}

pub async fn end_others(visit: Visit, State(gate): State<Gatekeeper>) -> Response {
    let who = match visit.required(&gate).await {
        Ok(who) => who,
        Err(response) => return response,
    };
    match gate.end_other_sessions(who.account.sub, &who.session.sid, visit.now).await {
        Ok(()) => back("others"),
        Err(error) => trouble(error),
    }
}

impl Gatekeeper {
    async fn end_other_sessions(&self, sub: contracts::Sub, but: &str, now: i64) -> Result<()> {
        let mut tx = self.0.store.begin().await?;
        self.end_sessions_in(&mut tx, sub, Some(but), now).await?;
        self.note_in(&mut tx, sub, "sessions_ended", "Every other browser was signed out.", None, now)
            .await?;
        Ok(self.0.store.commit(tx).await?)
    }
}
