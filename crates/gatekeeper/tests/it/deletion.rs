//! The end of an account, and what its user takes along.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use contracts::{AccountData, Accounts as _, Call, CallError, CallResult, ChangeKind, ExportChunk, Status};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use crate::on_both_engines;
use crate::world::{PASSWORD, World, until};

/// A service that is away for its first calls.
struct Forgetful {
    name: &'static str,
    away_for: AtomicU32,
    calls: AtomicU32,
}

#[async_trait]
impl AccountData for Forgetful {
    fn service(&self) -> &'static str {
        self.name
    }

    async fn export(&self, _: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        Ok(futures_util::stream::empty().boxed())
    }

    async fn delete(&self, _: &Call) -> CallResult<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let away = self
            .away_for
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok();
        if away { Err(CallError::unavailable("It is away.")) } else { Ok(()) }
    }
}

fn service(name: &'static str, away_for: u32) -> Arc<Forgetful> {
    Arc::new(Forgetful { name, away_for: AtomicU32::new(away_for), calls: AtomicU32::new(0) })
}

async fn an_account_is_gone_when_every_service_has_confirmed(world: World) {
    let mut browser = world.signed_up("alice").await;
    let made = world.app_password("alice").await;
    let call = world.call("alice").await.changing();
    let mut feed = world.gate.changes(Some(world.gate.feed_cursor().await.unwrap())).await.unwrap();
    let (ready, away) = (service("ready", 0), service("away", 1));
    world.gate.register_data(vec![ready.clone(), away.clone()]);
    world.gate.delete_account(&call).await.unwrap();
    assert_eq!(browser.get("/account").await.status, 303, "it is over at once");
    until("the first round", || async { away.calls.load(Ordering::SeqCst) == 1 }).await;
    assert_eq!(world.gate.account(&call).await.unwrap().status, Status::Deleting);

    // Asked again, it goes on where it was.
    world.gate.delete_account(&call).await.unwrap();
    until("the account is gone", || async { world.gate.account(&call).await.is_err() }).await;
    assert_eq!(ready.calls.load(Ordering::SeqCst), 1, "who confirmed is not asked again");
    loop {
        if matches!(feed.next().await.unwrap().what, ChangeKind::Deleted { sub } if sub == call.account) {
            break;
        }
    }
    assert!(world.gate.credentials(&call).await.unwrap().is_empty(), "{:?} is gone too", made.credential.id);
    let page = world.browser().post("/sign-up", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert!(page.body.contains("taken"), "a name is never given twice");
}

async fn nothing_is_deleted_before_the_services_are_known(world: World) {
    world.signed_up("alice").await;
    let call = world.call("alice").await.changing();
    world.gate.delete_account(&call).await.unwrap();
    assert_eq!(world.gate.account(&call).await.unwrap().status, Status::Deleting);
    let again = world.again(crate::world::Wishes::default()).await;
    again.gate.register_data(Vec::new());
    until("the account is gone, after a restart", || async { again.gate.account(&call).await.is_err() })
        .await;
}

async fn an_export_holds_everything_but_secrets(world: World) {
    world.signed_up("alice").await;
    let made = world.app_password("alice").await;
    let call = world.call("alice").await;
    let chunks: Vec<ExportChunk> =
        world.gate.data().export(&call).await.unwrap().map(Result::unwrap).collect().await;
    let names: Vec<&str> = chunks.iter().map(|chunk| chunk.path.as_str()).collect();
    let all =
        ["account.json", "credentials.json", "sessions.json", "security-events.json", "irc-servers.json"];
    assert_eq!(names, all);
    let all = chunks.iter().map(|chunk| String::from_utf8_lossy(&chunk.bytes)).collect::<String>();
    assert!(all.contains("irssi") && all.contains("Firefox"));
    assert!(!all.contains(&made.secret) && !all.contains("argon2"));
}

on_both_engines!(
    an_account_is_gone_when_every_service_has_confirmed,
    nothing_is_deleted_before_the_services_are_known,
    an_export_holds_everything_but_secrets,
);
