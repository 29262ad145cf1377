//! How to put things up from anywhere.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use service::web::{Problem, SiteShell};

use super::page;
use crate::app::{App, Visitor};
use crate::render;

#[derive(Template)]
#[template(path = "help.html")]
struct Help {
    shell: SiteShell,
    txt: String,
    languages: &'static [&'static str],
}

pub async fn show(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Response, Problem> {
    page(&Help { shell: visitor.shell, txt: app.sites.txt.to_string(), languages: render::languages() })
}
