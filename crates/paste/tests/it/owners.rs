//! Whose a paste is, and what only its owner does.

use crate::world::world;

#[tokio::test]
async fn my_pastes_are_mine_and_are_found() {
    let world = world().await;
    let alice = world.signed_in("alice", "free").await;
    alice.get("/mine").await.is(200).shows("Nothing yet.").shows("0 of 5 pastes");
    let id = world
        .curl_as("alice", "free")
        .multipart(&[("file", Some("needle.rs"), b"fn haystack() {}")])
        .await
        .id();
    world.curl_as("bob", "free").put("needle").await.is(201);
    alice.get("/mine").await.shows("needle.rs").shows("1 of 5 pastes").shows(&format!("/{id}/delete"));
    alice.get("/mine?q=HAYSTACK").await.shows("needle.rs");
    alice.get("/mine?q=nothing").await.shows("Nothing of yours matches.").hides("needle.rs");
    let listed = world.curl_as("alice", "free").with("accept", "application/json").get("/mine").await.json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["id"], id);
}

#[tokio::test]
async fn its_owner_deletes_it_and_nobody_else_even_learns_of_it() {
    let world = world().await;
    let id = world.curl_as("alice", "free").put("x").await.id();
    let bob = world.signed_in("bob", "free").await;
    bob.get(&format!("/{id}/delete")).await.is(404);
    bob.post(&format!("/{id}/delete"), "").await.is(404);
    world.curl_as("bob", "free").post(&format!("/{id}/delete"), "").await.is(404);
    world.curl().post(&format!("/{id}/delete"), "token=").await.is(401);
    world.browser().get(&format!("/{id}")).await.is(200).hides("/delete");
    let alice = world.signed_in("alice", "free").await;
    alice.get(&format!("/{id}")).await.shows(&format!("/{id}/delete"));
    alice.get(&format!("/{id}/delete")).await.is(200).shows("Delete this paste?");
    alice.post(&format!("/{id}/delete"), "").await.is(303);
    world.raw(&id).await.is(404);
}

#[tokio::test]
async fn without_an_account_a_token_or_the_same_browser_deletes_it_and_the_same_address_does_not() {
    let world = world().await;
    let put = world.curl().put("x").await;
    let (id, token) = (put.id(), put.header("x-delete-token"));
    assert!(token.len() >= 43);
    world.curl().post(&format!("/{id}/delete"), "token=wrong").await.is(401);
    world.curl().post(&format!("/{id}/delete"), "").await.is(401);
    world.curl().post(&format!("/{id}/delete"), format!("token={token}")).await.is(200).shows("Deleted.");
    world.raw(&id).await.is(404);

    let put = world.browser().multipart(&[("text", None, b"x")]).await;
    let cookie = put.header("set-cookie").split(';').next().unwrap().to_owned();
    let other = world.browser().with("cookie", "__Host-mine=somebodyelse");
    let refused = other.post(&format!("/{}/delete", put.id()), "").await;
    assert!(refused.is(303).header("location").starts_with("/auth/login"));
    world.raw(&put.id()).await.is(200);
    let same = world.browser().with("cookie", &cookie);
    same.get(&format!("/{}", put.id())).await.shows("/delete");
    same.post(&format!("/{}/delete", put.id()), "").await.is(303);
    world.raw(&put.id()).await.is(404);
}
