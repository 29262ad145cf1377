//! Albums: a title over pictures.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use http::StatusCode;
use service::view::Form;
use service::web::{Problem, SiteShell};
use share::ShortId;

use crate::app::{App, Member, Visitor};
use crate::pages::{Page, Sent, Shown, go, line, page};

#[derive(Template)]
#[template(path = "album.html")]
struct AlbumPage {
    shell: SiteShell,
    id: String,
    title: String,
    pictures: Vec<Shown>,
    is_own: bool,
    form: Form,
}

fn no_album() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "There is no such album.",
        "It may have been deleted. Check the address.",
    )
}

fn id_of(id: &str) -> Result<ShortId, Problem> {
    id.parse().map_err(|_| no_album())
}

fn title_of(form: &Form) -> String {
    match line(form.value("title")) {
        title if title.is_empty() => "Album".to_owned(),
        title => title,
    }
}

/// `POST /albums`: `title`.
pub async fn add(State(app): State<Arc<App>>, member: Member, axum::Form(sent): Sent) -> Page {
    let album = app.store.add_album(member.account.sub, &title_of(&Form::from_pairs(sent))).await?;
    Ok(go(&format!("/a/{}", album.id)))
}

/// `GET /a/{id}`
pub async fn show(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>) -> Page {
    let (album, pictures) = app.store.album(id_of(&id)?).await?.ok_or_else(no_album)?;
    let is_own = visitor.account().is_some_and(|account| account.sub == album.sub);
    let shown = AlbumPage {
        shell: visitor.shell,
        id: album.id.to_string(),
        form: Form::new().with("title", album.title.clone()),
        title: album.title,
        pictures: pictures.iter().map(|picture| Shown::new(&app, picture)).collect(),
        is_own,
    };
    page(&app, &shown)
}

/// `POST /a/{id}`: `title`.
pub async fn rename(
    State(app): State<Arc<App>>,
    member: Member,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    let title = title_of(&Form::from_pairs(sent));
    if !app.store.rename_album(id_of(&id)?, member.account.sub, &title).await? {
        return Err(no_album());
    }
    Ok(go(&format!("/a/{id}")))
}

/// `POST /a/{id}/delete`: the pictures stay.
pub async fn delete(State(app): State<Arc<App>>, member: Member, Path(id): Path<String>) -> Page {
    if !app.store.delete_album(id_of(&id)?, member.account.sub).await? {
        return Err(no_album());
    }
    Ok(go("/"))
}
