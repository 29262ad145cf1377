//! Something is put up: by the page, by curl in its two ways, or as JSON.

use std::sync::Arc;

use axum::extract::{FromRequest, Multipart, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use entitlements::{Limit, OverLimit};
use http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use service::clock::now_us;
use service::secrets::{random_token, sha256};
use service::view::Form;
use service::web::{Format, Problem, set_cookie, wants};
use share::{ShortId, TooOften};

use super::{go, new, text};
use crate::app::{App, MINE, Visitor, blocked};
use crate::draft::{Draft, MOST_BYTES, Ready, Refusal};
use crate::lock::LockError;
use crate::store::{PasteRow, Seal, StoreError};

/// Names the token that deletes a paste nobody is signed in for.
const DELETE_TOKEN: HeaderName = HeaderName::from_static("x-delete-token");
/// How long a browser without an account manages what it put up.
const MINE_SECONDS: u64 = 400 * 86_400;

/// A new paste as JSON.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPaste {
    /// The text; or `encrypted`.
    #[serde(default)]
    pub text: String,
    /// What was encrypted before it was sent, in base64url: twelve bytes of nonce, then AES-256-GCM.
    #[serde(default)]
    pub encrypted: String,
    /// A title or a file name.
    #[serde(default)]
    pub title: String,
    /// A language by any of its names; guessed where it is empty.
    #[serde(default)]
    pub language: String,
    /// How long it stays: `10m`, `12h`, `3d`, `2w`, `never`; as long as the plan allows where it is empty.
    #[serde(default)]
    pub expires: String,
    /// Whether it is read once.
    #[serde(default)]
    pub burn: bool,
    /// What it is locked with.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub password: Option<SecretString>,
    /// The id of the paste it was made from.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub parent: Option<ShortId>,
}

/// What was put up, as JSON.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Created {
    /// Its id.
    #[schemars(with = "String")]
    pub id: ShortId,
    /// Its page.
    pub url: String,
    /// The text itself.
    pub raw_url: String,
    /// When it is over, seconds since 1970.
    pub expires_at: Option<i64>,
    /// Deletes it, where nobody is signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_token: Option<String>,
}

/// Why something was not put up.
#[derive(Debug)]
pub enum NotPut {
    Refused(Refusal),
    Full(OverLimit),
    TooOften(TooOften),
    Blocked,
    Busy(LockError),
    Problem(Problem),
}

/// What was put up, and the token that manages it where nobody is signed in.
pub struct Put {
    pub id: ShortId,
    pub expires_us: Option<i64>,
    pub token: Option<String>,
}

pub async fn create(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let draft = match read(&headers, &query, request).await {
        Ok(draft) => draft,
        Err(refused) => return refuse(&visitor, &refused),
    };
    let format = wants(&headers);
    let typed = (format == Format::Html).then(|| draft.clone());
    match put(&app, &visitor, draft).await {
        Ok(put) => {
            let page = headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
            answer(&app, format, &visitor, put, page || format == Format::Html)
        }
        Err(error) => match typed {
            Some(typed) => refuse_form(visitor, &typed, error),
            None => refuse(&visitor, &error),
        },
    }
}

/// Puts it up for whoever asks. On disk when it returns.
pub async fn put(app: &App, visitor: &Visitor, draft: Draft) -> Result<Put, NotPut> {
    let by_account = visitor.whose.account().is_some();
    let done = put_inner(app, visitor, draft).await;
    let outcome = match &done {
        Ok(_) => "kept",
        Err(NotPut::Refused(_)) => "refused",
        Err(NotPut::Full(_)) => "full",
        Err(NotPut::TooOften(_)) => "too_often",
        Err(NotPut::Blocked) => "blocked",
        Err(NotPut::Busy(_) | NotPut::Problem(_)) => "failed",
    };
    app.metrics.put(by_account, outcome);
    done
}

async fn put_inner(app: &App, visitor: &Visitor, draft: Draft) -> Result<Put, NotPut> {
    let ready = draft.check(&visitor.limits).map_err(NotPut::Refused)?;
    app.puts.take(&visitor.whose).map_err(NotPut::TooOften)?;
    let hash = sha256(&ready.text);
    let blocked = app.abuse.is_blocked(&hash).await;
    if blocked.map_err(|error| NotPut::Problem(error.into()))? {
        return Err(NotPut::Blocked);
    }
    let token = match visitor.whose.account() {
        Some(_) => None,
        None => Some(match &visitor.mine {
            Some(token) => token.clone(),
            None => random_token().map_err(|error| NotPut::Problem(Problem::internal(error)))?,
        }),
    };
    let row = row(app, visitor, ready, token.as_deref()).await?;
    let put = Put { id: row.id, expires_us: row.expires_us, token };
    let room = visitor.limits.get(Limit::Pastes);
    match app.store.create(row, room).await {
        Ok(()) => Ok(put),
        Err(StoreError::Full) => Err(NotPut::Full(OverLimit { limit: Limit::Pastes, allowed: room })),
        Err(error) => Err(NotPut::Problem(error.into())),
    }
}

