//! Sign-up.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use secrecy::SecretString;
use service::view::Form;
use service::web::SiteShell;

use super::{Destination, Posted, Visit, enter, query, refuse};
use crate::Gatekeeper;
use crate::config::Registration;
use crate::sign_up::SignUp;

#[derive(Template, WebTemplate)]
#[template(path = "sign_up.html")]
struct Page {
    shell: SiteShell,
    form: Form,
    next: String,
    closed: bool,
    by_invitation: bool,
    needs_email: bool,
}

fn render(gate: &Gatekeeper, visit: Visit, form: Form, status: StatusCode) -> Response {
    let next = form.value("next").to_owned();
    let to = Destination::of(gate, &next);
    let registration = gate.0.config.registration;
    let page = Page {
        shell: visit.shell,
        form,
        next,
        closed: registration == Registration::Closed,
        by_invitation: registration == Registration::Invitation,
        needs_email: gate.0.mailer.really_sends(),
    };
    (status, to.form_action, page).into_response()
}

pub async fn page(visit: Visit, State(gate): State<Gatekeeper>, RawQuery(asked): RawQuery) -> Response {
    let next = query(asked.as_deref(), "next");
    if gate.0.upstream.is_some() {
        return Redirect::to(&super::upstream::start_url(&next, true)).into_response();
    }
    let form = Form::new().with("next", next).with("invitation", query(asked.as_deref(), "invitation"));
    render(&gate, visit, form, StatusCode::OK)
}

pub async fn submit(visit: Visit, State(gate): State<Gatekeeper>, axum::Form(pairs): Posted) -> Response {
    let mut form = Form::from_pairs(pairs);
    let password = SecretString::from(form.value("password").to_owned());
    let typed = SignUp {
        username: form.value("username"),
        email: form.value("email"),
        password: &password,
        invitation: form.value("invitation"),
    };
    match gate.sign_up(&typed, &visit.visitor, visit.now).await {
        Ok(account) => enter(&gate, &visit, &account, None, form.value("next")).await,
        Err(error) => match refuse(&mut form, error) {
            Ok(status) => render(&gate, visit, form, status),
            Err(response) => response,
        },
    }
}
