//! What an account has put up, with search.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use entitlements::{Amount, Limit};
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use service::clock::now_us;
use service::view::{Form, Moment};
use service::web::{Format, Problem, SiteShell, wants};
use share::ShortId;

use super::{moment, not_yours, page, size_words, value};
use crate::app::{App, Visitor};
use crate::store::{After, Seal, Summary};

/// How many stand on a page.
const PAGE: u32 = 50;

#[derive(Template)]
#[template(path = "mine.html")]
struct Mine {
    shell: SiteShell,
    form: Form,
    rows: Vec<Row>,
    quota: String,
    percent: Option<u64>,
    next: Option<String>,
    first: bool,
}

struct Row {
    id: ShortId,
    title: String,
    facts: String,
    created: Moment,
    expires: Option<Moment>,
}

/// A paste of one's own as JSON.
#[derive(Serialize, schemars::JsonSchema)]
pub struct Listed {
    /// Its id.
    #[schemars(with = "String")]
    id: ShortId,
    /// Its page.
    url: String,
    /// Its title; may be empty.
    title: String,
    /// Its language.
    language: String,
    /// Bytes of the text.
    bytes: u64,
    /// `none`, `password` or `browser`.
    seal: &'static str,
    /// Whether it is read once.
    burn: bool,
    /// Seconds since 1970.
    created_at: i64,
    /// Seconds since 1970; never without.
    expires_at: Option<i64>,
}

pub async fn list(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Query(query): Query<Vec<(String, String)>>,
    uri: http::Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if visitor.whose.account().is_none() {
        return Ok(not_yours(&visitor, &uri, &headers));
    }
    let search: String = value(&query, "q").trim().chars().take(200).collect();
    let after = after(value(&query, "after"));
    let now = now_us();
    let mut found = app.store.list(&visitor.owner, &search, after, PAGE + 1, now).await?;
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    if wants(&headers) != Format::Html {
        let listed: Vec<Listed> = found.into_iter().map(|paste| listed(&app, paste)).collect();
        return Ok(([(CACHE_CONTROL, "no-store")], axum::Json(listed)).into_response());
    }
    let used = app.store.count(&visitor.owner, now).await?;
    let allowed = visitor.limits.get(Limit::Pastes);
    let (quota, percent) = match allowed {
        Amount::Unlimited => (service::view::count(used, "paste", "pastes"), None),
        Amount::AtMost(most) => {
            let percent = used.saturating_mul(100).checked_div(most).unwrap_or(100).min(100);
            (format!("{used} of {}", allowed.words(Limit::Pastes.unit())), Some(percent))
        }
    };
    let next = found.last().filter(|_| more).map(|last| {
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("q", &search)
            .append_pair("after", &format!("{}-{}", last.created_us, last.id))
            .finish()
    });
    page(&Mine {
        shell: visitor.shell,
        form: Form::new().with("q", search.clone()),
        rows: found.into_iter().map(row).collect(),
        quota,
        percent,
        next,
        first: value(&query, "after").is_empty() && search.is_empty(),
    })
}

fn after(text: &str) -> After {
    let parsed = text.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
    parsed.map_or(After::NOTHING, |(created_us, id)| After { created_us, id: Some(id) })
}

fn row(paste: Summary) -> Row {
    let mut facts = vec![paste.language.clone(), size_words(paste.size)];
    match paste.seal {
        Seal::None => {}
        Seal::Password => facts.push("password".to_owned()),
        Seal::Browser => facts.push("encrypted".to_owned()),
    }
    if paste.burn {
        facts.push("read once".to_owned());
    }
    Row {
        id: paste.id,
        title: if paste.title.is_empty() { paste.id.to_string() } else { paste.title },
        facts: facts.join(" \u{b7} "),
        created: moment(paste.created_us),
        expires: paste.expires_us.map(moment),
    }
}

fn listed(app: &App, paste: Summary) -> Listed {
    Listed {
        url: app.sites.txt.url(&format!("/{}", paste.id)),
        id: paste.id,
        title: paste.title,
        language: paste.language,
        bytes: paste.size,
        seal: paste.seal.key(),
        burn: paste.burn,
        created_at: paste.created_us / 1_000_000,
        expires_at: paste.expires_us.map(|us| us / 1_000_000),
    }
}
