//! What is somebody's is theirs alone (test 8.6). That what was taken away is gone at once: `revoked.rs`.

use reqwest::{Method, StatusCode};
use service::web::{Route, Who};
use testkit::irc::Client;
use testkit::networks::{self, Network};
use testkit::part;

use crate::account::Account;
use crate::installation::{Installation, Layout};
use crate::person::PASSWORD;

/// Every route of every site of an installation.
fn every_route() -> Vec<(&'static str, &'static Route)> {
    let tables = [
        ("", portal::routes::SITE_ROUTES),
        ("", service::assets::ROUTES),
        ("my", portal::routes::MY_ROUTES),
        ("my", auth::ROUTES),
        ("my", service::assets::ROUTES),
        ("auth", gatekeeper::PAGE_ROUTES),
        ("auth", gatekeeper::OIDC_ROUTES),
        ("auth", service::assets::ROUTES),
        ("txt", paste::routes::SITE_ROUTES),
        ("txt", auth::ROUTES),
        ("raw.txt", paste::routes::RAW_ROUTES),
    ];
    tables.into_iter().flat_map(|(site, table)| table.iter().map(move |route| (site, route))).collect()
}

/// The route's address, with `id` in the place of what it names.
fn address(at: &Installation, site: &str, route: &Route, id: &str) -> String {
    let path = route.path.replace("{id}", id).replace("{client}", "irssi").replace("{*path}", "nothing");
    at.url(site, &path)
}

/// A form that names `id` in every way forms do, and is in order otherwise.
fn form(id: &str) -> Vec<(&'static str, String)> {
    let other = [
        ("name", "taken"),
        ("host", "irc.example"),
        ("port", "6697"),
        ("tls", "verified"),
        ("sasl", "none"),
        ("nick", "mallory"),
        ("confirm", "bobs laptop"),
    ];
    let named = ["id", "sid"].map(|key| (key, id.to_owned()));
    other.into_iter().map(|(key, value)| (key, value.to_owned())).chain(named).collect()
}

/// A request of `who`, no redirect followed: its status, where it leads, and what it says.
async fn call(who: &Account, route: &Route, url: &str, id: &str) -> (StatusCode, String, String) {
    let form = form(id);
    let form: Vec<(&str, &str)> = form.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let (method, form) = match route.method {
        "GET" => (Method::GET, None),
        _ => (Method::POST, Some(form.as_slice())),
    };
    let response = who.send(method, url, form).await.unwrap();
    let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
    (response.status(), location.unwrap_or_default(), response.text().await.unwrap())
}

/// Somebody with one of everything, and a client attached.
pub struct Bob {
    pub account: Account,
    pub network: String,
    pub password: String,
    pub client: Client,
    /// Everything of his that a route can name.
    pub ids: Vec<String>,
}

const FINGERPRINT: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

