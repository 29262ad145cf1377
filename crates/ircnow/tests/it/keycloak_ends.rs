//! What ends at Keycloak ends here (issue "From sign-up to the first message", section 5): its back-channel logout, by the
//! real one, and an address that was changed there.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::irc::Client;
use testkit::keycloak::Keycloak;
use testkit::{eventually, part};

use crate::account::{Account, Live};
use crate::installation::Installation;
use crate::keycloak::start;
use crate::person::PASSWORD;

/// Keycloak's administrator.
struct Admin {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Admin {
    async fn of(keycloak: &Keycloak) -> Result<Self> {
        service::tls::install_provider();
        let http = reqwest::Client::new();
        let url = format!("{}/realms/master/protocol/openid-connect/token", keycloak.url());
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", "admin"),
        ];
        let answer: Value = http.post(url).form(&form).send().await?.json().await?;
        let token = answer["access_token"].as_str().with_context(|| answer.to_string())?.to_owned();
        Ok(Self { http, base: format!("{}/admin/realms/irc-now", keycloak.url()), token })
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        let answer = match body {
            Some(body) => request.json(body).send().await?,
            None => request.send().await?,
        };
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// A user with the tests' password; gives Keycloak's id of it.
    async fn add_user(&self, name: &str) -> Result<String> {
        let user = json!({
            "username": name, "enabled": true, "email": format!("{name}@example.org"), "emailVerified": true,
            "firstName": "A", "lastName": "Person",
            "credentials": [{ "type": "password", "value": PASSWORD, "temporary": false }],
        });
        self.call(Method::POST, "/users", Some(&user)).await?;
        let found = self.call(Method::GET, &format!("/users?exact=true&username={name}"), None).await?;
        found[0]["id"].as_str().map(str::to_owned).with_context(|| found.to_string())
    }

    async fn session_ids(&self, user: &str) -> Result<Vec<String>> {
        let sessions = self.call(Method::GET, &format!("/users/{user}/sessions"), None).await?;
        let sessions = sessions.as_array().cloned().unwrap_or_default();
        Ok(sessions.iter().filter_map(|session| session["id"].as_str().map(str::to_owned)).collect())
    }
}

/// A browser that signs in on Keycloak's page, and picks the username the first time.
async fn sign_in(at: &Installation, name: &str) -> Result<Account> {
    let mut this = Account::stranger(at)?;
    name.clone_into(&mut this.username);
    let page = this.get("/auth/login?return_to=/account").await?;
    let action = page.form_action("login-actions/authenticate").with_context(|| page.text.clone())?;
    let form = [("username", name), ("password", PASSWORD), ("credentialId", "")];
    let mut page = this.follow(Method::POST, &action, Some(&form)).await?;
    if let Some(newcomer) = page.field("newcomer") {
        let form = [("newcomer", newcomer.as_str()), ("username", name)];
        page = this.follow(Method::POST, &at.url("auth", "/welcome"), Some(&form)).await?;
    }
    ensure!(page.status == StatusCode::OK && page.url.path() == "/account", "{}: {}", page.url, page.text);
    Ok(this)
}

/// How long it takes until the stream has ended and the pages are closed, from now on.
async fn closes(account: &Account, live: Live) -> Duration {
    let start = Instant::now();
    let pages =
        eventually("the session to end", || async { (!account.is_signed_in().await.ok()?).then_some(()) });
    let stream = tokio::time::timeout(testkit::wait::PATIENCE, live.ended());
    let (stream, ()) = tokio::join!(stream, pages);
    assert!(stream.is_ok(), "the event stream is still open");
    start.elapsed()
}

#[tokio::test]
async fn what_ends_at_keycloak_ends_here() {
    part!(Keycloak);
    let (keycloak, at) = start("").unwrap();
    let admin = Admin::of(&keycloak).await.unwrap();
    let user = admin.add_user("alice").await.unwrap();

    // One session there: what began with it here, and nothing else.
    let laptop = sign_in(&at, "alice").await.unwrap();
    let password = laptop.app_password("irssi").await.unwrap();
    let on_laptop = admin.session_ids(&user).await.unwrap();
    let phone = sign_in(&at, "alice").await.unwrap();
    let live = laptop.live().await.unwrap();
    let session = format!("/sessions/{}", on_laptop[0]);
    let (ended, took) = tokio::join!(admin.call(Method::DELETE, &session, None), closes(&laptop, live));
    ended.unwrap();
    println!("a session ended at Keycloak, {} ms", took.as_millis());
    assert!(phone.is_signed_in().await.unwrap());

    // All of a user's sessions there.
    let tablet = sign_in(&at, "alice").await.unwrap();
    let (on_phone, on_tablet) = (phone.live().await.unwrap(), tablet.live().await.unwrap());
    let logout = format!("/users/{user}/logout");
    let (ended, first, second) = tokio::join!(
        admin.call(Method::POST, &logout, None),
        closes(&phone, on_phone),
        closes(&tablet, on_tablet)
    );
    ended.unwrap();
    println!("every session ended at Keycloak, {} and {} ms", first.as_millis(), second.as_millis());

    // IRC is gatekeeper's: a browser that signs out takes no client with it.
    let mut client = Client::connect_tls(at.irc_tls).await.unwrap();
    client.register_sasl("alice", &password, "").await.unwrap();

    // An address that was changed there is the account's at the next sign-in.
    assert!(at.admin(&["show", "alice"]).unwrap().contains("alice@example.org"));
    let path = format!("/users/{user}");
    let mut changed = admin.call(Method::GET, &path, None).await.unwrap();
    changed["email"] = json!("alice.smith@example.org");
    admin.call(Method::PUT, &path, Some(&changed)).await.unwrap();
    let desk = sign_in(&at, "alice").await.unwrap();
    assert!(at.admin(&["show", "alice"]).unwrap().contains("alice.smith@example.org"));
    assert!(desk.is_signed_in().await.unwrap());

    // Who may not sign in there gets in nowhere; what is open is the administrator's to close.
    changed["enabled"] = json!(false);
    admin.call(Method::PUT, &path, Some(&changed)).await.unwrap();
    assert!(sign_in(&at, "alice").await.is_err());
    let live = desk.live().await.unwrap();
    at.admin(&["suspend", "alice", "for a test"]).unwrap();
    closes(&desk, live).await;
    client.wait_for_end().await.unwrap();
}
