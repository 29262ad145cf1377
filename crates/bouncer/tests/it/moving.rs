//! An account that moves to a bouncer of its own, and back: nothing is lost, nothing comes twice.

use std::collections::BTreeSet;

use contracts::{Call, CallError, Hold, Network, Tally};
use testkit::Part;
use testkit::irc::Client;

use crate::gatekeeper::PASSWORD;
use crate::world::{MODERN, World};

/// The shared bouncer, and one for alice alone.
async fn both() -> (World, World) {
    let shared = World::new().await;
    let mut own = World::new().await;
    own.stop().await;
    own.gatekeeper = shared.gatekeeper.clone();
    own.account = Some("alice".to_owned());
    own.start().await;
    (shared, own)
}

/// Carries alice over, as hosting does.
async fn carry(from: &World, to: &World, call: &Call) -> Tally {
    let (left, right) = (from.moves(), to.moves());
    right.hold(call, Hold::Moving).await.unwrap();
    left.hold(call, Hold::Moving).await.unwrap();
    while !right.clear(call).await.unwrap() {}
    let mut parcels = 0;
    let mut after = None;
    loop {
        let packed = left.pack(call, after).await.unwrap();
        // What arrives twice is there once.
        for _ in 0..2 {
            right.unpack(call, packed.parcel.clone()).await.unwrap();
        }
        parcels += 1;
        after = packed.next;
        if after.is_none() {
            break;
        }
    }
    assert!(parcels > 3, "{parcels}");
    let tally = left.tally(call).await.unwrap();
    assert_eq!(tally, right.tally(call).await.unwrap());
    let hostname = "alice.irc.example".to_owned();
    left.hold(call, Hold::MovedTo { hostname }).await.unwrap();
    right.let_go(call).await.unwrap();
    while !left.clear(call).await.unwrap() {}
    tally
}

/// The msgids of everything in #tea.
async fn msgids(world: &World) -> BTreeSet<String> {
    let mut device = world.device("alice/tea@reader", MODERN).await;
    device.send("CHATHISTORY LATEST #tea * 1000").await.unwrap();
    device.wait_where("the batch's end", |line| line.contains("BATCH -")).await.unwrap();
    let batch = device.seen.iter().filter(|line| line.contains("batch=") && line.contains("PRIVMSG #tea"));
    let id = |line: &String| line.split("msgid=").nth(1)?.split([';', ' ']).next().map(str::to_owned);
    batch.filter_map(id).collect()
}

async fn says(friend: &mut Client, range: std::ops::RangeInclusive<u32>) {
    for n in range {
        friend.send(&format!("PRIVMSG #tea :line {n}")).await.unwrap();
    }
    friend.send("PING said").await.unwrap();
    friend.wait_for("PONG").await.unwrap();
}

async fn plain_device(world: &World) -> Client {
    world.device("alice/tea@old", "server-time").await
}

