//! The bytes themselves, on an origin without cookies and without scripts: whole or a range of them, cached for ever.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pics_core::Kind;
use service::web::{ContentSecurityPolicy, Problem};

use crate::app::{App, nothing};
use crate::objects::CLEAN;
use crate::store::Picture;

/// Nothing runs, nothing loads, nothing frames: only the picture is shown.
const POLICY: ContentSecurityPolicy = ContentSecurityPolicy(
    "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'",
);
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// What a name asks for: `<id>.<ending>`, or `<id>.<side>.<ending>`.
struct Asked<'a> {
    id: &'a str,
    object: &'a str,
    kind: Kind,
}

fn asked(name: &str) -> Option<Asked<'_>> {
    let (id, rest) = name.split_once('.')?;
    let (object, ending) = match rest.split_once('.') {
        // What it is called within is nobody's business.
        Some((CLEAN, _)) => return None,
        Some(side) => side,
        None => (CLEAN, rest),
    };
    Some(Asked { id, object, kind: Kind::from_extension(ending)? })
}

/// Whether the picture has that under that name.
fn has(picture: &Picture, asked: &Asked<'_>) -> bool {
    let ending = asked.kind.extension();
    if asked.object == CLEAN {
        return picture.told.kind == ending;
    }
    picture.views.iter().any(|view| view.kind == ending && view.side.to_string() == asked.object)
}

/// `GET /{name}`, `HEAD /{name}`
pub async fn get(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = asked(&name).ok_or_else(nothing)?;
    let picture = app.find(asked.id).await?;
    if !has(&picture, &asked) {
        return Err(nothing());
    }
    // Under one name there is one content, for ever.
    let etag = HeaderValue::from_str(&format!("\"{name}\"")).map_err(Problem::internal)?;
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let cache = match picture.said.expires_us {
        None => HeaderValue::from_static(FOR_EVER),
        // What goes by itself goes from caches, too.
        Some(at) => {
            let left = (at - service::clock::now_us()).max(0) / 1_000_000;
            HeaderValue::from_str(&format!("public, max-age={left}")).map_err(Problem::internal)?
        }
    };
    let common = [
        (ETAG, etag.clone()),
        (CACHE_CONTROL, cache),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        // Whoever has the address may show it.
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
        (CONTENT_DISPOSITION, HeaderValue::from_static("inline")),
    ];
    let is_known = text(IF_NONE_MATCH).is_some_and(|known| {
        known.split(',').any(|known| {
            known.trim().trim_start_matches("W/").as_bytes() == etag.as_bytes() || known.trim() == "*"
        })
    });
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, common, POLICY, ()).into_response());
    }
    let current = text(IF_RANGE).is_none_or(|known| known.as_bytes() == etag.as_bytes());
    let wanted = text(RANGE).filter(|_| current && method == Method::GET).and_then(Wanted::read);
    let length = match &wanted {
        None => None,
        Some(_) => {
            let whole =
                app.objects.get(picture.key, asked.object, None).await.map_err(Problem::unavailable)?;
            Some(whole.ok_or_else(|| lost(&picture))?.length)
        }
    };
    let range = match (wanted, length) {
        (Some(wanted), Some(length)) => match wanted.of(length) {
            Some(range) => Some(range),
            None => {
                let all = HeaderValue::from_str(&format!("bytes */{length}")).map_err(Problem::internal)?;
                return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(CONTENT_RANGE, all)], "").into_response());
            }
        },
        _ => None,
    };
    let read =
        app.objects.get(picture.key, asked.object, range.clone()).await.map_err(Problem::unavailable)?;
    let read = read.ok_or_else(|| lost(&picture))?;
    let kind = [
        (CONTENT_TYPE, HeaderValue::from_static(asked.kind.mime())),
        (CONTENT_LENGTH, HeaderValue::from(read.range.end - read.range.start)),
    ];
    let body = if method == Method::HEAD { Body::empty() } else { Body::from_stream(read.stream) };
    if range.is_none() {
        return Ok((common, kind, POLICY, body).into_response());
    }
    let part = format!("bytes {}-{}/{}", read.range.start, read.range.end.saturating_sub(1), read.length);
    let part = [(CONTENT_RANGE, HeaderValue::from_str(&part).map_err(Problem::internal)?)];
    Ok((StatusCode::PARTIAL_CONTENT, common, kind, part, POLICY, body).into_response())
}

/// A row without its bytes: the sweeper will say so too.
fn lost(picture: &Picture) -> Problem {
    tracing::error!(picture = %picture.id, "the bytes of a picture are gone");
    nothing()
}

/// One range of bytes (RFC 9110 §14.1.2). Of several none is taken: the whole answers as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

impl Wanted {
    fn read(header: &str) -> Option<Self> {
        let (from, to) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
        let number =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        match (from.trim(), to.trim()) {
            ("", last) => Some(Self::Last(number(last)?)),
            (from, "") => Some(Self::From(number(from)?)),
            (from, to) => {
                let (from, to) = (number(from)?, number(to)?);
                (from <= to).then_some(Self::Between(from, to))
            }
        }
    }

    /// Which bytes of `length` these are; `None` for none.
    fn of(self, length: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(from) => from..length,
            Self::Between(from, to) => from..to.saturating_add(1).min(length),
            Self::Last(count) => length.saturating_sub(count)..length,
        };
        (range.start < range.end).then_some(range)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_what_the_rfc_says() {
        let of = |header: &str| Wanted::read(header).and_then(|wanted| wanted.of(100));
        assert_eq!(of("bytes=0-9"), Some(0..10));
        assert_eq!(of("bytes=90-"), Some(90..100));
        assert_eq!(of("bytes=-5"), Some(95..100));
        assert_eq!(of("bytes=-500"), Some(0..100));
        assert_eq!(of("bytes=50-5000"), Some(50..100));
        for none in
            ["bytes=100-", "bytes=-0", "bytes=9-1", "bytes=0-1,5-6", "chunks=0-1", "bytes=-", "bytes=+1-2"]
        {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn a_name_is_an_id_perhaps_a_side_and_an_ending() {
        let of = |name| asked(name).map(|asked| (asked.id, asked.object, asked.kind));
        assert_eq!(of("abc.jpg"), Some(("abc", CLEAN, Kind::Jpeg)));
        assert_eq!(of("abc.400.webp"), Some(("abc", "400", Kind::WebP)));
        for none in ["abc", "abc.svg", "abc.html", "abc.", ".", "abc.400.400.jpg", "abc.clean.jpg"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_range_leaves_the_object(header in "bytes=[0-9]{0,22}-[0-9]{0,22}", length in 0_u64..1_000) {
            if let Some(range) = Wanted::read(&header).and_then(|wanted| wanted.of(length)) {
                prop_assert!(range.start < range.end && range.end <= length);
            }
        }
    }
}
