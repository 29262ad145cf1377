//! `ircnow admin rotate-key` (issue "From sign-up to the first message", section 7): nobody notices, and afterwards the old
//! key opens nothing any more.

use std::fs;

use anyhow::Result;
use testkit::irc::Client;
use testkit::networks::{self, Network};
use testkit::{eventually, part};

use crate::account::Account;
use crate::installation::{Installation, Layout};

/// The password the bouncer needs for Ergo, kept sealed.
const UPSTREAM: &str = "alices password at ergo";

struct Scene {
    at: Installation,
    ergo: Network,
    alice: Account,
    network: String,
    password: String,
}

/// Alice with a network that she has an account at: a secret of gatekeeper's, of the bouncer's and of the portal's.
async fn scene(layout: Layout) -> Result<Scene> {
    let ergo = networks::ergo()?;
    let mut registrar = Client::connect(ergo.port()).await?;
    registrar.register("alice").await?;
    registrar.send(&format!("NS REGISTER {}", UPSTREAM.replace(' ', "-"))).await?;
    registrar.wait_for("ccount created").await?;
    registrar.send("QUIT").await?;
    registrar.wait_for_end().await?;
    let allowed = format!("127.0.0.1:{}", ergo.port());
    let at = Installation::start(layout, &[("IRCNOW_DIAL_ALLOW", &allowed)])?;
    let alice = Account::sign_up(&at, "alice").await?;
    let (port, secret) = (ergo.port().to_string(), UPSTREAM.replace(' ', "-"));
    let network = alice
        .add_network_with(&[
            ("name", "ergo"),
            ("port", &port),
            ("nick", "alice"),
            ("sasl", "password"),
            ("account", "alice"),
            ("password", &secret),
        ])
        .await?;
    alice.wait_until_connected(&network, "alice").await;
    let password = alice.app_password("laptop").await?;
    Ok(Scene { at, ergo, alice, network, password })
}

impl Scene {
    /// Everything that needs a secret: of browsers, of clients, of the network's account, between services.
    async fn all_is_well(&self, when: &str) {
        assert!(self.alice.is_signed_in().await.unwrap(), "{when}");
        // A door whose gatekeeper has just restarted says "in a moment", and means it.
        let mut client = eventually(format!("a login {when}"), || async {
            let mut client = Client::connect_tls(self.at.irc_tls).await.ok()?;
            client.register_sasl("alice/ergo", &self.password, "").await.ok().map(|()| client)
        })
        .await;
        Account::sign_in(&self.at, "alice").await.unwrap();
        self.alice.app_password(when).await.unwrap();
        self.alice.post(&format!("/networks/{}/reconnect", self.network), &[]).await.unwrap();
        self.alice.wait_until_connected(&self.network, "alice").await;
        client.send("WHOIS alice").await.unwrap();
        // 330: logged in as.
        let known = client.wait_for(" 330 ").await;
        assert!(known.is_ok(), "{when}: {known:?}");
        assert!(self.ergo.output().is_empty() || !self.ergo.output().contains("panic"));
    }

    fn keys(&self) -> Vec<String> {
        let text = fs::read_to_string(self.at.data.path().join("data/secret.key")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Leaves only the newest key, as an operator does who wants the old one dead.
    fn drop_old_keys(&self) {
        let newest = format!("{}\n", self.keys()[0]);
        fs::write(self.at.data.path().join("data/secret.key"), newest).unwrap();
    }
}

#[tokio::test]
async fn keys_are_rotated_in_one_process_and_the_old_one_is_needed_no_more() {
    part!(Ergo);
    let mut scene = scene(Layout::OneProcess).await.unwrap();
    let before = scene.keys();
    let said = scene.at.admin(&["rotate-key"]).unwrap();
    assert!(said.contains("nothing has to be restarted"), "{said}");
    assert!(scene.keys().len() == 2 && scene.keys()[1] == before[0]);
    scene.all_is_well("after the rotation").await;

    scene.at.stop().unwrap();
    scene.drop_old_keys();
    scene.at.launch().unwrap();
    scene.alice.wait_until_connected(&scene.network, "alice").await;
    scene.all_is_well("without the old key").await;
}

#[tokio::test]
async fn keys_are_rotated_under_processes_that_run_and_may_restart_in_any_order() {
    part!(Ergo);
    let mut scene = scene(Layout::ThreeProcesses).await.unwrap();
    scene.at.admin(&["rotate-key"]).unwrap();
    scene.all_is_well("after the rotation").await;
    eventually("every process to have the new key", || async {
        let moved = |role: &str| scene.at.output_of(role).contains("the keys were rotated");
        (moved("bouncer") && moved("portal")).then_some(())
    })
    .await;

    // Whichever goes first meets others that began with the old key.
    for role in ["bouncer", "portal", "gatekeeper"] {
        scene.at.restart(role).unwrap();
        scene.alice.wait_until_connected(&scene.network, "alice").await;
        scene.all_is_well(&format!("after {role} restarted")).await;
    }

    scene.at.stop().unwrap();
    scene.drop_old_keys();
    scene.at.launch().unwrap();
    scene.alice.wait_until_connected(&scene.network, "alice").await;
    scene.all_is_well("without the old key").await;
}
