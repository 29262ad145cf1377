//! A gatekeeper on a port of its own, and browsers that visit it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use contracts::{Account, Accounts as _, Call, NewCredential, Scope};
use entitlements::Table;
use gatekeeper::{Client, Config, Deps, Gatekeeper};
use secrecy::SecretString;
use service::config::Source;
use service::http::{HttpClient, Target};
use service::metrics::Metrics;
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use service::sites::{Origin, Sites};
use tempfile::TempDir;
use tokio::net::TcpListener;

pub const PASSWORD: &str = "green phosphor terminal";

/// What the secrets of customers' servers are derived from.
pub const CLIENT_SECRET: &str = "of the installation";

/// One installation.
pub struct World {
    pub gate: Gatekeeper,
    pub sites: Sites,
    pub http: HttpClient,
    pub shutdown: Shutdown,
    pub database: Option<String>,
    pub keyring: Keyring,
    /// The key, as a file holds it.
    pub key: String,
    base: String,
    folder: Arc<TempDir>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// What a scenario wants otherwise.
#[derive(Clone, Default)]
pub struct Wishes {
    pub config: Vec<(String, String)>,
    pub clients: Vec<Client>,
}

impl Wishes {
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.config.push((format!("IRCNOW_GATEKEEPER_{}", key.to_uppercase()), value.to_owned()));
        self
    }
}

impl World {
    pub async fn on_sqlite() -> Self {
        Self::make("http://localhost:8080", None, Wishes::default()).await
    }

    pub async fn on_postgres() -> Option<Self> {
        let url = tokio::task::spawn_blocking(testkit::postgres::database).await.unwrap();
        match url {
            Ok(url) => Some(Self::make("http://localhost:8080", Some(url), Wishes::default()).await),
            Err(error) if std::env::var_os("CI").is_some() => panic!("PostgreSQL is missing: {error:#}"),
            Err(error) => {
                eprintln!("SKIPPED: PostgreSQL is missing: {error:#}");
                None
            }
        }
    }

    /// The same installation, wishing otherwise: opened anew on the same database.
    pub async fn again(&self, wishes: Wishes) -> Self {
        let world =
            open(&self.base, self.database.clone(), wishes, Arc::clone(&self.folder), self.keyring.clone());
        world.await
    }

    /// The same installation with other keys.
    pub async fn with_keys(&self, keyring: Keyring) -> Self {
        open(&self.base, self.database.clone(), Wishes::default(), Arc::clone(&self.folder), keyring).await
    }

    pub async fn make(base: &str, database: Option<String>, wishes: Wishes) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let key = service::secrets::random_token().unwrap();
        let mut world = open(base, database, wishes, folder, Keyring::parse(&key).unwrap()).await;
        world.key = key;
        world
    }

    pub fn browser(&self) -> Browser {
        Browser::new(&self.http, &self.sites.auth)
    }

    /// Maps a site to where it is really served.
    pub async fn serve(&self, site: &Origin, routes: Router) {
        serve(&self.http, site, routes).await;
    }

    /// A browser that has just signed up.
    pub async fn signed_up(&self, username: &str) -> Browser {
        let mut browser = self.browser();
        let form = [("username", username), ("email", ""), ("password", PASSWORD), ("next", "/account")];
        let page = browser.post("/sign-up", &form).await;
        assert_eq!(page.location.as_deref(), Some("/account"), "{}", page.body);
        browser
    }

    pub async fn account(&self, username: &str) -> Account {
        self.gate.admin().account(username).await.unwrap()
    }

    pub async fn call(&self, username: &str) -> Call {
        Call::new(self.account(username).await.sub, "test")
    }

    pub async fn app_password(&self, username: &str) -> NewCredential {
        let call = self.call(username).await.changing();
        self.gate.create_app_password(&call, "irssi".to_owned(), vec![Scope::Irc]).await.unwrap()
    }
}

