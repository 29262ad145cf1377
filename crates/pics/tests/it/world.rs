//! A site, and what is asked of it.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use contracts::AccountData;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use pics::worker::pool::WorkerCommand;
use pics::{Config, Deps, Pics};
use service::config::Source;
use service::health::Readiness;
use service::http::HttpClient;
use service::metrics::Metrics;
use service::paths::DataDir;
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use service::sites::Sites;
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::gate::{Gate, sub};

pub struct World {
    /// Where its pages are.
    pub base: String,
    pub gate: Arc<Gate>,
    pub pics: Pics,
    pub site: Router,
    pub bytes: Router,
    pub folder: TempDir,
    pub readiness: Readiness,
    pub shutdown: Shutdown,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    #[track_caller]
    pub fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    #[track_caller]
    pub fn shows(&self, what: &str) -> &Self {
        assert!(self.text().contains(what), "{what:?} is not there: {}", self.text());
        self
    }
}

pub async fn world() -> World {
    world_with(&[]).await
}

pub async fn world_with(settings: &[(&str, &str)]) -> World {
    world_at("http://localhost:8080", settings).await
}

pub async fn world_at(base: &str, settings: &[(&str, &str)]) -> World {
    let gate = Arc::new(Gate::default());
    let folder = tempfile::tempdir().unwrap();
    let sites = Sites::from_base(base).unwrap();
    let source =
        settings.iter().fold(Source::default(), |source, (key, value)| source.with_env(*key, *value));
    let (shutdown, readiness) = (Shutdown::new(), Readiness::new());
    let deps = Deps {
        accounts: gate.clone(),
        keyring: Keyring::ephemeral().unwrap(),
        folder: DataDir::open(folder.path()).unwrap().service("pics").unwrap(),
        http: HttpClient::new().unwrap(),
        login: auth::Settings::new(&sites.pics, &sites.auth, "pics", "secret".to_owned().into()),
        sites,
        worker: WorkerCommand { program: PathBuf::from(env!("CARGO_BIN_EXE_pics-worker")), args: Vec::new() },
        metrics: Metrics::new(),
        readiness: readiness.clone(),
        shutdown: shutdown.clone(),
    };
    let pics = Pics::open(Config::load(&source).unwrap(), deps).await.unwrap();
    let base = base.replace("http://", "http://pics.");
    World { base, gate, site: pics.site(), bytes: pics.bytes(), pics, folder, readiness, shutdown }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    Nobody,
    /// By app password.
    App(&'static str),
}

impl World {
    pub fn data(&self) -> Arc<dyn AccountData> {
        self.pics.data()
    }

    pub async fn ask(&self, request: Request<Body>) -> Answer {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let router = if host.starts_with("i.") { &self.bytes } else { &self.site };
        self.ask_router(router, request).await
    }

    pub async fn ask_router(&self, router: &Router, request: Request<Body>) -> Answer {
        let answer = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn send(
        &self,
        who: Who,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Answer {
        let address = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let mut request = Request::builder().method(method).uri(address);
        if let Who::App(name) = who {
            request = request.header("authorization", format!("Bearer {name}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.ask(request.body(body).unwrap()).await
    }

    pub async fn get(&self, who: Who, path: &str) -> Answer {
        self.send(who, Method::GET, path, &[("accept", "text/html")], Body::empty()).await
    }

    pub async fn form(&self, who: Who, path: &str, form: &str) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")];
        self.send(who, Method::POST, path, &headers, Body::from(form.to_owned())).await
    }

    /// Puts a picture up as a program does.
    pub async fn upload(&self, who: Who, file: &[u8]) -> Answer {
        let length = file.len().to_string();
        let headers = [("accept", "application/json"), ("content-length", &length)];
        self.send(who, Method::POST, "/upload", &headers, Body::from(file.to_vec())).await
    }

    /// The same, and what it is told.
    pub async fn put(&self, who: &'static str, file: &[u8]) -> serde_json::Value {
        let answer = self.upload(Who::App(who), file).await;
        answer.is(201).json()
    }

    /// The names of the files below a folder of the service.
    pub fn files(&self, folder: &str) -> Vec<String> {
        fn walk(path: &std::path::Path, all: &mut Vec<String>) {
            for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    walk(&entry.path(), all);
                } else {
                    all.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
        }
        let mut all = Vec::new();
        walk(&self.folder.path().join("pics").join(folder), &mut all);
        all.sort();
        all
    }

    /// Words of the gallery about the room that is left.
    pub async fn room(&self, who: &'static str) -> String {
        let page = self.get(Who::App(who), "/").await.text();
        let (_, rest) = page.split_once("<p class=\"words\">").unwrap();
        rest.split('<').next().unwrap().to_owned()
    }

    pub async fn cookie(&self, name: &str) -> String {
        self.pics.login().sign_in_for_tests(sub(name), name).await.unwrap()
    }
}

/// A real PNG of noise: 4 bytes a pixel, worth no compression.
pub fn png(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let mut noise = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let pixels: Vec<u8> = (0..width * height * 3)
        .map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .collect();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    out
}

/// A real JPEG that tells where it was taken.
pub fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let pixels: Vec<u8> = (0..u32::from(width) * u32::from(height))
        .flat_map(|at| [(at % 251) as u8, (at / 251 % 256) as u8, 90])
        .collect();
    let mut out = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut out, 85);
    encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    let exif = [b"Exif\0\0".as_slice(), &pics_core::samples::tiff(6)].concat();
    out.splice(2..2, pics_core::samples::segment(0xe1, &exif));
    out
}
