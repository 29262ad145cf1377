//! A paste: its page for people, its text for programs. What is read once or locked asks first, so that the preview of a
//! link neither burns nor opens it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use service::view::Moment;
use service::web::{ContentSecurityPolicy, Format, Problem, SiteShell, wants};
use share::ShortId;

use super::{Page, lines, moment, page, page_with, size_words, text, value};
use crate::app::{App, Visitor};
use crate::cache::{Known, Painted};
use crate::render::{self, markdown};
use crate::store::{PasteRow, Seal};

/// What users wrote is text and nothing else, wherever a browser gets it.
pub const SANDBOX: &str = "default-src 'none'; style-src 'none'; sandbox; frame-ancestors 'none'";

/// Whether whoever has the address may read it as it is.
pub fn is_open(row: &PasteRow) -> bool {
    row.seal == Seal::None && !row.burn
}

/// A paste as JSON.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Shown {
    /// Its id.
    #[schemars(with = "String")]
    pub id: ShortId,
    /// Its title; may be empty.
    pub title: String,
    /// Its language.
    pub language: String,
    /// Bytes of the text.
    pub bytes: u64,
    /// `none`, `password` or `browser`.
    pub seal: &'static str,
    /// Whether it is read once.
    pub burn: bool,
    /// Counts its changes, from 1.
    pub revision: u64,
    /// What it was made from.
    #[schemars(with = "Option<String>")]
    pub parent: Option<ShortId>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Seconds since 1970; never without.
    pub expires_at: Option<i64>,
    /// The text, where it may be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What was encrypted before it was sent, in base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<String>,
}

impl Shown {
    /// A row, with its text if it is given.
    pub fn new(row: &PasteRow, body: Option<&Bytes>) -> Self {
        let readable = body.filter(|_| row.seal != Seal::Browser);
        let encrypted = body.filter(|_| row.seal == Seal::Browser);
        Self {
            id: row.id,
            title: row.title.clone(),
            language: row.language.clone(),
            bytes: row.size,
            seal: row.seal.key(),
            burn: row.burn,
            revision: row.revision,
            parent: row.parent,
            created_at: row.created_us / 1_000_000,
            expires_at: row.expires_us.map(|us| us / 1_000_000),
            text: readable.map(|body| String::from_utf8_lossy(body).into_owned()),
            encrypted: encrypted.map(|body| URL_SAFE_NO_PAD.encode(body)),
        }
    }
}

#[derive(Template)]
#[template(path = "show.html")]
struct Show<'a> {
    shell: SiteShell,
    id: ShortId,
    heading: String,
    preview: String,
    language: &'a str,
    facts: Vec<String>,
    created: Moment,
    expires: Option<Moment>,
    parent: Option<ShortId>,
    raw: String,
    open: bool,
    revised: bool,
    mine: bool,
    gone: bool,
    locked: bool,
    encrypted: Option<String>,
    document: Option<String>,
    has_document: bool,
    lines: &'a str,
    whole: bool,
}

#[derive(Template)]
#[template(path = "open.html")]
struct Ask {
    shell: SiteShell,
    id: ShortId,
    burn: bool,
    password: bool,
    mine: bool,
    wrong: Option<String>,
}

pub async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = app.find(&id).await?;
    let row = &known.row;
    let asks = row.burn || row.seal == Seal::Password;
    match wants(&headers) {
        Format::Json => {
            let body = (!asks).then_some(&row.body);
            Ok(([(CACHE_CONTROL, "no-store")], axum::Json(Shown::new(row, body))).into_response())
        }
        Format::Plain if asks => Ok(text(StatusCode::CONFLICT, how_to_open(&app, row))),
        Format::Plain => Ok(as_text(row.seal, row.body.clone())),
        Format::Html if asks => ask(visitor, row, StatusCode::OK, None),
        Format::Html => paste(&app, visitor, &known, &query, None).await,
    }
}

/// What a program is told of what it may not just read.
fn how_to_open(app: &App, row: &PasteRow) -> String {
    let url = app.sites.txt.url(&format!("/{}/open", row.id));
    let once = if row.burn { "This paste is read once: reading it deletes it.\n" } else { "" };
    let (locked, data) = if row.seal == Seal::Password {
        ("It has a password.\n", "-d password=…")
    } else {
        ("", "-X POST")
    };
    format!("{once}{locked}To read it: curl {data} {url}\n")
}

