//! The first run: three steps, each of which ticks itself off when it has really happened.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum_extra::extract::CookieJar;
use contracts::WellKnownNetwork;
use service::clock::now_s;
use service::view::Form;
use service::web::SiteShell;

use crate::app::{App, Viewer};
use crate::clients::{self, Guide, LocalCertificate, What};
use crate::fresh::Fresh;
use crate::pages::{Page, page, problem};
use crate::parts::{Parts, Snapshot};

#[derive(Template)]
#[template(path = "start.html")]
struct Start {
    shell: SiteShell,
    parts: Parts,
    form: Form,
    pick: Option<Vec<WellKnownNetwork>>,
    lacks_local: bool,
    asks_password: bool,
    fresh: Option<Fresh>,
    guides: Vec<Guide>,
    local: Option<LocalCertificate>,
    done: bool,
    key: String,
    password_key: String,
}

/// `GET /start`
pub(crate) async fn show(State(app): State<Arc<App>>, viewer: Viewer, jar: CookieJar) -> Page {
    let call = viewer.call();
    let snapshot = Snapshot::load(&app, &call, viewer.account.clone()).await.map_err(problem)?;
    let pick = match snapshot.networks.is_empty() {
        true => Some(app.bouncers.well_known().await.map_err(problem)?),
        false => None,
    };
    let now = now_s();
    let fresh = app.fresh(&viewer, &jar, &snapshot.credentials, now);
    let first = snapshot.networks.first().map(|network| network.spec.name.clone());
    let setup = app.setup_of(&viewer, first, fresh.as_ref()).await;
    let parts =
        Parts::render(&snapshot, now, app.sites.irc.tls_port).map_err(service::web::Problem::internal)?;
    page(&Start {
        parts,
        form: Form::new().with("nick", viewer.account.username.as_str()).with("name", "my first client"),
        lacks_local: pick.as_ref().is_some_and(|offers| app.lacks_local_network(offers)),
        pick,
        asks_password: !snapshot.has_credential(),
        fresh,
        local: setup.local.clone(),
        guides: clients::guides(&setup),
        done: snapshot.is_set_up() && snapshot.has_connected(),
        key: app.form_key(),
        password_key: app.form_key(),
        shell: viewer.shell.section("overview"),
    })
}
