//! A site over a fake gatekeeper, and those who ask it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use entitlements::Table;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use paste::{Config, Deps, Paste};
use service::config::Source;
use service::health::Readiness;
use service::http::HttpClient;
use service::metrics::Metrics;
use service::paths::DataDir;
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use service::sites::Sites;
use tower::ServiceExt as _;

use crate::fakes::Gate;

pub struct World {
    pub gate: Arc<Gate>,
    pub paste: Paste,
    pub metrics: Metrics,
    pub readiness: Readiness,
    site: Router,
    raw: Router,
    pub folder: tempfile::TempDir,
    _shutdown: Shutdown,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> String {
        let all = self.headers.get_all(name).iter().map(|value| value.to_str().unwrap());
        all.collect::<Vec<_>>().join("\n")
    }

    /// The id in the address that was answered.
    #[track_caller]
    pub fn id(&self) -> String {
        assert!(self.status.is_success() || self.status.is_redirection(), "{}: {}", self.status, self.text());
        let place = self.header("location");
        place.rsplit('/').next().unwrap().to_owned()
    }

    #[track_caller]
    pub fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    #[track_caller]
    pub fn shows(&self, what: &str) -> &Self {
        assert!(self.text().contains(what), "{what:?} is missing ({}):\n{}", self.status, self.text());
        self
    }

    #[track_caller]
    pub fn hides(&self, what: &str) -> &Self {
        assert!(!self.text().contains(what), "{what:?} is shown:\n{}", self.text());
        self
    }
}

/// A site with its defaults.
pub async fn world() -> World {
    world_with("").await
}

/// A site with further settings of `[paste]`.
pub async fn world_with(settings: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    let (gate, shutdown) = (Arc::new(Gate::default()), Shutdown::new());
    let (metrics, readiness) = (Metrics::new(), Readiness::new());
    let sites = Sites::from_base("http://localhost:8080").unwrap();
    let source = Source::from_toml(&format!("[paste]\npassword_memory_kib = '64'\n{settings}")).unwrap();
    let deps = Deps {
        accounts: gate.clone(),
        plans: Arc::new(Table::compiled_in().unwrap()),
        keyring: Keyring::ephemeral().unwrap(),
        folder: DataDir::open(folder.path().join("data")).unwrap().service("paste").unwrap(),
        http: HttpClient::new().unwrap(),
        login: auth::Settings::new(&sites.txt, &sites.auth, "paste", "secret".to_owned().into()),
        sites,
        metrics: metrics.clone(),
        readiness: readiness.clone(),
        shutdown: shutdown.clone(),
    };
    let paste = Paste::open(Config::load(&source).unwrap(), deps).await.unwrap();
    World {
        site: paste.site(),
        raw: paste.raw(),
        gate,
        paste,
        metrics,
        readiness,
        folder,
        _shutdown: shutdown,
    }
}

impl World {
    /// curl, from an address of its own.
    pub fn curl(&self) -> Asker<'_> {
        Asker {
            world: self,
            headers: vec![("accept", "*/*".to_owned())],
            address: IpAddr::from([192, 0, 2, 7]),
        }
    }

    /// A browser nobody is signed in with.
    pub fn browser(&self) -> Asker<'_> {
        self.curl().with("accept", "text/html")
    }

    /// A browser somebody is signed in with, on this plan.
    pub async fn signed_in(&self, name: &str, plan: &str) -> Asker<'_> {
        let account = self.gate.account(name, plan);
        let session = self.paste.login().sign_in_for_tests(account.sub, name).await.unwrap();
        self.browser().with("cookie", &session)
    }

    /// curl with somebody's app password.
    pub fn curl_as(&self, name: &str, plan: &str) -> Asker<'_> {
        self.gate.account(name, plan);
        self.curl().with("authorization", &format!("Bearer {name}-secret"))
    }

    /// The text of a paste from the origin of raw texts.
    pub async fn raw(&self, path: &str) -> Answer {
        self.curl().send(&self.raw, Method::GET, &format!("/{path}"), None).await
    }

    /// The same with a header.
    pub async fn raw_with(&self, path: &str, name: &'static str, value: &str) -> Answer {
        self.curl().with(name, value).send(&self.raw, Method::GET, &format!("/{path}"), None).await
    }
}

#[derive(Clone)]
pub struct Asker<'a> {
    world: &'a World,
    headers: Vec<(&'static str, String)>,
    address: IpAddr,
}

impl Asker<'_> {
    /// The same with this header in place of one of its name.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn json(self) -> Self {
        self.with("accept", "application/json").with("content-type", "application/json")
    }

    pub fn from(mut self, address: &str) -> Self {
        self.address = address.parse().unwrap();
        self
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(&self.world.site, Method::GET, path, None).await
    }

    /// `curl --data-binary`.
    pub async fn put(&self, text: impl Into<Vec<u8>>) -> Answer {
        self.post("/", text).await
    }

    pub async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        let mut asker = self.clone();
        if !asker.headers.iter().any(|(name, _)| *name == "content-type") {
            asker = asker.with("content-type", "application/x-www-form-urlencoded");
        }
        asker.send(&self.world.site, Method::POST, path, Some(body.into())).await
    }

    /// A form with files: name, file name, content.
    pub async fn multipart(&self, parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
        self.multipart_to("/", parts).await
    }

    /// The same form to another address.
    pub async fn multipart_to(&self, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
        let mut body = Vec::new();
        for (name, file_name, content) in parts {
            let file = file_name.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
            let head = format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--XX--\r\n");
        self.clone().with("content-type", "multipart/form-data; boundary=XX").post(path, body).await
    }

    async fn send(&self, router: &Router, method: Method, path: &str, body: Option<Vec<u8>>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &self.headers {
            if body.is_some() || *name != "content-type" {
                request = request.header(*name, value);
            }
        }
        let mut request = request.body(body.map_or_else(Body::empty, Body::from)).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(self.address, 4_000)));
        let response = router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        Answer { status, headers, body }
    }
}
