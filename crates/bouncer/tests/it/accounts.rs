//! What gatekeeper says reaches the devices: suspension, revocation, deletion, being away.

use contracts::{CallError, ChangeKind, Status};
use entitlements::{Amount, Limit, Limits};
use testkit::eventually;
use testkit::irc::{Client, base64};

use crate::gatekeeper::PASSWORD;
use crate::upstreams::Scripted;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_account_is_closed_and_says_why() {
    let world = World::new().await;
    world.gatekeeper.account("alice");
    let mut device = world.device("alice", "").await;
    world.gatekeeper.change("alice", |account| account.status = Status::Suspended);
    let error = device.wait_for("ERROR").await.unwrap();
    assert!(error.contains("suspended"), "{error}");
    device.wait_for_end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_password_closes_its_devices() {
    let world = World::new().await;
    let sub = world.gatekeeper.account("alice").sub;
    let mut device = world.device("alice", "").await;
    let credential = world.gatekeeper.credential("alice");
    world.gatekeeper.tell(ChangeKind::CredentialRevoked { sub, credential });
    let error = device.wait_for("ERROR").await.unwrap();
    assert!(error.contains("revoked"), "{error}");
    device.wait_for_end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_gatekeeper_is_away_sessions_stay_and_new_ones_are_refused_in_words() {
    let world = World::new().await;
    world.gatekeeper.account("alice");
    let mut device = world.device("alice", "").await;
    world.gatekeeper.set_away(true);
    let mut other = Client::connect_tls(world.addresses().tls.port()).await.unwrap();
    for line in ["CAP LS 302", "NICK alice", "USER alice 0 * :alice", "CAP REQ :sasl", "AUTHENTICATE PLAIN"] {
        other.send(line).await.unwrap();
    }
    other.wait_for("AUTHENTICATE +").await.unwrap();
    other.send(&format!("AUTHENTICATE {}", base64(format!("\0alice\0{PASSWORD}").as_bytes()))).await.unwrap();
    let error = other.wait_for("ERROR").await.unwrap();
    assert!(error.contains("Try again"), "{error}");
    assert!(!other.seen.iter().any(|line| line.contains(" 904 ")), "clients stop for ever at 904");
    device.send("PING :still here").await.unwrap();
    device.wait_for("still here").await.unwrap();

    // What happened meanwhile is heard of as soon as it is back.
    world.gatekeeper.change("alice", |account| account.status = Status::Suspended);
    world.gatekeeper.set_away(false);
    device.wait_for_end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_bouncer_was_down_is_known_before_anybody_is_let_in() {
    let mut world = World::new().await;
    world.gatekeeper.account("alice");
    world.device("alice", "").await;
    world.stop().await;
    world.gatekeeper.change("alice", |account| account.status = Status::Suspended);
    world.start().await;
    let refused =
        world.calls().add_network(&world.call("alice"), crate::world::spec("alice", "net", 1)).await;
    assert!(refused.unwrap_err().to_string().contains("suspended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_counted_and_the_one_too_many_is_told_what_to_do() {
    let world = World::new().await;
    world.gatekeeper.account("alice");
    world.gatekeeper.change("alice", |account| {
        account.limits = Limits::unlimited().with(Limit::Devices, Amount::AtMost(2));
    });
    world.device("alice@one", "").await;
    world.device("alice@two", "").await;
    world.device("alice@one", "").await;
    let mut third = Client::connect_tls(world.addresses().tls.port()).await.unwrap();
    let refused = third.register_sasl("alice@three", PASSWORD, "").await;
    assert!(refused.is_err());
    let said = third.seen.join("\n");
    assert!(said.contains("2 devices"), "{said}");
    let usage = world.calls().usage(&world.call("alice")).await.unwrap();
    assert_eq!(usage.devices, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_leaves_nothing() {
    let world = World::new().await;
    world.gatekeeper.account("alice");
    let call = world.call("alice");
    world.calls().add_network(&call, crate::world::spec("alice", "net", 1)).await.unwrap();
    let mut device = world.device("alice", "").await;
    world.calls().delete(&world.call("alice")).await.unwrap();
    device.wait_for_end().await.unwrap();
    world.calls().delete(&world.call("alice")).await.unwrap();
    eventually("no network is left", || async {
        let left = world.calls().networks(&world.call("alice")).await.ok()?;
        left.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bouncer_for_one_account_lets_in_and_connects_nobody_else() {
    let mut world = World::new().await;
    let (hers, ours) = (Scripted::new().await, Scripted::new().await);
    // In this order: what is brought up first would be mallory.
    for (name, upstream) in [("mallory", &hers), ("alice", &ours)] {
        world.gatekeeper.account(name);
        world.add_network(name, "net", upstream.port(), &[]).await;
        upstream.registered(name).await;
    }
    // The same rows, now for alice alone: mallory's stay, and nothing of them runs.
    world.stop().await;
    world.account = Some("alice".to_owned());
    world.start().await;
    ours.registered("alice").await;
    assert!(!hers.is_knocked_at(), "somebody else was connected");
    world.device("alice", "").await;

    let mut mallory = Client::connect_tls(world.addresses().tls.port()).await.unwrap();
    assert!(mallory.register_sasl("mallory", PASSWORD, "").await.is_err());
    let said = mallory.seen.join("\n");
    assert!(said.contains("belongs to another account"), "{said}");
    let refused = world.calls().networks(&world.call("mallory")).await;
    assert!(matches!(refused, Err(CallError::Forbidden { .. })), "{refused:?}");
    assert_eq!(world.calls().networks(&world.call("alice")).await.unwrap().len(), 1);
}
