//! Reports, the queue, and what may not come back.

use crate::world::world;

#[tokio::test]
async fn a_report_waits_for_an_administrator_who_takes_it_away() {
    let world = world().await;
    let id = world.curl().put("buy now <b>").await.id();
    let stranger = world.browser();
    stranger.get(&format!("/{id}/report")).await.is(200).shows("What is wrong with it");
    stranger.post(&format!("/{id}/report"), "reason=nonsense").await.is(422);
    stranger
        .post(&format!("/{id}/report"), "reason=spam&words=it+is+%3Cscript%3E")
        .await
        .is(200)
        .shows("Thank you.");
    let root = world.signed_in("root", "free").await;
    root.get("/moderation")
        .await
        .is(200)
        .shows(&id)
        .shows("1 report")
        .shows("&#60;script&#62;")
        .shows("buy now &#60;b&#62;");
    root.post("/moderation", format!("thing={id}&verdict=remove")).await.is(303);
    root.get("/moderation").await.shows("Nothing waits for you.");
    for gone in [
        stranger.get(&format!("/{id}")).await,
        world.raw(&id).await,
        world.curl().get(&format!("/{id}")).await,
    ] {
        gone.is(451).shows("taken away").hides("buy now");
    }
}

#[tokio::test]
async fn what_is_blocked_goes_with_all_its_copies_and_may_not_come_back() {
    let world = world().await;
    let ids =
        [world.curl().put("malware").await.id(), world.curl_as("alice", "free").put("malware").await.id()];
    world.browser().post(&format!("/{}/report", ids[0]), "reason=malware").await.is(200);
    let root = world.signed_in("root", "free").await;
    root.post("/moderation", format!("thing={}&verdict=block&reason=a+worm", ids[0])).await.is(303);
    for id in &ids {
        world.browser().get(&format!("/{id}")).await.is(451);
    }
    world.curl().put("malware").await.is(451).shows("taken away by a moderator before");
    world.curl().put("malware!").await.is(201);
    root.get("/moderation").await.shows("a worm");
    let hash =
        service::secrets::sha256(b"malware").iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    root.post("/moderation", format!("hash={hash}&verdict=unblock")).await.is(303);
    world.curl().put("malware").await.is(201);
}

#[tokio::test]
async fn a_case_may_be_closed_and_the_paste_stays() {
    let world = world().await;
    let id = world.curl().put("harmless").await.id();
    world.browser().post(&format!("/{id}/report"), "reason=other").await.is(200);
    let root = world.signed_in("root", "free").await;
    root.post("/moderation", format!("thing={id}&verdict=keep")).await.is(303);
    root.get("/moderation").await.shows("Nothing waits for you.");
    world.browser().get(&format!("/{id}")).await.is(200);
}

#[tokio::test]
async fn nobody_but_an_administrator_finds_the_queue() {
    let world = world().await;
    let alice = world.signed_in("alice", "pro").await;
    alice.get("/moderation").await.is(404);
    alice.post("/moderation", "verdict=unblock").await.is(404);
    // An app password of an administrator is for pastes, not for moderating.
    world.curl_as("root", "free").get("/moderation").await.is(401);
    assert!(world.browser().get("/moderation").await.header("location").starts_with("/auth/login"));
}

#[tokio::test]
async fn reports_from_one_place_come_slowly() {
    let world = world().await;
    let id = world.curl().put("x").await.id();
    for _ in 0..10 {
        world.browser().post(&format!("/{id}/report"), "reason=spam").await.is(200);
    }
    world.browser().post(&format!("/{id}/report"), "reason=spam").await.is(429);
    let root = world.signed_in("root", "free").await;
    root.get("/moderation").await.shows("1 report");
}
