use std::sync::atomic::Ordering;

use auth::AccountCache;
use contracts::{CallError, ChangeKind, Sub};
use entitlements::Plan;
use service::shutdown::Shutdown;
use uuid::Uuid;

use crate::accounts::Gate;

#[tokio::test]
async fn an_account_is_asked_for_once_and_kept_true_by_the_feed() {
    let gate = Gate::new();
    let alice = gate.add("alice", &[]);
    let cache = AccountCache::new(gate.clone());
    cache.follow(None, &Shutdown::new());
    for _ in 0..3 {
        assert_eq!(cache.get(alice.sub, "r").await.unwrap().plan, Plan::from("own"));
    }
    assert_eq!(gate.asked.load(Ordering::SeqCst), 1);
    let mut changes = cache.subscribe();
    // Told until it is heard: the feed may not be followed yet.
    let told = testkit::wait::eventually("the feed is followed", || {
        gate.change(alice.sub, |account| account.plan = Plan::from("pro"));
        let change = changes.try_recv().ok();
        async move { change }
    })
    .await;
    assert!(matches!(told.what, ChangeKind::Account { .. }));
    assert_eq!(cache.get(alice.sub, "r").await.unwrap().plan, Plan::from("pro"));
    assert_eq!(gate.asked.load(Ordering::SeqCst), 1, "the feed brought it");
}

#[tokio::test]
async fn while_gatekeeper_is_away_the_last_known_state_stands_and_the_unknown_is_refused() {
    let gate = Gate::new();
    let alice = gate.add("alice", &[]);
    let cache = AccountCache::new(gate.clone());
    cache.get(alice.sub, "r").await.unwrap();
    gate.away.store(true, Ordering::SeqCst);
    assert_eq!(cache.get(alice.sub, "r").await.unwrap().username, "alice");
    let unknown = cache.get(Sub(Uuid::new_v4()), "r").await;
    assert!(matches!(unknown, Err(CallError::Unavailable { .. })));
    gate.away.store(false, Ordering::SeqCst);
    assert!(matches!(cache.get(Sub(Uuid::new_v4()), "r").await, Err(CallError::NotFound { .. })));
}
