//! The client against our own door, over everything both can.

use std::sync::Arc;

use irc_client::{ClientCertificate, ClientConfig, ErrorKind, Sasl, Tls, Transport};
use irc_server::{Closed, ListenerSpec};

use crate::support::{Certificate, Running, any_port, config, door, environment, until};

#[tokio::test]
async fn over_tcp_with_scram_lines_pass_both_ways() {
    let (door, hall) = door();
    let port = door.listen(ListenerSpec::plain("irc", any_port())).await.unwrap().port();
    let mut running = Running::start(config(port, "alice"), environment(&[]));
    let registered = running.registered().await;
    assert_eq!((registered.nick.as_str(), registered.account.as_deref()), ("alice", Some("alice")));
    assert_eq!(registered.fingerprint, None);
    assert!(running.wait_for(" 001 ").await.contains("alice from"));
    running.say("PRIVMSG #hall :with line end\r\n");
    running.say("PRIVMSG #hall :without");
    assert_eq!(running.wait_for("PRIVMSG").await, ":alice PRIVMSG #hall :with line end");
    assert_eq!(running.wait_for("PRIVMSG").await, ":alice PRIVMSG #hall :without");
    running.client.quit("Good night");
    running.ended().await;
    until("the guest is gone", || !hall.left.lock().unwrap().is_empty()).await;
    assert_eq!(hall.left.lock().unwrap()[0].1, Closed::ByBackend("Bye.".into()));
}

#[tokio::test]
async fn over_tls_an_upstream_is_verified_pinned_or_waved_through() {
    let certificate = Certificate::new();
    let (door, _hall) = door();
    let spec = ListenerSpec::tls("ircs", any_port(), certificate.resolver());
    let port = door.listen(spec).await.unwrap().port();
    let with = |tls| ClientConfig { tls, ..config(port, "alice") };
    let hex: String = certificate.sha256().iter().map(|byte| format!("{byte:02x}")).collect();

    for (tls, environment) in [
        (Tls::Verified, environment(&[&certificate])),
        (Tls::Pinned(certificate.sha256()), environment(&[])),
        (Tls::Unverified, environment(&[])),
    ] {
        let registered = Running::start(with(tls), environment).registered().await;
        assert_eq!(registered.fingerprint.as_ref(), Some(&hex));
    }
    let (error, _) = Running::start(with(Tls::Verified), environment(&[])).down().await;
    assert_eq!(error.kind, ErrorKind::Certificate);
    assert!(error.text.contains(&hex), "the user can pin what was seen: {error}");
    let (error, _) = Running::start(with(Tls::Pinned([7; 32])), environment(&[&certificate])).down().await;
    assert_eq!(error.kind, ErrorKind::Certificate);
    assert!(error.text.contains("another certificate than the pinned one"), "{error}");
}

#[tokio::test]
async fn a_certificate_or_a_token_logs_in_too() {
    let server = Certificate::new();
    let (door, _hall) = door();
    let port = door.listen(ListenerSpec::tls("ircs", any_port(), server.resolver())).await.unwrap().port();
    let mine = Certificate::new();
    let certificate = Some(Arc::new(ClientCertificate { chain: vec![mine.der], key: mine.key }));
    let tls = Tls::Pinned(server.sha256());
    for config in [
        ClientConfig { tls, certificate, sasl: Sasl::External, ..config(port, "a") },
        ClientConfig {
            tls,
            sasl: Sasl::OauthBearer { account: String::new(), token: "token".to_owned().into() },
            ..config(port, "a")
        },
    ] {
        let registered = Running::start(config, environment(&[])).registered().await;
        assert_eq!(registered.account.as_deref(), Some("alice"));
    }
    let config = ClientConfig { tls, sasl: Sasl::External, ..config(port, "a") };
    let (error, _) = Running::start(config, environment(&[])).down().await;
    assert_eq!(error.kind, ErrorKind::SaslUnavailable);
}

#[tokio::test]
async fn over_websocket_it_is_all_the_same() {
    let certificate = Certificate::new();
    let (door, _hall) = door();
    let clear = door.listen(ListenerSpec::plain("ws", any_port())).await.unwrap().port();
    let spec = ListenerSpec::tls("wss", any_port(), certificate.resolver());
    let encrypted = door.listen(spec).await.unwrap().port();
    for (port, tls) in [(clear, Tls::Off), (encrypted, Tls::Verified)] {
        let transport = Transport::WebSocket { path: "/".into() };
        let config = ClientConfig { tls, transport, ..config(port, "alice") };
        let mut running = Running::start(config, environment(&[&certificate]));
        running.registered().await;
        running.say("PRIVMSG #hall :over websocket");
        assert_eq!(running.wait_for("PRIVMSG").await, ":alice PRIVMSG #hall :over websocket");
    }
}

#[tokio::test]
async fn a_wrong_password_is_said_plainly_and_not_tried_at_once() {
    let (door, _hall) = door();
    let port = door.listen(ListenerSpec::plain("irc", any_port())).await.unwrap().port();
    let sasl = Sasl::Password { account: "alice".into(), password: "wrong".to_owned().into() };
    let mut running = Running::start(ClientConfig { sasl, ..config(port, "alice") }, environment(&[]));
    let (error, retry_in) = running.down().await;
    assert_eq!(error.kind, ErrorKind::SaslRefused);
    assert!(error.text.starts_with("TestNet refused the password for alice."), "{error}");
    assert!(retry_in.unwrap().as_secs() >= 600);
    running.client.reconnect(Some(config(port, "alice")));
    running.registered().await;
}

#[tokio::test]
async fn the_lag_is_measured() {
    let (door, _hall) = door();
    let port = door.listen(ListenerSpec::plain("irc", any_port())).await.unwrap().port();
    let mut config = config(port, "alice");
    config.manners.ping_every = std::time::Duration::from_millis(50);
    let mut running = Running::start(config, environment(&[]));
    assert!(running.lag().await < crate::support::DEADLINE);
    running.lag().await;
}
