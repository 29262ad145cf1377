//! A text as it is, on an origin of its own that has no cookies: to read, and to download.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use service::web::{ContentSecurityPolicy, Problem};

use super::show::SANDBOX;
use crate::app::App;
use crate::draft::file_name;
use crate::store::Seal;

pub async fn raw(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = app.find(&id).await?;
    let row = &known.row;
    // What is encrypted in the browser tells nothing to whoever lacks the key.
    if row.burn || row.seal == Seal::Password {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "This paste asks first.",
            format!("Open it at {}.", app.sites.txt.url(&format!("/{}", row.id))),
        ));
    }
    let digits: String = row.hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let etag = format!("\"{digits}\"");
    let common = [
        (ETAG, etag.as_str()),
        // Asked for again each time, because it may be deleted; answered with nothing where it is what it was.
        (CACHE_CONTROL, "no-cache"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let kind = match row.seal {
        Seal::None => "text/plain; charset=utf-8",
        Seal::Password | Seal::Browser => "application/octet-stream",
    };
    let mut response =
        (ContentSecurityPolicy(SANDBOX), common, [(CONTENT_TYPE, kind)], row.body.clone()).into_response();
    if query.iter().any(|(name, _)| name == "download") || row.seal != Seal::None {
        let name = file_name(&row.title, &row.language);
        if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
            response.headers_mut().insert(CONTENT_DISPOSITION, value);
        }
    }
    Ok(response)
}
