//! What is read once is read once.

use crate::world::world;

#[tokio::test]
async fn a_preview_never_burns_it_and_a_reader_does() {
    let world = world().await;
    let id = world.curl().post("/?burn=1", "the secret").await.is(201).id();
    for agent in ["Slackbot-LinkExpanding 1.0", "Mozilla/5.0", "curl/8", "weechat"] {
        for accept in ["*/*", "text/html", "application/json"] {
            let page =
                world.curl().with("user-agent", agent).with("accept", accept).get(&format!("/{id}")).await;
            page.hides("the secret").hides("og:");
        }
        world.raw(&id).await.is(409).hides("the secret");
    }
    world.browser().get(&format!("/{id}")).await.is(200).shows("This paste is read once");
    world.curl().get(&format!("/{id}")).await.is(409).shows(&format!("/{id}/open"));
    let read = world.browser().post(&format!("/{id}/open"), "").await;
    read.is(200).shows("the secret").shows("it is deleted now");
    for gone in
        [world.browser().post(&format!("/{id}/open"), "").await, world.browser().get(&format!("/{id}")).await]
    {
        gone.is(404).hides("the secret");
    }
}

#[tokio::test]
async fn of_fifty_readers_at_once_one_gets_it() {
    let world = world().await;
    let id = world.curl().post("/?burn=1", "the secret").await.id();
    let reads = (0..50).map(|_| {
        let reader = world.curl();
        let path = format!("/{id}/open");
        async move { reader.post(&path, "").await }
    });
    let answers = futures_util::future::join_all(reads).await;
    let got = answers.iter().filter(|answer| answer.text().contains("the secret")).count();
    assert_eq!(got, 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 404).count(), 49);
}

#[tokio::test]
async fn a_wrong_password_does_not_burn_it() {
    let world = world().await;
    let form: [(&str, Option<&str>, &[u8]); 3] =
        [("text", None, b"the secret"), ("burn", None, b"on"), ("password", None, b"open sesame")];
    let id = world.curl().multipart(&form).await.is(201).id();
    world.curl().post(&format!("/{id}/open"), "password=wrong").await.is(403).hides("the secret");
    world.curl().post(&format!("/{id}/open"), "").await.is(403);
    world.curl().post(&format!("/{id}/open"), "password=open+sesame").await.is(200).shows("the secret");
    world.curl().post(&format!("/{id}/open"), "password=open+sesame").await.is(404);
}

#[tokio::test]
async fn burn_says_no_where_it_is_said_so() {
    let world = world().await;
    let id = world.curl().post("/?burn=false", "x").await.id();
    world.curl().get(&format!("/{id}")).await.is(200);
}
