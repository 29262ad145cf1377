//! Hosted networks as processes of one machine: who gets in, how they are reached, what outlives what.

use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;

use irc_client::{ClientConfig, DirectDial, Environment, Event, Tls, Transport};
use testkit::irc::{Client, served_certificate};
use testkit::{eventually, part};

use crate::account::Account;
use crate::installation::{Installation, Layout};

/// An installation on which a new account's plan lets `people` on its network.
fn with_room_for(people: u32) -> (Installation, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let plans = folder.path().join("plans.toml");
    std::fs::write(&plans, format!("[plans.starter.limits]\nhosted_network_users = {people}\n")).unwrap();
    let plans = plans.display().to_string();
    let environment = [("IRCNOW_GATEKEEPER_NEW_ACCOUNT_PLAN", "starter"), ("IRCNOW_PLANS_PATH", &plans)];
    (Installation::start(Layout::OneProcess, &environment).unwrap(), folder)
}

/// Comes to the network as `nick` and is shown out again.
async fn is_shown_out(port: u16, nick: &str) {
    let mut client = Client::connect(port).await.unwrap();
    client.register(nick).await.unwrap();
    client.wait_for("This network is full: its plan lets in").await.unwrap();
    client.wait_for_end().await.unwrap();
}

/// Comes to the network as `nick`, once there is room.
async fn comes_in(port: u16, nick: &str) -> Client {
    eventually(format!("room for {nick}"), || async {
        let mut client = Client::connect(port).await.ok()?;
        client.register(nick).await.ok()?;
        client.send("LUSERS").await.ok()?;
        client.wait_for(" 266 ").await.ok()?;
        client.send("PING :still here").await.ok()?;
        client.wait_for("PONG").await.ok()?;
        Some(client)
    })
    .await
}

#[tokio::test]
async fn no_more_people_come_in_than_the_plan_allows() {
    part!(Ergo);
    let (mut at, _plans) = with_room_for(2);
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let id = alice.host_network("pixels", "open").await.unwrap();
    let (tls, plain) = alice.wait_until_hosted(&id).await;
    let page = alice.get(&format!("/hosting/{id}")).await.unwrap().text;
    assert!(page.contains("Running, 0 of 2 people"), "who keeps the door is not counted: {page}");
    let mut first = Client::connect_tls(tls).await.unwrap();
    first.register("first").await.unwrap();
    let mut second = Client::connect(plain).await.unwrap();
    second.register("second").await.unwrap();
    is_shown_out(plain, "third").await;
    eventually("the page to say that it is full", || async {
        let page = alice.get(&format!("/hosting/{id}")).await.ok()?.text;
        (page.contains("2 of 2 people") && page.contains("It is full")).then_some(())
    })
    .await;

    // The same after `up` was killed: who is in stays in, and nobody else comes.
    at.kill().unwrap();
    at.launch().unwrap();
    alice.wait_until_hosted(&id).await;
    is_shown_out(plain, "third").await;
    second.send("PRIVMSG first :still here").await.unwrap();
    first.wait_for("still here").await.unwrap();

    // Somebody goes, and there is room for one.
    first.send("QUIT").await.unwrap();
    first.wait_for_end().await.unwrap();
    let _third = comes_in(plain, "third").await;
    is_shown_out(plain, "fourth").await;
}

#[tokio::test]
async fn a_network_of_members_is_kept_to_its_plan_too() {
    part!(Ergo);
    let (at, _plans) = with_room_for(1);
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let id = alice.host_network("members", "members").await.unwrap();
    let (tls, _) = alice.wait_until_hosted(&id).await;
    let mut members = Vec::new();
    for name in ["carol", "dave"] {
        let account = Account::sign_up(&at, name).await.unwrap();
        let password = account.app_password("laptop").await.unwrap();
        let mut client = Client::connect_tls(tls).await.unwrap();
        client.register_sasl(name, &password, "").await.unwrap();
        members.push(client);
    }
    let (carol, dave) = members.split_at_mut(1);
    dave[0].wait_for("This network is full: its plan lets in 1").await.unwrap();
    dave[0].wait_for_end().await.unwrap();
    carol[0].send("PING :still here").await.unwrap();
    carol[0].wait_for("still here").await.unwrap();
    // Nobody is the doorkeeper by saying so.
    let mut liar = Client::connect_tls(tls).await.unwrap();
    assert!(liar.register_sasl("ircnow-door", "kq7m-3xvd-91hf-tz0c-ap4w-e6ry-0abc", "").await.is_err());
}

#[tokio::test]
async fn a_bouncer_reaches_the_networks_of_its_machine_and_nothing_else_there() {
    part!(Ergo);
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_UP_LOCAL_NETWORK", "false")]).unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let hosted = alice.host_network("pixels", "open").await.unwrap();
    let (tls, plain) = alice.wait_until_hosted(&hosted).await;
    // As the page writes it, and believed by this machine's own authority.
    let form = [
        ("name", "pixels"),
        ("host", "localhost"),
        ("port", &*tls.to_string()),
        ("nick", "alice"),
        ("tls", "verified"),
    ];
    let network = alice.add_network_with(&form).await.unwrap();
    alice.wait_until_connected(&network, "alice").await;
    let password = alice.app_password("laptop").await.unwrap();
    let mut laptop = Client::connect_tls(at.irc_tls).await.unwrap();
    laptop.register_sasl("alice/pixels", &password, "").await.unwrap();
    let mut bob = Client::connect(plain).await.unwrap();
    bob.register("bob").await.unwrap();
    bob.send("PRIVMSG alice :through the bouncer").await.unwrap();
    laptop.wait_for("through the bouncer").await.unwrap();

    // Whatever else listens on this machine stays out of reach.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = [other.local_addr().unwrap().port(), at.http, at.irc];
    for (number, port) in ports.into_iter().enumerate() {
        let name = format!("other{number}");
        let id = alice.add_network_unchecked(&name, port, "alice").await.unwrap();
        refused(&alice, &id).await;
    }

    // Its port is nobody's once it stopped.
    alice.post(&format!("/hosting/{hosted}/suspend"), &[]).await.unwrap();
    bob.wait_for_end().await.unwrap();
    alice.post(&format!("/networks/{network}/reconnect"), &[]).await.unwrap();
    refused(&alice, &network).await;
    alice.post(&format!("/hosting/{hosted}/resume"), &[]).await.unwrap();
    alice.wait_until_hosted(&hosted).await;
    alice.post(&format!("/networks/{network}/reconnect"), &[]).await.unwrap();
    alice.wait_until_connected(&network, "alice").await;
}

