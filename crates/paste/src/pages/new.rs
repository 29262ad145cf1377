//! The page something is put up with.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use entitlements::{Amount, Limit, Limits};
use http::{HeaderMap, StatusCode};
use service::view::Form;
use service::web::{Format, SiteShell, wants};
use share::Lifetime;

use super::{Page, page_with, text, value};
use crate::app::{App, Visitor};
use crate::render;

/// The times the form offers.
const TIMES: [(&str, &str); 8] = [
    ("10m", "10 minutes"),
    ("1h", "1 hour"),
    ("12h", "12 hours"),
    ("1d", "1 day"),
    ("1w", "1 week"),
    ("30d", "30 days"),
    ("1y", "1 year"),
    ("never", "Never"),
];

#[derive(Template)]
#[template(path = "new.html")]
struct New {
    shell: SiteShell,
    form: Form,
    times: Vec<(&'static str, &'static str)>,
    languages: &'static [&'static str],
    rules: String,
    parent: Option<String>,
    signed_in: bool,
}

pub async fn form(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, service::web::Problem> {
    if wants(&headers) == Format::Plain {
        return Ok(text(StatusCode::OK, usage(&app)));
    }
    let mut form = Form::new();
    let mut parent = None;
    let from = value(&query, "fork");
    if !from.is_empty() {
        let known = app.find(from).await?;
        if super::show::is_open(&known.row) {
            form = form
                .with("text", String::from_utf8_lossy(&known.row.body))
                .with("title", known.row.title.clone())
                .with("language", known.row.language.clone());
            parent = Some(known.row.id.to_string());
        }
    }
    render_form(visitor, form, parent, StatusCode::OK)
}

/// The form as typed.
pub fn render_form(visitor: Visitor, form: Form, parent: Option<String>, status: StatusCode) -> Page {
    let times = times(&visitor.limits);
    let form = match form.value("expires") {
        "" => form.with("expires", times.last().map_or("", |(value, _)| *value)),
        _ => form,
    };
    page_with(
        status,
        &New {
            rules: rules(&visitor.limits),
            signed_in: visitor.whose.account().is_some(),
            shell: visitor.shell,
            form,
            times,
            languages: render::languages(),
            parent,
        },
    )
}

fn times(limits: &Limits) -> Vec<(&'static str, &'static str)> {
    let hours = limits.get(Limit::PasteHours);
    let fits = |value: &str| value.parse::<Lifetime>().is_ok_and(|lifetime| lifetime.fits(hours));
    TIMES.into_iter().filter(|(value, _)| fits(value)).collect()
}

/// What the plan allows, in a sentence.
fn rules(limits: &Limits) -> String {
    let many = limits.get(Limit::Pastes);
    let hours = limits.get(Limit::PasteHours);
    match (many, hours) {
        (Amount::Unlimited, Amount::Unlimited) => {
            "Up to 1 MiB each, as many and as long as you like.".to_owned()
        }
        (many, hours) => format!(
            "Up to 1 MiB each; {} at once, {} each.",
            many.words(Limit::Pastes.unit()),
            hours.words(Limit::PasteHours.unit())
        ),
    }
}

/// What curl is told.
fn usage(app: &App) -> String {
    let txt = &app.sites.txt;
    format!(
        "irc.now pastes\n\n  command | curl --data-binary @- {txt}\n  curl -F file=@main.rs {txt}\n  curl -F file=@main.rs -F expires=1h -F burn=on {txt}\n\n\
         Yours with your username and an app password: curl -u NAME:APP-PASSWORD …\nEverything else: {txt}/help\n"
    )
}

/// A refused form again, with what is wrong beside its field.
pub fn again(visitor: Visitor, form: Form, parent: Option<String>, status: StatusCode) -> Response {
    render_form(visitor, form, parent, status).into_response()
}
