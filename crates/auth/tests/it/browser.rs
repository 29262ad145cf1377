//! A site under test, and a browser that keeps its cookies.

use std::collections::BTreeMap;
use std::sync::Arc;

use auth::{Admin, MaybeUser, RelyingParty, Settings, UserClaims};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{get, post};
use contracts::Account;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use secrecy::SecretString;
use service::db::Database;
use service::metrics::Metrics;
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use service::web::Edge;
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::accounts::Gate;
use crate::issuer::Issuer;

pub(crate) struct Site {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) party: RelyingParty,
    pub(crate) router: Router,
    pub(crate) keyring: Keyring,
    /// The key, as a file holds it.
    pub(crate) key: String,
    pub(crate) url: String,
    pub(crate) shutdown: Shutdown,
    _folder: Option<TempDir>,
}

pub(crate) async fn open(
    issuer: &Arc<Issuer>,
    gate: &Arc<Gate>,
    url: &str,
    keyring: &Keyring,
    shutdown: &Shutdown,
) -> RelyingParty {
    let secret = SecretString::from("s3cret".to_owned());
    let mut settings = Settings::new(&issuer.sites.my, &issuer.sites.auth, "portal", secret);
    settings.after_logout = issuer.sites.root.url("/");
    let db = Database::open(url).await.unwrap();
    RelyingParty::open(settings, db, keyring.clone(), issuer.http.clone(), gate.clone(), shutdown)
        .await
        .unwrap()
}

impl Site {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("portal.db").display());
        Self::on(url, Some(folder)).await
    }

    pub(crate) async fn on(url: String, folder: Option<TempDir>) -> Self {
        let (issuer, gate) = (Issuer::start().await, Gate::new());
        let key = service::secrets::random_token().unwrap();
        let (keyring, shutdown) = (Keyring::parse(&key).unwrap(), Shutdown::new());
        let party = open(&issuer, &gate, &url, &keyring, &shutdown).await;
        let router = router(&issuer, &party);
        Self { issuer, gate, party, router, keyring, key, url, shutdown, _folder: folder }
    }

    pub(crate) fn browser(&self) -> Browser {
        let host = self.issuer.sites.my.authority().to_owned();
        Browser { router: self.router.clone(), host, cookies: BTreeMap::new() }
    }

    /// A browser in which `account` has signed in and come back to `/me`.
    pub(crate) async fn signed_in(&self, account: &Account, sid: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.sign_in(&self.issuer, account, sid).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        browser
    }
}

pub(crate) fn router(issuer: &Issuer, party: &RelyingParty) -> Router {
    let pages =
        Router::new()
            .route("/me", get(|user: UserClaims| async move { user.username }))
            .route("/plan", get(|user: UserClaims| async move { user.plan.to_string() }))
            .route(
                "/maybe",
                get(|MaybeUser(user): MaybeUser| async move {
                    user.map_or("nobody".into(), |user| user.username)
                }),
            )
            .route("/admin", get(|Admin(user): Admin| async move { user.username }))
            .route("/change", post(|user: UserClaims| async move { user.username }))
            .route(
                "/events",
                get(|user: UserClaims| async move {
                    service::sse::respond(futures_util::stream::pending(), user.ended())
                }),
            );
    Edge::new("my", issuer.sites.clone(), Metrics::new()).wrap(party.layer(pages).merge(party.router()))
}

#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) router: Router,
    pub(crate) host: String,
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) async fn send(&mut self, request: http::request::Builder, body: &str) -> Response {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request.header("host", &self.host).header("cookie", cookies.join("; "));
        let request: Request<Body> = request.body(Body::from(body.to_owned())).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (pair, attributes) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(attributes.contains(attribute), "{cookie}");
            }
            assert!(name.starts_with("__Host-") && !attributes.contains("Domain"), "{cookie}");
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.send(Request::get(path).header("accept", "text/html"), "").await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Response {
        let request = Request::post(path)
            .header("accept", "text/html")
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request, body).await
    }

    /// Through the issuer and back, beginning with `/me`.
    pub(crate) async fn sign_in(&mut self, issuer: &Issuer, account: &Account, sid: &str) -> Response {
        let url = self.begin("/auth/login?return_to=%2Fme").await;
        let code = issuer.approve(&url, account, sid);
        let state = param(&url, "state");
        self.get(&format!("/auth/callback?code={code}&state={state}")).await
    }

    /// Where the site sends the browser to sign in.
    pub(crate) async fn begin(&mut self, path: &str) -> url::Url {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        location(&answer).parse().unwrap()
    }
}

pub(crate) fn location(answer: &Response) -> &str {
    answer.headers()["location"].to_str().unwrap()
}

pub(crate) fn param(url: &url::Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

pub(crate) async fn text(answer: Response) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
