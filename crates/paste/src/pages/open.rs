//! What asked first is opened: by a POST, which no preview makes. What is read once is gone with it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use service::clock::now_us;
use service::web::{Format, Problem, wants};

use super::show::{Opened, Shown, as_text, ask, paste};
use super::{go, value};
use crate::app::{App, Visitor};
use crate::cache::Known;
use crate::lock::{LockError, Locked};
use crate::store::{PasteRow, Seal};

pub async fn open(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let password = password(&headers, &body);
    let known = app.find(&id).await?;
    let row = Arc::clone(&known.row);
    let format = wants(&headers);
    if !row.burn && row.seal != Seal::Password {
        return Ok(match format {
            Format::Html => go(&format!("/{}", row.id)),
            Format::Json => json(&row, &row.body),
            Format::Plain => as_text(row.seal, row.body.clone()),
        });
    }
    let text = match unlocked(&app, &visitor, &row, password.expose_secret()).await {
        Ok(text) => text,
        Err(refused) => return refuse(visitor, &row, format, refused),
    };
    // The password was right: of all who come this far at once, one gets what is read once.
    if row.burn && app.store.take(row.id, now_us()).await?.is_none() {
        return Err(app.gone(row.id).await);
    }
    if row.burn {
        app.metrics.burnt();
    }
    match format {
        Format::Json => Ok(json(&row, &text)),
        Format::Plain => Ok(as_text(row.seal, text)),
        Format::Html => {
            let opened = Opened { gone: row.burn, locked: row.seal == Seal::Password };
            let row = Arc::new(PasteRow { body: text, ..(*row).clone() });
            paste(&app, visitor, &Known { row, coloured: None }, &[], Some(opened)).await
        }
    }
}

/// What opens a paste, as JSON.
#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
pub struct Opening {
    /// Its password, where it has one.
    #[serde(default)]
    password: String,
}

/// The password in a form or in JSON; empty where nothing was sent.
fn password(headers: &HeaderMap, body: &[u8]) -> SecretString {
    let is_json = |kind: &http::HeaderValue| kind.as_bytes().starts_with(b"application/json");
    if headers.get(http::header::CONTENT_TYPE).is_some_and(is_json) {
        return serde_json::from_slice::<Opening>(body).unwrap_or_default().password.into();
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
    value(&form, "password").into()
}

enum Refused {
    TooOften(share::TooOften),
    Lock(LockError),
}

async fn unlocked(app: &App, visitor: &Visitor, row: &PasteRow, password: &str) -> Result<Bytes, Refused> {
    let (Seal::Password, Some(salt)) = (row.seal, &row.salt) else { return Ok(row.body.clone()) };
    // Nobody locks with nothing.
    if password.is_empty() {
        return Err(Refused::Lock(LockError::Wrong));
    }
    app.guess(visitor).map_err(Refused::TooOften)?;
    let locked = Locked { salt: salt.clone(), body: row.body.clone() };
    app.locks.open(&SecretString::from(password), locked).await.map_err(Refused::Lock)
}

fn refuse(visitor: Visitor, row: &PasteRow, format: Format, refused: Refused) -> Result<Response, Problem> {
    let error = match refused {
        Refused::TooOften(too_often) => return Ok(too_often.into_response()),
        Refused::Lock(error) => error,
    };
    let status = match error {
        LockError::Wrong => StatusCode::FORBIDDEN,
        LockError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        LockError::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    };
    match format {
        Format::Html => ask(visitor, row, status, Some(error.to_string())),
        Format::Json | Format::Plain => {
            Err(Problem::new(status, error.to_string(), "Send it as password=…."))
        }
    }
}

fn json(row: &PasteRow, text: &Bytes) -> Response {
    ([(CACHE_CONTROL, "no-store")], axum::Json(Shown::new(row, Some(text)))).into_response()
}
