//! Networks: list, add, edit, reconnect, delete with undo.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use contracts::{Network, NetworkId, Phase, Sasl, WellKnownNetwork};
use http::StatusCode;
use serde::Deserialize;
use service::clock::now_s;
use service::view::Form;
use service::web::{Problem, SiteShell};

use crate::app::{App, Viewer};
use crate::network_form::{self, FIELDS, SASL, TLS};
use crate::pages::{self, Page, Sent, go, into_form, next, page, page_with, problem};
use crate::parts::{Parts, Snapshot};

type Choices = &'static [(&'static str, &'static str)];

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    deleted: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct NewQuery {
    pick: Option<String>,
}

#[derive(Template)]
#[template(path = "networks.html")]
struct List {
    shell: SiteShell,
    parts: Parts,
    deleted: Option<Network>,
    any: bool,
    /// Whether this installation has dedicated bouncers.
    dedicated: bool,
}

#[derive(Template)]
#[template(path = "network_new.html")]
struct New {
    shell: SiteShell,
    form: Form,
    offers: Vec<WellKnownNetwork>,
    lacks_local: bool,
    picked: Option<WellKnownNetwork>,
    tls: Choices,
    sasl: Choices,
    key: String,
}

#[derive(Template)]
#[template(path = "network.html")]
struct One {
    shell: SiteShell,
    state: String,
    network: Network,
    certificate: Option<String>,
    form: Form,
    tls: Choices,
    sasl: Choices,
    open: bool,
}

/// `GET /networks`, with `?deleted=id` the toast that undoes it.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Query(query): Query<ListQuery>,
) -> Page {
    let call = viewer.call();
    let snapshot = Snapshot::load(&app, &call, viewer.account.clone()).await.map_err(problem)?;
    let parts = Parts::render(&snapshot, now_s(), app.sites.irc.tls_port).map_err(Problem::internal)?;
    let deleted = match query.deleted.and_then(|id| id.parse().ok()) {
        Some(id) => app.bouncers.network(&call, NetworkId(id)).await.ok(),
        None => None,
    };
    page(&List {
        shell: viewer.shell.section("networks"),
        parts,
        deleted: deleted.filter(|network| network.deleted_at.is_some()),
        any: !snapshot.networks.is_empty(),
        dedicated: app.dedicated.is_some(),
    })
}

/// `GET /networks/new`, with `?pick=name` filled in.
pub(crate) async fn new(State(app): State<Arc<App>>, viewer: Viewer, Query(query): Query<NewQuery>) -> Page {
    let offers = app.bouncers.well_known().await.map_err(problem)?;
    let picked = query.pick.and_then(|name| offers.iter().find(|offer| offer.name == name).cloned());
    let form = network_form::proposed(picked.as_ref(), &viewer.account.username);
    render_new(&app, viewer, form, offers, picked, StatusCode::OK)
}

fn render_new(
    app: &App,
    viewer: Viewer,
    form: Form,
    offers: Vec<WellKnownNetwork>,
    picked: Option<WellKnownNetwork>,
    status: StatusCode,
) -> Page {
    page_with(
        status,
        &New {
            key: app.key_of(&form),
            shell: viewer.shell.section("networks"),
            lacks_local: app.lacks_local_network(&offers),
            form,
            offers,
            picked,
            tls: &TLS,
            sasl: &SASL,
        },
    )
}

