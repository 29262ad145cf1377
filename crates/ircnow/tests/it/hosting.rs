//! Networks people host: made on the portal, talked on, stopped and taken away for good.

use std::process::Command;

use reqwest::Method;
use testkit::browser::Browser;
use testkit::irc::Client;
use testkit::{eventually, part};

use crate::account::{Account, OPERATOR_PASSWORD};
use crate::backup::unzipped;
use crate::installation::{Installation, Layout};
use crate::person;

/// Two people who talk in a channel.
async fn talk(alice: &mut Client, bob: &mut Client, what: &str) {
    for client in [&mut *alice, &mut *bob] {
        client.send("JOIN #garden").await.unwrap();
        client.wait_for(" 366 ").await.unwrap();
    }
    alice.send(&format!("PRIVMSG #garden :{what}")).await.unwrap();
    bob.wait_for(what).await.unwrap();
    bob.send(&format!("PRIVMSG #garden :{what}, indeed")).await.unwrap();
    alice.wait_for(&format!("{what}, indeed")).await.unwrap();
}

#[tokio::test]
async fn a_network_is_hosted_on_the_portal_and_people_talk_on_it() {
    part!(Chromium, Ergo);
    let at = Installation::up().unwrap();
    let mut browser = Browser::start().await.unwrap();
    person::sign_up(&mut browser, &at, "alice").await.unwrap();
    let account = Account::sign_in(&at, "alice").await.unwrap();
    browser.goto(&at.url("my", "/hosting")).await.unwrap();
    browser.wait_for("You host no network yet").await.unwrap();
    browser.click("Host a network").await.unwrap();
    browser.fill("Name", "pixels").await.unwrap();
    browser.fill("Message of the day", "Be kind.").await.unwrap();
    browser.command("click", serde_json::json!({"what": "button.primary"})).await.unwrap();
    // The page says by itself that it runs, and where.
    browser.wait_for("Running, 0 people").await.unwrap_or_else(|error| panic!("{error}: {}", at.output()));
    let url = browser.url().await.unwrap();
    let id = url.rsplit_once("/hosting/").unwrap().1.to_owned();
    let (tls, plain) = account.wait_until_hosted(&id).await;

    let mut alice = Client::connect_tls(tls).await.unwrap();
    let mut bob = Client::connect(plain).await.unwrap();
    alice.register("alice").await.unwrap();
    bob.register("bob").await.unwrap();
    alice.wait_for("Be kind.").await.unwrap();
    assert!(alice.seen.iter().any(|line| line.starts_with(":pixels.net.localhost ")), "{:?}", alice.seen);
    talk(&mut alice, &mut bob, "what a view").await;
    browser.wait_for("Running, 2 people, 1 channel").await.unwrap();

    browser.click("Suspend").await.unwrap();
    browser.wait_for("Start again").await.unwrap();
    alice.wait_for_end().await.unwrap();
    bob.wait_for_end().await.unwrap();
    eventually("nobody to listen", || async { Client::connect(plain).await.is_err().then_some(()) }).await;
    browser.click("Start again").await.unwrap();
    browser.wait_for("Running").await.unwrap();
    account.wait_until_hosted(&id).await;
    let mut again = Client::connect(plain).await.unwrap();
    again.register("alice").await.unwrap();

    browser.click("Delete pixels").await.unwrap();
    browser.wait_for("pixels is stopped and deleted").await.unwrap();
    again.wait_for_end().await.unwrap();
    browser.click("Undo").await.unwrap();
    account.wait_until_hosted(&id).await;
    browser.close().await.unwrap();
}

#[tokio::test]
async fn a_deleted_network_leaves_nothing_once_it_cannot_be_undone() {
    part!(Ergo);
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_HOSTING_UNDO", "1s")]).unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let id = alice.host_network("pixels", "open").await.unwrap();
    alice.wait_until_hosted(&id).await;
    let server = at.hosted_servers().remove(0);
    alice.post(&format!("/hosting/{id}/delete"), &[]).await.unwrap();
    eventually("the network to be gone", || async {
        let gone = alice.get(&format!("/hosting/{id}")).await.ok()?.status == 404;
        let folders = std::fs::read_dir(at.data.path().join("data/hosted")).ok()?.count();
        (gone && folders == 0).then_some(())
    })
    .await;
    assert!(!std::path::Path::new("/proc").join(server).exists());
    // Its name is free.
    alice.host_network("Pixels", "open").await.unwrap();
}

