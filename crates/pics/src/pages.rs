//! The pages, a module each: what it asks for, what it shows, what its forms do.

pub mod albums;
pub mod gallery;
pub mod moderate;
pub mod picture;
pub mod tools;
pub mod upload;

use askama::Template;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use entitlements::{Amount, Unit};
use http::StatusCode;
use service::clock::now_us;
use service::view::{Form, Moment};
use service::web::{ImagesFrom, Problem};
use share::Lifetime;

use crate::app::App;
use crate::store::{Picture, Said};
use crate::worker::views::{LARGE, SMALL};

/// What a page's handler answers.
pub type Page = Result<Response, Problem>;

/// What a browser sends with a form.
pub type Sent = axum::Form<Vec<(String, String)>>;

/// No caption, description or title is longer.
const MOST_WORDS: usize = 500;

/// A rendered page, with pictures from their own origin.
pub fn page(app: &App, template: &impl Template) -> Page {
    page_with(app, StatusCode::OK, template)
}

/// The same with a status of its own.
pub fn page_with(app: &App, status: StatusCode, template: &impl Template) -> Page {
    let html = template.render().map_err(Problem::internal)?;
    Ok((status, ImagesFrom::origin(app.sites.i_pics.clone()), Html(html)).into_response())
}

/// Off to another page of the same site, after a form was taken.
pub fn go(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// Bytes in words.
pub fn size(bytes: u64) -> String {
    Amount::AtMost(bytes).words(Unit::Bytes)
}

/// A line as somebody typed it, without what no line has.
pub fn line(text: &str) -> String {
    let text: String = text.chars().filter(|letter| !letter.is_control()).take(MOST_WORDS).collect();
    text.trim().to_owned()
}

/// A picture as lists and pages show it.
pub struct Shown {
    pub id: String,
    pub address: String,
    pub small: String,
    pub large: String,
    pub width: u32,
    pub height: u32,
    /// As large as it is in a list, so that nothing jumps.
    pub small_width: u32,
    pub small_height: u32,
    pub frames: u32,
    pub name: String,
    pub caption: String,
    pub alt: String,
    pub size: String,
    pub kind: String,
    pub made: Moment,
    pub expires: Option<Moment>,
}

impl Shown {
    pub fn new(app: &App, picture: &Picture) -> Self {
        let now = now_us() / 1_000_000;
        let (width, height) = picture.told.shown();
        let longest = width.max(height).max(1);
        let small = |side: u32| {
            let scaled = u64::from(side) * u64::from(SMALL.min(longest)) / u64::from(longest);
            u32::try_from(scaled).unwrap_or(SMALL).max(1)
        };
        Self {
            id: picture.id.to_string(),
            address: app.address(picture),
            small: app.view(picture, SMALL),
            large: app.view(picture, LARGE),
            width,
            height,
            small_width: small(width),
            small_height: small(height),
            frames: picture.told.frames,
            name: picture.name.clone(),
            caption: picture.said.caption.clone(),
            alt: picture.said.alt.clone(),
            size: size(picture.bytes),
            kind: picture.told.kind.to_ascii_uppercase(),
            made: Moment::new(picture.made_us / 1_000_000, now),
            expires: picture.said.expires_us.map(|at| Moment::new(at / 1_000_000, now)),
        }
    }

    /// What a link to it is called.
    pub fn title(&self) -> &str {
        [&self.caption, &self.alt, &self.name]
            .into_iter()
            .find(|words| !words.is_empty())
            .map_or("Picture", |words| words)
    }
}

/// What a form says of a picture; what is wrong stands in the form.
pub fn said(form: &mut Form, before: Option<i64>) -> Option<Said> {
    let album = match form.trimmed("album") {
        "" => None,
        id => id.parse().ok(),
    };
    let expires_us = match form.trimmed("expires") {
        // Nothing typed changes nothing.
        "" => before,
        text => match text.parse::<Lifetime>() {
            Ok(lifetime) => lifetime.ends(now_us()),
            Err(error) => {
                form.refuse("expires", error.to_string());
                return None;
            }
        },
    };
    Some(Said { caption: line(form.value("caption")), alt: line(form.value("alt")), album, expires_us })
}
