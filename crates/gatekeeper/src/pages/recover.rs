//! The forgotten password, the link for a new one, and the link that proves an address.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use secrecy::SecretString;
use service::rate::Neighbourhood;
use service::view::Form;
use service::web::SiteShell;

use super::{Posted, Visit, query, refuse, trouble};
use crate::Gatekeeper;

#[derive(Template, WebTemplate)]
#[template(path = "forgot.html")]
struct ForgotPage {
    shell: SiteShell,
    form: Form,
    sent: bool,
    by_mail: bool,
}

#[derive(Template, WebTemplate)]
#[template(path = "reset.html")]
struct ResetPage {
    shell: SiteShell,
    form: Form,
    token: String,
    username: String,
}

#[derive(Template, WebTemplate)]
#[template(path = "verify.html")]
struct VerifyPage {
    shell: SiteShell,
    token: String,
}

#[derive(Template, WebTemplate)]
#[template(path = "notice.html")]
struct Notice {
    shell: SiteShell,
    title: &'static str,
    text: &'static str,
    link: &'static str,
    button: &'static str,
}

fn forgot_page(gate: &Gatekeeper, visit: Visit, form: Form, sent: bool, status: StatusCode) -> Response {
    let by_mail = gate.0.mailer.really_sends();
    (status, ForgotPage { shell: visit.shell, form, sent, by_mail }).into_response()
}

pub async fn forgot(visit: Visit, State(gate): State<Gatekeeper>) -> Response {
    match &gate.0.upstream {
        Some(upstream) => Redirect::to(&upstream.account_page()).into_response(),
        None => forgot_page(&gate, visit, Form::new(), false, StatusCode::OK),
    }
}

pub async fn forgot_submit(
    visit: Visit,
    State(gate): State<Gatekeeper>,
    axum::Form(pairs): Posted,
) -> Response {
    let mut form = Form::from_pairs(pairs);
    if form.trimmed("who").is_empty() {
        form.refuse("who", "Type your username or your e-mail address.");
        return forgot_page(&gate, visit, form, false, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let allowed =
        visit.visitor.address.is_none_or(|from| gate.0.mails.take(Neighbourhood::from(from), 1.0).is_ok());
    if !allowed {
        form.refuse("", "Too many links were asked for from your address. Try again in an hour.");
        return forgot_page(&gate, visit, form, false, StatusCode::TOO_MANY_REQUESTS);
    }
    gate.forgot_password(form.value("who"), visit.now);
    forgot_page(&gate, visit, form, true, StatusCode::OK)
}

pub async fn reset(visit: Visit, State(gate): State<Gatekeeper>, RawQuery(asked): RawQuery) -> Response {
    let token = query(asked.as_deref(), "token");
    match gate.reset_of(&token, visit.now).await {
        Ok(Some(account)) => {
            ResetPage { shell: visit.shell, form: Form::new(), token, username: account.username }
                .into_response()
        }
        Ok(None) => bad_link(visit),
        Err(error) => trouble(error),
    }
}

pub async fn reset_submit(
    visit: Visit,
    State(gate): State<Gatekeeper>,
    axum::Form(pairs): Posted,
) -> Response {
    let mut form = Form::from_pairs(pairs);
    let token = form.value("token").to_owned();
    let account = match gate.reset_of(&token, visit.now).await {
        Ok(Some(account)) => account,
        Ok(None) => return bad_link(visit),
        Err(error) => return trouble(error),
    };
    let password = SecretString::from(form.value("password").to_owned());
    match gate.reset_password(&token, &password, visit.now).await {
        Ok(_) => Notice {
            shell: visit.shell,
            title: "Your password is changed",
            text: "Every browser was signed out. Sign in with the new password.",
            link: "/sign-in",
            button: "Sign in",
        }
        .into_response(),
        Err(error) => match refuse(&mut form, error) {
            Ok(status) => {
                let page = ResetPage { shell: visit.shell, form, token, username: account.username };
                (status, page).into_response()
            }
            Err(response) => response,
        },
    }
}

fn bad_link(visit: Visit) -> Response {
    let page = Notice {
        shell: visit.shell,
        title: "This link does not work any more",
        text: "It was used, or it is older than an hour, or a newer one was sent. Ask for another one.",
        link: "/forgot",
        button: "Send another link",
    };
    (StatusCode::NOT_FOUND, page).into_response()
}

/// The link itself changes nothing, because programs that look through mail open links too; the button does.
pub async fn verify(visit: Visit, RawQuery(asked): RawQuery) -> Response {
    VerifyPage { shell: visit.shell, token: query(asked.as_deref(), "token") }.into_response()
}

pub async fn verify_submit(
    visit: Visit,
    State(gate): State<Gatekeeper>,
    axum::Form(pairs): Posted,
) -> Response {
    let form = Form::from_pairs(pairs);
    match gate.verify_email(form.value("token"), visit.now).await {
        Ok(true) => Notice {
            shell: visit.shell,
            title: "Your address is confirmed",
            text: "Your bouncer may connect to outside networks now.",
            link: "/account",
            button: "Your account",
        }
        .into_response(),
        Ok(false) => {
            let page = Notice {
                shell: visit.shell,
                title: "This link does not work any more",
                text: "It was used, or a newer one was sent. You can ask for another one on your account page.",
                link: "/account",
                button: "Your account",
            };
            (StatusCode::NOT_FOUND, page).into_response()
        }
        Err(error) => trouble(error),
    }
}
