//! Slow readers, floods, silence.

use std::sync::atomic::Ordering;
use std::time::Duration;

use irc_server::{Closed, DoorConfig, FloodLimits};

use crate::support::{Raw, plain, until};

fn unhindered() -> FloodLimits {
    FloodLimits { burst: 1_000_000, per_second: 1_000_000.0, ..FloodLimits::default() }
}

#[tokio::test]
async fn a_slow_reader_never_delays_the_others_and_is_refilled_later() {
    let (_door, hall, address) = plain(DoorConfig { flood: unhindered(), ..DoorConfig::default() }).await;
    let mut slow = Raw::registered(address, "slow").await;
    let mut fast = Raw::registered(address, "fast").await;
    let mut talker = Raw::registered(address, "talker").await;
    let text = "x".repeat(400);
    let mut said = 0;
    // However much the sockets swallow, the slow one falls behind at some point; nobody else notices.
    while hall.refused.load(Ordering::Relaxed) < 50 {
        for _ in 0..50 {
            said += 1;
            talker.send(&format!("PRIVMSG #hall :{said} {text}")).await;
        }
        fast.wait_for(&format!(":{said} ")).await;
        talker.wait_for(&format!(":{said} ")).await;
        assert!(said < 100_000, "the slow reader never fell behind");
    }
    let most = hall.guests.lock().unwrap().values().map(irc_server::Outbox::queued).max().unwrap();
    assert!(most <= 64 * 1024 + 512, "{most} bytes are queued");
    slow.wait_for("NOTE drained").await;
    assert_eq!(hall.drained.load(Ordering::Relaxed), 1);
    slow.answers("caught-up").await;
}

#[tokio::test]
async fn who_takes_no_byte_is_closed() {
    let stall_timeout = Duration::from_millis(300);
    let linger = Duration::from_millis(50);
    let config = DoorConfig { flood: unhindered(), stall_timeout, linger, ..DoorConfig::default() };
    let (_door, hall, address) = plain(config).await;
    let mut dead = Raw::registered(address, "dead").await;
    // Asks for more and more and reads nothing of it, as long as its requests are taken.
    let asking = tokio::spawn(async move {
        loop {
            dead.try_send(b"MANY 500\r\n").await;
            tokio::task::yield_now().await;
        }
    });
    until("it is closed", || !hall.left.lock().unwrap().is_empty()).await;
    asking.abort();
    let (_, why) = hall.left.lock().unwrap()[0].clone();
    assert!(matches!(&why, Closed::ByDoor(text) if text.starts_with("You took in nothing")), "{why:?}");
}

#[tokio::test]
async fn a_flood_is_slowed_down_and_then_ended() {
    let flood = FloodLimits { burst: 10, per_second: 20.0, patience: Duration::from_millis(500) };
    let (_door, hall, address) = plain(DoorConfig { flood, ..DoorConfig::default() }).await;
    let mut quiet = Raw::registered(address, "quiet").await;
    let mut flooder = Raw::registered(address, "flooder").await;
    let lines = "JOIN #x\r\n".repeat(20_000);
    tokio::join!(flooder.try_send(lines.as_bytes()), quiet.answers("undisturbed"));
    until("the flooder is out", || !hall.left.lock().unwrap().is_empty()).await;
    let (nick, why) = hall.left.lock().unwrap()[0].clone();
    assert_eq!(nick, "flooder");
    assert!(matches!(&why, Closed::ByDoor(text) if text.contains("flood")), "{why:?}");
    quiet.answers("still-undisturbed").await;
}

#[tokio::test]
async fn pongs_cost_nothing() {
    let flood = FloodLimits { burst: 10, per_second: 0.01, ..FloodLimits::default() };
    let (_door, _hall, address) = plain(DoorConfig { flood, ..DoorConfig::default() }).await;
    let mut client = Raw::registered(address, "a").await;
    for round in 0..20 {
        client.send(&format!("PONG :{round}")).await;
    }
    client.answers("credit-left").await;
}

#[tokio::test]
async fn a_silent_client_is_asked_and_then_given_up() {
    let ping_after = Duration::from_millis(100);
    let config = DoorConfig { ping_after, ping_timeout: Duration::from_millis(200), ..DoorConfig::default() };
    let (_door, hall, address) = plain(config).await;
    let mut lively = Raw::registered(address, "lively").await;
    let mut silent = Raw::registered(address, "silent").await;
    for _ in 0..4 {
        let ping = lively.wait_for("PING").await;
        lively.send(&ping.replace("PING", "PONG")).await;
    }
    let last = silent.rest().await.pop().unwrap();
    assert!(last.starts_with("ERROR :Nothing was heard from you"), "{last}");
    assert!(hall.left.lock().unwrap().iter().all(|(nick, _)| nick != "lively"));
}

#[tokio::test]
async fn who_never_registers_is_sent_away() {
    let registration_timeout = Duration::from_millis(200);
    let (_door, _hall, address) = plain(DoorConfig { registration_timeout, ..DoorConfig::default() }).await;
    let mut client = Raw::connect(address).await;
    client.send("NICK a").await;
    assert_eq!(client.rest().await, ["ERROR :You took too long to register."]);
}

#[tokio::test]
async fn a_line_that_is_too_long_is_named_and_left_out() {
    let (_door, _hall, address) = plain(DoorConfig::default()).await;
    let mut client = Raw::registered(address, "a").await;
    client.send(&format!("PRIVMSG #hall :{}", "x".repeat(600))).await;
    client.wait_for(" 417 ").await;
    client.answers("next-line-counts").await;
}
