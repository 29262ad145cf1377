//! The client on real networks.

use irc::cap::{Cap, CapSet};
use irc_client::{ClientConfig, ErrorKind, Sasl};
use testkit::networks::{self, Network};

use crate::support::{Running, config, environment};

const WANTED: CapSet = CapSet::of(&[Cap::MessageTags, Cap::ServerTime, Cap::EchoMessage, Cap::AwayNotify]);

fn anonymous(network: &Network, nick: &str) -> ClientConfig {
    ClientConfig { sasl: Sasl::None, wanted: WANTED, ..config(network.port(), nick) }
}

async fn two_people_talk(network: Network) {
    let mut alice = Running::start(anonymous(&network, "alice"), environment(&[]));
    let registered = alice.registered().await;
    assert_eq!(registered.nick, "alice");
    assert!(registered.caps.contains_all(WANTED), "{:?}", registered.caps);
    // The nick is taken: the next one is used.
    let mut second = Running::start(anonymous(&network, "alice"), environment(&[]));
    assert_eq!(second.registered().await.nick, "alice_");
    alice.say("JOIN #test");
    alice.wait_for(" 366 ").await;
    second.say("JOIN #test");
    second.wait_for(" 366 ").await;
    second.say("PRIVMSG #test :caf\u{e9} from the second");
    let heard = alice.wait_for("PRIVMSG #test").await;
    assert!(heard.ends_with(":caf\u{e9} from the second") && heard.contains("time="), "{heard}");
    second.wait_for("PRIVMSG #test").await;
    second.client.quit("Good night");
    second.ended().await;
    assert!(alice.wait_for(" QUIT ").await.contains("alice_"));
}

#[tokio::test]
async fn two_people_talk_on_inspircd() {
    testkit::part!(InspIrcd);
    two_people_talk(networks::inspircd().unwrap()).await;
}

#[tokio::test]
async fn two_people_talk_on_ergo() {
    testkit::part!(Ergo);
    two_people_talk(networks::ergo().unwrap()).await;
}

#[tokio::test]
async fn scram_logs_in_to_ergo_and_a_wrong_password_does_not() {
    testkit::part!(Ergo);
    let network = networks::ergo().unwrap();
    let mut alice = Running::start(anonymous(&network, "alice"), environment(&[]));
    alice.registered().await;
    alice.wait_for(" 001 ").await;
    alice.say("NS REGISTER sesame-open");
    alice.wait_for("now logged in as alice").await;
    let login = |password: &str| {
        let sasl = Sasl::Password { account: "alice".into(), password: password.to_owned().into() };
        ClientConfig { sasl, ..anonymous(&network, "other") }
    };
    let registered = Running::start(login("sesame-open"), environment(&[])).registered().await;
    assert_eq!(registered.account.as_deref(), Some("alice"));
    let (error, _) = Running::start(login("sesame-shut"), environment(&[])).down().await;
    assert_eq!(error.kind, ErrorKind::SaslRefused, "{error}");
}

#[tokio::test]
async fn a_killed_network_is_come_back_to() {
    testkit::part!(InspIrcd);
    let mut network = networks::inspircd().unwrap();
    let mut alice = Running::start(anonymous(&network, "alice"), environment(&[]));
    alice.registered().await;
    network.kill().unwrap();
    alice.down().await;
    network.restart().unwrap();
    loop {
        if let irc_client::Event::Registered(registered) = alice.event().await {
            assert_eq!(registered.nick, "alice");
            break;
        }
    }
}
