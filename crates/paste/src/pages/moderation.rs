//! What was reported, for administrators: it stays, it goes, or it goes and may not come back.

use std::sync::Arc;

use askama::Template;
use auth::Admin;
use axum::extract::State;
use axum::response::Response;
use service::clock::now_us;
use service::view::Moment;
use service::web::{Problem, SiteShell};
use share::{ShortId, Verdict};

use super::{Sent, go, moment, page, value};
use crate::app::{App, Visitor};
use crate::store::Seal;

/// How many cases stand on the page.
const PAGE: u32 = 50;
/// How much of a text a moderator sees at once.
const EXCERPT: usize = 1_500;

#[derive(Template)]
#[template(path = "moderation.html")]
struct Queue {
    shell: SiteShell,
    cases: Vec<CaseRow>,
    blocked: Vec<(String, String, Moment)>,
}

struct CaseRow {
    thing: String,
    count: String,
    first: Moment,
    reports: Vec<(&'static str, String)>,
    excerpt: Option<String>,
    blockable: bool,
}

pub async fn queue(State(app): State<Arc<App>>, _: Admin, visitor: Visitor) -> Result<Response, Problem> {
    let mut cases = Vec::new();
    for case in app.abuse.queue(PAGE).await? {
        let row = match case.thing.parse::<ShortId>() {
            Ok(id) => app.store.get(id, now_us()).await?,
            Err(_) => None,
        };
        let readable = row.as_ref().filter(|row| row.seal == Seal::None);
        let excerpt = readable.map(|row| {
            let head = &row.body[..row.body.len().min(EXCERPT)];
            String::from_utf8_lossy(head).chars().filter(|c| !c.is_control() || "\n\t".contains(*c)).collect()
        });
        cases.push(CaseRow {
            thing: case.thing,
            count: service::view::count(case.count, "report", "reports"),
            first: moment(case.first_us),
            reports: case.reports.into_iter().map(|report| (report.reason.words(), report.words)).collect(),
            blockable: row.is_some(),
            excerpt,
        });
    }
    let blocked = app.abuse.blocked(PAGE).await?.into_iter().map(|blocked| {
        let hash = blocked.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        (hash, blocked.reason, moment(blocked.at_us))
    });
    page(&Queue { shell: visitor.shell, cases, blocked: blocked.collect() })
}

pub async fn decide(
    State(app): State<Arc<App>>,
    Admin(admin): Admin,
    axum::Form(form): Sent,
) -> Result<Response, Problem> {
    let thing = value(&form, "thing");
    match (value(&form, "verdict"), thing.parse::<ShortId>()) {
        ("keep", _) => app.abuse.settle(thing, admin.sub, Verdict::Kept).await?,
        ("remove", Ok(id)) => {
            app.store.remove(id, now_us()).await?;
            app.cache.forget(id);
            app.abuse.settle(thing, admin.sub, Verdict::Removed).await?;
        }
        ("block", Ok(id)) => {
            if let Some(row) = app.store.get(id, now_us()).await? {
                app.abuse.block(&row.hash, admin.sub, value(&form, "reason")).await?;
                for gone in app.store.remove_content(&row.hash, now_us()).await? {
                    app.cache.forget(gone);
                    app.abuse.settle(gone.as_str(), admin.sub, Verdict::Removed).await?;
                }
            }
        }
        ("unblock", _) => {
            if let Some(hash) = unhex(value(&form, "hash")) {
                app.abuse.unblock(&hash).await?;
            }
        }
        _ => {}
    }
    Ok(go("/moderation"))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.len() != 64 {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
