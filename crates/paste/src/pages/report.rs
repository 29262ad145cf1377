//! Somebody says that a paste should not be there.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use service::view::Form;
use service::web::{Format, Problem, SiteShell, wants};
use share::{NewReport, Reason, ShortId};

use super::{Sent, page_with, text};
use crate::app::{App, Visitor};

#[derive(Template)]
#[template(path = "report.html")]
struct Report {
    shell: SiteShell,
    id: ShortId,
    form: Form,
    reasons: Vec<(&'static str, &'static str)>,
    done: bool,
}

impl Report {
    fn new(shell: SiteShell, id: ShortId, form: Form, done: bool) -> Self {
        Self {
            shell,
            id,
            form,
            reasons: Reason::ALL.map(|reason| (reason.key(), reason.words())).into(),
            done,
        }
    }
}

pub async fn ask(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = app.find(&id).await?.row.id;
    page_with(StatusCode::OK, &Report::new(visitor.shell, id, Form::new(), false))
}

pub async fn report(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
    headers: HeaderMap,
    axum::Form(sent): Sent,
) -> Result<Response, Problem> {
    let id = app.find(&id).await?.row.id;
    let mut form = Form::from_pairs(sent);
    let Some(reason) = Reason::from_key(form.value("reason")) else {
        form.refuse("reason", "Choose what is wrong with it.");
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return page_with(status, &Report::new(visitor.shell, id, form, false));
    };
    if let Err(too_often) = app.reports.take(&visitor.whose) {
        return Ok(too_often.into_response());
    }
    let words = form.trimmed("words").to_owned();
    let reporter = visitor.owner.clone();
    app.abuse.report(&NewReport { thing: id.as_str(), reporter, reason, words: &words }).await?;
    if wants(&headers) != Format::Html {
        return Ok(text(StatusCode::ACCEPTED, "Thank you. A moderator will look at it.\n"));
    }
    page_with(StatusCode::OK, &Report::new(visitor.shell, id, form, true))
}
