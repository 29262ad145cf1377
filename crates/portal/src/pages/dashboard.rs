//! The overview: is everything all right, and if not, what to do.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use service::clock::now_s;
use service::web::SiteShell;

use crate::app::{App, Viewer};
use crate::pages::{Page, go, page, problem};
use crate::parts::{Parts, Snapshot};

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard {
    shell: SiteShell,
    parts: Parts,
    set_up: bool,
    unverified: bool,
}

/// `GET /`
pub(crate) async fn show(State(app): State<Arc<App>>, viewer: Viewer) -> Page {
    let snapshot = Snapshot::load(&app, &viewer.call(), viewer.account.clone()).await.map_err(problem)?;
    // A new account begins with the three steps.
    if snapshot.networks.is_empty() && snapshot.devices.is_empty() && snapshot.credentials.is_empty() {
        return Ok(go("/start"));
    }
    let parts =
        Parts::render(&snapshot, now_s(), app.sites.irc.tls_port).map_err(service::web::Problem::internal)?;
    page(&Dashboard {
        shell: viewer.shell.section("overview"),
        parts,
        set_up: snapshot.is_set_up(),
        unverified: !snapshot.account.may_dial_out,
    })
}