async fn row(app: &App, visitor: &Visitor, ready: Ready, token: Option<&str>) -> Result<PasteRow, NotPut> {
    let size = ready.text.len() as u64;
    let (seal, salt, body) = match (&ready.password, ready.encrypted) {
        (_, true) => (Seal::Browser, None, ready.text),
        (None, false) => (Seal::None, None, ready.text),
        (Some(password), false) => {
            let locked = app.locks.lock(password, ready.text).await.map_err(NotPut::Busy)?;
            (Seal::Password, Some(locked.salt), locked.body)
        }
    };
    let now = now_us();
    Ok(PasteRow {
        id: ShortId::random().map_err(|error| NotPut::Problem(Problem::internal(error)))?,
        owner: visitor.owner.clone(),
        manage: token.map(|token| sha256(token.as_bytes()).to_vec()),
        title: ready.title,
        language: ready.language.to_owned(),
        size,
        hash: sha256(&body).to_vec(),
        body,
        seal,
        salt,
        burn: ready.burn,
        parent: ready.parent,
        revision: 1,
        created_us: now,
        changed_us: now,
        expires_us: ready.lifetime.ends(now),
    })
}

/// `page`: a page of ours asked, whose browser keeps the token.
fn answer(app: &App, format: Format, visitor: &Visitor, put: Put, page: bool) -> Response {
    let path = format!("/{}", put.id);
    let url = app.sites.txt.url(&path);
    let mut response = match format {
        Format::Html => go(&path),
        Format::Plain => text(StatusCode::CREATED, format!("{url}\n")),
        Format::Json => {
            let created = Created {
                id: put.id,
                url: url.clone(),
                raw_url: app.sites.raw_txt.url(&path),
                expires_at: put.expires_us.map(|us| us / 1_000_000),
                delete_token: put.token.clone(),
            };
            (StatusCode::CREATED, axum::Json(created)).into_response()
        }
    };
    let headers = response.headers_mut();
    if format != Format::Html
        && let Ok(location) = HeaderValue::from_str(&url)
    {
        headers.insert(LOCATION, location);
    }
    if let Some(token) = put.token {
        if page && visitor.mine.is_none() {
            headers.extend(set_cookie(MINE, &token, MINE_SECONDS).map(|cookie| (SET_COOKIE, cookie)));
        } else if !page {
            headers.extend(HeaderValue::from_str(&token).ok().map(|token| (DELETE_TOKEN, token)));
        }
    }
    response
}

/// The status and the sentences of a refusal.
fn words(visitor: &Visitor, error: &NotPut) -> (StatusCode, String, String) {
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    match error {
        NotPut::Refused(refusal @ Refusal::TooLong) => {
            (StatusCode::PAYLOAD_TOO_LARGE, refusal.to_string(), String::new())
        }
        NotPut::Refused(refusal) => (unprocessable, refusal.to_string(), String::new()),
        NotPut::Full(over) if visitor.whose.account().is_none() => (
            StatusCode::FORBIDDEN,
            format!(
                "Without an account, {} live at once from one address.",
                over.allowed.words(over.limit.unit())
            ),
            "Delete one, wait until one is over, or sign up.".to_owned(),
        ),
        NotPut::Full(over) => (StatusCode::FORBIDDEN, over.to_string(), String::new()),
        NotPut::Busy(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string(), String::new()),
        NotPut::TooOften(_) => (
            StatusCode::TOO_MANY_REQUESTS,
            "That was too often.".to_owned(),
            "Wait a minute and send it again.".to_owned(),
        ),
        NotPut::Blocked => (StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS, String::new(), String::new()),
        NotPut::Problem(problem) => (problem.status(), String::new(), String::new()),
    }
}

/// A refusal as a page of its own, or as text.
pub fn refuse(visitor: &Visitor, error: &NotPut) -> Response {
    match error {
        NotPut::TooOften(too_often) => too_often.into_response(),
        NotPut::Blocked => blocked().into_response(),
        NotPut::Problem(problem) => problem.clone().into_response(),
        other => {
            let (status, what, advice) = words(visitor, other);
            Problem::new(status, what, advice).into_response()
        }
    }
}

