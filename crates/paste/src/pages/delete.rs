//! A paste is deleted by whoever put it up.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, Uri};
use service::secrets::sha256;
use service::web::{Format, Problem, SiteShell, wants};
use share::ShortId;

use super::{Sent, go, not_yours, page, text, value};
use crate::app::{App, Visitor};

#[derive(Template)]
#[template(path = "delete.html")]
struct Ask {
    shell: SiteShell,
    id: ShortId,
    heading: String,
}

pub async fn ask(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = match app.find(&id).await {
        Ok(known) if visitor.owns(&known.row) => known.row,
        // Who may not manage it does not learn whether it is there.
        Ok(_) | Err(_) => return Ok(not_yours(&visitor, &uri, &headers)),
    };
    let heading = if row.title.is_empty() { "this paste".to_owned() } else { row.title.clone() };
    page(&Ask { shell: visitor.shell, id: row.id, heading })
}

pub async fn delete(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    sent: Result<Sent, FormRejection>,
) -> Result<Response, Problem> {
    // curl sends none where nothing is to be said.
    let form = sent.map(|axum::Form(form)| form).unwrap_or_default();
    let Ok(id) = id.parse::<ShortId>() else { return Ok(not_yours(&visitor, &uri, &headers)) };
    let token = value(&form, "token");
    let manage = match token {
        "" => visitor.manage(),
        token => Some(sha256(token.as_bytes()).to_vec()),
    };
    // Two at one address are not one: without an account only the token counts.
    let owner = if visitor.whose.account().is_some() { visitor.owner.clone() } else { Vec::new() };
    if !app.store.delete(id, &owner, manage.as_deref()).await? {
        return Ok(not_yours(&visitor, &uri, &headers));
    }
    app.cache.forget(id);
    Ok(match wants(&headers) {
        Format::Html => go(if visitor.whose.account().is_some() { "/mine" } else { "/" }),
        Format::Json => StatusCode::NO_CONTENT.into_response(),
        Format::Plain => text(StatusCode::OK, "Deleted.\n"),
    })
}
