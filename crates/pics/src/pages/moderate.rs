//! Reports, and what moderators do about them.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use http::StatusCode;
use service::clock::now_s;
use service::view::{Form, Moment};
use service::web::{Problem, SiteShell};
use share::{Case, NewReport, Reason, Verdict};

use crate::app::{App, Member, Visitor};
use crate::pages::{Page, Sent, Shown, go, page, page_with};

/// Cases on a page.
const PAGE: u32 = 50;

#[derive(Template)]
#[template(path = "report.html")]
struct Report {
    shell: SiteShell,
    picture: Shown,
    form: Form,
    reasons: Vec<(String, String)>,
    is_sent: bool,
}

#[derive(Template)]
#[template(path = "moderate.html")]
struct Queue {
    shell: SiteShell,
    rows: Vec<Row>,
    waiting: u64,
}

struct Row {
    id: String,
    /// None: it went in the meantime.
    picture: Option<Shown>,
    count: u64,
    first: Moment,
    reports: Vec<(&'static str, String)>,
}

fn reasons() -> Vec<(String, String)> {
    Reason::ALL.map(|reason| (reason.key().to_owned(), reason.words().to_owned())).to_vec()
}

/// `GET /p/{id}/report`
pub async fn ask(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>) -> Page {
    let picture = Shown::new(&app, &app.find(&id).await?);
    page(
        &app,
        &Report { shell: visitor.shell, picture, form: Form::new(), reasons: reasons(), is_sent: false },
    )
}

/// `POST /p/{id}/report`: `reason`, `words`.
pub async fn report(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    let picture = app.find(&id).await?;
    if let Err(often) = app.reports.take(&visitor.whose) {
        return Ok(often.into_response());
    }
    let mut form = Form::from_pairs(sent);
    let shown = Shown::new(&app, &picture);
    let Some(reason) = Reason::from_key(form.value("reason")) else {
        form.refuse("reason", "Choose what is wrong with it.");
        let report =
            Report { shell: visitor.shell, picture: shown, form, reasons: reasons(), is_sent: false };
        return page_with(&app, StatusCode::UNPROCESSABLE_ENTITY, &report);
    };
    let new = NewReport {
        thing: picture.id.as_str(),
        reporter: visitor.whose.owner(&app.keyring),
        reason,
        words: form.value("words"),
    };
    app.abuse.report(&new).await?;
    page(&app, &Report { shell: visitor.shell, picture: shown, form, reasons: reasons(), is_sent: true })
}

/// To everybody but administrators there is no such page.
fn moderator(member: &Member) -> Result<(), Problem> {
    if member.whose.is_admin() { Ok(()) } else { Err(Problem::not_found()) }
}

/// `GET /moderate`
pub async fn queue(State(app): State<Arc<App>>, member: Member) -> Page {
    moderator(&member)?;
    let mut rows = Vec::new();
    for case in app.abuse.queue(PAGE).await? {
        rows.push(row(&app, case).await?);
    }
    let waiting = app.abuse.waiting().await?;
    page(&app, &Queue { shell: member.shell, rows, waiting })
}

async fn row(app: &App, case: Case) -> Result<Row, Problem> {
    let picture = match case.thing.parse() {
        Ok(id) => app.store.picture(id).await?,
        Err(_) => None,
    };
    Ok(Row {
        id: case.thing,
        picture: picture.map(|picture| Shown::new(app, &picture)),
        count: case.count,
        first: Moment::new(case.first_us / 1_000_000, now_s()),
        reports: case.reports.into_iter().map(|report| (report.reason.words(), report.words)).collect(),
    })
}

/// `POST /moderate/{id}`: `verdict` is `keep`, `remove` or `block`.
pub async fn settle(
    State(app): State<Arc<App>>,
    member: Member,
    Path(id): Path<String>,
    axum::Form(sent): Sent,
) -> Page {
    moderator(&member)?;
    let form = Form::from_pairs(sent);
    let by = member.account.sub;
    let verdict = match form.value("verdict") {
        "keep" => Verdict::Kept,
        "remove" | "block" => Verdict::Removed,
        _ => return Err(Problem::of(StatusCode::BAD_REQUEST)),
    };
    if let (Verdict::Removed, Ok(short)) = (verdict, id.parse()) {
        let hash = app.store.hash_of(short).await?;
        if let Some(hash) = hash.filter(|_| form.value("verdict") == "block") {
            app.abuse.block(&hash, by, form.value("note")).await?;
            // Whoever has the same: it goes everywhere.
            loop {
                let gone = app.store.delete_hash(&hash).await?;
                if gone.is_empty() {
                    break;
                }
                for gone in gone {
                    app.take_away(gone).await;
                }
            }
        }
        app.delete(short).await?;
    }
    app.abuse.settle(&id, by, verdict).await?;
    Ok(go("/moderate"))
}