/// The text itself, which no browser takes for anything else.
pub fn as_text(seal: Seal, body: Bytes) -> Response {
    let body = match seal {
        Seal::Browser => Bytes::from(format!("{}\n", URL_SAFE_NO_PAD.encode(&body))),
        Seal::None | Seal::Password => body,
    };
    let head = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (ContentSecurityPolicy(SANDBOX), head, body).into_response()
}

/// The page that asks before something is read.
pub fn ask(visitor: Visitor, row: &PasteRow, status: StatusCode, wrong: Option<String>) -> Page {
    let mine = visitor.owns(row);
    let password = row.seal == Seal::Password;
    page_with(status, &Ask { shell: visitor.shell, id: row.id, burn: row.burn, password, mine, wrong })
}

/// The page of a text that may be read. `gone`: what is shown is not there any more; `opened`: it was locked.
pub async fn paste(
    app: &Arc<App>,
    visitor: Visitor,
    known: &Known,
    query: &[(String, String)],
    opened: Option<Opened>,
) -> Page {
    let row = &known.row;
    if row.seal == Seal::Browser {
        return encrypted(app, visitor, row, opened.is_some_and(|opened| opened.gone));
    }
    let markdown = render::is_markdown(&row.language);
    if markdown && value(query, "source").is_empty() {
        let body = row.body.clone();
        // Long documents take a while.
        let document = app.painter.run(move || markdown::render(&String::from_utf8_lossy(&body))).await;
        let document = document.map_err(Problem::internal)?;
        return page(&show_page(app, visitor, row, opened, Content::Document(document)));
    }
    let painted = app.painted(known).await;
    let marked = lines::range(value(query, "lines"));
    let own = marked.map(|marked| lines::page(&painted.lines, Some(marked)));
    page(&show_page(app, visitor, row, opened, Content::Lines(&painted, own.as_deref())))
}

/// How a paste came to be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opened {
    /// It is not there any more.
    pub gone: bool,
    /// It was locked.
    pub locked: bool,
}

enum Content<'a> {
    Document(String),
    Lines(&'a Painted, Option<&'a str>),
}

fn show_page<'a>(
    app: &App,
    visitor: Visitor,
    row: &'a PasteRow,
    opened: Option<Opened>,
    content: Content<'a>,
) -> Show<'a> {
    let opened = opened.unwrap_or_default();
    let (document, lines, whole, count) = match content {
        Content::Document(html) => (Some(html), "", true, None),
        Content::Lines(painted, own) => {
            let lines = own.unwrap_or(&painted.page);
            (None, lines, painted.lines.whole, Some(painted.lines.count()))
        }
    };
    let mut facts = vec![size_words(row.size)];
    facts.extend(count.map(|count| service::view::count(count as u64, "line", "lines")));
    if row.revision > 1 {
        facts.push(format!("revision {}", row.revision));
    }
    // What others are shown of a link is nothing that its reader has not opened.
    let preview = if is_open(row) { preview(&row.body) } else { String::new() };
    Show {
        mine: visitor.owns(row),
        shell: visitor.shell,
        id: row.id,
        heading: if row.title.is_empty() { "A paste".to_owned() } else { row.title.clone() },
        preview,
        language: &row.language,
        facts,
        created: moment(row.created_us),
        expires: row.expires_us.map(moment),
        parent: row.parent,
        raw: app.sites.raw_txt.url(&format!("/{}", row.id)),
        open: is_open(row),
        revised: row.revision > 1,
        gone: opened.gone,
        locked: opened.locked,
        encrypted: None,
        has_document: render::is_markdown(&row.language),
        document,
        lines,
        whole,
    }
}

/// The page that has a browser decrypt what another encrypted.
fn encrypted(app: &App, visitor: Visitor, row: &PasteRow, gone: bool) -> Page {
    let content = Content::Document(String::new());
    let opened = Some(Opened { gone, locked: false });
    let encrypted = Some(URL_SAFE_NO_PAD.encode(&row.body));
    let shown = show_page(app, visitor, row, opened, content);
    page(&Show { encrypted, document: None, heading: "An encrypted paste".to_owned(), ..shown })
}

/// The first words, for previews of a link.
fn preview(body: &Bytes) -> String {
    let head = &body[..body.len().min(800)];
    let text = String::from_utf8_lossy(head);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control() && *c != '\u{fffd}').take(200).collect()
}