#[tokio::test]
async fn a_hosted_network_outlives_a_killed_up_and_ends_with_a_stopped_one() {
    part!(Ergo);
    let mut at = Installation::up().unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let id = alice.host_network("pixels", "open").await.unwrap();
    let (_, plain) = alice.wait_until_hosted(&id).await;
    let mut bob = Client::connect(plain).await.unwrap();
    bob.register("bob").await.unwrap();
    at.kill().unwrap();
    at.launch().unwrap();
    alice.wait_until_hosted(&id).await;
    bob.send("PRIVMSG bob :still on the same server").await.unwrap();
    bob.wait_for("still on the same server").await.unwrap();

    // A server that dies is there again by itself, with what was configured.
    let server = at.hosted_servers().remove(0);
    assert!(Command::new("kill").args(["-9", &server]).status().unwrap().success());
    bob.wait_for_end().await.unwrap();
    eventually("another server", || async {
        let other = at.hosted_servers().into_iter().next().filter(|other| *other != server);
        other.filter(|_| testkit::net::wait_for_port(plain, std::time::Duration::from_millis(200)).is_ok())
    })
    .await;
    let mut bob = Client::connect(plain).await.unwrap();
    bob.register("bob").await.unwrap();
    at.stop().unwrap();
    bob.wait_for_end().await.unwrap();
}

#[tokio::test]
async fn a_change_is_told_to_the_running_server_and_its_operator_is_one() {
    part!(Ergo);
    let at = Installation::up().unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let id = alice.host_network("pixels", "open").await.unwrap();
    let (_, plain) = alice.wait_until_hosted(&id).await;
    let mut bob = Client::connect(plain).await.unwrap();
    bob.register("bob").await.unwrap();
    bob.send(&format!("OPER root {OPERATOR_PASSWORD}")).await.unwrap();
    bob.wait_for(" 381 ").await.unwrap();

    alice.post(&format!("/hosting/{id}"), &[("access", "open"), ("motd", "Wipe your feet.")]).await.unwrap();
    eventually("the new message of the day", || async {
        let mut visitor = Client::connect(plain).await.ok()?;
        visitor.register("visitor").await.ok()?;
        visitor.wait_for(" 376 ").await.ok()?;
        visitor.seen.iter().any(|line| line.contains("Wipe your feet.")).then_some(())
    })
    .await;

    // Nobody was disconnected for that.
    bob.send("PING :still here").await.unwrap();
    bob.wait_for("still here").await.unwrap();
}

#[tokio::test]
async fn members_come_in_with_an_app_password_and_nobody_else_does() {
    part!(Ergo);
    let at = Installation::up().unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let carol = Account::sign_up(&at, "carol").await.unwrap();
    let password = carol.app_password("laptop").await.unwrap();
    let id = alice.host_network("members", "members").await.unwrap();
    let (tls, _) = alice.wait_until_hosted(&id).await;
    let mut member = Client::connect_tls(tls).await.unwrap();
    member.register_sasl("carol", &password, "").await.unwrap();
    assert!(
        member.seen.iter().any(|line| line.contains(" 900 ") && line.contains("carol")),
        "{:?}",
        member.seen
    );
    let mut stranger = Client::connect_tls(tls).await.unwrap();
    assert!(stranger.register("mallory").await.is_err());
    let mut liar = Client::connect_tls(tls).await.unwrap();
    assert!(liar.register_sasl("alice", &password, "").await.is_err());
}

#[tokio::test]
async fn a_plan_says_how_many_networks_and_a_suspended_account_runs_none() {
    part!(Ergo);
    let environment = [("IRCNOW_GATEKEEPER_NEW_ACCOUNT_PLAN", "starter")];
    let at = Installation::start(Layout::OneProcess, &environment).unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let id = alice.host_network("pixels", "open").await.unwrap();
    let (_, plain) = alice.wait_until_hosted(&id).await;
    let second = alice.try_post("/hosting", &[("name", "second")]).await.unwrap();
    assert_eq!(second.status, 403);
    assert!(second.text.contains("Your plan allows 1 hosted network."), "{}", second.text);

    let page = alice.get(&format!("/hosting/{id}")).await.unwrap().text;
    assert!(page.contains("Running, 0 of 50 people"), "{page}");
    let mut first = Client::connect(plain).await.unwrap();
    first.register("first").await.unwrap();

    // A suspended account's networks are suspended with it.
    at.admin(&["suspend", "alice"]).unwrap();
    first.wait_for_end().await.unwrap();
}

#[tokio::test]
async fn what_an_account_hosts_is_exported_and_goes_with_it() {
    part!(Ergo);
    let at = Installation::up().unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let id = alice.host_network("pixels", "open").await.unwrap();
    let (_, plain) = alice.wait_until_hosted(&id).await;
    let mut bob = Client::connect(plain).await.unwrap();
    bob.register("bob").await.unwrap();
    let export = alice.send(Method::GET, &at.url("my", "/account/export"), None).await.unwrap();
    let export = String::from_utf8_lossy(&unzipped(&export.bytes().await.unwrap())).into_owned();
    assert!(export.contains("irc-now/hosting/networks.json") && export.contains("pixels.net.localhost"));
    assert!(!export.contains("$2b$"), "no hash of a password");
    alice.prove("/account/delete").await.unwrap();
    alice.try_post("/account/delete", &[("confirm", "alice")]).await.unwrap();
    bob.wait_for_end().await.unwrap();
    eventually("the folder to be gone", || async {
        let folders = std::fs::read_dir(at.data.path().join("data/hosted")).ok()?.count();
        (folders == 0).then_some(())
    })
    .await;
}