async fn leaves(mut device: Client) {
    device.send("QUIT :later").await.unwrap();
    device.wait_for_end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_moves_and_comes_back_with_networks_read_positions_and_history() {
    if Part::InspIrcd.find_or_skip().is_none() {
        return;
    }
    let upstream = testkit::networks::inspircd().unwrap();
    let mut friend = Client::connect(upstream.port()).await.unwrap();
    friend.register("friend").await.unwrap();
    friend.send("JOIN #tea").await.unwrap();
    friend.wait_for(" 366 ").await.unwrap();
    let (shared, own) = both().await;
    own.dialer.allow(service::dialer::HostPort::new("127.0.0.1", upstream.port()));
    let network = shared.add_network("alice", "tea", upstream.port(), &["#tea"]).await;
    shared.connected("alice", &network).await;
    let call = shared.call("alice");

    // An old client reads three lines and goes; a modern one marks what it has read.
    let mut old = plain_device(&shared).await;
    old.wait_for(" 366 ").await.unwrap();
    says(&mut friend, 1..=3).await;
    old.wait_for(":line 3").await.unwrap();
    leaves(old).await;
    says(&mut friend, 4..=8).await;
    let mut modern = shared.device("alice/tea@modern", MODERN).await;
    modern.send("MARKREAD #tea timestamp=2026-01-02T03:04:05.678Z").await.unwrap();
    modern.wait_for("MARKREAD #tea").await.unwrap();
    let before = msgids(&shared).await;
    assert_eq!(before.len(), 8, "{before:?}");

    let tally = carry(&shared, &own, &call).await;
    assert!(modern.wait_for("ERROR").await.unwrap().contains("being moved"));
    assert_eq!((tally.networks.len(), tally.devices), (1, 3));
    assert_eq!(tally.networks[0].markers, 1);
    friend.wait_for("QUIT").await.unwrap();

    // The shared bouncer sends her away, over a restart too, and keeps nothing of her.
    let mut stray = Client::connect_tls(shared.addresses().tls.port()).await.unwrap();
    assert!(stray.register_sasl("alice", PASSWORD, "").await.is_err());
    assert!(stray.seen.join("\n").contains("alice.irc.example"), "{:?}", stray.seen);
    assert_eq!(shared.moves().tally(&call).await.unwrap(), Tally::default());

    // Her own has her network, what was said by the same ids, and knows what each device has read.
    let there = own.calls().networks(&call).await.unwrap();
    assert_eq!(names(&there), ["tea"]);
    assert_eq!(there[0].id, network.id);
    own.connected("alice", &network).await;
    friend.wait_for("JOIN").await.unwrap();
    assert_eq!(msgids(&own).await, before);
    let mut old = plain_device(&own).await;
    old.wait_for(":line 8").await.unwrap();
    let came: Vec<_> =
        (1..=8).filter(|n| old.seen.iter().any(|l| l.ends_with(&format!(":line {n}")))).collect();
    assert_eq!(came, [4, 5, 6, 7, 8], "what it had read does not come twice, and nothing is missing");
    let mut modern = own.device("alice/tea@modern", MODERN).await;
    modern.send("MARKREAD #tea").await.unwrap();
    modern.wait_for("timestamp=2026-01-02T03:04:05.678Z").await.unwrap();
    says(&mut friend, 9..=10).await;
    old.wait_for(":line 10").await.unwrap();
    leaves(old).await;
    says(&mut friend, 11..=11).await;
    let before = msgids(&own).await;

    let tally = carry(&own, &shared, &call).await;
    assert!(tally.networks[0].entries >= 11);
    shared.connected("alice", &network).await;
    assert_eq!(msgids(&shared).await, before);
    let mut old = plain_device(&shared).await;
    old.wait_for(":line 11").await.unwrap();
    assert!(!old.seen.iter().any(|line| line.ends_with(":line 10")), "{:?}", old.seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_held_stays_held_over_a_restart_and_nobody_else_is_touched() {
    let mut world = World::new().await;
    world.gatekeeper.account("alice");
    world.gatekeeper.account("bob");
    let mut bob = world.device("bob", "").await;
    let call = world.call("alice");
    assert!(matches!(world.moves().pack(&call, None).await, Err(CallError::Conflict { .. })));
    assert!(matches!(world.moves().clear(&call).await, Err(CallError::Conflict { .. })));
    world.moves().hold(&call, Hold::Moving).await.unwrap();
    bob.send("PING :untouched").await.unwrap();
    bob.wait_for("untouched").await.unwrap();

    world.restart().await;
    let refused = world.calls().networks(&call).await;
    assert!(matches!(refused, Err(CallError::Unavailable { .. })), "{refused:?}");
    // Clients stop for ever where they are refused: who moves is told to come again.
    let mut alice = Client::connect_tls(world.addresses().tls.port()).await.unwrap();
    assert!(alice.register_sasl("alice", PASSWORD, "").await.is_err());
    assert!(!alice.seen.iter().any(|line| line.contains(" 904 ")), "{:?}", alice.seen);
    world.moves().let_go(&call).await.unwrap();
    world.device("alice", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dedicated_bouncer_takes_nobody_elses_parcels() {
    let (_, own) = both().await;
    own.gatekeeper.account("bob");
    let call = own.call("bob");
    assert!(matches!(own.moves().hold(&call, Hold::Moving).await, Err(CallError::Forbidden { .. })));
    assert!(matches!(own.moves().tally(&call).await, Err(CallError::Forbidden { .. })));
}

fn names(networks: &[Network]) -> Vec<&str> {
    networks.iter().map(|network| network.spec.name.as_str()).collect()
}
