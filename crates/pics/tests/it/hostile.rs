//! What is sent to hurt.

use axum::body::Body;
use http::Method;
use pics_core::samples;

use crate::world::{Who, jpeg, png, world};

#[tokio::test]
async fn what_is_no_picture_is_refused_in_words_and_leaves_nothing() {
    let at = world().await;
    for (what, file, status, words) in [
        (
            "svg",
            b"<svg onload='alert(1)' xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            415,
            "SVG is not taken",
        ),
        ("html", b"<!doctype html><script>alert(1)</script>".to_vec(), 415, "no picture"),
        ("nothing", Vec::new(), 415, "no picture"),
        ("a bomb", samples::png(65_535, 65_535, &[]), 422, "65535 by 65535"),
        ("frames", samples::gif(10, 10, &vec![samples::gif_frame(1, 1); 100_000]), 422, "100000 frames"),
        (
            "a lie",
            samples::webp(&[samples::vp8x(0, 4_000, 30), samples::vp8l(40, 30)]),
            422,
            "two dimensions",
        ),
    ] {
        let answer = at.upload(Who::App("alice"), &file).await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text());
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{what}: {message}");
    }
    for file in
        [jpeg(64, 48), png(64, 48, 1), samples::gif(9, 9, &[samples::gif_frame(9, 9)]), samples::avif(40, 30)]
    {
        let answer = at.upload(Who::App("alice"), &file[..file.len() - 6]).await;
        answer.is(422).shows("too early");
    }
    assert!(at.files("objects").is_empty() && at.files("uploads").is_empty());
    testkit::eventually("all room to be given back", || async {
        at.room("alice").await.starts_with("0 bytes").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_avif_that_says_it_is_a_jpeg_is_an_avif() {
    let at = world().await;
    let headers = [
        ("content-type", "image/jpeg"),
        ("content-disposition", "attachment; filename=\"photo.jpg\""),
        ("accept", "application/json"),
    ];
    let answer = at
        .send(Who::App("alice"), Method::POST, "/upload", &headers, Body::from(samples::avif(40, 30)))
        .await;
    let url = answer.is(201).json()["url"].as_str().unwrap().to_owned();
    assert!(url.ends_with(".avif"), "{url}");
    assert_eq!(at.get(Who::Nobody, &url).await.header("content-type"), "image/avif");
}

#[tokio::test]
async fn a_polyglot_is_served_as_the_picture_it_is_and_nothing_more() {
    let at = world().await;
    let file = [png(30, 30, 3), b"<html><script>alert(document.cookie)</script>".to_vec()].concat();
    let told = at.put("alice", &file).await;
    let bytes = at.get(Who::Nobody, told["url"].as_str().unwrap()).await;
    assert!(!bytes.is(200).body.windows(5).any(|window| window == b"alert"));
}

#[tokio::test]
async fn names_and_captions_are_text_wherever_they_stand() {
    let at = world().await;
    let evil = "%3Cscript%3Ealert(1)%3C/script%3E\"onload=x";
    let path = format!("/upload?name={evil}&alt={evil}&caption={evil}");
    let answer = at
        .send(
            Who::App("alice"),
            Method::POST,
            &path.replace('"', "%22"),
            &[("accept", "application/json")],
            Body::from(png(9, 9, 1)),
        )
        .await;
    let told = answer.is(201).json();
    for page in ["/".to_owned(), format!("/p/{}", told["id"].as_str().unwrap())] {
        let page = at.get(Who::App("alice"), &page).await;
        assert!(!page.is(200).text().contains("<script>alert"), "{}", page.text());
        assert!(!page.text().contains("\"onload=x"), "{}", page.text());
    }
}

#[tokio::test]
async fn anothers_pictures_albums_and_delete_links_do_not_exist() {
    let at = world().await;
    let told = at.put("alice", &png(9, 9, 1)).await;
    let other = at.put("bob", &png(9, 9, 2)).await;
    let id = told["id"].as_str().unwrap();
    at.form(Who::App("bob"), &format!("/p/{id}"), "caption=mine").await.is(404);
    at.form(Who::App("bob"), &format!("/p/{id}/delete"), "").await.is(404);
    let token = other["delete_url"].as_str().unwrap().rsplit('/').next().unwrap();
    at.get(Who::Nobody, &format!("/p/{id}/delete/{token}")).await.is(404);
    at.form(Who::Nobody, &format!("/p/{id}/delete/{token}"), "").await.is(404);
    at.get(Who::Nobody, told["url"].as_str().unwrap()).await.is(200);
    let link = told["delete_url"].as_str().unwrap();
    at.get(Who::Nobody, link).await.is(200).shows("Delete this picture?");
    at.get(Who::Nobody, told["url"].as_str().unwrap()).await.is(200);
    at.form(Who::Nobody, link, "").await.is(200).shows("is deleted");
    at.get(Who::Nobody, told["url"].as_str().unwrap()).await.is(404);
}
