//! What can go wrong upstream (issue "From sign-up to the first message", test 8.4): the user reads what happened in
//! plain words, on the portal's page and in the client, and the bouncer recovers.

use anyhow::Result;
use testkit::irc::Client;
use testkit::networks::{self, Network};
use testkit::{eventually, net, part};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::account::Account;
use crate::installation::{Installation, Layout};

/// An account with a client attached to its one network, and an operator of that network.
struct Scene {
    _at: Installation,
    alice: Account,
    /// The page of the network.
    page: String,
    network: Network,
    client: Client,
    oper: Client,
}

impl Scene {
    /// On InspIRCd, everybody in `#lobby`.
    async fn set_up() -> Result<Self> {
        let network = networks::inspircd()?;
        let (at, alice) = installation(&[network.port()]).await?;
        let page = format!("/networks/{}", alice.add_network("insp", network.port(), "alice").await?);
        let oper = operator(&network).await?;
        let mut client = attach(&at, &alice, "insp").await?;
        client.send("JOIN #lobby").await?;
        client.wait_for(" 366 ").await?;
        Ok(Self { _at: at, alice, page, network, client, oper })
    }

    async fn oper_does(&mut self, line: &str) -> Result<()> {
        self.oper.send(line).await
    }

    /// The bouncer is back in `#lobby` and talks both ways.
    async fn is_back(&mut self, nick: &str) {
        let who = format!("PRIVMSG #lobby :are you there, {nick}?");
        self.oper.send(&who).await.unwrap();
        self.client.wait_for(&who).await.unwrap();
        self.client.send("PRIVMSG #lobby :yes, back again").await.unwrap();
        self.oper.wait_for("PRIVMSG #lobby :yes, back again").await.unwrap();
    }
}

async fn installation(ports: &[u16]) -> Result<(Installation, Account)> {
    let allowed: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_DIAL_ALLOW", &allowed.join(","))])?;
    let alice = Account::sign_up(&at, "alice").await?;
    Ok((at, alice))
}

async fn attach(at: &Installation, alice: &Account, network: &str) -> Result<Client> {
    let password = alice.app_password("laptop").await?;
    let mut client = Client::connect_tls(at.irc_tls).await?;
    client
        .register_sasl(&format!("alice/{network}@laptop"), &password, "server-time draft/chathistory")
        .await?;
    Ok(client)
}

async fn operator(network: &Network) -> Result<Client> {
    let mut oper = Client::connect(network.port()).await?;
    oper.register("oper").await?;
    oper.send("OPER root root").await?;
    oper.wait_for(" 381 ").await?;
    oper.send("JOIN #lobby").await?;
    oper.wait_for(" 366 ").await?;
    Ok(oper)
}

/// Waits until the page shows `text`.
async fn reads(alice: &Account, page: &str, text: &str) {
    eventually(format!("{page} to say {text:?}"), || async {
        let shown = alice.get(page).await.ok()?;
        without_tags(&shown.text).contains(text).then_some(())
    })
    .await;
}

fn without_tags(page: &str) -> String {
    page.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect()
}

#[tokio::test]
async fn a_network_that_dies_is_told_and_joined_again_when_it_comes_back() {
    part!(InspIrcd);
    let mut scene = Scene::set_up().await.unwrap();
    scene.network.kill().unwrap();
    scene.client.wait_for("Disconnected from insp: ").await.unwrap();
    reads(
        &scene.alice,
        &scene.page,
        "refused the connection. Check the port; if it is right, the server is down.",
    )
    .await;
    scene.network.restart().unwrap();
    scene.oper = operator(&scene.network).await.unwrap();
    // The back-off may have grown meanwhile; the button does not wait for it.
    scene.alice.post(&format!("{}/reconnect", scene.page), &[]).await.unwrap();
    scene.client.wait_for("Connected to insp as alice.").await.unwrap();
    scene.oper.wait_where("the JOIN", |line| line.contains("alice!") && line.contains("JOIN")).await.unwrap();
    scene.is_back("alice").await;
    reads(&scene.alice, &scene.page, "as alice").await;
}

#[tokio::test]
async fn a_kill_is_told_with_its_reason_and_the_bouncer_is_back_by_itself() {
    part!(InspIrcd);
    let mut scene = Scene::set_up().await.unwrap();
    scene.oper_does("KILL alice :have a break").await.unwrap();
    let told = scene.client.wait_for("Disconnected from insp: ").await.unwrap();
    assert!(told.contains("have a break"), "{told}");
    scene.client.wait_for("Connected to insp as alice.").await.unwrap();
    scene.oper.wait_where("the JOIN", |line| line.contains("alice!") && line.contains("JOIN")).await.unwrap();
    scene.is_back("alice").await;
}

