//! The network an installation brings along, so that a first message needs nobody else.

use std::process::Command;

use testkit::irc::Client;
use testkit::{eventually, part};

use crate::account::Account;
use crate::installation::{Installation, Layout};

#[tokio::test]
async fn the_local_network_is_offered_first_and_adopted_after_a_kill() {
    part!(Ergo);
    let mut at = Installation::up().unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let page = alice.get("/networks/new").await.unwrap().text;
    let (local, libera) = (page.find("localnet"), page.find("Libera"));
    assert!(local.is_some() && libera.is_some() && local < libera, "{page}");
    alice.add_network("localnet", at.local_network, "alice").await.unwrap();

    let mut bob = Client::connect(at.local_network).await.unwrap();
    bob.register("bob").await.unwrap();
    at.kill().unwrap();
    at.launch().unwrap();
    bob.send("PRIVMSG bob :still on the same server").await.unwrap();
    bob.wait_for("still on the same server").await.unwrap();
    at.stop().unwrap();
    bob.wait_for_end().await.unwrap();
}

#[tokio::test]
async fn a_local_network_whose_server_died_is_there_again_by_itself() {
    part!(Ergo);
    let mut at = Installation::up().unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let id = alice.add_network("localnet", at.local_network, "alice").await.unwrap();
    let password = alice.app_password("laptop").await.unwrap();
    let mut laptop = Client::connect_tls(at.irc_tls).await.unwrap();
    laptop.register_sasl("alice/localnet", &password, "").await.unwrap();
    let mut pages = alice.live().await.unwrap();

    for round in ["once", "and once more"] {
        let server = at.local_network_server().unwrap();
        assert!(Command::new("kill").args(["-9", &server]).status().unwrap().success());
        pages.wait_for("The server of the local network stopped. It is started again in").await;
        assert!(at.output().contains("the local network's server died"), "{}", at.output());
        eventually("another server", || async {
            at.local_network_server().ok().filter(|again| *again != server)
        })
        .await;
        pages.wait_for("Connected").await;
        alice.wait_until_connected(&id, "alice").await;
        assert!(!alice.get("/").await.unwrap().text.contains("The server of the local network stopped"));

        // Nobody touched anything.
        let mut bob = Client::connect(at.local_network).await.unwrap();
        bob.register("bob").await.unwrap();
        laptop.send(&format!("PRIVMSG bob :here again, {round}")).await.unwrap();
        bob.wait_for(&format!("here again, {round}")).await.unwrap();
        bob.send(&format!("PRIVMSG alice :welcome back, {round}")).await.unwrap();
        laptop.wait_for(&format!("welcome back, {round}")).await.unwrap();
        bob.send("QUIT").await.unwrap();
    }
    let server = at.local_network_server().unwrap();
    at.stop().unwrap();
    assert!(!std::path::Path::new("/proc").join(server).exists(), "the local network ends with its `up`");
}

#[tokio::test]
async fn without_a_local_network_the_pages_say_how_to_get_one() {
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_UP_LOCAL_NETWORK", "false")]).unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    for page in ["/start", "/networks/new"] {
        let text = alice.get(page).await.unwrap().text;
        assert!(text.contains("apt-get install inspircd") && !text.contains("localnet"), "{page}: {text}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_proven_reaches_the_local_network_and_no_other() {
    part!(Ergo);
    // Nobody takes the mail: it is tried again later, and nobody waits for that.
    let mail = format!("smtp://127.0.0.1:{}", testkit::net::free_port().unwrap());
    let environment =
        [("IRCNOW_GATEKEEPER_SMTP_URL", mail.as_str()), ("IRCNOW_GATEKEEPER_MAIL_FROM", "irc@example.org")];
    let at = Installation::start(Layout::OneProcess, &environment).unwrap();
    let alice = Account::sign_up_from(&at, "alice", "alice@example.org").await.unwrap();
    let outside = [("name", "outside"), ("host", "irc.example.org"), ("port", "6667"), ("nick", "alice")];
    let id = alice.add_network_with(&outside).await.unwrap();
    eventually("the page to say what is missing", || async {
        let text = alice.get(&format!("/networks/{id}")).await.ok()?.text;
        text.contains("Confirm your e-mail address first").then_some(())
    })
    .await;
    alice.add_network("localnet", at.local_network, "alice").await.unwrap();
}
