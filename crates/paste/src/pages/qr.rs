//! The address as a picture, for a phone.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fast_qr::QRBuilder;
use fast_qr::convert::{Builder as _, svg::SvgBuilder};
use service::web::{Problem, SiteShell};
use share::ShortId;

use super::page;
use crate::app::{App, Visitor};
use crate::store::Seal;

#[derive(Template)]
#[template(path = "qr.html")]
struct Qr {
    shell: SiteShell,
    id: ShortId,
    url: String,
    picture: Option<String>,
}

pub async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = app.find(&id).await?.row;
    let url = app.sites.txt.url(&format!("/{}", row.id));
    // The server does not know the key, and without it the address opens nothing.
    let picture = if row.seal == Seal::Browser { None } else { Some(picture(&url)?) };
    page(&Qr { shell: visitor.shell, id: row.id, url, picture })
}

fn picture(url: &str) -> Result<String, Problem> {
    let code = QRBuilder::new(url).build().map_err(|error| Problem::internal(format!("{error:?}")))?;
    let svg = SvgBuilder::default().margin(2).to_str(&code);
    Ok(format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg)))
}