#[tokio::test]
async fn a_kick_is_told_and_the_way_back_is_named() {
    part!(InspIrcd);
    let mut scene = Scene::set_up().await.unwrap();
    scene.oper_does("SAKICK #lobby alice :not today").await.unwrap();
    let told = scene.client.wait_for("removed you from #lobby on insp").await.unwrap();
    assert!(told.contains("/join #lobby") && told.contains("not today"), "{told}");
    scene.client.send("JOIN #lobby").await.unwrap();
    scene.client.wait_for(" 366 ").await.unwrap();
    scene.is_back("alice").await;
}

#[tokio::test]
async fn a_nick_changed_by_staff_is_told_and_is_the_users_to_take_back() {
    part!(InspIrcd);
    let mut scene = Scene::set_up().await.unwrap();
    scene.oper_does("SANICK alice guest42").await.unwrap();
    scene.client.wait_for("NICK guest42").await.unwrap();
    scene.client.wait_for("insp has changed your nick to guest42.").await.unwrap();
    reads(&scene.alice, &scene.page, "as guest42").await;
    scene.is_back("guest42").await;
    scene.client.send("NICK alice").await.unwrap();
    scene
        .client
        .wait_where("the nick", |line| line.contains(":guest42!") && line.contains("NICK alice"))
        .await
        .unwrap();
    reads(&scene.alice, &scene.page, "as alice").await;
}

#[tokio::test]
async fn a_refused_login_says_which_password_and_the_right_one_mends_it() {
    part!(Ergo);
    let ergo = networks::ergo().unwrap();
    let mut first = Client::connect(ergo.port()).await.unwrap();
    first.register("alice").await.unwrap();
    first.send("NS REGISTER the-right-password").await.unwrap();
    first.wait_for("Account created").await.unwrap();
    first.send("QUIT").await.unwrap();
    first.wait_for_end().await.unwrap();

    let (at, alice) = installation(&[ergo.port()]).await.unwrap();
    let port = ergo.port().to_string();
    let fields = [
        ("name", "ergo"),
        ("port", port.as_str()),
        ("nick", "alice"),
        ("sasl", "password"),
        ("account", "alice"),
        ("password", "a-wrong-password"),
    ];
    let page = format!("/networks/{}", alice.add_network_with(&fields).await.unwrap());
    reads(
        &alice,
        &page,
        "ergo refused the password for alice. Check both there (NickServ) and change them here.",
    )
    .await;
    reads(&alice, "/", "One thing needs you.").await;

    let mut client = attach(&at, &alice, "ergo").await.unwrap();
    client.wait_for("ergo is not connected: ergo refused the password for alice.").await.unwrap();
    client.send("PRIVMSG BouncerServ :sasl set-plain alice the-right-password").await.unwrap();
    client.wait_for("Connected to ergo as alice.").await.unwrap();
    reads(&alice, &page, "as alice").await;
    reads(&alice, "/", "Everything is connected.").await;
}

#[tokio::test]
async fn a_throttle_is_answered_with_patience_and_a_reconnect_by_hand_does_not_wait_for_it() {
    part!(InspIrcd);
    let network = networks::inspircd().unwrap();
    let door = moody_door(
        "ERROR :Closing link: (unknown@127.0.0.1) [Throttled: Reconnecting too fast]\r\n",
        network.port(),
    )
    .await
    .unwrap();
    let (at, alice) = installation(&[door]).await.unwrap();
    let page = format!("/networks/{}", alice.add_network_unchecked("insp", door, "alice").await.unwrap());
    reads(&alice, &page, "insp asks for fewer connections. The next try is minutes away on purpose.").await;
    reads(&alice, "/", "insp is on its way back.").await;
    let mut client = attach(&at, &alice, "insp").await.unwrap();
    client.wait_for("insp is not connected: insp asks for fewer connections.").await.unwrap();
    alice.post(&format!("{page}/reconnect"), &[]).await.unwrap();
    client.wait_for("Connected to insp as alice.").await.unwrap();
    reads(&alice, &page, "as alice").await;
}

/// A door that turns the first connection away with these words and lets the later ones through.
async fn moody_door(words: &'static str, behind: u16) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        let mut first = true;
        while let Ok((mut guest, _)) = listener.accept().await {
            if std::mem::take(&mut first) {
                let _ = guest.write_all(words.as_bytes()).await;
                continue;
            }
            tokio::spawn(async move {
                if let Ok(mut host) = TcpStream::connect(net::loopback(behind)).await {
                    let _ = tokio::io::copy_bidirectional(&mut guest, &mut host).await;
                }
            });
        }
    });
    Ok(port)
}
