//! What other services ask of the bouncer.

use contracts::{BouncerChangeKind, CallError, Phase};
use entitlements::{Amount, Limit, Limits};
use futures_util::StreamExt as _;

use crate::world::{World, spec};

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_call_gets_the_first_answer_and_makes_nothing_twice() {
    let world = World::new().await;
    let call = world.call("alice");
    let first = world.calls().add_network(&call, spec("alice", "net", 1)).await.unwrap();
    let again = world.calls().add_network(&call, spec("alice", "net", 1)).await.unwrap();
    assert_eq!(first.id, again.id);
    let other = world.calls().add_network(&call, spec("alice", "other", 1)).await;
    assert!(matches!(other, Err(CallError::Conflict { .. })));
    assert_eq!(world.calls().networks(&call).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_of_somebody_else_is_not_found() {
    let world = World::new().await;
    let network = world.calls().add_network(&world.call("alice"), spec("alice", "net", 1)).await.unwrap();
    world.gatekeeper.account("bob");
    let bob = || world.call("bob");
    let calls = world.calls();
    let not_found = |error: CallError| assert!(matches!(error, CallError::NotFound { .. }), "{error:?}");
    not_found(calls.network(&bob(), network.id).await.unwrap_err());
    not_found(calls.change_network(&bob(), network.id, spec("bob", "mine", 1)).await.unwrap_err());
    not_found(calls.delete_network(&bob(), network.id).await.unwrap_err());
    not_found(calls.restore_network(&bob(), network.id).await.unwrap_err());
    not_found(calls.reconnect(&bob(), network.id).await.unwrap_err());
    assert_eq!(calls.networks(&bob()).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_is_the_limit_and_an_old_version_is_refused() {
    let world = World::new().await;
    world.gatekeeper.account("alice");
    world.gatekeeper.change("alice", |account| {
        account.limits = Limits::unlimited().with(Limit::Networks, Amount::AtMost(1));
    });
    let calls = world.calls();
    let network = calls.add_network(&world.call("alice"), spec("alice", "net", 1)).await.unwrap();
    let over = calls.add_network(&world.call("alice"), spec("alice", "two", 1)).await.unwrap_err();
    assert!(matches!(&over, CallError::Quota { limit, .. } if limit == "networks"), "{over:?}");
    let mut changed = network.spec.clone();
    changed.nick = "alice2".to_owned();
    let newer = calls
        .change_network(&world.call("alice").at_version(network.version), network.id, changed.clone())
        .await;
    assert!(newer.unwrap().version > network.version);
    let stale =
        calls.change_network(&world.call("alice").at_version(network.version), network.id, changed).await;
    assert!(matches!(stale, Err(CallError::Conflict { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_network_can_be_put_back() {
    let world = World::new().await;
    let calls = world.calls();
    let network = calls.add_network(&world.call("alice"), spec("alice", "net", 1)).await.unwrap();
    calls.delete_network(&world.call("alice"), network.id).await.unwrap();
    assert_eq!(calls.networks(&world.call("alice")).await.unwrap(), []);
    let deleted = calls.network(&world.call("alice"), network.id).await.unwrap();
    assert!(deleted.deleted_at.is_some() && deleted.state.phase == Phase::Off);
    let back = calls.restore_network(&world.call("alice"), network.id).await.unwrap();
    assert_eq!(back.spec, network.spec);
    assert_eq!(calls.networks(&world.call("alice")).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_a_network_come_change_and_go() {
    let world = World::new().await;
    world.gatekeeper.account("alice");
    let calls = world.calls();
    let mut watch = calls.watch(&world.call("alice"), None).await.unwrap();
    let snapshot = watch.next().await.unwrap();
    assert!(matches!(snapshot.what, BouncerChangeKind::Snapshot { networks, .. } if networks.is_empty()));
    let network = calls.add_network(&world.call("alice"), spec("alice", "net", 1)).await.unwrap();
    let mut seen = Vec::new();
    let refused = loop {
        let change = watch.next().await.unwrap();
        if let BouncerChangeKind::Network { network } = change.what {
            seen.push(network.state.phase.clone());
            if let Some(words) = network.state.last_error {
                break words;
            }
        }
    };
    assert!(seen.contains(&Phase::Connecting), "{seen:?}");
    assert!(refused.contains("public internet"), "{refused}");
    calls.delete_network(&world.call("alice"), network.id).await.unwrap();
    while let Some(change) = watch.next().await {
        if matches!(change.what, BouncerChangeKind::NetworkGone { id } if id == network.id) {
            return;
        }
    }
    panic!("the watcher was not told");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_go_in_and_never_come_out() {
    let world = World::new().await;
    let mut secret = spec("alice", "net", 6697);
    secret.tls = contracts::Tls::Verified;
    secret.server_password = Some("open sesame".to_owned());
    secret.sasl =
        contracts::Sasl::Password { account: "alice".to_owned(), password: Some("hunter2".to_owned()) };
    let network = world.calls().add_network(&world.call("alice"), secret).await.unwrap();
    let all = serde_json::to_string(&network).unwrap();
    assert!(!all.contains("hunter2") && !all.contains("open sesame"), "{all}");
    let mut exported = Vec::new();
    let mut pieces = world.calls().export(&world.call("alice")).await.unwrap();
    while let Some(piece) = pieces.next().await {
        exported.extend(piece.unwrap().bytes);
    }
    let exported = String::from_utf8(exported).unwrap();
    assert!(exported.contains("\"net\"") && !exported.contains("hunter2"), "{exported}");
}
