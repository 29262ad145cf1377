//! From sign-up to the first message with login by a real Keycloak (test 8.1): its pages ask for the password, ours
//! only for the username, and every service still knows gatekeeper alone.

use std::path::Path;

use anyhow::{Context as _, Result};
use testkit::browser::Browser;
use testkit::keycloak::Keycloak;
use testkit::{net, networks, part};

use crate::first_message::talk_both_ways;
use crate::installation::{Installation, Layout};
use crate::person::{self, PASSWORD};

const SECRET: &str = "a-secret-of-this-test-only";

/// The realm of the deployment, and an installation that logs in through it.
pub fn start(allowed: &str) -> Result<(Keycloak, Installation)> {
    let realm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/keycloak/realm.json");
    let realm = std::fs::read_to_string(realm)?;
    let http = net::free_port()?;
    let auth = format!("http://auth.localhost:{http}");
    let keycloak =
        Keycloak::start(&realm, &[("IRCNOW_AUTH_URL", &auth), ("IRCNOW_GATEKEEPER_SECRET", SECRET)])?;
    let environment = [
        ("TEST_HTTP_PORT", http.to_string()),
        ("IRCNOW_GATEKEEPER_KEYCLOAK_ISSUER", format!("{}/realms/irc-now", keycloak.url())),
        ("IRCNOW_GATEKEEPER_KEYCLOAK_SECRET", SECRET.to_owned()),
        ("IRCNOW_DIAL_ALLOW", allowed.to_owned()),
    ];
    let environment: Vec<(&str, &str)> = environment.iter().map(|(key, value)| (*key, &**value)).collect();
    Ok((keycloak, Installation::start(Layout::OneProcess, &environment)?))
}

/// Makes an account on Keycloak's registration page; ends at gatekeeper's question for a username.
async fn register_there(browser: &mut Browser, at: &Installation) -> Result<()> {
    browser.goto(&at.url("", "/")).await?;
    browser.click("Sign up").await?;
    browser.wait_for("Register").await.context("Keycloak's registration page")?;
    for (field, value) in [
        ("#username", "alice.smith"),
        ("#password", PASSWORD),
        ("#password-confirm", PASSWORD),
        ("#email", "alice@example.org"),
        ("#firstName", "Alice"),
        ("#lastName", "Smith"),
    ] {
        browser.fill(field, value).await?;
    }
    browser.click("Register").await?;
    browser.wait_for("Choose a username").await.with_context(|| at.output())
}

#[tokio::test]
async fn a_stranger_reaches_their_first_message_through_keycloak_and_comes_back() {
    part!(Chromium, InspIrcd, Irssi, Tmux, Keycloak);
    let inspircd = networks::inspircd().unwrap();
    let (_keycloak, at) = start(&format!("127.0.0.1:{}", inspircd.port())).unwrap();
    let mut browser = Browser::start().await.unwrap();
    register_there(&mut browser, &at).await.unwrap();
    browser.fill("Username", "alice").await.unwrap();
    browser.click("That is me").await.unwrap();
    browser.wait_for("Your first message").await.unwrap();

    person::add_network(&mut browser, &at, "insp", inspircd.port(), "alice").await.unwrap();
    let lines = person::connection_lines(&mut browser, &at, "irssi", "insp", "irssi").await.unwrap();
    talk_both_ways(&lines, inspircd.port(), "alice", &at).await;
    browser.close().await.unwrap();

    // Another browser: Keycloak asks for the password, and nobody asks for a username again.
    let mut browser = Browser::start().await.unwrap();
    browser.goto(&at.url("my", "/")).await.unwrap();
    browser.fill("#username", "alice.smith").await.unwrap();
    browser.fill("#password", PASSWORD).await.unwrap();
    browser.click("#kc-login").await.unwrap();
    browser.wait_for("Everything is connected.").await.unwrap();
    browser.close().await.unwrap();
}