pub async fn bob(at: &Installation, inspircd: &Network) -> Bob {
    let account = Account::sign_up(at, "bob").await.unwrap();
    let network = account.add_network("bobnet", inspircd.port(), "bobsnick").await.unwrap();
    let password = account.app_password("bobs laptop").await.unwrap();
    account.post("/certificates", &[("name", "bobs key"), ("fingerprint", FINGERPRINT)]).await.unwrap();
    let mut client = Client::connect_tls(at.irc_tls).await.unwrap();
    client.register_sasl("bob/bobnet", &password, "").await.unwrap();
    let security = account.security_page().await.unwrap();
    let mut ids = vec![network.clone()];
    ids.extend(account.credential_ids().await.unwrap());
    ids.extend(account.session_ids().await.unwrap());
    ids.extend(security.ids("name=\"sid\" value=\"", "\""));
    ids.extend(security.ids("name=\"id\" value=\"", "\""));
    Bob { account, network, password, client, ids }
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_not_there_on_any_route() {
    part!(InspIrcd, Ergo);
    let inspircd = networks::inspircd().unwrap();
    let allowed = format!("127.0.0.1:{}", inspircd.port());
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_DIAL_ALLOW", &allowed)]).unwrap();
    let mut bob = bob(&at, &inspircd).await;
    bob.ids.push(bob.account.host_network("bobnet", "open").await.unwrap());
    bob.ids.push(bob.account.paste("bobs words").await.unwrap());
    assert!(bob.ids.len() >= 6, "a network, two credentials, two sessions, a paste: {:?}", bob.ids);
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    alice.follow(Method::GET, &at.url("txt", "/mine"), None).await.unwrap();
    let mut walked = 0;
    for (site, route) in every_route().into_iter().filter(|(_, route)| route.who == Who::Owner) {
        for id in &bob.ids {
            let url = address(&at, site, route, id);
            let (status, _, text) = call(&alice, route, &url, id).await;
            assert!(
                matches!(status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN),
                "{} {url}: {status}",
                route.method
            );
            assert!(!text.contains("bobnet") && !text.contains("bobs"), "{} {url}: {text}", route.method);
            walked += 1;
        }
    }
    assert!(walked >= 45, "only {walked} calls were made");
    for (site, route) in every_route().into_iter().filter(|(_, route)| route.method == "GET") {
        // The event stream has no end to read to; its parts are those of the overview.
        if route.path == "/live" {
            continue;
        }
        let id = &bob.network;
        let queries = format!("?network=bobnet&deleted={id}&pick=bobnet&id={id}&sid={id}");
        let url = format!("{}{queries}", address(&at, site, route, id));
        let (_, _, text) = call(&alice, route, &url, id).await;
        assert!(!text.contains("bobs") && !text.contains("127.0.0.1:"), "{url}: {text}");
    }
    let connect = alice.get("/connect/irssi?network=bobnet").await.unwrap();
    assert_eq!(connect.status, StatusCode::NOT_FOUND);

    // All of it is still bob's, and still works.
    let paste = at.url("txt", &format!("/{}", bob.ids.last().unwrap()));
    assert!(bob.account.follow(Method::GET, &paste, None).await.unwrap().text.contains("bobs words"));
    assert!(bob.account.get(&format!("/networks/{}", bob.network)).await.unwrap().text.contains("bobnet"));
    assert_eq!(bob.account.credential_ids().await.unwrap().len(), 2);
    assert!(bob.account.is_signed_in().await.unwrap());
    bob.client.send("PING :still here").await.unwrap();
    bob.client.wait_for("still here").await.unwrap();
}

#[tokio::test]
async fn a_stranger_is_let_in_nowhere_but_where_everybody_is() {
    let at = Installation::up().unwrap();
    let stranger = Account::stranger(&at).unwrap();
    let nobody = uuid::Uuid::nil().to_string();
    for (site, route) in every_route() {
        let url = address(&at, site, route, &nobody);
        let (status, location, text) = call(&stranger, route, &url, &nobody).await;
        let what = format!("{} {url}: {status} {location}", route.method);
        match route.who {
            Who::Anyone => assert!(!status.is_server_error(), "{what}"),
            Who::Bearer => {
                assert!(
                    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST),
                    "{what} {text}"
                );
            }
            Who::SignedIn | Who::Owner => {
                let to_login = location.starts_with("/auth/login") || location.starts_with("/sign-in");
                assert!(
                    status == StatusCode::UNAUTHORIZED || (status.is_redirection() && to_login),
                    "{what}"
                );
            }
        }
    }
}

#[tokio::test]
async fn nobody_but_the_services_calls_what_is_between_them() {
    let at = Installation::start(Layout::ThreeProcesses, &[]).unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    for role in ["gatekeeper", "bouncer", "portal"] {
        for path in ["accounts/account", "accounts/sasl", "bouncers/networks", "data/export", "data/delete"] {
            let url = format!("{}/internal/{path}", at.admin_url(role));
            for bearer in [None, Some("Bearer nothing"), Some("Basic cG9ydGFsOg==")] {
                let status = alice.post_as(&url, bearer).await.unwrap();
                assert!(
                    matches!(
                        status,
                        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
                    ),
                    "{url}: {status}"
                );
            }
        }
        // Nor is it anywhere on the sites.
        let site = if role == "gatekeeper" { "auth" } else { "my" };
        let status = alice.post_as(&at.url(site, "/internal/accounts/account"), None).await.unwrap();
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn the_account_password_and_others_passwords_open_no_door() {
    part!(InspIrcd);
    let inspircd = networks::inspircd().unwrap();
    let allowed = format!("127.0.0.1:{}", inspircd.port());
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_DIAL_ALLOW", &allowed)]).unwrap();
    let bob = bob(&at, &inspircd).await;
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let hers = alice.app_password("laptop").await.unwrap();
    for (login, password) in
        [("bob/bobnet", PASSWORD), ("bob/bobnet", hers.as_str()), ("alice/bobnet", &bob.password)]
    {
        let mut client = Client::connect_tls(at.irc_tls).await.unwrap();
        assert!(client.register_sasl(login, password, "").await.is_err(), "{login}");
        assert!(!client.seen.iter().any(|line| line.contains(" 001 ")), "{login}: {:?}", client.seen);
    }
    // With her own password, his network's name names nothing.
    let mut client = Client::connect_tls(at.irc_tls).await.unwrap();
    let entered = client.register_sasl("alice/bobnet", &hers, "").await;
    assert!(
        entered.is_err() || !client.seen.iter().any(|line| line.contains("bobsnick")),
        "{:?}",
        client.seen
    );
}
