//! Upstreams that break, lie, stall and ban.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use irc_client::{ClientConfig, ErrorKind, SendError, StsPolicy, Tls};
use irc_server::ListenerSpec;
use testkit::proxy::{Mood, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Certificate, Running, any_port, config, door, environment, until};

/// An upstream that says the same to everybody, whatever it hears, and then listens until the end.
async fn scripted(says: impl Into<Vec<u8>>, hang_up: bool) -> u16 {
    let listener = TcpListener::bind(any_port()).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let says: Arc<[u8]> = says.into().into();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let says = says.clone();
            tokio::spawn(async move {
                let mut heard = vec![0; 4096];
                // The first words are heard first, so that a hang-up is no reset.
                let _ = socket.read(&mut heard).await;
                let _ = socket.write_all(&says).await;
                while !hang_up && matches!(socket.read(&mut heard).await, Ok(1..)) {}
            });
        }
    });
    port
}

fn without_login(port: u16) -> ClientConfig {
    ClientConfig { sasl: irc_client::Sasl::None, ..config(port, "alice") }
}

#[tokio::test]
async fn a_cut_connection_comes_back_by_itself() {
    let (door, _hall) = door();
    let address = door.listen(ListenerSpec::plain("irc", any_port())).await.unwrap();
    let proxy = Proxy::start(address).await.unwrap();
    let mut running = Running::start(config(proxy.address().port(), "alice"), environment(&[]));
    running.registered().await;
    running.wait_for(" 001 ").await;
    proxy.set(Mood::Cut);
    let (error, retry_in) = running.down().await;
    assert_eq!(error.kind, ErrorKind::Lost);
    assert!(retry_in.unwrap() < Duration::from_secs(2));
    assert_eq!(running.client.send("PING x".into()), Err(SendError::NotConnected));
    proxy.set(Mood::Through);
    loop {
        match running.event().await {
            irc_client::Event::Registered(_) => break,
            irc_client::Event::Ended => panic!("it gave up"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_stalled_upstream_is_given_up() {
    let (door, _hall) = door();
    let address = door.listen(ListenerSpec::plain("irc", any_port())).await.unwrap();
    let proxy = Proxy::start(address).await.unwrap();
    let mut config = config(proxy.address().port(), "alice");
    config.manners.ping_every = Duration::from_millis(100);
    config.manners.ping_timeout = Duration::from_millis(500);
    let mut running = Running::start(config, environment(&[]));
    running.registered().await;
    proxy.set(Mood::Stalled);
    assert_eq!(running.down().await.0.kind, ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_throttle_is_answered_with_patience() {
    for (says, kind) in [
        ("ERROR :Closing Link: (Throttled: Reconnecting too fast)\r\n", ErrorKind::Throttled),
        (":s 465 alice :You are banned\r\nERROR :Closing Link: (banned)\r\n", ErrorKind::Banned),
        (":s 001 alice :hi\r\nERROR :Closing Link: (G-Lined)\r\n", ErrorKind::Banned),
    ] {
        let mut running = Running::start(without_login(scripted(says, true).await), environment(&[]));
        let (error, retry_in) = running.down().await;
        assert_eq!(error.kind, kind, "{says}: {error}");
        assert!(retry_in.unwrap().as_secs() >= 300);
    }
}

#[tokio::test]
async fn a_silent_or_garbled_upstream_is_named() {
    let mut config = without_login(scripted("", false).await);
    config.manners.registration_timeout = Duration::from_millis(300);
    assert_eq!(Running::start(config, environment(&[])).down().await.0.kind, ErrorKind::TimedOut);
    let garbage = scripted(b"\xff\xff\xff\r\n".repeat(100), false).await;
    assert_eq!(
        Running::start(without_login(garbage), environment(&[])).down().await.0.kind,
        ErrorKind::Protocol
    );
    let nobody = TcpListener::bind(any_port()).await.unwrap().local_addr().unwrap().port();
    let (error, _) = Running::start(without_login(nobody), environment(&[])).down().await;
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.text.contains("refused the connection"), "{error}");
    let config = ClientConfig { tls: Tls::Verified, ..without_login(scripted("hello\r\n", false).await) };
    assert_eq!(Running::start(config, environment(&[])).down().await.0.kind, ErrorKind::Tls);
}

#[tokio::test]
async fn endless_lines_and_nuls_are_survived() {
    let mut says = b":s 001 alice :hi\r\n".to_vec();
    says.extend(vec![b'x'; 1_000_000]);
    says.extend(b"\r\nA\0B\r\n:s NOTICE alice :after all that\r\n");
    let mut running = Running::start(without_login(scripted(says, false).await), environment(&[]));
    running.registered().await;
    running.wait_for("after all that").await;
}

#[tokio::test]
async fn lines_wait_in_a_bounded_queue() {
    let mut config = without_login(scripted(":s 001 alice :hi\r\n", false).await);
    config.manners.queue = 3;
    config.manners.burst = 1;
    config.manners.interval = Duration::from_secs(3600);
    let mut running = Running::start(config, environment(&[]));
    assert_eq!(running.client.send("A".into()), Err(SendError::NotConnected));
    running.registered().await;
    running.wait_for(" 001 ").await;
    let full = async {
        while running.client.send("PING x".into()) != Err(SendError::Full) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::support::DEADLINE, full).await.expect("it never filled");
    assert_eq!(running.client.waiting(), 3);
}

#[tokio::test]
async fn strict_transport_moves_to_tls_and_stays_there() {
    let certificate = Certificate::new();
    let (door, _hall) = door();
    let encrypted = door.listen(ListenerSpec::tls("ircs", any_port(), certificate.resolver())).await.unwrap();
    let says = format!(":s CAP * LS :sts=port={},duration=60\r\n", encrypted.port());
    let clear = scripted(says, false).await;
    let environment = environment(&[&certificate]);
    let mut running = Running::start(config(clear, "alice"), environment.clone());
    assert!(running.registered().await.fingerprint.is_some());
    // A policy in force is followed from the first byte on.
    let policy = StsPolicy { port: encrypted.port(), until: i64::MAX };
    environment.sts.keep("localhost", Some(policy));
    let mut running = Running::start(config(1, "alice"), environment);
    assert!(running.registered().await.fingerprint.is_some());
}

#[tokio::test]
async fn a_slow_taker_slows_down_nobody_but_itself() {
    let (door, _hall) = door();
    let address: SocketAddr = door.listen(ListenerSpec::plain("irc", any_port())).await.unwrap();
    // Never read from; its channel is full after 16 events.
    let _idle = Running::start(config(address.port(), "idle"), environment(&[]));
    let mut busy = config(address.port(), "busy");
    busy.manners.burst = 1000;
    let mut busy = Running::start(busy, environment(&[]));
    busy.registered().await;
    for round in 0..300 {
        busy.say(&format!("PRIVMSG #hall :{round} {}", "x".repeat(300)));
        busy.wait_for(&format!(":{round} ")).await;
    }
}

#[tokio::test]
async fn who_drops_every_handle_quits() {
    let (door, hall) = door();
    let port = door.listen(ListenerSpec::plain("irc", any_port())).await.unwrap().port();
    let mut running = Running::start(config(port, "alice"), environment(&[]));
    running.registered().await;
    let Running { client, .. } = running;
    drop(client);
    until("the guest is gone", || !hall.left.lock().unwrap().is_empty()).await;
}
