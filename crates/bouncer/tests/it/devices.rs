//! Devices of one user on a real network.

use std::time::Duration;

use testkit::Part;
use testkit::irc::Client;

use crate::world::{MODERN, World};

/// A user on a real network, in #tea, and a friend who is there without a bouncer.
async fn at_tea(world: &World) -> Option<(testkit::networks::Network, Client)> {
    Part::InspIrcd.find_or_skip()?;
    let network = testkit::networks::inspircd().unwrap();
    let mut friend = Client::connect(network.port()).await.unwrap();
    friend.register("friend").await.unwrap();
    friend.send("JOIN #tea").await.unwrap();
    friend.wait_for(" 366 ").await.unwrap();
    let added = world.add_network("alice", "tea", network.port(), &[]).await;
    world.connected("alice", &added).await;
    Some((network, friend))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_joins_a_channel_and_talks_both_ways() {
    let world = World::new().await;
    let Some((_network, mut friend)) = at_tea(&world).await else { return };
    let mut device = world.device("alice", "").await;
    device.send("JOIN #tea").await.unwrap();
    device.wait_for(" 366 ").await.unwrap();
    device.send("PRIVMSG #tea :hello from a bouncer").await.unwrap();
    friend.wait_for("hello from a bouncer").await.unwrap();
    friend.send("PRIVMSG #tea :hello alice").await.unwrap();
    device.wait_for(":hello alice").await.unwrap();

    let mentions = world.calls().mentions(&world.call("alice"), 10).await.unwrap();
    let told: Vec<_> = mentions.iter().map(|m| (&*m.network, &*m.buffer, &*m.nick, &*m.text)).collect();
    assert_eq!(told, [("tea", "#tea", "friend", "hello alice")]);
    let usage = world.calls().usage(&world.call("alice")).await.unwrap();
    assert_eq!((usage.networks, usage.devices), (1, 1));
    assert!(
        usage.messages >= 2 && usage.messages_per_day.last().is_some_and(|today| *today >= 2),
        "{usage:?}"
    );
    let shown = world.calls().devices(&world.call("alice")).await.unwrap();
    assert_eq!(shown.iter().map(|device| device.connections).collect::<Vec<_>>(), [1]);
    let figures = world.metrics.encode();
    assert!(figures.contains("ircnow_bouncer_upstreams{phase=\"connected\"} 1"), "{figures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_see_each_other_and_one_order() {
    let world = World::new().await;
    let Some((_network, mut friend)) = at_tea(&world).await else { return };
    let mut one = world.device("alice/tea@one", MODERN).await;
    let mut two = world.device("alice/tea@two", MODERN).await;
    one.send("JOIN #tea").await.unwrap();
    one.wait_for("JOIN").await.unwrap();
    two.wait_for("JOIN").await.unwrap();
    one.send("PRIVMSG #tea :from one").await.unwrap();
    two.wait_for(":from one").await.unwrap();
    one.wait_for(":from one").await.unwrap();
    friend.wait_for(":from one").await.unwrap();
    two.send("PRIVMSG #tea :from two").await.unwrap();
    one.wait_for(":from two").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_while_away_is_there_without_chathistory() {
    let world = World::new().await;
    let Some((_network, mut friend)) = at_tea(&world).await else { return };
    let mut device = world.device("alice", "server-time").await;
    device.send("JOIN #tea").await.unwrap();
    device.wait_for(" 366 ").await.unwrap();
    friend.send("PRIVMSG #tea :seen live").await.unwrap();
    device.wait_for("seen live").await.unwrap();
    device.send("QUIT :later").await.unwrap();
    device.wait_for_end().await.unwrap();

    friend.send("PRIVMSG #tea :missed one").await.unwrap();
    friend.send("PRIVMSG #tea :missed two").await.unwrap();
    friend.send("PING done").await.unwrap();
    friend.wait_for("PONG").await.unwrap();

    let mut device = world.device("alice", "server-time").await;
    device.wait_for("missed one").await.unwrap();
    device.wait_for("missed two").await.unwrap();
    assert!(
        !device.seen.iter().any(|line| line.contains("seen live")),
        "nothing comes twice after a clean end"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_chathistory_pages_through_what_it_missed_and_msgids_survive_a_restart() {
    let mut world = World::new().await;
    let Some((_network, mut friend)) = at_tea(&world).await else { return };
    let mut device = world.device("alice", MODERN).await;
    device.send("JOIN #tea").await.unwrap();
    device.wait_for(" 366 ").await.ok();
    for n in 1..=5 {
        friend.send(&format!("PRIVMSG #tea :line {n}")).await.unwrap();
    }
    let live = device.wait_for(":line 5").await.unwrap();
    let msgid = tag(&live, "msgid");

    world.restart().await;
    let network = world.calls().networks(&world.call("alice")).await.unwrap().remove(0);
    world.connected("alice", &network).await;
    let mut device = world.device("alice", MODERN).await;
    device.send(&format!("CHATHISTORY BEFORE #tea msgid={msgid} 2")).await.unwrap();
    let three = device.wait_for(":line 3").await.unwrap();
    assert_ne!(tag(&three, "msgid"), "");
    device.wait_for(":line 4").await.unwrap();
    device.send(&format!("CHATHISTORY AROUND #tea msgid={msgid} 1")).await.unwrap();
    let again = device.wait_for(":line 5").await.unwrap();
    assert_eq!(tag(&again, "msgid"), msgid, "a msgid is the same live, in history and after a restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_device_never_delays_the_others() {
    let world = World::new().await;
    let Some((_network, mut friend)) = at_tea(&world).await else { return };
    let mut stuck = world.device("alice@stuck", "").await;
    stuck.send("JOIN #tea").await.unwrap();
    stuck.wait_for(" 366 ").await.unwrap();
    // From here on `stuck` reads nothing.
    let mut lively = world.device("alice@lively", "").await;
    let text = "x".repeat(380);
    for n in 0..1_500 {
        lively.send(&format!("PRIVMSG alice :{n} {text}")).await.unwrap();
        if n % 100 == 0 {
            friend.send(&format!("PRIVMSG #tea :still here {n}")).await.unwrap();
            lively.wait_for(&format!("still here {n}")).await.unwrap();
        }
    }
    // Once it reads again, it gets everything in order.
    stuck.wait_for("still here 0").await.unwrap();
    stuck.wait_for("still here 1400").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_gets_a_clear_error_for_garbage_and_the_others_live_on() {
    let world = World::new().await;
    world.gatekeeper.account("alice");
    let mut fine = world.device("alice@fine", "").await;
    let mut bad = Client::connect(world.addresses().plain.port()).await.unwrap();
    bad.send_bytes(&vec![b'x'; 100_000]).await.ok();
    bad.wait_for_end().await.unwrap();
    let mut odd = world.device("alice@odd", "").await;
    odd.send_bytes(b"PRIVMSG #x :\xff\xfe\x00\x01\r\n:::: \r\n@;;= \r\n\r\nPING :still there\r\n")
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(20), async {
        while let Some(line) = odd.next().await.unwrap() {
            if line.contains("still there") || line.starts_with("ERROR") {
                return;
            }
        }
    })
    .await
    .unwrap();
    fine.send("PING :me too").await.unwrap();
    fine.wait_for("me too").await.unwrap();
}

fn tag(line: &str, key: &str) -> String {
    let tags = line.strip_prefix('@').and_then(|line| line.split(' ').next()).unwrap_or_default();
    let found = tags.split(';').find_map(|tag| tag.strip_prefix(key)?.strip_prefix('='));
    found.unwrap_or_default().to_owned()
}
