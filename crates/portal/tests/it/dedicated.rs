//! The pages of a bouncer of one's own.

use contracts::{BouncerEngine, DedicatedPhase, DedicatedStage};
use http::StatusCode;

use crate::site::site;

const PAGE: &str = "/bouncer/dedicated";

#[tokio::test]
async fn a_bouncer_is_ordered_watched_and_given_back_without_scripts() {
    let site = site().await;
    let alice = site.alice().await;
    let offer = alice.get(PAGE).await;
    offer.shows("alice.example").shows("Order it").shows("What soju does not keep");
    let ordered = alice.post(PAGE, &[("engine", "ircnow")]).await;
    assert_eq!((ordered.status, ordered.location.as_str()), (StatusCode::SEE_OTHER, PAGE));
    alice.get(PAGE).await.shows("Being made").hides("/connect -tls");

    site.world.dedicate(alice.sub, DedicatedStage::There, DedicatedPhase::Ready);
    alice.get(PAGE).await.shows("Running").shows("/connect -tls alice.example 6697");
    // The steps for every client lead there now.
    alice.get("/connect/irssi").await.shows("alice.example");

    alice.get("/bouncer/dedicated/cancel").await.shows("come with you").shows("Keep it");
    let cancelled = alice.post("/bouncer/dedicated/cancel", &[]).await;
    assert_eq!(cancelled.location, PAGE);
    alice.get(PAGE).await.shows("Moving back");
    alice.get("/connect/irssi").await.hides("alice.example");
}

#[tokio::test]
async fn soju_is_what_was_chosen_and_its_page_says_what_comes_back() {
    let site = site().await;
    let alice = site.alice().await;
    alice.post(PAGE, &[("engine", "soju")]).await;
    assert_eq!(site.world.rows.lock().unwrap().dedicated[0].1.engine, BouncerEngine::Soju);
    alice.get("/bouncer/dedicated/cancel").await.shows("what was kept here all the time");
}

#[tokio::test]
async fn who_has_none_cannot_give_one_back_and_who_has_one_gets_no_second() {
    let site = site().await;
    let alice = site.alice().await;
    assert_eq!(alice.get("/bouncer/dedicated/cancel").await.status, StatusCode::NOT_FOUND);
    assert_eq!(alice.post("/bouncer/dedicated/cancel", &[]).await.status, StatusCode::NOT_FOUND);
    site.world.dedicate(alice.sub, DedicatedStage::There, DedicatedPhase::Ready);
    let second = alice.post(PAGE, &[("engine", "ircnow")]).await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    second.shows("You have one already.");
    let bob = site.visitor("bob").await;
    bob.get(PAGE).await.hides("Running");
}
