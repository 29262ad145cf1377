//! Its owner changes a paste; what it was stays as a revision.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Multipart, Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, Uri};
use service::clock::now_us;
use service::secrets::sha256;
use service::view::Form;
use service::web::{Problem, SiteShell};
use share::ShortId;

use super::show::is_open;
use super::{create, go, not_yours, page_with};
use crate::app::{App, Visitor, blocked};
use crate::cache::Known;
use crate::draft::Draft;
use crate::render;
use crate::store::{Change, StoreError};

#[derive(Template)]
#[template(path = "edit.html")]
struct Edit {
    shell: SiteShell,
    id: ShortId,
    revision: u64,
    form: Form,
    languages: &'static [&'static str],
}

/// The paste, if whoever asks may change it.
async fn theirs(
    app: &App,
    visitor: &Visitor,
    id: &str,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Known, Response> {
    match app.find(id).await {
        Ok(known) if visitor.owns(&known.row) && is_open(&known.row) => Ok(known),
        Ok(_) | Err(_) => Err(not_yours(visitor, uri, headers)),
    }
}

pub async fn form(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = match theirs(&app, &visitor, &id, &uri, &headers).await {
        Ok(known) => known.row,
        Err(refused) => return Ok(refused),
    };
    let form = Form::new()
        .with("text", String::from_utf8_lossy(&row.body))
        .with("title", row.title.clone())
        .with("language", row.language.clone());
    let (id, revision) = (row.id, row.revision);
    let languages = render::languages();
    page_with(StatusCode::OK, &Edit { shell: visitor.shell, id, revision, form, languages })
}

pub async fn change(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    parts: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Result<Response, Problem> {
    let row = match theirs(&app, &visitor, &id, &uri, &headers).await {
        Ok(known) => known.row,
        Err(refused) => return Ok(refused),
    };
    let parts = parts.map_err(|_| Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE))?;
    let (draft, rest) = match create::form(Draft::default(), parts).await {
        Ok(read) => read,
        Err(refused) => return Ok(create::refuse(&visitor, &refused)),
    };
    let revision = super::value(&rest, "revision").parse().unwrap_or(row.revision);
    let mut form = Form::new()
        .with("text", String::from_utf8_lossy(&draft.text))
        .with("title", draft.title.clone())
        .with("language", draft.language.clone());
    let again = |shell: SiteShell, form: Form, status: StatusCode| {
        page_with(status, &Edit { shell, id: row.id, revision, form, languages: render::languages() })
    };
    // Only the text and what it is called are changed; how long it stays is not asked anew.
    let ready = match (Draft { expires: "1s".to_owned(), ..draft }).check(&visitor.limits) {
        Ok(ready) => ready,
        Err(refusal) => {
            form.refuse(refusal.field(), refusal.to_string());
            return again(visitor.shell, form, StatusCode::UNPROCESSABLE_ENTITY);
        }
    };
    if let Err(too_often) = app.puts.take(&visitor.whose) {
        return Ok(too_often.into_response());
    }
    if app.abuse.is_blocked(&sha256(&ready.text)).await? {
        return Err(blocked());
    }
    let change = Change { title: ready.title, language: ready.language.to_owned(), body: ready.text };
    let changed = app.store.change(row.id, &row.owner, revision, &change, now_us()).await;
    app.cache.forget(row.id);
    match changed {
        Ok(()) => Ok(go(&format!("/{}", row.id))),
        Err(StoreError::NotTheirs) => {
            form.refuse("", "It was changed elsewhere in the meantime. What you typed is still here: look at both, then save again from the paste's page.");
            again(visitor.shell, form, StatusCode::CONFLICT)
        }
        Err(error) => Err(error.into()),
    }
}
