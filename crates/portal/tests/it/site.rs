//! A portal over the fakes, asked without a network.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use contracts::Sub;
use entitlements::Table;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use portal::{Config, Deps, IrcDoor, Portal};
use service::config::Source;
use service::http::HttpClient;
use service::metrics::Metrics;
use service::paths::DataDir;
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use service::sites::Sites;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::fakes::{Fake, World, sub, world};

pub struct Site {
    pub world: Arc<World>,
    pub portal: Portal,
    pub site: Router,
    pub my: Router,
    pub shutdown: Shutdown,
    _folder: tempfile::TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    pub location: String,
    pub cookies: Vec<String>,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn shows(&self, what: &str) -> &Self {
        assert!(
            self.text().contains(what),
            "{what:?} is not on the page ({}):\n{}",
            self.status,
            self.text()
        );
        self
    }

    #[track_caller]
    pub fn hides(&self, what: &str) -> &Self {
        assert!(!self.text().contains(what), "{what:?} is on the page:\n{}", self.text());
        self
    }
}

pub async fn site() -> Site {
    site_at("http://localhost:8080").await
}

pub async fn site_at(base: &str) -> Site {
    let world = world();
    let shutdown = Shutdown::new();
    let fake = Arc::new(Fake(Arc::clone(&world)));
    let folder = tempfile::tempdir().unwrap();
    let tls = service::tls::local_certificate(&folder.path().join("tls"), &["localhost".to_owned()]).unwrap();
    let sites = Sites::from_base(base).unwrap();
    let deps = Deps {
        bouncers: fake.clone(),
        hosting: Some(fake.clone()),
        dedicated: Some(fake.clone()),
        accounts: fake.clone(),
        data: vec![fake.clone()],
        plans: Arc::new(Table::compiled_in().unwrap()),
        keyring: Keyring::ephemeral().unwrap(),
        notice: None,
        irc: IrcDoor {
            certificate: Some(tls.certificate),
            authority_pem: Some(tls.authority_pem),
            websocket: Some("wss://localhost:6697".into()),
        },
        folder: DataDir::open(folder.path().join("data")).unwrap().service("portal").unwrap(),
        http: HttpClient::new().unwrap(),
        login: auth::Settings::new(&sites.my, &sites.auth, "portal", "secret".to_owned().into()),
        sites,
        metrics: Metrics::new(),
        shutdown: shutdown.clone(),
    };
    let portal = Portal::open(Config::load(&Source::default()).unwrap(), deps).await.unwrap();
    Site { world, site: portal.site(), my: portal.my(), portal, shutdown, _folder: folder }
}

impl Site {
    pub async fn alice(&self) -> Visitor<'_> {
        self.visitor("alice").await
    }

    pub async fn visitor(&self, name: &str) -> Visitor<'_> {
        let sub = sub(name);
        let session = self.portal.login().sign_in_for_tests(sub, name).await.unwrap();
        Visitor { site: self, sub, cookies: vec![session] }
    }

    pub fn stranger(&self) -> Visitor<'_> {
        Visitor { site: self, sub: Sub(Uuid::nil()), cookies: Vec::new() }
    }
}

#[derive(Clone)]
pub struct Visitor<'a> {
    pub site: &'a Site,
    pub sub: Sub,
    pub cookies: Vec<String>,
}

impl Visitor<'_> {
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(&self.site.my, Method::GET, path, None).await
    }

    pub async fn read(&self, path: &str) -> Answer {
        self.ask(&self.site.site, Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let body = form
            .iter()
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect::<Vec<_>>()
            .join("&");
        self.ask(&self.site.my, Method::POST, path, Some(body)).await
    }

    pub fn request(&self, method: Method, path: &str, form: Option<String>) -> Request<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "my.localhost:8080")
            .header("accept", "text/html")
            .header("cookie", self.cookies.join("; "));
        if form.is_some() {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .header("origin", "http://my.localhost:8080")
                .header("sec-fetch-site", "same-origin");
        }
        request.body(form.map_or_else(Body::empty, Body::from)).unwrap()
    }

    async fn ask(&self, router: &Router, method: Method, path: &str, form: Option<String>) -> Answer {
        let response = router.clone().oneshot(self.request(method, path, form)).await.unwrap();
        let header = |name: &str| {
            response
                .headers()
                .get_all(name)
                .iter()
                .map(|v| v.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let (location, cookies) = (header("location").concat(), header("set-cookie"));
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        Answer { status, location, cookies, headers, body }
    }

    /// The same browser with the cookies of an answer.
    pub fn with(mut self, answer: &Answer) -> Self {
        let pairs = answer.cookies.iter().map(|cookie| cookie.split(';').next().unwrap().to_owned());
        self.cookies.extend(pairs);
        self
    }
}

fn encode(value: &str) -> String {
    value
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
