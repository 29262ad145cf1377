//! Hosted networks: list, make, configure, suspend, delete with undo.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use contracts::{CallError, HostedId, HostedNetwork, HostingOffer, Networks};
use entitlements::{Amount, Limit};
use http::StatusCode;
use serde::Deserialize;
use service::clock::now_s;
use service::view::Form;
use service::web::{Problem, SiteShell};

use crate::app::{App, Viewer};
use crate::hosted_form::{self, ACCESS, NEW_ROLES, OperatorField, ROLES};
use crate::hosted_words::HostedRow;
use crate::pages::{self, Page, Sent, go, into_form, page, page_with, problem};
use crate::parts::{Parts, Snapshot};

type Choices = &'static [(&'static str, &'static str)];

/// A call's field, and the form's field a refusal about it stands beside.
const FIELDS: [&str; 3] = ["name", "motd", "access"];

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    deleted: Option<String>,
}

#[derive(Template)]
#[template(path = "hosting.html")]
struct List {
    shell: SiteShell,
    parts: Parts,
    deleted: Option<HostedNetwork>,
    any: bool,
    offer: OfferWords,
}

#[derive(Template)]
#[template(path = "hosting_new.html")]
struct New {
    shell: SiteShell,
    form: Form,
    offer: OfferWords,
    access: Choices,
    new_roles: Choices,
    key: String,
}

#[derive(Template)]
#[template(path = "hosted.html")]
struct One {
    shell: SiteShell,
    state: String,
    connect: String,
    network: HostedNetwork,
    stopped_by_owner: bool,
    form: Form,
    operators: Vec<OperatorField>,
    access: Choices,
    roles: Choices,
    new_roles: Choices,
    open: bool,
}

/// What may be hosted, in words.
struct OfferWords {
    domain: String,
    /// "1 of 3 networks, 200 users on each at once".
    quota: String,
    /// Why none can be made now.
    refused: Option<String>,
    /// Whether the plan hosts none at all.
    not_in_plan: bool,
}

impl OfferWords {
    fn new(offer: HostingOffer) -> Self {
        let networks = match offer.allowed {
            Amount::Unlimited => "As many networks as you like".to_owned(),
            allowed => format!("{} of {}", offer.used, allowed.words(Limit::HostedNetworks.unit())),
        };
        let users = match offer.users {
            Amount::Unlimited => "any number of people".to_owned(),
            users => format!("{} at once", users.words(Limit::HostedNetworkUsers.unit())),
        };
        let not_in_plan = offer.allowed == Amount::AtMost(0);
        let full = !not_in_plan && !offer.allowed.allows(offer.used + 1);
        let refused = match (not_in_plan, full) {
            (true, _) => Some(
                "Your plan hosts no networks. The plans Network starter and Network growth do.".to_owned(),
            ),
            (_, true) => Some(format!(
                "Your plan hosts {}, and you have them. Delete one, or change your plan.",
                offer.allowed.words(Limit::HostedNetworks.unit())
            )),
            _ => offer.refused,
        };
        Self { domain: offer.domain, quota: format!("{networks}, {users} on each."), refused, not_in_plan }
    }
}

fn hosting(app: &App) -> Result<&Arc<dyn Networks>, Problem> {
    app.hosting.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "This installation hosts no networks.",
            "Whoever runs it can turn that on: the page on hosting in the guide says how.",
        )
    })
}

async fn parts(app: &App, viewer: &Viewer) -> Result<Parts, Problem> {
    let snapshot = Snapshot::load(app, &viewer.call(), viewer.account.clone()).await.map_err(problem)?;
    Parts::render(&snapshot, now_s(), app.sites.irc.tls_port).map_err(Problem::internal)
}

/// `GET /hosting`, with `?deleted=id` the toast that undoes it.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Query(query): Query<ListQuery>,
) -> Page {
    let call = viewer.call();
    let hosting = hosting(&app)?;
    let (offer, networks) =
        tokio::try_join!(hosting.offer(&call), hosting.networks(&call)).map_err(problem)?;
    let deleted = match query.deleted.and_then(|id| id.parse().ok()) {
        Some(id) => hosting.network(&call, HostedId(id)).await.ok(),
        None => None,
    };
    page(&List {
        parts: parts(&app, &viewer).await?,
        shell: viewer.shell.section("hosting"),
        deleted: deleted.filter(|network| network.deleted_at.is_some()),
        any: !networks.is_empty(),
        offer: OfferWords::new(offer),
    })
}

/// `GET /hosting/new`
pub(crate) async fn new(State(app): State<Arc<App>>, viewer: Viewer) -> Page {
    let offer = hosting(&app)?.offer(&viewer.call()).await.map_err(problem)?;
    render_new(&app, viewer, hosted_form::proposed(), offer, StatusCode::OK)
}

