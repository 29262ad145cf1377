//! SASL EXTERNAL upstream (issue "From sign-up to the first message", section 3), by a real Ergo: the bouncer makes a
//! certificate, the page says what to tell the network, and from then on the network knows the account by it.

use std::process::Command;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use testkit::irc::Client;
use testkit::{Part, Process, eventually, net, part};

use crate::account::Account;
use crate::installation::{Installation, Layout};

/// The configuration of the tests' Ergo, to which a listener with TLS is added.
const ERGO: &str = include_str!("../../../testkit/src/networks/ergo.yaml");

/// An Ergo that also listens with TLS, which asks for certificates.
struct Ergo {
    _process: Process,
    port: u16,
    tls: u16,
    _folder: TempDir,
}

fn ergo() -> Result<Ergo> {
    let (folder, port, tls) = (tempfile::tempdir()?, net::free_port()?, net::free_port()?);
    let listener = format!(
        "listeners:\n    \"127.0.0.1:{tls}\":\n      tls: {{ cert: fullchain.pem, key: privkey.pem }}\n"
    );
    let text = ERGO.replace("@PORT@", &port.to_string()).replace("listeners:\n", &listener);
    let config = folder.path().join("config");
    std::fs::write(&config, text)?;
    let program = Part::Ergo.find().context("Ergo")?;
    for task in ["mkcerts", "initdb"] {
        let mut command = Command::new(&program);
        command.args([task, "--quiet", "--conf"]).arg(&config).current_dir(folder.path());
        let done = command.output()?;
        anyhow::ensure!(done.status.success(), "{task}: {}", String::from_utf8_lossy(&done.stderr));
    }
    let mut command = Command::new(program);
    command.args(["run", "--quiet", "--conf"]).arg(&config).current_dir(folder.path());
    let process = Process::spawn(&mut command, &folder.path().join("log"))?;
    net::wait_for_port(tls, testkit::wait::PATIENCE).with_context(|| process.output())?;
    Ok(Ergo { _process: process, port, tls, _folder: folder })
}

#[tokio::test]
async fn a_network_knows_the_account_by_the_certificate_the_bouncer_made() {
    part!(Ergo);
    let ergo = ergo().unwrap();
    // Alice has an account there, and is signed in as herself with another client.
    let mut herself = Client::connect(ergo.port).await.unwrap();
    herself.register("alicia").await.unwrap();
    herself.send("NS REGISTER a-password-of-this-test").await.unwrap();
    herself.wait_for("ccount created").await.unwrap();

    let allowed = format!("127.0.0.1:{}", ergo.tls);
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_DIAL_ALLOW", &allowed)]).unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let port = ergo.tls.to_string();
    let form =
        [("name", "ergo"), ("port", &*port), ("nick", "alice"), ("tls", "unverified"), ("sasl", "external")];
    let id = alice.add_network_with(&form).await.unwrap();
    let page = format!("/networks/{id}");

    // The network does not know the certificate yet; the page says what to tell it.
    eventually("the page to say what is wrong", || async {
        alice.get(&page).await.ok()?.text.contains("does not know the certificate").then_some(())
    })
    .await;
    let text = alice.get(&page).await.unwrap().text;
    let (_, rest) = text.split_once("/msg NickServ CERT ADD ").expect(&text);
    let fingerprint: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    assert_eq!(fingerprint.len(), 64, "{text}");
    herself.send(&format!("PRIVMSG NickServ :CERT ADD {fingerprint}")).await.unwrap();
    herself.wait_for("ertificate fingerprint").await.unwrap();

    alice.post(&format!("{page}/reconnect"), &[]).await.unwrap();
    alice.wait_until_connected(&id, "alice").await;
    let password = alice.app_password("laptop").await.unwrap();
    let mut laptop = Client::connect_tls(at.irc_tls).await.unwrap();
    laptop.register_sasl("alice/ergo", &password, "").await.unwrap();
    laptop.send("WHOIS alice").await.unwrap();
    let known = laptop.wait_for(" 330 ").await.unwrap();
    assert!(known.contains("alicia"), "{known}");

    // The certificate is kept: after a restart the network still knows it.
    let mut at = at;
    at.stop().unwrap();
    at.launch().unwrap();
    alice.wait_until_connected(&id, "alice").await;
    assert!(alice.get(&page).await.unwrap().text.contains(&fingerprint));
    let mut laptop = Client::connect_tls(at.irc_tls).await.unwrap();
    laptop.register_sasl("alice/ergo", &password, "").await.unwrap();
    laptop.send("WHOIS alice").await.unwrap();
    assert!(laptop.wait_for(" 330 ").await.unwrap().contains("alicia"));
}
