//! A bouncer of one's own: ordered, watched, given back.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use contracts::{BouncerEngine, CallError, DedicatedBouncers, DedicatedOffer};
use http::StatusCode;
use service::clock::now_s;
use service::view::Form;
use service::web::{Problem, SiteShell};

use crate::app::{App, Viewer};
use crate::dedicated_words::DedicatedRow;
use crate::pages::{Page, Sent, go, into_form, page, page_with, problem};
use crate::parts::Parts;

const PAGE: &str = "/bouncer/dedicated";

#[derive(Template)]
#[template(path = "dedicated_offer.html")]
struct Offer {
    shell: SiteShell,
    form: Form,
    hostname: String,
    refused: Option<String>,
    engines: Vec<(&'static str, &'static str)>,
    key: String,
}

#[derive(Template)]
#[template(path = "dedicated.html")]
struct One {
    shell: SiteShell,
    row: DedicatedRow,
    soju: bool,
    state: String,
    connect: String,
}

#[derive(Template)]
#[template(path = "dedicated_cancel.html")]
struct Cancel {
    shell: SiteShell,
    row: DedicatedRow,
    soju: bool,
    key: String,
}

fn dedicated(app: &App) -> Result<&Arc<dyn DedicatedBouncers>, Problem> {
    app.dedicated.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "This installation has no dedicated bouncers.",
            "Whoever runs it can turn that on: the page on dedicated bouncers in the guide says how.",
        )
    })
}

/// `GET /bouncer/dedicated`
pub(crate) async fn show(State(app): State<Arc<App>>, viewer: Viewer) -> Page {
    let own = dedicated(&app)?.dedicated(&viewer.call()).await.map_err(problem)?;
    let Some(own) = own else {
        let form = Form::new().with("engine", word(BouncerEngine::Ircnow));
        return render_offer(&app, viewer, form, StatusCode::OK).await;
    };
    let row = DedicatedRow::new(&own, now_s());
    page(&One {
        shell: viewer.shell.section("networks"),
        state: Parts::dedicated_state(Some(&row)).map_err(Problem::internal)?,
        connect: Parts::dedicated_connect(Some(&row)).map_err(Problem::internal)?,
        soju: own.engine == BouncerEngine::Soju,
        row,
    })
}

async fn render_offer(app: &App, viewer: Viewer, form: Form, status: StatusCode) -> Page {
    let offer = dedicated(app)?.dedicated_offer(&viewer.call()).await.map_err(problem)?;
    let DedicatedOffer { hostname, in_plan, engines, refused } = offer;
    let refused = if in_plan {
        refused
    } else {
        Some("Your plan has no dedicated bouncer. The plan Pro and those above it do.".to_owned())
    };
    let choices = [
        (BouncerEngine::Ircnow, "irc.now: everything as you have it here"),
        (BouncerEngine::Soju, "soju: your networks and channels only"),
    ];
    page_with(
        status,
        &Offer {
            key: app.key_of(&form),
            shell: viewer.shell.section("networks"),
            form,
            hostname,
            refused,
            engines: choices
                .into_iter()
                .filter(|(engine, _)| engines.contains(engine))
                .map(|(engine, words)| (word(engine), words))
                .collect(),
        },
    )
}

/// What a form calls an engine.
fn word(engine: BouncerEngine) -> &'static str {
    match engine {
        BouncerEngine::Ircnow => "ircnow",
        BouncerEngine::Soju => "soju",
    }
}

/// `POST /bouncer/dedicated`: the order.
pub(crate) async fn order(State(app): State<Arc<App>>, viewer: Viewer, axum::Form(sent): Sent) -> Page {
    let mut form = Form::from_pairs(sent);
    let engine = if form.value("engine") == "soju" { BouncerEngine::Soju } else { BouncerEngine::Ircnow };
    match dedicated(&app)?.order_dedicated(&viewer.changing(&form), engine).await {
        Ok(_) => {
            app.nudge(viewer.account.sub);
            Ok(go(PAGE))
        }
        Err(error) => {
            let status = into_form(&mut form, error, &["engine"])?;
            render_offer(&app, viewer, form, status).await
        }
    }
}

/// `GET /bouncer/dedicated/cancel`: what happens then, and whether it is meant.
pub(crate) async fn ask_cancel(State(app): State<Arc<App>>, viewer: Viewer) -> Page {
    let own = dedicated(&app)?.dedicated(&viewer.call()).await.map_err(problem)?;
    let own = own.ok_or_else(|| problem(CallError::not_found("dedicated bouncer")))?;
    page(&Cancel {
        shell: viewer.shell.section("networks"),
        row: DedicatedRow::new(&own, now_s()),
        soju: own.engine == BouncerEngine::Soju,
        key: app.form_key(),
    })
}

/// `POST /bouncer/dedicated/cancel`
pub(crate) async fn cancel(State(app): State<Arc<App>>, viewer: Viewer, axum::Form(sent): Sent) -> Page {
    let call = viewer.changing(&Form::from_pairs(sent));
    dedicated(&app)?.cancel_dedicated(&call).await.map_err(problem)?;
    app.nudge(viewer.account.sub);
    Ok(go(PAGE))
}
