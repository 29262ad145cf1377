//! Sign-in: the password, then the one-time code where it is on. Between the two the browser carries a sealed note of who
//! passed the first step.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use contracts::Sub;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use service::view::Form;
use service::web::SiteShell;

use super::{Destination, Posted, Visit, enter, query, refuse, trouble};
use crate::Gatekeeper;
use crate::config::Registration;
use crate::error::{Error, Result};
use crate::sign_in::SignIn;
use crate::text::{base64url, unbase64url};

const SEALED_FOR: &str = "gatekeeper:first-step";
/// Seconds between the two steps.
const PATIENCE: i64 = 600;

#[derive(Template, WebTemplate)]
#[template(path = "sign_in.html")]
struct Page {
    shell: SiteShell,
    form: Form,
    next: String,
    can_sign_up: bool,
}

#[derive(Template, WebTemplate)]
#[template(path = "code.html")]
struct CodePage {
    shell: SiteShell,
    form: Form,
    next: String,
    step: String,
}

#[derive(Serialize, Deserialize)]
struct FirstStep {
    sub: Sub,
    until: i64,
}

fn render(gate: &Gatekeeper, visit: Visit, form: Form, status: StatusCode) -> Response {
    let next = form.value("next").to_owned();
    let to = Destination::of(gate, &next);
    let can_sign_up = gate.0.config.registration != Registration::Closed;
    (status, to.form_action, Page { shell: visit.shell, form, next, can_sign_up }).into_response()
}

pub async fn page(visit: Visit, State(gate): State<Gatekeeper>, RawQuery(asked): RawQuery) -> Response {
    let next = query(asked.as_deref(), "next");
    if gate.0.upstream.is_some() {
        return Redirect::to(&super::upstream::start_url(&next, false)).into_response();
    }
    let form = Form::new().with("next", next).with("username", query(asked.as_deref(), "username"));
    render(&gate, visit, form, StatusCode::OK)
}

pub async fn submit(visit: Visit, State(gate): State<Gatekeeper>, axum::Form(pairs): Posted) -> Response {
    let mut form = Form::from_pairs(pairs);
    let password = SecretString::from(form.value("password").to_owned());
    let checked = gate.check_password(form.value("username"), &password, &visit.visitor, visit.now).await;
    match checked {
        Ok(SignIn::Done(account)) => enter(&gate, &visit, &account, None, form.value("next")).await,
        Ok(SignIn::SecondFactor(account)) => match gate.seal_first_step(account.sub, visit.now) {
            Ok(step) => {
                render_code(&gate, visit, Form::new().with("next", form.value("next")), step, StatusCode::OK)
            }
            Err(error) => trouble(error),
        },
        Err(error) => match refuse(&mut form, error) {
            Ok(status) => render(&gate, visit, form, status),
            Err(response) => response,
        },
    }
}

fn render_code(gate: &Gatekeeper, visit: Visit, form: Form, step: String, status: StatusCode) -> Response {
    let next = form.value("next").to_owned();
    let to = Destination::of(gate, &next);
    (status, to.form_action, CodePage { shell: visit.shell, form, next, step }).into_response()
}

pub async fn second_factor(
    visit: Visit,
    State(gate): State<Gatekeeper>,
    axum::Form(pairs): Posted,
) -> Response {
    let mut form = Form::from_pairs(pairs);
    let step = form.value("step").to_owned();
    let Some(sub) = gate.open_first_step(&step, visit.now) else {
        let mut form = Form::new().with("next", form.value("next"));
        form.refuse("", "That took too long. Sign in again.");
        return render(&gate, visit, form, StatusCode::FORBIDDEN);
    };
    match gate.check_second_factor(sub, form.value("code"), visit.now).await {
        Ok(account) => enter(&gate, &visit, &account, None, form.value("next")).await,
        Err(error) => match refuse(&mut form, error) {
            Ok(status) => render_code(&gate, visit, form, step, status),
            Err(response) => response,
        },
    }
}

impl Gatekeeper {
    fn seal_first_step(&self, sub: Sub, now: i64) -> Result<String> {
        let note = serde_json::to_vec(&FirstStep { sub, until: now + PATIENCE });
        let note = note.map_err(|error| Error::Internal(error.to_string()))?;
        Ok(base64url(&self.0.keyring.seal(SEALED_FOR, &note)?))
    }

    fn open_first_step(&self, sealed: &str, now: i64) -> Option<Sub> {
        let note = self.0.keyring.unseal(SEALED_FOR, &unbase64url(sealed)?).ok()?;
        let note: FirstStep = serde_json::from_slice(&note).ok()?;
        (note.until >= now).then_some(note.sub)
    }
}