/// The page says that the network is not where bouncers go.
async fn refused(account: &Account, network: &str) {
    eventually("the page to say why", || async {
        let page = account.get(&format!("/networks/{network}")).await.ok()?.text;
        page.contains("not on the public internet").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_anybody_being_disconnected() {
    part!(Ergo);
    let at = Installation::up().unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let id = alice.host_network("pixels", "open").await.unwrap();
    let (tls, _) = alice.wait_until_hosted(&id).await;
    let mut bob = Client::connect_tls(tls).await.unwrap();
    bob.register("bob").await.unwrap();
    let before = served_certificate(tls).await.unwrap();

    // What is written about the certificate makes it due.
    let folder = at.data.path().join("data/tls");
    let about = std::fs::read_to_string(folder.join("server.about")).unwrap();
    let names: Vec<_> = about.lines().skip(1).map(str::to_owned).collect();
    std::fs::write(folder.join("server.about"), format!("0\n{}\n", names.join("\n"))).unwrap();
    service::tls::local_certificate(&folder, &names).unwrap();
    eventually("another certificate", || async {
        let now = served_certificate(tls).await.ok()?;
        (now != before).then_some(())
    })
    .await;
    bob.send("PING :still here").await.unwrap();
    bob.wait_for("still here").await.unwrap();
}

#[tokio::test]
async fn browsers_come_in_by_websocket() {
    part!(Ergo);
    let at = Installation::up().unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let id = alice.host_network("pixels", "open").await.unwrap();
    alice.wait_until_hosted(&id).await;
    let page = alice.get(&format!("/hosting/{id}")).await.unwrap().text;
    let (_, port) = page.split_once("wss://localhost:").unwrap_or_else(|| panic!("no WebSocket: {page}"));
    let port = port.split('/').next().unwrap().parse().unwrap();
    assert!(page.contains("What was said is gone") || page.contains("is kept when the server starts"));
    let mut config = ClientConfig::new("pixels", "localhost", port, "bob");
    config.transport = Transport::WebSocket { path: "/".to_owned() };
    config.tls = Tls::Unverified;
    let (tell, mut events) = tokio::sync::mpsc::channel(16);
    let client = irc_client::connect(config, Environment::new(Arc::new(DirectDial)), tell);
    loop {
        match events.recv().await {
            Some(Event::Registered(registered)) => break assert_eq!(registered.nick, "bob"),
            Some(Event::Down { error, .. }) => panic!("{error}"),
            None => panic!("the client ended"),
            Some(_) => {}
        }
    }
    client.quit("seen");
}

#[tokio::test]
async fn when_up_and_a_server_are_killed_at_once_the_network_is_back_with_what_it_kept() {
    part!(Ergo);
    let mut at = Installation::up().unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let (first, second) = (
        alice.host_network("pixels", "open").await.unwrap(),
        alice.host_network("other", "open").await.unwrap(),
    );
    let (_, plain) = alice.wait_until_hosted(&first).await;
    let (_, other) = alice.wait_until_hosted(&second).await;
    let mut bob = Client::connect(plain).await.unwrap();
    bob.register("bob").await.unwrap();
    bob.send("NS REGISTER a-password-of-this-test").await.unwrap();
    bob.wait_for("ccount created").await.unwrap();
    let mut carol = Client::connect(other).await.unwrap();
    carol.register("carol").await.unwrap();

    at.kill().unwrap();
    let dead = server_at(&at, plain);
    assert!(Command::new("kill").args(["-9", &dead]).status().unwrap().success());
    bob.wait_for_end().await.unwrap();
    at.launch().unwrap();
    assert_eq!(alice.wait_until_hosted(&first).await.1, plain, "the addresses stay");
    alice.wait_until_hosted(&second).await;
    assert_ne!(server_at(&at, plain), dead);

    // The account bob made is there, and the other network's server never noticed.
    let mut bob = Client::connect(plain).await.unwrap();
    bob.send("PASS bob:a-password-of-this-test").await.unwrap();
    bob.register("bob").await.unwrap();
    bob.send("WHOIS bob").await.unwrap();
    bob.wait_where("bob's account", |line| line.contains(" 330 ") && line.contains("bob")).await.unwrap();
    carol.send("PING :still here").await.unwrap();
    carol.wait_for("still here").await.unwrap();
}

/// The process id of the server that listens without TLS on `port`.
fn server_at(at: &Installation, port: u16) -> String {
    let folders = std::fs::read_dir(at.data.path().join("data/hosted")).unwrap().flatten();
    let files = folders.filter_map(|folder| std::fs::read_to_string(folder.path().join("pid")).ok());
    let ours = files.filter(|file| file.trim().ends_with(&format!(":{port}")));
    ours.filter_map(|file| file.split(' ').next().map(str::to_owned)).next().unwrap()
}
