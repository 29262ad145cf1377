//! Each part starts, does its one thing, and stops.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod cluster;
mod node;
mod supply;

use std::path::Path;
use std::time::Duration;

use testkit::browser::Browser;
use testkit::irc::Client;
use testkit::keycloak::Keycloak;
use testkit::terminal::Terminal;
use testkit::{networks, part, postgres};

async fn two_clients_talk(port: u16) {
    let mut alice = Client::connect(port).await.unwrap();
    alice.register("alice").await.unwrap();
    let mut bob = Client::connect(port).await.unwrap();
    bob.register("bob").await.unwrap();
    alice.send("JOIN #room").await.unwrap();
    alice.wait_for(" 366 ").await.unwrap();
    bob.send("JOIN #room").await.unwrap();
    bob.wait_for(" 366 ").await.unwrap();
    alice.send("PRIVMSG #room :hello bob").await.unwrap();
    bob.wait_for("PRIVMSG #room :hello bob").await.unwrap();
}

#[tokio::test]
async fn inspircd_carries_a_line_between_two_clients() {
    part!(InspIrcd);
    let network = networks::inspircd().unwrap();
    two_clients_talk(network.port()).await;
}

#[tokio::test]
async fn ergo_carries_a_line_between_two_clients() {
    part!(Ergo);
    let mut network = networks::ergo().unwrap();
    two_clients_talk(network.port()).await;
    network.kill().unwrap();
    network.restart().unwrap();
    two_clients_talk(network.port()).await;
}

#[tokio::test]
async fn irssi_talks_in_a_terminal() {
    part!(InspIrcd, Irssi, Tmux);
    let network = networks::inspircd().unwrap();
    let irssi = Terminal::irssi().unwrap();
    irssi.line(&format!("/connect -notls 127.0.0.1 {}", network.port())).unwrap();
    irssi.wait_for("Welcome to the").unwrap();
    irssi.line("/join #room").unwrap();
    let mut bob = Client::connect(network.port()).await.unwrap();
    bob.register("bob").await.unwrap();
    bob.send("JOIN #room").await.unwrap();
    bob.wait_for(" 366 ").await.unwrap();
    irssi.wait_for("bob").unwrap();
    irssi.line("hello from irssi").unwrap();
    bob.wait_for(":hello from irssi").await.unwrap();
}

#[test]
fn postgres_gives_each_test_a_database() {
    part!(Postgres);
    let first = postgres::database().unwrap();
    let second = postgres::database().unwrap();
    assert_ne!(first, second);
}

#[test]
fn postgres_comes_back_after_a_restart() {
    part!(Postgres);
    let mut cluster = postgres::Cluster::start().unwrap();
    cluster.restart().unwrap();
    cluster.database().unwrap();
}

#[tokio::test]
async fn chromium_fills_a_form_and_reads_the_page() {
    part!(Chromium);
    let mut browser = Browser::start().await.unwrap();
    let page = "data:text/html,<html lang=en><title>t</title><main><h1>T</h1><label>Name<input id=n></label><button onclick=\"o.textContent=n.value\">Go</button><p id=o></p></main>";
    browser.goto(page).await.unwrap();
    browser.fill("Name", "alice").await.unwrap();
    browser.click("Go").await.unwrap();
    assert_eq!(browser.text("#o").await.unwrap(), "alice");
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    browser.close().await.unwrap();
}

#[test]
fn keycloak_serves_the_realm_of_the_deployment() {
    part!(Keycloak);
    let realm = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/keycloak/realm.json"),
    )
    .unwrap();
    let keycloak = Keycloak::start(
        &realm,
        &[("IRCNOW_GATEKEEPER_SECRET", "for-tests"), ("IRCNOW_AUTH_URL", "http://auth.localhost:8080")],
    )
    .unwrap();
    let address = keycloak.url().trim_start_matches("http://localhost:").parse().unwrap();
    testkit::net::wait_for_port(address, Duration::from_secs(10)).unwrap();
    assert!(keycloak.output().contains("Realm 'irc-now' imported"), "{}", keycloak.output());
}
