//! Something is put up, in every way there is.

use crate::world::{world, world_with};

#[tokio::test]
async fn curl_puts_up_what_it_reads_and_is_answered_with_the_address_alone() {
    let world = world().await;
    let put = world.curl().put("fn main() {}\n").await;
    put.is(201);
    let url = format!("http://txt.localhost:8080/{}\n", put.id());
    assert_eq!(put.text(), url);
    assert_eq!(put.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(put.id().len(), 20);
    let read = world.curl().get(&format!("/{}", put.id())).await;
    assert_eq!(
        (read.is(200).text().as_str(), read.header("content-type").as_str()),
        ("fn main() {}\n", "text/plain; charset=utf-8")
    );
    let raw = world.raw(&put.id()).await;
    assert_eq!(raw.is(200).body, b"fn main() {}\n");
}

#[tokio::test]
async fn a_file_by_curl_keeps_its_name_and_the_name_tells_the_language() {
    let world = world().await;
    let put = world
        .curl()
        .multipart(&[("file", Some("main.rs"), b"fn main() {}\r\n"), ("expires", None, b"1h")])
        .await;
    let page = world.browser().get(&format!("/{}", put.is(201).id())).await;
    page.is(200).shows("main.rs").shows("Rust").shows("<span class=\"hf\">main</span>").shows("gone");
    assert_eq!(world.raw(&put.id()).await.body, b"fn main() {}\r\n", "a file is kept to the byte");
    let download = world.raw(&format!("{}?download", put.id())).await;
    assert_eq!(download.header("content-disposition"), "attachment; filename=\"main.rs\"");
}

#[tokio::test]
async fn fields_may_stand_behind_a_question_mark() {
    let world = world().await;
    let put = world.curl().post("/?language=python&title=x&expires=10m", "print()").await;
    world.browser().get(&format!("/{}", put.id())).await.shows("Python").shows(" minutes</time>");
}

#[tokio::test]
async fn json_is_answered_with_json() {
    let world = world().await;
    let put = world.curl().json().put(r#"{"text":"hello","title":"a.py","expires":"1h"}"#).await;
    let made = put.is(201).json();
    assert_eq!(made["url"], format!("http://txt.localhost:8080/{}", put.id()));
    assert_eq!(made["raw_url"], format!("http://raw.txt.localhost:8080/{}", put.id()));
    let shown = world.curl().with("accept", "application/json").get(&format!("/{}", put.id())).await.json();
    assert_eq!(
        (&shown["text"], &shown["language"], &shown["seal"]),
        (&"hello".into(), &"Python".into(), &"none".into())
    );
    world.curl().json().put(r#"{"txet":"hello"}"#).await.is(400).shows("unknown field");
    world.curl().json().put("{").await.is(400);
}

#[tokio::test]
async fn a_page_puts_it_up_and_leads_to_its_page() {
    let world = world().await;
    let browser = world.browser();
    browser
        .get("/")
        .await
        .is(200)
        .shows("New paste")
        .shows("Up to 1 MiB each; 5 pastes at once, 24 hours each.");
    let put = browser
        .multipart(&[
            ("text", None, b"12:34 <alice> hi\r\n12:35 <bob> ho"),
            ("title", None, b""),
            ("language", None, b""),
            ("expires", None, b"1h"),
            ("file", Some(""), b""),
            ("password", None, b""),
        ])
        .await;
    put.is(303);
    assert!(put.header("set-cookie").contains("__Host-mine="));
    let page = browser.get(&format!("/{}", put.id())).await;
    page.shows("IRC log").shows("class=\"nick h").shows("id=\"L2\"").hides("\r");
    assert_eq!(page.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_refused_form_keeps_what_was_typed_and_says_why_beside_the_field() {
    let world = world().await;
    let refused = world
        .browser()
        .multipart(&[
            ("text", None, b"my <words>"),
            ("title", None, b"t.txt"),
            ("language", None, b"klingon"),
            ("expires", None, b"1h"),
        ])
        .await;
    refused.is(422).shows("my &#60;words&#62;").shows("There is no language of that name.").shows("t.txt");
}

#[tokio::test]
async fn one_mebibyte_is_taken_and_a_byte_more_is_refused_in_words() {
    let world = world().await;
    let most = vec![b'a'; 1024 * 1024];
    let put = world.curl().put(most.clone()).await;
    assert_eq!(world.raw(&put.is(201).id()).await.body.len(), most.len());
    for more in [1024 * 1024 + 1, 3 * 1024 * 1024] {
        world.curl().put(vec![b'a'; more]).await.is(413).shows("A paste has at most 1 MiB");
        world.curl().multipart(&[("file", Some("x"), &vec![b'a'; more])]).await.is(413).shows("1 MiB");
    }
}

#[tokio::test]
async fn what_is_no_text_is_refused_in_words() {
    let world = world().await;
    for bad in [&b"\x89PNG\r\n\x1a\n\0\0"[..], b"\xff\xfe", b"a\0"] {
        world.curl().put(bad).await.is(422).shows("This is no text in UTF-8.");
    }
    world.curl().put("").await.is(422).shows("There is nothing in it.");
}

#[tokio::test]
async fn without_an_account_five_live_at_once_from_a_place_and_for_a_day_each() {
    let world = world().await;
    for n in 0..5 {
        world.curl().from(&format!("2001:db8::{n}")).put("x").await.is(201);
    }
    let refused = world.curl().from("2001:db8::99").put("x").await;
    refused.is(403).shows("Without an account, 5 pastes live at once from one address.");
    world.curl().from("2001:db8:1::1").put("x").await.is(201);
    let longer = world.curl().from("192.0.2.99").post("/?expires=2d", "x").await;
    longer.is(422).shows("for at most 24 hours");
}

#[tokio::test]
async fn an_account_has_what_its_plan_says_by_session_password_and_basic() {
    let world = world().await;
    for _ in 0..5 {
        world.curl_as("alice", "free").put("x").await.is(201);
    }
    world.curl_as("alice", "free").put("x").await.is(403).shows("Your plan allows 5 pastes.");
    // The place is not charged for what an account puts up.
    world.curl().put("x").await.is(201);
    for _ in 0..7 {
        world.curl_as("paula", "pro").post("/?expires=never", "x").await.is(201);
    }
    world.curl().with("authorization", "Basic cGF1bGE6cGF1bGEtc2VjcmV0").put("basic").await.is(201);
    let mine = world.signed_in("paula", "pro").await.get("/mine").await;
    mine.is(200).shows("8 pastes");
    for wrong in ["Bearer nobody-secret", "Basic cGF1bGE6eA==", "Digest x"] {
        let refused = world.curl().with("authorization", wrong).put("x").await;
        assert!(refused.is(401).header("www-authenticate").starts_with("Basic"));
    }
}

#[tokio::test]
async fn who_puts_up_too_fast_waits_and_nobody_else_does() {
    let world = world_with("puts_per_address = '3'\nputs_per_account = '4'\nanonymous_plan = 'pro'").await;
    for _ in 0..3 {
        world.curl().put("x").await.is(201);
    }
    let refused = world.curl().put("x").await;
    assert!(refused.is(429).header("retry-after").parse::<u64>().unwrap() <= 60);
    world.curl().from("192.0.2.8").put("x").await.is(201);
    for _ in 0..4 {
        world.curl_as("alice", "pro").put("x").await.is(201);
    }
    world.curl_as("alice", "pro").put("x").await.is(429);
}

#[tokio::test]
async fn curl_is_told_how_and_a_browser_is_shown_how() {
    let world = world().await;
    world.curl().get("/").await.is(200).shows("curl --data-binary @-");
    world.browser().get("/help").await.is(200).shows("curl -F file=@main.rs http://txt.localhost:8080");
}

#[tokio::test]
async fn a_fork_begins_with_the_text_and_tells_where_it_came_from() {
    let world = world().await;
    let first = world.curl().multipart(&[("file", Some("a.rs"), b"fn a() {}")]).await.id();
    world
        .browser()
        .get(&format!("/?fork={first}"))
        .await
        .is(200)
        .shows("fn a() {}")
        .shows("a.rs")
        .shows(&first);
    let second = world
        .curl()
        .multipart(&[("text", None, b"fn b() {}"), ("parent", None, first.as_bytes())])
        .await
        .id();
    world.browser().get(&format!("/{second}")).await.shows(&format!("href=\"/{first}\""));
}
