//! The design: one stylesheet, one script, what only some pages need of both, fonts and icons, served under `/design/` by
//! every site itself.
//!
//! The files of `design/` are put together at first use. Stylesheet, script and fonts have a hash in their name and never
//! expire; text is kept compressed beside its plain form. Where npm has not been run there are no fonts, and pages do
//! with those of the reader's system.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::LazyLock;

use axum::extract::{Form, Path};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION,
    SET_COOKIE, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

include!(concat!(env!("OUT_DIR"), "/design.rs"));

const FOR_EVER: &str = "public, max-age=31536000, immutable";
const A_DAY: &str = "public, max-age=86400";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const OF_PAGES: [&str; 2] = ["components/pages/", "js/pages/"];

struct Asset {
    plain: Bytes,
    gzip: Option<Bytes>,
    kind: &'static str,
    cache: &'static str,
    etag: String,
}

struct Design {
    css: String,
    js: String,
    /// The URLs of what stands in [`OF_PAGES`], by file name.
    of_pages: BTreeMap<String, String>,
    files: BTreeMap<String, Asset>,
}

static DESIGN: LazyLock<Design> = LazyLock::new(|| Design::of(&source()));

/// The stylesheet's URL.
pub fn css() -> &'static str {
    &DESIGN.css
}

/// The script's URL.
pub fn js() -> &'static str {
    &DESIGN.js
}

/// The URL of a stylesheet or script that only some pages need: `components/pages/<name>` or `js/pages/<name>`. Empty where
/// there is none.
pub fn of_pages(name: &str) -> &'static str {
    DESIGN.of_pages.get(name).map_or("", String::as_str)
}

crate::routes! {
    /// The design: files, and the choice of a theme. Each site merges its router.
    ROUTES, pub router<()>,
    get "/design/{*path}" Anyone => file;
    post "/design/theme" Anyone => choose_theme;
}

async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = DESIGN.files.get(&path) else {
        return (StatusCode::NOT_FOUND, [(CONTENT_TYPE, "text/plain")], "There is no such file.\n")
            .into_response();
    };
    let says = |name, what: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains(what))
    };
    let common = [(CACHE_CONTROL, asset.cache), (ETAG, asset.etag.as_str()), (VARY, "accept-encoding")];
    if says(IF_NONE_MATCH, &asset.etag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let kind = [(CONTENT_TYPE, asset.kind)];
    match &asset.gzip {
        Some(gzip) if says(ACCEPT_ENCODING, "gzip") => {
            (common, kind, [(CONTENT_ENCODING, "gzip")], gzip.clone()).into_response()
        }
        _ => (common, kind, asset.plain.clone()).into_response(),
    }
}

#[derive(serde::Deserialize)]
struct Choice {
    theme: String,
    #[serde(default)]
    back: String,
}

/// Keeps the theme in a cookie, as the script does where there is one, and goes back.
async fn choose_theme(Form(choice): Form<Choice>) -> Response {
    let cookie = match choice.theme.as_str() {
        "dark" => "theme=dark; Path=/; Max-Age=31536000; SameSite=Lax",
        "light" => "theme=light; Path=/; Max-Age=31536000; SameSite=Lax",
        _ => "theme=; Path=/; Max-Age=0; SameSite=Lax",
    };
    let back = local_path(&choice.back).and_then(|path| HeaderValue::from_str(path).ok());
    (
        StatusCode::SEE_OTHER,
        [
            (LOCATION, back.unwrap_or(HeaderValue::from_static("/"))),
            (SET_COOKIE, HeaderValue::from_static(cookie)),
        ],
    )
        .into_response()
}

/// `path` if a browser can only read it as a path of this site: one slash in front, then no other and no backslash
/// (which browsers read as one), nothing invisible anywhere.
pub fn local_path(path: &str) -> Option<&str> {
    let mut letters = path.chars();
    let safe = letters.next() == Some('/')
        && !matches!(letters.next(), Some('/' | '\\'))
        && !path.chars().any(|letter| letter.is_control() || letter.is_whitespace() || letter == '\\');
    safe.then_some(path)
}

impl Design {
    fn of(source: &BTreeMap<String, Vec<u8>>) -> Self {
        let join = |wanted: &dyn Fn(&str) -> bool| -> Vec<u8> {
            source.iter().filter(|(name, _)| wanted(name)).fold(Vec::new(), |mut all, (_, bytes)| {
                all.extend_from_slice(bytes);
                all.push(b'\n');
                all
            })
        };
        let mut styles = Vec::new();
        for name in ["dist/fonts.css", "tokens.css", "base.css"] {
            styles.extend(join(&|other| other == name));
        }
        let of_every_page = |name: &str, folder: &str, end: &str| {
            name.starts_with(folder) && name.ends_with(end) && !OF_PAGES.iter().any(|of| name.starts_with(of))
        };
        styles.extend(join(&|name| of_every_page(name, "components/", ".css")));
        let script = join(&|name| of_every_page(name, "js/", ".js"));

        let mut files = BTreeMap::new();
        let mut named = |bytes: Vec<u8>, end: &str, kind| {
            let name = format!("irc-now.{}.{end}", &hash(&bytes)[..8]);
            let url = format!("/design/{name}");
            files.insert(name, Asset::new(bytes, kind, FOR_EVER));
            url
        };
        let css = named(styles, "css", STYLE);
        let js = named(script, "js", SCRIPT);
        let mut of_pages = BTreeMap::new();
        for (path, bytes) in source {
            if let Some(name) = OF_PAGES.iter().find_map(|folder| path.strip_prefix(folder)) {
                let (end, kind) = if name.ends_with(".css") { ("css", STYLE) } else { ("js", SCRIPT) };
                of_pages.insert(name.to_owned(), named(bytes.clone(), end, kind));
            }
        }
        for (name, bytes) in source {
            if name.starts_with("icons/") {
                files.insert(name.clone(), Asset::new(bytes.clone(), kind_of(name), A_DAY));
            } else if let Some(font) = name.strip_prefix("dist/fonts/") {
                files.insert(format!("fonts/{font}"), Asset::new(bytes.clone(), kind_of(name), FOR_EVER));
            }
        }
        Self { css, js, of_pages, files }
    }
}

impl Asset {
    fn new(plain: Vec<u8>, kind: &'static str, cache: &'static str) -> Self {
        let etag = format!("\"{}\"", &hash(&plain)[..16]);
        let is_text = kind.starts_with("text/") || kind.contains("svg");
        let gzip = is_text.then(|| compress(&plain)).flatten().filter(|gzip| gzip.len() < plain.len());
        Self { plain: plain.into(), gzip: gzip.map(Bytes::from), kind, cache, etag }
    }
}

fn compress(plain: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}

fn hash(bytes: &[u8]) -> String {
    crate::secrets::sha256(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

/// The files of `design/` by their path in it: from this binary, or in a debug build from the folder itself.
fn source() -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> =
        EMBEDDED.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
    if cfg!(debug_assertions) && files.is_empty() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../design");
        for folder in ["", "components", "components/pages", "js", "js/pages", "icons", "dist", "dist/fonts"]
        {
            for entry in std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if let Ok(bytes) = std::fs::read(entry.path()) {
                    let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                    files.insert(name, bytes);
                }
            }
        }
    }
    files
}