/// `POST /networks`: the form, or `pick` (the name of an offer) and `nick`.
pub(crate) async fn add(State(app): State<Arc<App>>, viewer: Viewer, axum::Form(sent): Sent) -> Page {
    let mut form = Form::from_pairs(sent);
    let offers = app.bouncers.well_known().await.map_err(problem)?;
    let picked = offers.iter().find(|offer| offer.name == form.value("pick")).cloned();
    if let (Some(offer), "") = (&picked, form.trimmed("host")) {
        form = network_form::picked(form, offer);
    }
    let Some(spec) = network_form::spec(&mut form, None) else {
        return render_new(&app, viewer, form, offers, picked, StatusCode::UNPROCESSABLE_ENTITY);
    };
    match app.bouncers.add_network(&viewer.changing(&form), spec).await {
        Ok(network) => Ok(go(next(&form, &format!("/networks/{}", network.id)))),
        Err(error) => {
            let status = into_form(&mut form, error, &FIELDS)?;
            render_new(&app, viewer, form, offers, picked, status)
        }
    }
}

async fn own(app: &App, viewer: &Viewer, id: &str) -> Result<Network, Problem> {
    let id = NetworkId(pages::id(id, "network")?);
    app.bouncers.network(&viewer.call(), id).await.map_err(problem)
}

async fn render_one(app: &App, viewer: Viewer, network: Network, form: Form, status: StatusCode) -> Page {
    let snapshot = Snapshot::load(app, &viewer.call(), viewer.account.clone()).await.map_err(problem)?;
    let parts = Parts::render(&snapshot, now_s(), app.sites.irc.tls_port).map_err(Problem::internal)?;
    page_with(
        status,
        &One {
            shell: viewer.shell.section("networks"),
            state: parts.html(&format!("network-{}", network.id)).to_owned(),
            certificate: match &network.spec.sasl {
                Sasl::External { fingerprint } => fingerprint.clone(),
                _ => None,
            },
            open: network.state.needs_user || network.state.phase == Phase::Off || !form.is_fine(),
            network,
            form,
            tls: &TLS,
            sasl: &SASL,
        },
    )
}

/// `GET /networks/{id}`
pub(crate) async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(id): Path<String>) -> Page {
    let network = own(&app, &viewer, &id).await?;
    if network.deleted_at.is_some() {
        return Ok(go(&format!("/networks?deleted={}", network.id)));
    }
    let form = network_form::filled(&network.spec).with("version", network.version.to_string());
    render_one(&app, viewer, network, form, StatusCode::OK).await
}

/// `POST /networks/{id}`: the form.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    let network = own(&app, &viewer, &id).await?;
    let mut form = Form::from_pairs(sent);
    let Some(spec) = network_form::spec(&mut form, Some(&network.spec)) else {
        return render_one(&app, viewer, network, form, StatusCode::UNPROCESSABLE_ENTITY).await;
    };
    let version = form.value("version").parse().unwrap_or(network.version);
    let call = viewer.changing(&form).at_version(version);
    match app.bouncers.change_network(&call, network.id, spec).await {
        Ok(network) => Ok(go(&format!("/networks/{}", network.id))),
        Err(error) => {
            let status = into_form(&mut form, error, &FIELDS)?;
            render_one(&app, viewer, network, form, status).await
        }
    }
}

/// `POST /networks/{id}/reconnect`
pub(crate) async fn reconnect(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    let form = Form::from_pairs(sent);
    let network = own(&app, &viewer, &id).await?;
    app.bouncers.reconnect(&viewer.changing(&form), network.id).await.map_err(problem)?;
    let page = format!("/networks/{}", network.id);
    Ok(go(if form.value("next") == "here" { "/" } else { next(&form, &page) }))
}

/// `POST /networks/{id}/delete`: undone for ten minutes.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    let network = own(&app, &viewer, &id).await?;
    app.bouncers
        .delete_network(&viewer.changing(&Form::from_pairs(sent)), network.id)
        .await
        .map_err(problem)?;
    Ok(go(&format!("/networks?deleted={}", network.id)))
}

/// `POST /networks/{id}/restore`
pub(crate) async fn restore(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    let id = NetworkId(pages::id(&id, "network")?);
    let call = viewer.changing(&Form::from_pairs(sent));
    let network = app.bouncers.restore_network(&call, id).await.map_err(problem)?;
    Ok(go(&format!("/networks/{}", network.id)))
}
