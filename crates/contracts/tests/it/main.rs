//! Both adapters of each trait, in process and over HTTP, hold the same promises; the HTTP one also behind a cutter
//! that loses the answer after the change was made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod dedicated;
mod fake;
mod networks;
mod suite;

use std::sync::Arc;

use contracts::http::{BouncersClient, Client, NoBearer, bouncers_router};
use contracts::{Bouncers, CallError, WatchCursor};
use futures_util::StreamExt;
use testkit::proxy::{Mood, Proxy};

use crate::fake::Fake;

async fn served(bouncers: Arc<dyn Bouncers>) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, bouncers_router(bouncers)).await });
    address
}

fn client(address: std::net::SocketAddr) -> BouncersClient {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    BouncersClient::new(Client::new(
        http,
        format!("http://{address}/").parse().unwrap(),
        "bouncer",
        Arc::new(NoBearer),
    ))
}

#[tokio::test]
async fn the_bouncer_in_process_keeps_the_contract() {
    suite::bouncers(Arc::new(Fake::default())).await;
}

#[tokio::test]
async fn the_bouncer_over_http_keeps_the_contract() {
    suite::bouncers(Arc::new(client(served(Arc::new(Fake::default())).await))).await;
}

#[tokio::test]
async fn a_change_whose_answer_got_lost_is_made_once() {
    let fake = Arc::new(Fake::default());
    let proxy = Proxy::start(served(fake.clone()).await).await.unwrap();
    let client = client(proxy.address());
    proxy.set(Mood::LoseAnswers);
    let call = suite::call().changing();
    let lost = client.add_network(&call, suite::spec("libera")).await;
    assert!(matches!(lost, Err(CallError::Unavailable { .. })), "{lost:?}");
    proxy.set(Mood::Through);
    let again = client.add_network(&call, suite::spec("libera")).await.unwrap();
    assert_eq!(client.networks(&suite::call()).await.unwrap(), [again]);
    assert_eq!(fake.changes(), 1);
}

#[tokio::test]
async fn a_service_that_is_away_is_said_to_be_away() {
    let proxy = Proxy::start(served(Arc::new(Fake::default())).await).await.unwrap();
    let client = client(proxy.address());
    proxy.set(Mood::Cut);
    let error = client.networks(&suite::call()).await.unwrap_err();
    assert_eq!(error.to_string(), "The bouncer service cannot be reached. Try again in a moment.");
}

#[tokio::test]
async fn a_service_that_is_silent_is_given_up_in_time() {
    let proxy = Proxy::start(served(Arc::new(Fake::default())).await).await.unwrap();
    let client = client(proxy.address());
    proxy.set(Mood::Stalled);
    let mut call = suite::call();
    call.timeout = std::time::Duration::from_millis(200);
    let error = client.networks(&call).await.unwrap_err();
    assert_eq!(error.to_string(), "The bouncer service did not answer in time. Try again in a moment.");
}

#[tokio::test]
async fn an_export_that_is_cut_says_so() {
    let fake = Arc::new(Fake::default());
    fake.add_network(&suite::call().changing(), suite::spec("libera")).await.unwrap();
    fake.never_end_exports();
    let proxy = Proxy::start(served(fake).await).await.unwrap();
    let client: Arc<dyn contracts::AccountData> = Arc::new(client(proxy.address()));
    let mut export = client.export(&suite::call()).await.unwrap();
    assert!(export.next().await.unwrap().is_ok());
    proxy.set(Mood::Cut);
    assert!(matches!(export.next().await, Some(Err(CallError::Unavailable { .. }))));
    assert!(export.next().await.is_none());
}

#[tokio::test]
async fn a_watcher_that_comes_back_misses_nothing() {
    let fake = Arc::new(Fake::default());
    let proxy = Proxy::start(served(fake.clone()).await).await.unwrap();
    let client = client(proxy.address());
    let mut watch = client.watch(&suite::call(), None).await.unwrap();
    let first = watch.next().await.unwrap();
    proxy.set(Mood::Cut);
    assert!(watch.next().await.is_none());
    fake.add_network(&suite::call().changing(), suite::spec("libera")).await.unwrap();
    proxy.set(Mood::Through);
    let mut watch = client.watch(&suite::call(), Some(first.cursor)).await.unwrap();
    let next = watch.next().await.unwrap();
    assert_eq!(next.cursor, WatchCursor(first.cursor.0 + 1));
}
