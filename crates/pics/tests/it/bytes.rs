//! How pictures go out.

use axum::body::Body;
use http::Method;

use crate::world::{Who, World, png, world};

async fn part(at: &World, url: &str, range: &str) -> crate::world::Answer {
    at.send(Who::Nobody, Method::GET, url, &[("range", range)], Body::empty()).await
}

#[tokio::test]
async fn bytes_come_from_their_own_origin_and_nothing_in_them_runs() {
    let at = world().await;
    let told = at.put("alice", &png(600, 400, 1)).await;
    for address in [&told["url"], &told["thumbnail"]] {
        let bytes = at.get(Who::Nobody, address.as_str().unwrap()).await;
        assert_eq!(bytes.is(200).header("x-content-type-options"), "nosniff");
        let policy = bytes.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
        assert_eq!(bytes.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(bytes.header("cross-origin-resource-policy"), "cross-origin");
        assert_eq!(bytes.header("set-cookie"), "");
        assert_eq!(bytes.header("content-length"), bytes.body.len().to_string());
        assert!(pics_core::sniff(&bytes.body).is_ok());
    }
    // The pages' origin has no bytes, and the bytes' origin no pages.
    let name = told["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    at.get(Who::Nobody, &format!("/{name}")).await.is(404);
    at.get(Who::Nobody, &format!("http://i.pics.localhost:8080/p/{}", told["id"].as_str().unwrap()))
        .await
        .is(404);
}

#[tokio::test]
async fn who_has_it_already_is_told_so_and_who_wants_a_part_gets_it() {
    let at = world().await;
    let file = png(60, 40, 1);
    let told = at.put("alice", &file).await;
    let url = told["url"].as_str().unwrap();
    let whole = at.get(Who::Nobody, url).await;
    let etag = whole.header("etag").to_owned();
    let known = at.send(Who::Nobody, Method::GET, url, &[("if-none-match", &etag)], Body::empty()).await;
    assert!(known.is(304).body.is_empty());
    let first = part(&at, url, "bytes=0-7").await;
    assert_eq!(first.is(206).body, whole.body[..8]);
    assert_eq!(first.header("content-range"), format!("bytes 0-7/{}", whole.body.len()));
    assert_eq!(part(&at, url, "bytes=-4").await.is(206).body, whole.body[whole.body.len() - 4..]);
    let beyond = part(&at, url, "bytes=999999-").await;
    assert_eq!(beyond.is(416).header("content-range"), format!("bytes */{}", whole.body.len()));
    // What is no range, or many, is answered with all of it.
    for odd in ["bytes=5-1", "bytes=0-1,3-4", "pages=1-2", "bytes=18446744073709551616-"] {
        assert_eq!(part(&at, url, odd).await.is(200).body, whole.body, "{odd}");
    }
    let head = at.send(Who::Nobody, Method::HEAD, url, &[], Body::empty()).await;
    assert_eq!((head.is(200).header("content-length"), head.body.len()), (whole.header("content-length"), 0));
}

#[tokio::test]
async fn no_name_leads_out_of_the_objects() {
    let at = world().await;
    let told = at.put("alice", &png(600, 400, 1)).await;
    let id = told["id"].as_str().unwrap();
    for name in [
        format!("{id}.html"),
        format!("{id}.svg"),
        format!("{id}.jpg"),
        format!("{id}.clean.png"),
        format!("{id}.1600.png"),
        format!("{id}.0400.webp"),
        format!("{id}.png%00.html"),
        format!("..%2f{id}.png"),
        "..%2f..%2fpics.db".to_owned(),
        "%2e%2e%2fsecret.key.png".to_owned(),
        format!("{id}..png"),
        "a.png".to_owned(),
    ] {
        at.get(Who::Nobody, &format!("http://i.pics.localhost:8080/{name}")).await.is(404);
    }
}

#[tokio::test]
async fn what_goes_by_itself_is_cached_no_longer_than_it_stays() {
    let at = world().await;
    let headers = [("accept", "application/json")];
    let sent = at
        .send(Who::App("alice"), Method::POST, "/upload?expires=2h", &headers, Body::from(png(9, 9, 1)))
        .await;
    let bytes = at.get(Who::Nobody, sent.is(201).json()["url"].as_str().unwrap()).await;
    let cache = bytes.is(200).header("cache-control").to_owned();
    let age: u64 = cache.strip_prefix("public, max-age=").unwrap().parse().unwrap();
    assert!((7_000..=7_200).contains(&age), "{cache}");
}
