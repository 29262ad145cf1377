//! Coming in, talking, leaving.

use std::time::Duration;

use irc_server::{Cap, Closed, DoorConfig, DoorMetrics, ListenerSpec, Offer};

use crate::support::{DEADLINE, Raw, any_port, door, plain, until};

#[tokio::test]
async fn a_client_logs_in_talks_and_leaves() {
    let (_door, hall, address) = plain(DoorConfig::default()).await;
    let mut bob = Raw::registered(address, "bob").await;
    let mut alice = Raw::connect(address).await;
    alice.send("CAP LS 302\r\nNICK alice\r\nUSER alice 0 * :Alice\r\nCAP REQ :sasl batch").await;
    alice.wait_for("CAP alice ACK :sasl batch").await;
    alice.send("AUTHENTICATE PLAIN\r\nAUTHENTICATE AGFsaWNlAHNlY3JldA==\r\nBOUNCER BIND 7\r\nCAP END").await;
    alice.wait_for(" 903 ").await;
    assert!(alice.wait_for(" 001 ").await.contains("alice from 127.0.0.1"));
    alice.send("PRIVMSG #hall :hello there").await;
    assert_eq!(bob.wait_for("PRIVMSG").await, ":alice PRIVMSG #hall :hello there");
    assert_eq!(*hall.early.lock().unwrap(), ["BOUNCER BIND 7"]);
    alice.send("QUIT :bye").await;
    assert_eq!(alice.rest().await.last().unwrap(), "ERROR :Bye.");
    until("alice leaves", || hall.left.lock().unwrap().len() == 1).await;
    assert_eq!(hall.left.lock().unwrap()[0], ("alice".to_owned(), Closed::ByBackend("Bye.".into())));
    bob.answers("still-here").await;
}

#[tokio::test]
async fn a_backend_that_cannot_tell_closes_with_error_and_never_904() {
    let (_door, hall, address) = plain(DoorConfig::default()).await;
    hall.unavailable.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut client = Raw::connect(address).await;
    client.send("CAP REQ sasl\r\nAUTHENTICATE PLAIN\r\nAUTHENTICATE AGFsaWNlAHNlY3JldA==").await;
    let lines = client.rest().await;
    assert!(!lines.iter().any(|line| line.contains(" 904 ")), "{lines:?}");
    assert_eq!(lines.last().unwrap(), "ERROR :Nobody can check that now. Try again in a minute.");
}

#[tokio::test]
async fn a_backend_may_refuse_in_words() {
    let (_door, _hall, address) = plain(DoorConfig::default()).await;
    let mut client = Raw::connect(address).await;
    client.send("PASS alice:secret\r\nNICK mallory\r\nUSER m 0 * :m").await;
    assert_eq!(client.rest().await, ["ERROR :Mallory is not let in."]);
}

#[tokio::test]
async fn capabilities_change_while_a_client_is_in() {
    let (_door, hall, address) = plain(DoorConfig::default()).await;
    let mut client = Raw::connect(address).await;
    client
        .send("CAP LS 302\r\nCAP REQ :batch\r\nPASS alice:secret\r\nNICK a\r\nUSER a 0 * :a\r\nCAP END")
        .await;
    client.wait_for(" 001 ").await;
    let outbox = hall.guests.lock().unwrap().values().next().unwrap().clone();
    outbox.offer(Offer::new().with(Cap::AwayNotify));
    client.wait_for("CAP a DEL :batch").await;
    client.wait_for("CAP a NEW :away-notify").await;
    assert_eq!(client.wait_for("NOTE caps").await, "NOTE caps :cap-notify");
    client.send("CAP REQ away-notify").await;
    client.wait_for("CAP a ACK :away-notify").await;
    assert_eq!(client.wait_for("NOTE caps").await, "NOTE caps :away-notify cap-notify");
    client.send("AUTHENTICATE PLAIN\r\nPASS x\r\nUSER a 0 * :a").await;
    client.wait_for(" 907 ").await;
    client.wait_for(" 462 ").await;
}

#[tokio::test]
async fn closing_the_door_tells_everybody_and_waits() {
    let (door, _hall, address) = plain(DoorConfig::default()).await;
    let mut clients = Vec::new();
    for nick in ["a", "b", "c"] {
        clients.push(Raw::registered(address, nick).await);
    }
    let mut newcomer = Raw::connect(address).await;
    newcomer.send("NICK d").await;
    until("all are counted", || door.connections() == 4).await;
    assert!(door.close("Restarting, back in a minute.", DEADLINE).await);
    for mut client in clients {
        assert_eq!(client.rest().await.last().unwrap(), "ERROR :Restarting, back in a minute.");
    }
    assert_eq!(door.connections(), 0);
}

#[tokio::test]
async fn a_batch_of_lines_is_few_writes() {
    let (_, hall) = door(DoorConfig::default());
    let metrics = DoorMetrics::default();
    let door =
        irc_server::Door::new(std::sync::Arc::new(hall.clone()), DoorConfig::default(), metrics.clone());
    let address = door.listen(ListenerSpec::plain("irc", any_port())).await.unwrap();
    let mut client = Raw::registered(address, "a").await;
    client.send("MANY 600").await;
    client.wait_for("NOTE 599 ").await;
    client.send("QUIT").await;
    client.rest().await;
    assert!(door.close("", Duration::from_secs(5)).await);
    let mut registry = prometheus_client::registry::Registry::default();
    metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let writes: u64 =
        text.lines().find_map(|line| line.strip_prefix("writes_total ")).unwrap().parse().unwrap();
    assert!(writes <= 13, "600 lines took {writes} writes");
    assert!(text.contains("connections{listener=\"irc\"} 0"), "{text}");
}
