//! What people see, and who may do what.

use axum::body::Body;
use http::Method;
use pics::routes::{BYTES_ROUTES, SITE_ROUTES, UPLOAD_ROUTES};
use service::web::Who as May;

use crate::world::{Who, png, world};

#[tokio::test]
async fn a_stranger_gets_no_further_than_the_tables_say() {
    let at = world().await;
    let told = at.put("alice", &png(9, 9, 1)).await;
    let id = told["id"].as_str().unwrap();
    for route in SITE_ROUTES.iter().chain(UPLOAD_ROUTES).filter(|route| route.who != May::Anyone) {
        let path = route.path.replace("{id}", id).replace("{token}", "x");
        let method: Method = route.method.parse().unwrap();
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")];
        let stranger = at.send(Who::Nobody, method.clone(), &path, &headers, Body::empty()).await;
        assert_eq!(stranger.status.as_u16(), 303, "{} {path}", route.method);
        assert!(stranger.header("location").starts_with("/auth/login"), "{path}");
        if route.who == May::Owner {
            let other = at.send(Who::App("bob"), method, &path, &headers, Body::empty()).await;
            assert_eq!(other.status.as_u16(), 404, "{} {path}", route.method);
        }
    }
    assert_eq!(BYTES_ROUTES.len(), 1);
}

#[tokio::test]
async fn a_gallery_shows_what_is_there_and_how_much_room_is_left() {
    let at = world().await;
    at.get(Who::Nobody, "/").await.is(200).shows("Sign in to put pictures up");
    *at.gate.room.lock().unwrap() = Some(50_000_000);
    assert_eq!(at.room("alice").await, "0 bytes of 50 MB");
    let told = at.put("alice", &png(600, 600, 1)).await;
    assert_eq!(at.room("alice").await, "1 MB of 50 MB");
    let gallery = at.get(Who::App("alice"), "/").await;
    gallery.shows(told["thumbnail"].as_str().unwrap());
    let policy = gallery.header("content-security-policy");
    assert!(policy.contains("img-src 'self' http://i.pics.localhost:8080 data:"), "{policy}");
    let bobs = at.get(Who::App("bob"), "/").await.text();
    assert!(!bobs.contains(told["id"].as_str().unwrap()));
}

#[tokio::test]
async fn what_is_said_of_a_picture_is_shown_and_an_album_holds_it() {
    let at = world().await;
    let told = at.put("alice", &png(30, 20, 1)).await;
    let page = format!("/p/{}", told["id"].as_str().unwrap());
    let album = at.form(Who::App("alice"), "/albums", "title=Garden").await;
    let album = album.is(303).header("location").to_owned();
    let id = album.strip_prefix("/a/").unwrap();
    let form = format!("caption=First+tomatoes&alt=Two+red+tomatoes&album={id}&expires=3d");
    at.form(Who::App("alice"), &page, &form).await.is(303);
    let shown = at.get(Who::Nobody, &page).await;
    shown.is(200).shows("First tomatoes").shows("alt=\"Two red tomatoes\"").shows("goes");
    assert!(!shown.text().contains("Delete this picture"), "only its owner may");
    at.get(Who::Nobody, &album).await.is(200).shows("Garden").shows("First tomatoes");
    let wrong = at.form(Who::App("alice"), &page, "caption=kept&expires=soon").await;
    wrong.is(422).shows("Write how long it stays").shows("kept");
    at.form(Who::App("bob"), &format!("{album}/delete"), "").await.is(404);
    at.form(Who::App("alice"), &format!("{album}/delete"), "").await.is(303);
    at.get(Who::Nobody, &album).await.is(404);
    at.get(Who::Nobody, &page).await.is(200);
}

#[tokio::test]
async fn what_is_reported_waits_for_a_moderator_and_what_is_blocked_never_comes_back() {
    let at = world().await;
    let file = png(30, 20, 1);
    let (mine, yours) = (at.put("alice", &file).await, at.put("bob", &file).await);
    let page = format!("/p/{}", mine["id"].as_str().unwrap());
    at.get(Who::Nobody, &format!("{page}/report")).await.is(200);
    at.form(Who::Nobody, &format!("{page}/report"), "reason=").await.is(422);
    at.form(Who::Nobody, &format!("{page}/report"), "reason=private&words=that+is+me")
        .await
        .is(200)
        .shows("with the moderators");
    at.get(Who::App("alice"), "/moderate").await.is(404);
    at.get(Who::App("root"), "/moderate").await.is(200).shows("that is me");
    let settle = format!("/moderate/{}", mine["id"].as_str().unwrap());
    at.form(Who::App("bob"), &settle, "verdict=block").await.is(404);
    at.form(Who::App("root"), &settle, "verdict=block").await.is(303);
    for url in [&mine["url"], &yours["url"]] {
        at.get(Who::Nobody, url.as_str().unwrap()).await.is(404);
    }
    assert!(at.files("objects").is_empty());
    at.upload(Who::App("bob"), &file).await.is(451).shows("taken down before");
    at.get(Who::App("root"), "/moderate").await.shows("Nothing waits for you");
}

#[tokio::test]
async fn configurations_of_other_programs_are_ready_to_use() {
    let at = world().await;
    let sharex = at.get(Who::Nobody, "/tools/irc-now.sxcu").await.json();
    assert_eq!(sharex["RequestURL"], "http://pics.localhost:8080/upload");
    at.get(Who::Nobody, "/tools/flameshot.sh").await.is(200).shows("flameshot gui --raw").shows("/upload");
    at.get(Who::App("alice"), "/tools").await.is(200).shows("curl -u alice --data-binary");
}
