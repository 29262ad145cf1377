//! How pictures come in.

use axum::body::Body;
use http::Method;
use pics_core::samples::{self, SECRET};

use crate::world::{Who, jpeg, png, world};

#[tokio::test]
async fn curl_gets_the_address_and_nothing_else() {
    let at = world().await;
    let body = Body::from(jpeg(900, 600));
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "*/*")];
    let answer = at.send(Who::App("alice"), Method::POST, "/upload", &headers, body).await;
    let address = answer.is(201).text();
    assert_eq!(address, format!("{}\n", answer.header("location")));
    assert!(address.starts_with("http://i.pics.localhost:8080/") && address.ends_with(".jpg\n"), "{address}");
    let bytes = at.get(Who::Nobody, address.trim()).await;
    assert_eq!(bytes.is(200).header("content-type"), "image/jpeg");
    assert!(
        !bytes.body.windows(SECRET.len()).any(|window| window == SECRET),
        "where it was taken stays behind"
    );
}

#[tokio::test]
async fn programs_get_everything_about_it() {
    let at = world().await;
    let told = at.put("alice", &jpeg(2_000, 1_000)).await;
    assert_eq!(
        (told["kind"].as_str(), told["width"].as_u64(), told["height"].as_u64()),
        (Some("jpg"), Some(1_000), Some(2_000))
    );
    for key in ["url", "page", "thumbnail", "delete_url"] {
        let address = told[key].as_str().unwrap();
        at.get(Who::Nobody, address).await.is(200);
    }
    let small = at.get(Who::Nobody, told["thumbnail"].as_str().unwrap()).await;
    let header = pics_core::clean(&small.body).unwrap().header;
    assert_eq!((header.width, header.height), (200, 400), "upright, and no larger than a list needs");
}

