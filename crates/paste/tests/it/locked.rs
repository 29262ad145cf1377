//! Pastes behind a password.

use crate::world::{world, world_with};

#[tokio::test]
async fn only_its_password_opens_it_and_the_database_does_not_know_the_text() {
    let world = world().await;
    let id = world
        .curl()
        .multipart(&[("file", Some("plan.txt"), b"we attack at dawn"), ("password", None, b"open sesame")])
        .await
        .id();
    world.browser().get(&format!("/{id}")).await.is(200).shows("This paste has a password").hides("dawn");
    world.curl().get(&format!("/{id}")).await.is(409).hides("dawn");
    world.curl().with("accept", "application/json").get(&format!("/{id}")).await.is(200).hides("dawn");
    world.raw(&id).await.is(409).hides("dawn");
    world
        .browser()
        .post(&format!("/{id}/open"), "password=wrong")
        .await
        .is(403)
        .shows("That is not its password.");
    for _ in 0..2 {
        let read = world.browser().post(&format!("/{id}/open"), "password=open%20sesame").await;
        read.is(200).shows("we attack at dawn").shows("plan.txt");
    }
    for entry in std::fs::read_dir(world.folder.path().join("data/paste")).unwrap().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap();
        assert!(!bytes.windows(8).any(|part| part == b"attack a"), "{}", entry.path().display());
        assert!(!bytes.windows(11).any(|part| part == b"open sesame"), "{}", entry.path().display());
    }
}

#[tokio::test]
async fn guessing_is_slow_and_costs_nobody_else_anything() {
    let world = world_with("guesses_per_address = '3'").await;
    let id = world.curl().multipart(&[("text", None, b"x"), ("password", None, b"right")]).await.id();
    for _ in 0..3 {
        world.curl().post(&format!("/{id}/open"), "password=wrong").await.is(403);
    }
    let refused = world.curl().post(&format!("/{id}/open"), "password=right").await;
    assert!(!refused.is(429).header("retry-after").is_empty());
    world.curl().from("192.0.2.9").post(&format!("/{id}/open"), "password=right").await.is(200);
}

#[tokio::test]
async fn what_a_browser_encrypted_is_kept_and_given_back_as_it_came() {
    let world = world().await;
    let put = world.curl().json().put(r#"{"encrypted":"AAECAwQFBgcICQoL_wD-"}"#).await;
    let id = put.is(201).id();
    let shown = world.curl().with("accept", "application/json").get(&format!("/{id}")).await.json();
    assert_eq!((&shown["encrypted"], &shown["seal"]), (&"AAECAwQFBgcICQoL_wD-".into(), &"browser".into()));
    world
        .browser()
        .get(&format!("/{id}"))
        .await
        .is(200)
        .shows("data-encrypted=\"AAECAwQFBgcICQoL_wD-\"")
        .hides("og:");
    let raw = world.raw(&id).await;
    assert_eq!(
        (raw.is(200).body.len(), raw.header("content-type").as_str()),
        (15, "application/octet-stream")
    );
    world.curl().json().put(r#"{"encrypted":"!"}"#).await.is(400);
    world.curl().json().put(r#"{"encrypted":"AAEC","password":"x"}"#).await.is(422);
}
