//! A stranger signs up in a browser, gets a bouncer, points an ordinary client at it and talks (issue "From sign-up to
//! the first message", test 8.1).

use testkit::browser::Browser;
use testkit::irc::Client;
use testkit::networks::{self, Network};
use testkit::terminal::Terminal;
use testkit::{part, postgres};

use crate::installation::{Installation, Layout};
use crate::person;

/// InspIRCd and Ergo, and the variable that lets the bouncer dial them.
fn two_networks() -> (Network, Network, String) {
    let (inspircd, ergo) = (networks::inspircd().unwrap(), networks::ergo().unwrap());
    let allowed = format!("127.0.0.1:{},127.0.0.1:{}", inspircd.port(), ergo.port());
    (inspircd, ergo, allowed)
}

/// The whole way, in whichever layout.
async fn from_sign_up_to_the_first_message(layout: Layout, environment: &[(&str, &str)]) {
    let (inspircd, ergo, allowed) = two_networks();
    let environment = [environment, &[("IRCNOW_DIAL_ALLOW", allowed.as_str())]].concat();
    let at = Installation::start(layout, &environment).unwrap();
    let mut browser = Browser::start().await.unwrap();
    person::sign_up(&mut browser, &at, "alice").await.unwrap();
    person::add_network(&mut browser, &at, "insp", inspircd.port(), "alice").await.unwrap();
    person::add_network(&mut browser, &at, "ergo", ergo.port(), "alice_e").await.unwrap();
    for (network, port, nick) in [("insp", inspircd.port(), "alice"), ("ergo", ergo.port(), "alice_e")] {
        let lines =
            person::connection_lines(&mut browser, &at, "irssi", network, &format!("irssi {network}"))
                .await
                .unwrap();
        talk_both_ways(&lines, port, nick, &at).await;
    }
    browser.close().await.unwrap();
}

/// Types the very lines of the connection page into irssi, and talks with somebody who is on the network itself.
pub async fn talk_both_ways(lines: &str, network: u16, nick: &str, at: &Installation) {
    let irssi = Terminal::irssi().unwrap();
    for line in lines.lines() {
        irssi.line(line).unwrap();
    }
    irssi.wait_for("End of /MOTD").unwrap();
    let mut bob = Client::connect(network).await.unwrap();
    bob.register("bob").await.unwrap();
    bob.send("JOIN #lobby").await.unwrap();
    bob.wait_for(" 366 ").await.unwrap();
    irssi.line("/join #lobby").unwrap();
    let joined = bob.wait_where("the user's JOIN", |line| line.contains("JOIN") && line.contains(nick)).await;
    joined
        .unwrap_or_else(|error| panic!("{error:#}\n{}\n{}", irssi.screen().unwrap_or_default(), at.output()));
    irssi.line("hello, is this thing on?").unwrap();
    bob.wait_for("PRIVMSG #lobby :hello, is this thing on?").await.unwrap();
    bob.send("PRIVMSG #lobby :loud and clear").await.unwrap();
    irssi.wait_for("loud and clear").unwrap();
}

#[tokio::test]
async fn a_stranger_reaches_their_first_message_with_one_process() {
    part!(Chromium, InspIrcd, Ergo, Irssi, Tmux);
    from_sign_up_to_the_first_message(Layout::OneProcess, &[]).await;
}

#[tokio::test]
async fn a_stranger_reaches_their_first_message_with_a_process_a_role() {
    part!(Chromium, InspIrcd, Ergo, Irssi, Tmux);
    from_sign_up_to_the_first_message(Layout::ThreeProcesses, &[]).await;
}

#[tokio::test]
async fn a_stranger_reaches_their_first_message_on_postgres() {
    part!(Chromium, InspIrcd, Ergo, Irssi, Tmux, Postgres);
    let [gatekeeper, bouncer, history, portal] = [(); 4].map(|()| postgres::database().unwrap());
    let environment = [
        ("IRCNOW_GATEKEEPER_DATABASE", gatekeeper.as_str()),
        ("IRCNOW_BOUNCER_DATABASE", bouncer.as_str()),
        ("IRCNOW_BOUNCER_HISTORY", history.as_str()),
        ("IRCNOW_PORTAL_DATABASE", portal.as_str()),
    ];
    from_sign_up_to_the_first_message(Layout::OneProcess, &environment).await;
}