#[tokio::test]
async fn a_form_takes_many_files_and_what_is_said_of_them() {
    let at = world().await;
    let mut body = Vec::new();
    for (disposition, content) in [
        ("form-data; name=\"caption\"", b"two cats".to_vec()),
        ("form-data; name=\"file\"; filename=\"../../a<b>.png\"", png(20, 20, 1)),
        ("form-data; name=\"file\"; filename=\"b.jpg\"", png(20, 20, 2)),
    ] {
        body.extend_from_slice(
            format!("--frontier\r\nContent-Disposition: {disposition}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(&content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--frontier--\r\n");
    let kind = ("content-type", "multipart/form-data; boundary=frontier");
    let browser = at
        .send(
            Who::App("alice"),
            Method::POST,
            "/upload",
            &[kind, ("accept", "text/html")],
            Body::from(body.clone()),
        )
        .await;
    assert_eq!(browser.is(303).header("location"), "/");
    let gallery = at.get(Who::App("alice"), "/").await;
    assert_eq!(gallery.is(200).text().matches("two cats").count(), 2);
    let program = at
        .send(
            Who::App("alice"),
            Method::POST,
            "/upload",
            &[kind, ("accept", "application/json")],
            Body::from(body),
        )
        .await;
    let told = program.is(201).json();
    assert_eq!(
        (told[0]["kind"].as_str(), told[1]["kind"].as_str()),
        (Some("png"), Some("png")),
        "by content, not by name"
    );
}

#[tokio::test]
async fn nobody_puts_anything_up_without_saying_who() {
    let at = world().await;
    let answer = at.upload(Who::Nobody, &png(9, 9, 1)).await;
    assert!(answer.is(401).header("www-authenticate").starts_with("Basic"));
    at.upload(Who::App("mallory"), &png(9, 9, 1)).await.is(401);
    let cookie = at.cookie("alice").await;
    let own =
        [("cookie", cookie.as_str()), ("accept", "application/json"), ("sec-fetch-site", "same-origin")];
    at.send(Who::Nobody, Method::POST, "/upload", &own, Body::from(png(9, 9, 1))).await.is(201);
    let other =
        [("cookie", cookie.as_str()), ("accept", "application/json"), ("sec-fetch-site", "same-site")];
    at.send(Who::Nobody, Method::POST, "/upload", &other, Body::from(png(9, 9, 1))).await.is(403);
}

#[tokio::test]
async fn who_asks_first_is_told_what_may_be_sent() {
    let at = world().await;
    let answer = at.send(Who::Nobody, Method::OPTIONS, "/upload", &[], Body::empty()).await;
    assert!(answer.is(204).header("allow").contains("POST"));
    assert!(answer.header("accept-post").contains("image/webp"));
    assert_eq!(answer.header("upload-limit"), "maxsize=33554432");
}

#[tokio::test]
async fn an_avif_is_taken_cleaned_and_shown_as_it_is() {
    let at = world().await;
    let told = at.put("alice", &samples::avif(40, 30)).await;
    assert_eq!(told["url"], told["thumbnail"]);
    let bytes = at.get(Who::Nobody, told["url"].as_str().unwrap()).await;
    assert_eq!(bytes.is(200).header("content-type"), "image/avif");
    assert!(!bytes.body.windows(SECRET.len()).any(|window| window == SECRET));
}

#[tokio::test]
async fn an_irc_client_is_answered_with_the_host_it_asked() {
    let at = world().await;
    let basic = format!("Basic {}", testkit::irc::base64(b"alice:alice"));
    let request = http::Request::post("http://localhost:8080/upload")
        .header("host", "localhost:8080")
        .header("authorization", basic)
        .header("content-type", "image/png")
        .header("content-disposition", "attachment; filename=\"cat.png\"")
        .body(Body::from(png(30, 20, 1)))
        .unwrap();
    let answer = at.ask_router(&at.pics.on_root(), request).await;
    let location = answer.is(201).header("location").to_owned();
    let path = location.strip_prefix("http://localhost:8080/i/").unwrap();
    assert!(path.ends_with(".png"), "{location}");
    for method in [Method::GET, Method::HEAD] {
        let request = http::Request::builder().method(method).uri(&location).body(Body::empty()).unwrap();
        let bytes = at.ask_router(&at.pics.on_root(), request).await;
        assert_eq!(bytes.is(200).header("content-type"), "image/png");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_uploads_at_once_never_overshoot_the_plan() {
    let at = std::sync::Arc::new(world().await);
    let file = png(40, 40, 1);
    *at.gate.room.lock().unwrap() = Some(10 * file.len() as u64 + 5);
    let uploads: Vec<_> = (0..50)
        .map(|seed| {
            let at = at.clone();
            tokio::spawn(
                async move { at.upload(Who::App("alice"), &png(40, 40, seed)).await.status.as_u16() },
            )
        })
        .collect();
    let mut done = 0;
    for upload in uploads {
        match upload.await.unwrap() {
            201 => done += 1,
            413 => {}
            other => panic!("{other}"),
        }
    }
    assert!((1..=10).contains(&done), "{done}");
    assert_eq!(at.files("objects").iter().filter(|name| *name == "clean").count(), done);
    assert!(at.files("uploads").is_empty());
    let full = at.upload(Who::App("alice"), &png(200, 200, 1)).await;
    full.is(413).shows("Your plan allows");
}

#[tokio::test]
async fn one_content_is_kept_once_and_deleting_mine_leaves_yours() {
    let at = world().await;
    let file = png(30, 30, 7);
    let mine = at.put("alice", &file).await;
    let yours = at.put("bob", &file).await;
    assert_eq!(at.files("objects"), ["clean"]);
    assert_ne!(mine["url"], yours["url"]);
    let path = format!("/p/{}/delete", mine["id"].as_str().unwrap());
    at.form(Who::App("bob"), &path, "").await.is(404);
    at.form(Who::App("alice"), &path, "").await.is(303);
    at.get(Who::Nobody, mine["url"].as_str().unwrap()).await.is(404);
    at.get(Who::Nobody, yours["url"].as_str().unwrap()).await.is(200);
    at.form(Who::App("bob"), &format!("/p/{}/delete", yours["id"].as_str().unwrap()), "").await.is(303);
    assert!(at.files("objects").is_empty());
    assert!(at.room("alice").await.starts_with("0 bytes"), "{}", at.room("alice").await);
}