fn render_new(app: &App, viewer: Viewer, form: Form, offer: HostingOffer, status: StatusCode) -> Page {
    page_with(
        status,
        &New {
            key: app.key_of(&form),
            shell: viewer.shell.section("hosting"),
            form,
            offer: OfferWords::new(offer),
            access: &ACCESS,
            new_roles: &NEW_ROLES,
        },
    )
}

/// `POST /hosting`: the form.
pub(crate) async fn create(State(app): State<Arc<App>>, viewer: Viewer, axum::Form(sent): Sent) -> Page {
    let hosting = hosting(&app)?;
    let mut form = Form::from_pairs(sent);
    let spec = hosted_form::spec(&form, None);
    match hosting.create_network(&viewer.changing(&form), spec).await {
        Ok(network) => Ok(go(&format!("/hosting/{}", network.id))),
        Err(error) => {
            let status = refuse(&mut form, error)?;
            let offer = hosting.offer(&viewer.call()).await.map_err(problem)?;
            render_new(&app, viewer, form, offer, status)
        }
    }
}

/// Puts a refusal beside the field it is about.
fn refuse(form: &mut Form, error: CallError) -> Result<StatusCode, Problem> {
    match error {
        CallError::Invalid { field, message } if field == "operators" => {
            form.refuse("operator_name", message);
            Ok(StatusCode::UNPROCESSABLE_ENTITY)
        }
        error => into_form(form, error, &FIELDS),
    }
}

async fn own(app: &App, viewer: &Viewer, id: &str) -> Result<HostedNetwork, Problem> {
    let id = HostedId(pages::id(id, "network")?);
    match &app.hosting {
        Some(hosting) => hosting.network(&viewer.call(), id).await.map_err(problem),
        None => Err(problem(CallError::not_found("network"))),
    }
}

fn render_one(viewer: Viewer, network: HostedNetwork, form: Form, status: StatusCode) -> Page {
    let row = HostedRow::new(&network, now_s());
    page_with(
        status,
        &One {
            shell: viewer.shell.section("hosting"),
            state: Parts::hosted_state(&row).map_err(Problem::internal)?,
            connect: Parts::hosted_connect(&row).map_err(Problem::internal)?,
            stopped_by_owner: network.suspended,
            operators: hosted_form::operator_fields(&network.spec),
            open: !form.is_fine(),
            access: &ACCESS,
            roles: &ROLES,
            new_roles: &NEW_ROLES,
            network,
            form,
        },
    )
}

/// `GET /hosting/{id}`
pub(crate) async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(id): Path<String>) -> Page {
    let network = own(&app, &viewer, &id).await?;
    if network.deleted_at.is_some() {
        return Ok(go(&format!("/hosting?deleted={}", network.id)));
    }
    let form = hosted_form::filled(&network.spec).with("version", network.version.to_string());
    render_one(viewer, network, form, StatusCode::OK)
}

/// `POST /hosting/{id}`: the form.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    let network = own(&app, &viewer, &id).await?;
    let mut form = Form::from_pairs(sent);
    let spec = hosted_form::spec(&form, Some(&network.spec));
    let version = form.value("version").parse().unwrap_or(network.version);
    let call = viewer.changing(&form).at_version(version);
    match hosting(&app)?.change_network(&call, network.id, spec).await {
        Ok(network) => Ok(go(&format!("/hosting/{}", network.id))),
        Err(error) => {
            let status = refuse(&mut form, error)?;
            render_one(viewer, network, form, status)
        }
    }
}

/// `POST /hosting/{id}/suspend`
pub(crate) async fn suspend(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    switch(&app, viewer, &id, sent, true).await
}

/// `POST /hosting/{id}/resume`
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    switch(&app, viewer, &id, sent, false).await
}

async fn switch(app: &App, viewer: Viewer, id: &str, sent: Vec<(String, String)>, suspended: bool) -> Page {
    let network = own(app, &viewer, id).await?;
    let call = viewer.changing(&Form::from_pairs(sent));
    hosting(app)?.suspend_network(&call, network.id, suspended).await.map_err(problem)?;
    Ok(go(&format!("/hosting/{}", network.id)))
}

/// `POST /hosting/{id}/delete`: undone for ten minutes.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    let network = own(&app, &viewer, &id).await?;
    let call = viewer.changing(&Form::from_pairs(sent));
    hosting(&app)?.delete_network(&call, network.id).await.map_err(problem)?;
    Ok(go(&format!("/hosting?deleted={}", network.id)))
}

/// `POST /hosting/{id}/restore`
pub(crate) async fn restore(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    let network = own(&app, &viewer, &id).await?;
    let call = viewer.changing(&Form::from_pairs(sent));
    let network = hosting(&app)?.restore_network(&call, network.id).await.map_err(problem)?;
    Ok(go(&format!("/hosting/{}", network.id)))
}
