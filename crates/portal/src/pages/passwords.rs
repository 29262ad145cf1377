//! App passwords and device certificates: made, shown once, listed with their last use, revoked.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum_extra::extract::CookieJar;
use contracts::{CallError, Credential, CredentialKind, Scope};
use http::StatusCode;
use service::clock::now_s;
use service::view::{Form, Moment};
use service::web::{Problem, SiteShell};
use uuid::Uuid;

use crate::app::{App, Viewer};
use crate::fresh::Fresh;
use crate::pages::{self, Page, Sent, go, into_form, page, page_with, problem};
use crate::words;

struct Row {
    id: Uuid,
    name: String,
    kind: &'static str,
    fingerprint: Option<String>,
    created: Moment,
    used: Option<Moment>,
    client: String,
}

impl Row {
    fn new(credential: &Credential, now: i64) -> Self {
        Self {
            id: credential.id,
            name: credential.name.clone(),
            kind: words::kind_of(&credential.kind),
            fingerprint: match &credential.kind {
                CredentialKind::AppPassword => None,
                CredentialKind::Certificate { fingerprint } => Some(fingerprint.clone()),
            },
            created: Moment::new(credential.created_at, now),
            used: credential.last_used_at.map(|at| Moment::new(at, now)),
            client: credential.last_used_client.clone().unwrap_or_default(),
        }
    }
}

#[derive(Template)]
#[template(path = "passwords.html")]
struct Passwords {
    shell: SiteShell,
    rows: Vec<Row>,
    fresh: Option<Fresh>,
    form: Form,
    certificate: Form,
    key: String,
    certificate_key: String,
}

#[derive(Template)]
#[template(path = "revoke.html")]
struct Revoke {
    shell: SiteShell,
    row: Row,
    form: Form,
}

async fn render(
    app: &App,
    viewer: Viewer,
    jar: &CookieJar,
    form: Form,
    certificate: Form,
    status: StatusCode,
) -> Page {
    let now = now_s();
    let credentials = app.accounts.credentials(&viewer.call()).await.map_err(problem)?;
    page_with(
        status,
        &Passwords {
            fresh: app.fresh(&viewer, jar, &credentials, now),
            rows: credentials.iter().map(|credential| Row::new(credential, now)).collect(),
            key: app.key_of(&form),
            certificate_key: app.key_of(&certificate),
            form,
            certificate,
            shell: viewer.shell.section("passwords"),
        },
    )
}

/// `GET /passwords`
pub(crate) async fn list(State(app): State<Arc<App>>, viewer: Viewer, jar: CookieJar) -> Page {
    render(&app, viewer, &jar, Form::new(), Form::new(), StatusCode::OK).await
}

/// `POST /passwords`: `name`, `key`, `next`.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    jar: CookieJar,
    axum::Form(sent): Sent,
) -> Page {
    let mut form = Form::from_pairs(sent);
    let name = match form.trimmed("name") {
        "" => "unnamed".to_owned(),
        name => name.chars().take(64).collect(),
    };
    let call = viewer.changing(&form);
    match app.accounts.create_app_password(&call, name, vec![Scope::Irc, Scope::Upload]).await {
        Ok(new) => {
            app.nudge(viewer.account.sub);
            let cookie = Fresh::cookie(&app.keyring, viewer.account.sub, &new, now_s())
                .ok_or_else(|| Problem::of(StatusCode::INTERNAL_SERVER_ERROR))?;
            Ok((jar.add(cookie), go(pages::next(&form, "/passwords"))).into_response())
        }
        Err(error) => {
            let status = into_form(&mut form, error, &["name"])?;
            render(&app, viewer, &jar, form, Form::new(), status).await
        }
    }
}

/// `POST /passwords/hide`: the password just made is not shown any more.
pub(crate) async fn hide(_: Viewer, jar: CookieJar, axum::Form(sent): Sent) -> Page {
    let form = Form::from_pairs(sent);
    Ok((jar.add(Fresh::gone()), go(pages::next(&form, "/passwords"))).into_response())
}

/// `POST /certificates`: `name`, `fingerprint`, `key`.
pub(crate) async fn add_certificate(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    jar: CookieJar,
    axum::Form(sent): Sent,
) -> Page {
    let mut form = Form::from_pairs(sent);
    let name = match form.trimmed("name") {
        "" => "certificate".to_owned(),
        name => name.chars().take(64).collect(),
    };
    let Some(fingerprint) = fingerprint(form.value("fingerprint")) else {
        form.refuse(
            "fingerprint",
            "A SHA-256 fingerprint has 64 hexadecimal digits; colons between them are fine.",
        );
        return render(&app, viewer, &jar, Form::new(), form, StatusCode::UNPROCESSABLE_ENTITY).await;
    };
    match app.accounts.add_certificate(&viewer.changing(&form), name, fingerprint).await {
        Ok(_) => {
            app.nudge(viewer.account.sub);
            Ok(go("/passwords"))
        }
        Err(error) => {
            let status = into_form(&mut form, error, &["name", "fingerprint"])?;
            render(&app, viewer, &jar, Form::new(), form, status).await
        }
    }
}

/// A SHA-256 fingerprint in lower-case hex, however it was written.
pub(crate) fn fingerprint(text: &str) -> Option<String> {
    let hex: String = text
        .chars()
        .filter(|c| !matches!(c, ':' | ' ' | '-'))
        .collect::<String>()
        .trim()
        .to_ascii_lowercase();
    (hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(hex)
}

async fn own(app: &App, viewer: &Viewer, id: &str) -> Result<Credential, Problem> {
    let id = pages::id(id, "app password")?;
    let credentials = app.accounts.credentials(&viewer.call()).await.map_err(problem)?;
    credentials
        .into_iter()
        .find(|credential| credential.id == id)
        .ok_or_else(|| problem(CallError::not_found("app password")))
}

/// `GET /passwords/{id}/revoke`
pub(crate) async fn ask_revoke(State(app): State<Arc<App>>, viewer: Viewer, Path(id): Path<String>) -> Page {
    let row = Row::new(&own(&app, &viewer, &id).await?, now_s());
    page(&Revoke { shell: viewer.shell.section("passwords"), row, form: Form::new() })
}

/// `POST /passwords/{id}/revoke`: `confirm`, the credential's name.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    let mut form = Form::from_pairs(sent);
    let credential = own(&app, &viewer, &id).await?;
    if form.trimmed("confirm") != credential.name.trim() {
        form.refuse("confirm", format!("Type {} to revoke it.", credential.name));
        let row = Row::new(&credential, now_s());
        return page_with(
            StatusCode::UNPROCESSABLE_ENTITY,
            &Revoke { shell: viewer.shell.section("passwords"), row, form },
        );
    }
    app.accounts.revoke_credential(&viewer.changing(&form), credential.id).await.map_err(problem)?;
    app.nudge(viewer.account.sub);
    Ok(go("/passwords"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_taken_however_it_was_copied() {
        let hex = "9f".repeat(32);
        let pairs = vec!["9F"; 32].join(":");
        assert_eq!(fingerprint(&pairs), Some(hex.clone()));
        assert_eq!(fingerprint(&format!(" {hex} ")), Some(hex));
        assert_eq!(fingerprint("9f:3c"), None);
    }
}
