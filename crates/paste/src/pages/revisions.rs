//! What a paste was before, and what was changed: unified or side by side.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use bytes::Bytes;
use service::view::Moment;
use service::web::{Problem, SiteShell};
use share::ShortId;

use super::show::is_open;
use super::{moment, page, value};
use crate::app::{App, Visitor};
use crate::diff::{self, Row};

#[derive(Template)]
#[template(path = "revisions.html")]
struct Revisions {
    shell: SiteShell,
    id: ShortId,
    heading: String,
    all: Vec<(u64, Moment)>,
    from: u64,
    to: u64,
    rows: Vec<Row>,
    side: bool,
    added: usize,
    removed: usize,
    cut: bool,
}

pub async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let known = app.find(&id).await?;
    let row = &known.row;
    if !is_open(row) {
        return Err(Problem::not_found());
    }
    let mut all = app.store.revisions(row.id).await?;
    all.push((row.revision, row.changed_us));
    let number =
        |name: &str| value(&query, name).parse::<u64>().ok().filter(|n| (1..=row.revision).contains(n));
    let to = number("to").unwrap_or(row.revision);
    let from = number("from").unwrap_or_else(|| to.saturating_sub(1).max(1));
    let (old, new) = (at(&app, row, from).await?, at(&app, row, to).await?);
    let side = value(&query, "view") == "side";
    // Long texts take a while to compare.
    let compare = move || diff::compare(&String::from_utf8_lossy(&old), &String::from_utf8_lossy(&new), side);
    let compared = app.painter.run(compare).await.map_err(Problem::internal)?;
    page(&Revisions {
        shell: visitor.shell,
        id: row.id,
        heading: if row.title.is_empty() { "A paste".to_owned() } else { row.title.clone() },
        all: all.into_iter().rev().map(|(number, at_us)| (number, moment(at_us))).collect(),
        from,
        to,
        rows: compared.rows,
        side,
        added: compared.added,
        removed: compared.removed,
        cut: compared.cut,
    })
}

/// The text at a revision.
async fn at(app: &App, row: &crate::store::PasteRow, revision: u64) -> Result<Bytes, Problem> {
    if revision == row.revision {
        return Ok(row.body.clone());
    }
    let before = app.store.revision(row.id, revision).await?;
    before.map(|before| before.body).ok_or_else(Problem::not_found)
}
