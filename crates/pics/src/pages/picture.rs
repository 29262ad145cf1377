//! One picture: its page, what its owner says of it, and its end.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use http::StatusCode;
use service::view::Form;
use service::web::{Problem, SiteShell};

use crate::app::{App, Member, Visitor, nothing};
use crate::pages::{Page, Sent, Shown, go, page, page_with, said};
use crate::store::Picture;

#[derive(Template)]
#[template(path = "picture.html")]
struct PicturePage {
    shell: SiteShell,
    picture: Shown,
    is_own: bool,
    form: Form,
    albums: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "delete.html")]
struct Delete {
    shell: SiteShell,
    picture: Shown,
    token: String,
}

#[derive(Template)]
#[template(path = "deleted.html")]
struct Deleted {
    shell: SiteShell,
}

/// `GET /p/{id}`
pub async fn show(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>) -> Page {
    let picture = app.find(&id).await?;
    let is_own = visitor.account().is_some_and(|account| account.sub == picture.sub);
    let form = Form::new()
        .with("caption", picture.said.caption.clone())
        .with("alt", picture.said.alt.clone())
        .with("album", picture.said.album.map(|album| album.to_string()).unwrap_or_default());
    render(&app, visitor.shell, &picture, is_own, form, StatusCode::OK).await
}

async fn render(
    app: &App,
    shell: SiteShell,
    picture: &Picture,
    is_own: bool,
    form: Form,
    status: StatusCode,
) -> Page {
    let mut albums = vec![(String::new(), "None".to_owned())];
    if is_own {
        let own = app.store.albums(picture.sub).await?;
        albums.extend(own.into_iter().map(|album| (album.id.to_string(), album.title)));
    }
    page_with(app, status, &PicturePage { picture: Shown::new(app, picture), shell, is_own, form, albums })
}

/// `POST /p/{id}`: `caption`, `alt`, `album`, `expires`.
pub async fn change(
    State(app): State<Arc<App>>,
    member: Member,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    let picture = app.own(&id, &member.account).await?;
    let mut form = Form::from_pairs(sent);
    let Some(said) = said(&mut form, picture.said.expires_us) else {
        return render(&app, member.shell, &picture, true, form, StatusCode::UNPROCESSABLE_ENTITY).await;
    };
    if !app.store.change(picture.id, member.account.sub, said).await? {
        return Err(nothing());
    }
    Ok(go(&format!("/p/{}", picture.id)))
}

/// `POST /p/{id}/delete`
pub async fn delete(State(app): State<Arc<App>>, member: Member, Path(id): Path<String>) -> Page {
    let picture = app.own(&id, &member.account).await?;
    app.delete(picture.id).await?;
    Ok(go("/"))
}

/// The picture whose delete link this is. A wrong link names nothing, so that nothing is learnt from one.
async fn linked(app: &App, id: &str, token: &str) -> Result<Picture, Problem> {
    let picture = app.find(id).await?;
    if picture.may_delete(token) { Ok(picture) } else { Err(nothing()) }
}

/// `GET /p/{id}/delete/{token}`: asks first, because programs follow links.
pub async fn ask_delete(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path((id, token)): Path<(String, String)>,
) -> Page {
    let picture = linked(&app, &id, &token).await?;
    page(&app, &Delete { picture: Shown::new(&app, &picture), shell: visitor.shell, token })
}

/// `POST /p/{id}/delete/{token}`
pub async fn delete_by_link(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path((id, token)): Path<(String, String)>,
    headers: http::HeaderMap,
) -> Page {
    let picture = linked(&app, &id, &token).await?;
    app.delete(picture.id).await?;
    if service::web::wants(&headers) != service::web::Format::Html {
        return Ok("Deleted.\n".into_response());
    }
    page(&app, &Deleted { shell: visitor.shell })
}
