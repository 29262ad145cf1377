//! Turning two-step sign-in on and off. The seed travels sealed through the form until a code has shown that the app has
//! it; only then is it kept.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use service::view::Form;
use service::web::SiteShell;

use super::account::{again, back};
use super::{Posted, Visit, refuse, trouble};
use crate::Gatekeeper;
use crate::error::Result;
use crate::sessions::SignedIn;
use crate::text::{base64url, unbase64url};
use crate::totp::Seed;

#[derive(Template, WebTemplate)]
#[template(path = "two_step.html")]
struct Page {
    shell: SiteShell,
    form: Form,
    sealed: String,
    key: String,
    /// The QR code as a `data:` URL; empty if there is none.
    qr: String,
}

#[derive(Template, WebTemplate)]
#[template(path = "recovery_codes.html")]
struct CodesPage {
    shell: SiteShell,
    codes: Vec<String>,
}

fn context(who: &SignedIn) -> String {
    format!("gatekeeper:new-totp:{}", who.account.sub)
}

fn build(gate: &Gatekeeper, shell: SiteShell, who: &SignedIn, seed: &Seed, form: Form) -> Result<Page> {
    let name = gate.0.sites.root.host();
    let svg = seed.qr_svg(name, &who.account.username).unwrap_or_default();
    let groups: Vec<String> =
        seed.base32().as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    Ok(Page {
        shell: shell.user(&who.account.username, &who.account.plan).section("account"),
        form,
        sealed: base64url(&gate.0.keyring.seal(&context(who), seed.as_bytes())?),
        key: groups.join(" "),
        qr: if svg.is_empty() { svg } else { format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg)) },
    })
}

pub async fn page(visit: Visit, State(gate): State<Gatekeeper>) -> Response {
    let who = match visit.required(&gate).await {
        Ok(who) => who,
        Err(response) => return response,
    };
    if let Some(upstream) = &gate.0.upstream {
        return Redirect::to(&upstream.account_page()).into_response();
    }
    if who.account.totp.is_some() {
        return Redirect::to("/account").into_response();
    }
    let page = Seed::random()
        .map_err(crate::error::Error::from)
        .and_then(|seed| build(&gate, visit.shell, &who, &seed, Form::new()));
    match page {
        Ok(page) => page.into_response(),
        Err(error) => trouble(error),
    }
}

pub async fn enable(visit: Visit, State(gate): State<Gatekeeper>, axum::Form(pairs): Posted) -> Response {
    let who = match visit.required(&gate).await {
        Ok(who) => who,
        Err(response) => return response,
    };
    if who.account.totp.is_some() || gate.0.upstream.is_some() {
        return Redirect::to("/account").into_response();
    }
    let mut form = Form::from_pairs(pairs);
    let seed = unbase64url(form.value("sealed"))
        .and_then(|sealed| gate.0.keyring.unseal(&context(&who), &sealed).ok());
    let Some(seed) = seed.map(Seed::from_bytes) else {
        return Redirect::to("/account/two-step").into_response();
    };
    match gate.enable_totp(who.account.sub, &seed, form.value("code"), visit.now).await {
        Ok(codes) => {
            let shell = visit.shell.user(&who.account.username, &who.account.plan).section("account");
            CodesPage { shell, codes }.into_response()
        }
        Err(error) => {
            let status: StatusCode = match refuse(&mut form, error) {
                Ok(status) => status,
                Err(response) => return response,
            };
            match build(&gate, visit.shell, &who, &seed, form) {
                Ok(page) => (status, page).into_response(),
                Err(error) => trouble(error),
            }
        }
    }
}

pub async fn disable(visit: Visit, State(gate): State<Gatekeeper>, axum::Form(pairs): Posted) -> Response {
    let who = match visit.required(&gate).await {
        Ok(who) => who,
        Err(response) => return response,
    };
    let form = Form::from_pairs(pairs);
    let current = SecretString::from(form.value("current_for_two_step").to_owned());
    let done = match gate.confirm_password(&who.account, &current, visit.now).await {
        Ok(()) => gate.disable_totp(who.account.sub, visit.now).await,
        Err(crate::error::Error::Answer(contracts::CallError::Invalid { message, .. })) => {
            Err(crate::error::invalid("current_for_two_step", message))
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => back("two-step-off"),
        Err(error) => again(&gate, visit, &who, form, error).await,
    }
}