/// The form again, with everything that was typed but the password.
fn refuse_form(visitor: Visitor, typed: &Draft, error: NotPut) -> Response {
    let Ok(text) = std::str::from_utf8(&typed.text) else { return refuse(&visitor, &error) };
    if matches!(error, NotPut::Blocked | NotPut::Problem(_)) || text.len() > MOST_BYTES {
        return refuse(&visitor, &error);
    }
    let mut form = Form::new()
        .with("text", text)
        .with("title", typed.title.clone())
        .with("language", typed.language.clone())
        .with("expires", typed.expires.clone());
    if typed.burn {
        form = form.with("burn", "on");
    }
    let (status, what, advice) = words(&visitor, &error);
    let field = if let NotPut::Refused(refusal) = &error { refusal.field() } else { "" };
    form.refuse(field, format!("{what} {advice}").trim_end());
    new::again(visitor, form, typed.parent.map(|id| id.to_string()), status)
}

/// What was sent, whatever way.
async fn read(headers: &HeaderMap, query: &[(String, String)], request: Request) -> Result<Draft, NotPut> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.to_ascii_lowercase();
    let mut draft = Draft::default();
    for (name, value) in query {
        set(&mut draft, name, value);
    }
    if kind.starts_with("multipart/form-data") {
        let parts =
            Multipart::from_request(request, &()).await.map_err(|error| malformed(&error.body_text()))?;
        return Ok(form(draft, parts).await?.0);
    }
    let body = Bytes::from_request(request, &()).await.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => NotPut::Refused(Refusal::TooLong),
        _ => malformed("The request broke off."),
    })?;
    if kind.starts_with("application/json") {
        return json(&body);
    }
    // What curl sends calls itself a form whatever it is; ours never is one.
    draft.text = body;
    Ok(draft)
}

fn malformed(what: &str) -> NotPut {
    NotPut::Problem(Problem::new(
        StatusCode::BAD_REQUEST,
        format!("The request cannot be read. {what}"),
        "Look at the examples on the help page.",
    ))
}

fn json(body: &Bytes) -> Result<Draft, NotPut> {
    let new: NewPaste = serde_json::from_slice(body).map_err(|error| malformed(&format!("{error}.")))?;
    let encrypted = !new.encrypted.is_empty();
    let text = if encrypted {
        URL_SAFE_NO_PAD
            .decode(new.encrypted.as_bytes())
            .map_err(|_| malformed("`encrypted` is no base64url."))?
            .into()
    } else {
        Bytes::from(new.text)
    };
    Ok(Draft {
        text,
        encrypted,
        title: new.title,
        language: new.language,
        expires: new.expires,
        burn: new.burn,
        password: new.password,
        parent: new.parent,
    })
}

/// What a form with files holds, and the fields that are no part of a draft.
pub async fn form(mut draft: Draft, mut parts: Multipart) -> Result<(Draft, Vec<(String, String)>), NotPut> {
    let mut rest = Vec::new();
    let broken = |error: axum::extract::multipart::MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => NotPut::Refused(Refusal::TooLong),
        _ => malformed(&error.body_text()),
    };
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        let name = part.name().unwrap_or_default().to_owned();
        let file_name = part.file_name().map(str::to_owned);
        let bytes = part.bytes().await.map_err(broken)?;
        let is_text = matches!(name.as_str(), "text" | "file" | "f" | "content" | "paste");
        if is_text || file_name.is_some() {
            // A page sends its file field even where nothing was chosen.
            if !bytes.is_empty() {
                // Forms end lines as mail does.
                draft.text = if file_name.is_none() { unix_lines(bytes) } else { bytes };
            }
            if let Some(file_name) = file_name.filter(|name| !name.is_empty() && draft.title.is_empty()) {
                draft.title = file_name;
            }
        } else {
            let value = String::from_utf8_lossy(&bytes).into_owned();
            set(&mut draft, &name, &value);
            rest.push((name, value));
        }
    }
    Ok((draft, rest))
}

fn unix_lines(bytes: Bytes) -> Bytes {
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains("\r\n") => text.replace("\r\n", "\n").into(),
        _ => bytes,
    }
}

fn set(draft: &mut Draft, name: &str, value: &str) {
    match name {
        "title" | "name" if !value.is_empty() => value.clone_into(&mut draft.title),
        "language" | "lang" => value.clone_into(&mut draft.language),
        "expires" => value.clone_into(&mut draft.expires),
        "burn" => draft.burn = !matches!(value, "0" | "false" | "off" | "no"),
        "password" if !value.is_empty() => draft.password = Some(SecretString::from(value)),
        "parent" => draft.parent = value.parse().ok(),
        _ => {}
    }
}
