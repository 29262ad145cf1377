//! The change feed.

use std::time::Duration;

use contracts::{AccountChange, Accounts as _, ChangeKind, FeedCursor, Status};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use crate::on_both_engines;
use crate::provider::tokens;
use crate::world::World;

async fn next(feed: &mut BoxStream<'static, AccountChange>) -> AccountChange {
    tokio::time::timeout(Duration::from_secs(10), feed.next())
        .await
        .expect("a change in time")
        .expect("no end")
}

async fn a_reader_hears_of_everything_live_and_resumes_where_it_was(world: World) {
    let start = world.gate.feed_cursor().await.unwrap();
    let mut feed = world.gate.changes(Some(start)).await.unwrap();
    let mut browser = world.signed_up("alice").await;
    let new = next(&mut feed).await;
    assert!(matches!(&new.what, ChangeKind::Account { account } if account.username == "alice"));
    let made = world.app_password("alice").await;
    let call = world.call("alice").await.changing();
    world.gate.revoke_credential(&call, made.credential.id).await.unwrap();
    let revoked = next(&mut feed).await;
    assert_eq!(
        revoked.what,
        ChangeKind::CredentialRevoked { sub: call.account, credential: made.credential.id }
    );
    tokens(&world, &mut browser).await;
    world.gate.admin().suspend("alice", "spam").await.unwrap();
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(ChangeKind::Account { account }) if account.status == Status::Suspended)
    {
        seen.push(next(&mut feed).await.what);
    }
    assert!(matches!(seen.first(), Some(ChangeKind::SessionEnded { .. })), "{seen:?}");

    let mut resumed = world.gate.changes(Some(new.cursor)).await.unwrap();
    assert_eq!(next(&mut resumed).await, revoked);
}

async fn a_reader_without_a_cursor_begins_with_the_present_one(world: World) {
    world.signed_up("alice").await;
    world.signed_up("bob").await;
    let mut feed = world.gate.changes(None).await.unwrap();
    assert_eq!(next(&mut feed).await.cursor, world.gate.feed_cursor().await.unwrap());
    world.signed_up("carol").await;
    assert!(
        matches!(next(&mut feed).await.what, ChangeKind::Account { account } if account.username == "carol")
    );
}

async fn a_cursor_the_feed_does_not_know_begins_anew_with_every_account(world: World) {
    world.signed_up("alice").await;
    world.signed_up("bob").await;
    let mut feed = world.gate.changes(Some(FeedCursor(1_000_000))).await.unwrap();
    let (first, last) = (next(&mut feed).await, next(&mut feed).await);
    assert!(matches!(first.what, ChangeKind::Account { account } if account.username == "alice"));
    assert_eq!(last.cursor, world.gate.feed_cursor().await.unwrap());
    world.signed_up("carol").await;
    assert!(
        matches!(next(&mut feed).await.what, ChangeKind::Account { account } if account.username == "carol")
    );
}

async fn another_replica_hears_of_it_too(world: World) {
    let other = world.again(crate::world::Wishes::default()).await;
    let start = other.gate.feed_cursor().await.unwrap();
    let mut feed = other.gate.changes(Some(start)).await.unwrap();
    world.signed_up("alice").await;
    assert!(
        matches!(next(&mut feed).await.what, ChangeKind::Account { account } if account.username == "alice")
    );
}

on_both_engines!(
    a_reader_hears_of_everything_live_and_resumes_where_it_was,
    a_reader_without_a_cursor_begins_with_the_present_one,
    a_cursor_the_feed_does_not_know_begins_anew_with_every_account,
    another_replica_hears_of_it_too,
);
