//! Where pictures are sent to: a raw body (curl, FILEHOST clients, our own page), or a form with files in it.

use std::sync::Arc;

use axum::extract::{FromRequest as _, Multipart, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use contracts::Account;
use http::header::{ACCEPT, ALLOW, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use service::view::Form;
use service::web::{Format, Problem, wants};

use crate::app::{App, Member};
use crate::pages::{go, said};
use crate::store::{Put, Said};
use crate::upload::{self, UploadError};

/// No text in a form is longer.
const MOST_TEXT: usize = 4096;
const ACCEPT_POST: &str = "image/jpeg, image/png, image/gif, image/webp, image/avif, multipart/form-data";

/// What an address may say of the picture that is sent to it.
#[derive(Debug, Default, Deserialize)]
pub struct Told {
    name: Option<String>,
    caption: Option<String>,
    alt: Option<String>,
    album: Option<String>,
    expires: Option<String>,
}

/// What programs are told of a picture that was put up.
#[derive(Debug, Serialize)]
struct Answer {
    id: String,
    /// The picture itself.
    url: String,
    /// Its page.
    page: String,
    /// Its small view.
    thumbnail: String,
    /// Whoever has this may delete it.
    delete_url: String,
    kind: String,
    width: u32,
    height: u32,
    frames: u32,
    bytes: u64,
}

impl Answer {
    fn of(app: &App, put: &Put, host: Option<&str>) -> Self {
        let picture = &put.picture;
        let (width, height) = picture.told.shown();
        Self {
            id: picture.id.to_string(),
            url: app.address_at(picture, host),
            page: app.sites.pics.url(&format!("/p/{}", picture.id)),
            thumbnail: app.view(picture, crate::worker::views::SMALL),
            delete_url: app.sites.pics.url(&format!("/p/{}/delete/{}", picture.id, put.token)),
            kind: picture.told.kind.clone(),
            width,
            height,
            frames: picture.told.frames,
            bytes: picture.bytes,
        }
    }
}

/// `OPTIONS /upload`: what may be sent.
pub async fn asked(State(app): State<Arc<App>>) -> Response {
    let most = HeaderValue::from_str(&format!("maxsize={}", app.largest));
    let headers = [
        (ALLOW, HeaderValue::from_static("OPTIONS, POST")),
        (HeaderName::from_static("accept-post"), HeaderValue::from_static(ACCEPT_POST)),
        (HeaderName::from_static("upload-limit"), most.unwrap_or(HeaderValue::from_static(""))),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// `POST /upload`
pub async fn take(
    State(app): State<Arc<App>>,
    member: Member,
    Query(told): Query<Told>,
    request: Request,
) -> Result<Response, Response> {
    app.uploads.take(&member.whose).map_err(|often| often.into_response())?;
    let headers = request.headers().clone();
    let said = said_of(&told).map_err(|problem| problem.into_response())?;
    let is_form = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data"));
    let put = if is_form {
        form(&app, &member.account, said, request).await
    } else {
        let sent = upload::Sent {
            length: length(&headers),
            name: told.name.or_else(|| file_name(&headers)).unwrap_or_default(),
            said,
        };
        let body = request.into_body().into_data_stream();
        upload::take(&app, &member.account, sent, body)
            .await
            .map(|put| vec![put])
            .map_err(UploadError::problem)
    };
    let put = put.map_err(|problem| {
        app.figures.refused.inc();
        problem.into_response()
    })?;
    app.figures.put.inc_by(put.len() as u64);
    Ok(answer(&app, &put, &headers, is_form))
}

/// The answer as its reader wants it: a browser's form goes to the gallery, programs get JSON, curl gets addresses.
fn answer(app: &App, put: &[Put], headers: &HeaderMap, is_form: bool) -> Response {
    if is_form && wants(headers) == Format::Html {
        return go("/");
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let answers: Vec<Answer> = put.iter().map(|put| Answer::of(app, put, host)).collect();
    let Some(first) = answers.first() else {
        return Problem::new(StatusCode::BAD_REQUEST, "No picture was sent.", "Choose one and send it.")
            .into_response();
    };
    let location = HeaderValue::from_str(&first.url).ok().map(|url| [(LOCATION, url)]);
    let json =
        headers.get(ACCEPT).and_then(|kind| kind.to_str().ok()).is_some_and(|kind| kind.contains("json"));
    if json {
        let body = if answers.len() == 1 {
            axum::Json(first).into_response()
        } else {
            axum::Json(&answers).into_response()
        };
        return (StatusCode::CREATED, location, body).into_response();
    }
    let lines: String = answers.iter().map(|answer| format!("{}\n", answer.url)).collect();
    (StatusCode::CREATED, location, lines).into_response()
}

fn said_of(told: &Told) -> Result<Said, Problem> {
    let fields =
        [("caption", &told.caption), ("alt", &told.alt), ("album", &told.album), ("expires", &told.expires)];
    let pairs = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    checked(&mut Form::from_pairs(pairs))
}

fn checked(form: &mut Form) -> Result<Said, Problem> {
    said(form, None).ok_or_else(|| {
        let what = form.error("expires").unwrap_or("Something in the form is wrong.");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, what, "")
    })
}

/// Every file of a form. What is said of them comes before them.
async fn form(app: &Arc<App>, account: &Account, said: Said, request: Request) -> Result<Vec<Put>, Problem> {
    let whole = length(request.headers());
    let mut parts =
        Multipart::from_request(request, &()).await.map_err(|_| Problem::of(StatusCode::BAD_REQUEST))?;
    let mut fields = Form::new()
        .with("caption", said.caption)
        .with("alt", said.alt)
        .with("album", said.album.map(|album| album.to_string()).unwrap_or_default());
    let mut put = Vec::new();
    while let Some(mut part) = parts.next_field().await.map_err(|_| UploadError::CutShort.problem())? {
        let name = part.name().unwrap_or_default().to_owned();
        let Some(file) = part.file_name().map(str::to_owned) else {
            let text = text(&mut part).await?;
            fields = fields.with(&name, text);
            continue;
        };
        // A form whose field for a file was left empty.
        if file.is_empty() && put.is_empty() {
            continue;
        }
        let mut said_now = checked(&mut fields)?;
        said_now.expires_us = said_now.expires_us.or(said.expires_us);
        // No file is longer than all of the form.
        let length = whole.map(|whole| whole.min(app.largest));
        let sent = upload::Sent { length, name: file, said: said_now };
        put.push(upload::take(app, account, sent, Box::pin(part)).await.map_err(UploadError::problem)?);
    }
    Ok(put)
}

async fn text(part: &mut axum::extract::multipart::Field<'_>) -> Result<String, Problem> {
    let mut text = Vec::new();
    while let Some(piece) = part.chunk().await.map_err(|_| UploadError::CutShort.problem())? {
        text.extend_from_slice(&piece);
        if text.len() > MOST_TEXT {
            return Err(Problem::of(StatusCode::PAYLOAD_TOO_LARGE));
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// The name in a `Content-Disposition` header (RFC 6266), if it says one.
fn file_name(headers: &HeaderMap) -> Option<String> {
    let header = headers.get(CONTENT_DISPOSITION)?.to_str().ok()?;
    let mut plain = None;
    for part in header.split(';') {
        let Some((key, value)) = part.split_once('=') else { continue };
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            // RFC 8187, and the better of the two where both are said.
            "filename*" => {
                let encoded = value.split("''").nth(1)?;
                let pair = format!("n={}", encoded.replace('+', "%2B"));
                return url::form_urlencoded::parse(pair.as_bytes())
                    .next()
                    .map(|(_, name)| name.into_owned());
            }
            "filename" => plain = Some(value.trim_matches('"').to_owned()),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_browsers_and_clients_write_it() {
        let of = |text: &'static str| {
            file_name(&[(CONTENT_DISPOSITION, HeaderValue::from_static(text))].into_iter().collect())
        };
        assert_eq!(of("attachment; filename=\"a b.png\"").as_deref(), Some("a b.png"));
        assert_eq!(of("inline; filename=cat.jpg").as_deref(), Some("cat.jpg"));
        assert_eq!(
            of("attachment; filename=x; filename*=UTF-8''%E2%82%AC+1.png").as_deref(),
            Some("€+1.png")
        );
        assert_eq!(of("inline"), None);
    }
}
