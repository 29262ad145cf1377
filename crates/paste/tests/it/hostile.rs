//! What others' pastebins were broken with.

use crate::world::{World, world, world_with};

const SCRIPT: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

#[track_caller]
fn is_harmless(page: &crate::world::Answer) {
    page.is(200).hides("<script>alert").hides("<img src=x").hides("\"'><img");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
}

async fn page_of(world: &World, parts: &[(&str, Option<&str>, &[u8])]) -> crate::world::Answer {
    let id = world.curl().multipart(parts).await.is(201).id();
    world.browser().get(&format!("/{id}")).await
}

#[tokio::test]
async fn no_content_runs_in_any_language() {
    let world = world_with("anonymous_plan = 'pro'\nputs_per_address = '1000'").await;
    for language in ["", "html", "markdown", "irc", "ansi", "javascript", "xml", "text"] {
        let page =
            page_of(&world, &[("text", None, SCRIPT.as_bytes()), ("language", None, language.as_bytes())])
                .await;
        is_harmless(&page);
    }
}

#[tokio::test]
async fn no_title_or_file_name_runs_or_breaks_a_header() {
    let world = world().await;
    let page = page_of(&world, &[("file", Some("<script>alert(1)<.html"), b"x")]).await;
    is_harmless(&page);
    let page = page_of(&world, &[("text", None, b"x"), ("title", None, SCRIPT.as_bytes())]).await;
    is_harmless(&page);
    let id = world
        .curl()
        .multipart(&[("text", None, b"x"), ("title", None, b"a\"\r\nX-Evil: 1\r\n\r\n<b>")])
        .await
        .id();
    let download = world.raw(&format!("{id}?download")).await;
    assert_eq!(download.header("content-disposition"), "attachment; filename=\"a_X-Evil_ 1_b_\"");
    assert_eq!(download.header("x-evil"), "");
}

#[tokio::test]
async fn no_name_of_a_language_is_kept_that_we_do_not_know() {
    let world = world().await;
    let parts: [(&str, Option<&str>, &[u8]); 2] =
        [("text", None, b"x"), ("language", None, SCRIPT.as_bytes())];
    world.curl().multipart(&parts).await.is(422).hides("<script>");
    world.browser().multipart(&parts).await.is(422).hides("<script>alert").hides("<img src=x");
}

#[tokio::test]
async fn raw_texts_are_text_on_an_origin_without_cookies_whatever_they_hold() {
    let world = world().await;
    let id = world.curl().multipart(&[("file", Some("x.html"), SCRIPT.as_bytes())]).await.id();
    let raw = world.raw_with(&id, "accept", "text/html").await;
    assert_eq!(raw.is(200).body, SCRIPT.as_bytes());
    assert_eq!(raw.header("content-type"), "text/plain; charset=utf-8");
    assert!(raw.header("content-security-policy").contains("sandbox"));
    assert_eq!(raw.header("x-content-type-options"), "nosniff");
    assert_eq!(raw.header("set-cookie"), "");
    let again = world.raw_with(&id, "if-none-match", &raw.header("etag")).await;
    assert!(again.is(304).body.is_empty());
    let text = world.curl().get(&format!("/{id}")).await;
    assert!(text.header("content-security-policy").contains("sandbox"));
}

#[tokio::test]
async fn guessed_ids_lead_nowhere_and_all_answers_to_them_are_the_same() {
    let world = world().await;
    let id = world.curl().put("x").await.id();
    let mut near = id.clone().into_bytes();
    near[19] = if near[19] == b'a' { b'b' } else { b'a' };
    let near = String::from_utf8(near).unwrap();
    let words = world.curl().get("/aaaaaaaaaaaaaaaaaaaa").await.text();
    let said = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    for guess in [near.as_str(), "1", "0", "aaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaa", "..%2Fx", "%00"] {
        let answer = world.curl().get(&format!("/{guess}")).await;
        assert_eq!(said(&answer.is(404).text()), said(&words), "{guess}");
        world.raw(guess).await.is(404);
    }
}

#[tokio::test]
async fn another_site_puts_nothing_up_and_opens_nothing() {
    let world = world().await;
    let id = world.curl().post("/?burn=1", "secret").await.id();
    let evil =
        world.browser().with("origin", "http://evil.localhost:8080").with("sec-fetch-site", "same-site");
    evil.put("x").await.is(403);
    evil.post(&format!("/{id}/open"), "").await.is(403).hides("secret");
    world.curl().post(&format!("/{id}/open"), "").await.is(200).shows("secret");
}

#[tokio::test]
async fn broken_forms_are_refused_and_keep_nothing() {
    let world = world().await;
    for body in [&b""[..], b"--XX", b"--XX\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nhalf"] {
        let curl = world.curl().with("content-type", "multipart/form-data; boundary=XX");
        let answer = curl.post("/", body).await;
        assert!(answer.status.is_client_error(), "{}: {}", answer.status, answer.text());
    }
    world.curl().with("content-type", "multipart/form-data").post("/", "x").await.is(400);
}
