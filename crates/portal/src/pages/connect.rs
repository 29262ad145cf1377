//! How to connect a client, filled in for this user: host, port, network, the app password just made, the certificate.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum_extra::extract::CookieJar;
use contracts::CallError;
use serde::Deserialize;
use service::clock::now_s;
use service::view::Form;
use service::web::SiteShell;

use crate::app::{App, Viewer};
use crate::clients::{self, CLIENTS, Guide, Setup, What};
use crate::fresh::Fresh;
use crate::pages::{Page, go, page, problem};

/// Which network the steps are for.
#[derive(Deserialize)]
pub(crate) struct Choice {
    network: Option<String>,
}

#[derive(Template)]
#[template(path = "connect.html")]
struct Connect {
    shell: SiteShell,
    clients: &'static [(&'static str, &'static str)],
    guide: Guide,
    setup: Setup,
    networks: Vec<String>,
    fresh: Option<Fresh>,
    has_password: bool,
    form: Form,
    key: String,
    next: String,
}

/// `GET /connect`
pub(crate) async fn index(_: Viewer) -> Page {
    Ok(go("/connect/irssi"))
}

/// `GET /connect/{client}`
pub(crate) async fn client(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(client): Path<String>,
    Query(choice): Query<Choice>,
    jar: CookieJar,
) -> Page {
    let call = viewer.call();
    let (networks, credentials) =
        tokio::try_join!(app.bouncers.networks(&call), app.accounts.credentials(&call)).map_err(problem)?;
    let names: Vec<String> = networks.into_iter().map(|network| network.spec.name).collect();
    let network = match choice.network {
        // A name that is not this account's own names nothing.
        Some(wanted) => Some(
            names
                .iter()
                .find(|name| **name == wanted)
                .cloned()
                .ok_or_else(|| problem(CallError::not_found("network")))?,
        ),
        None => names.first().cloned(),
    };
    let fresh = app.fresh(&viewer, &jar, &credentials, now_s());
    let setup = app.setup_of(&viewer, network, fresh.as_ref()).await;
    let guide = clients::guide(&client, &setup).ok_or_else(|| problem(CallError::not_found("client")))?;
    page(&Connect {
        clients: &CLIENTS,
        networks: names,
        has_password: !credentials.is_empty(),
        form: Form::new().with("name", guide.name),
        key: app.form_key(),
        next: viewer.shell.path.clone(),
        guide,
        setup,
        fresh,
        shell: viewer.shell.section("connect"),
    })
}