async fn open(
    base: &str,
    database: Option<String>,
    wishes: Wishes,
    folder: Arc<TempDir>,
    keyring: Keyring,
) -> World {
    let mut source = Source::default()
        .with_env("IRCNOW_GATEKEEPER_HASH_MEMORY_KIB", "64")
        .with_env("IRCNOW_GATEKEEPER_CLIENT_SECRET", CLIENT_SECRET);
    if let Some(url) = &database {
        source = source.with_env("IRCNOW_GATEKEEPER_DATABASE", url);
    }
    for (key, value) in &wishes.config {
        source = source.with_env(key, value);
    }
    let sites = Sites::from_base(base).unwrap();
    let http = HttpClient::new().unwrap();
    let shutdown = Shutdown::new();
    let mut clients = vec![portal(&sites), Client::new("soju", Some(secret("soju"))).introspecting()];
    clients.extend(wishes.clients);
    let deps = Deps {
        data: folder.path().to_owned(),
        keyring: keyring.clone(),
        sites: sites.clone(),
        http: http.clone(),
        plans: Arc::new(Table::compiled_in().unwrap()),
        clients,
        metrics: Metrics::new(),
        shutdown: shutdown.clone(),
    };
    let gate = Gatekeeper::open(Config::load(&source).unwrap(), deps).await.unwrap();
    serve(&http, &sites.auth, gate.site()).await;
    let (base, key) = (base.to_owned(), String::new());
    World { gate, sites, http, shutdown, database, keyring, key, base, folder }
}

fn portal(sites: &Sites) -> Client {
    let url = |path: &str| sites.my.url(path).parse().unwrap();
    Client::site("portal", secret("portal"), url("/auth/callback"), url("/"), url("/auth/backchannel-logout"))
        .calling(["gatekeeper", "bouncer"])
}

pub fn secret(of: &str) -> SecretString {
    SecretString::from(format!("secret of {of}: +/&"))
}

pub async fn serve(http: &HttpClient, site: &Origin, routes: Router) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    http.map_site(site, Target { address, tls: false });
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
}

/// A browser without a script: cookies, forms, and no redirect followed unasked.
pub struct Browser {
    http: HttpClient,
    site: Origin,
    pub cookies: HashMap<String, String>,
}

/// What it got.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub location: Option<String>,
    pub policy: String,
    pub body: String,
}

impl Page {
    /// The value of a hidden field.
    pub fn hidden(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let start =
            self.body.find(&mark).unwrap_or_else(|| panic!("no field {name} in {}", self.body)) + mark.len();
        let end = self.body[start..].find('"').unwrap() + start;
        self.body[start..end].replace("&#38;", "&").replace("&amp;", "&")
    }

    /// A parameter of the address it leads to.
    pub fn param(&self, name: &str) -> Option<String> {
        let location = self.location.as_deref()?;
        let url = url::Url::parse("http://x").unwrap().join(location).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

impl Browser {
    pub fn new(http: &HttpClient, site: &Origin) -> Self {
        Self { http: http.clone(), site: site.clone(), cookies: HashMap::new() }
    }

    pub async fn get(&mut self, path: &str) -> Page {
        let request = self.http.get(&self.url(path)).unwrap();
        self.send(request).await
    }

    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
        let request =
            self.http.post(&self.url(path)).unwrap().header("origin", self.site.to_string()).form(form);
        self.send(request).await
    }

    fn url(&self, path: &str) -> String {
        if path.starts_with('/') { self.site.url(path) } else { path.to_owned() }
    }

    async fn send(&mut self, request: service::http::reqwest::RequestBuilder) -> Page {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request
            .header("cookie", cookies.join("; "))
            .header("accept", "text/html")
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0");
        let answer = request.send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        for cookie in answer.headers().get_all("set-cookie") {
            let text = cookie.to_str().unwrap();
            if text.starts_with("__Host-") {
                for wanted in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
                    assert!(text.contains(wanted), "{wanted} is missing in the cookie");
                }
                assert!(!text.contains("Domain"));
            }
            let (name, rest) = text.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Page {
            status: answer.status().as_u16(),
            location: header("location"),
            policy: header("content-security-policy").unwrap_or_default(),
            body: answer.text().await.unwrap(),
        }
    }
}

/// Waits until something is so, at most ten seconds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !so().await {
        assert!(tokio::time::Instant::now() < deadline, "this never came true: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
