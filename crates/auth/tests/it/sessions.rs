use std::time::{Duration, Instant};

use axum::response::Response;
use contracts::{Call, ChangeKind, Status};
use futures_util::StreamExt as _;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use service::secrets::Keyring;
use service::shutdown::Shutdown;

use crate::browser::{Browser, Site, text};

async fn stream(browser: &mut Browser) -> Response {
    let answer = browser.send(Request::get("/events").header("accept", "text/event-stream"), "").await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer
}

/// How long it takes until the stream is closed.
async fn closes(answer: Response) -> Duration {
    let begun = Instant::now();
    tokio::time::timeout(Duration::from_secs(30), answer.into_body().collect())
        .await
        .expect("it closes")
        .unwrap();
    begun.elapsed()
}

/// The first bytes are there, so the stream is open and watched.
async fn is_open(answer: &mut Response) {
    answer.body_mut().frame().await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_close_when_their_session_ends_whoever_ends_it() {
    let site = Site::start().await;
    let (alice, bob) = (site.gate.add("alice", &[]), site.gate.add("bob", &[]));
    let mut other = site.signed_in(&bob, "other").await;
    let mut unharmed = stream(&mut other).await;
    is_open(&mut unharmed).await;

    // Her own list of sessions.
    let mut browser = site.signed_in(&alice, "s1").await;
    let mut open = stream(&mut browser).await;
    is_open(&mut open).await;
    let session = site.party.sessions(alice.sub).await.unwrap().remove(0);
    assert!(!site.party.revoke(bob.sub, session.id).await.unwrap(), "not by somebody else");
    assert!(site.party.revoke(alice.sub, session.id).await.unwrap());
    closes(open).await;

    // The issuer's session ends.
    let mut browser = site.signed_in(&alice, "s2").await;
    let mut open = stream(&mut browser).await;
    is_open(&mut open).await;
    site.gate.tell(ChangeKind::SessionEnded { sub: alice.sub, sid: "s2".to_owned() });
    closes(open).await;

    // Suspended: every session, and no new one is of use.
    let mut browser = site.signed_in(&alice, "s3").await;
    let mut open = stream(&mut browser).await;
    is_open(&mut open).await;
    site.gate.change(alice.sub, |account| account.status = Status::Suspended);
    closes(open).await;
    let mut late = site.signed_in(&alice, "s4").await;
    let answer = late.get("/me").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(text(answer).await.contains("This account is suspended."));

    assert_eq!(other.get("/me").await.status(), StatusCode::OK);
    site.gate.tell(ChangeKind::Deleted { sub: bob.sub });
    closes(unharmed).await;
    assert!(site.party.sessions(bob.sub).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ended_by_one_process_closes_the_streams_of_another() {
    testkit::part!(Postgres);
    let site = Site::on(testkit::postgres::database().unwrap(), None).await;
    let alice = site.gate.add("alice", &[]);
    let shutdown = Shutdown::new();
    let second = crate::browser::open(&site.issuer, &site.gate, &site.url, &site.keyring, &shutdown).await;
    let mut browser = site.signed_in(&alice, "s1").await;
    browser.router = crate::browser::router(&site.issuer, &second);
    let mut open = stream(&mut browser).await;
    is_open(&mut open).await;
    let session = site.party.sessions(alice.sub).await.unwrap().remove(0);
    site.party.revoke(alice.sub, session.id).await.unwrap();
    closes(open).await;
    assert_eq!(browser.get("/me").await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_issuer_is_asked_again_once_when_its_word_runs_out() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    // Shorter than the margin: due at once.
    site.issuer.mood.lock().unwrap().expires_in = Some(1);
    let browser = site.signed_in(&alice, "s1").await;
    let requests = (0..8).map(|_| {
        let mut browser = browser.clone();
        async move { browser.get("/me").await.status() }
    });
    site.issuer.mood.lock().unwrap().expires_in = Some(300);
    let statuses = futures_util::future::join_all(requests).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert_eq!(site.issuer.mood.lock().unwrap().refreshed, 1, "one asks, the others go on");
}

#[tokio::test]
async fn the_tokens_of_sessions_move_to_a_new_key_when_the_site_starts() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    site.issuer.mood.lock().unwrap().expires_in = Some(1);
    let mut browser = site.signed_in(&alice, "s1").await;
    site.issuer.mood.lock().unwrap().expires_in = Some(300);
    let new = service::secrets::random_token().unwrap();
    let both = Keyring::parse(&format!("{new}\n{}", site.key)).unwrap();
    let shutdown = Shutdown::new();
    crate::browser::open(&site.issuer, &site.gate, &site.url, &both, &shutdown).await;
    let only_new = Keyring::parse(&new).unwrap();
    let party = crate::browser::open(&site.issuer, &site.gate, &site.url, &only_new, &shutdown).await;
    browser.router = crate::browser::router(&site.issuer, &party);
    assert_eq!(browser.get("/me").await.status(), StatusCode::OK);
    assert_eq!(site.issuer.mood.lock().unwrap().refreshed, 1, "its refresh token was opened");
}

#[tokio::test]
async fn a_session_the_issuer_does_not_vouch_for_any_more_is_over() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    site.issuer.mood.lock().unwrap().expires_in = Some(1);
    let mut browser = site.signed_in(&alice, "s1").await;
    site.issuer.mood.lock().unwrap().is_down = true;
    assert_eq!(browser.get("/me").await.status(), StatusCode::OK, "being away is not saying no");
    site.issuer.mood.lock().unwrap().is_down = false;
    let mut browser = site.signed_in(&alice, "s2").await;
    site.issuer.mood.lock().unwrap().refuses_refresh = true;
    assert_eq!(browser.get("/me").await.status(), StatusCode::SEE_OTHER);
    assert_eq!(browser.get("/me").await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn an_account_takes_its_sessions_with_it() {
    let site = Site::start().await;
    let (alice, bob) = (site.gate.add("alice", &[]), site.gate.add("bob", &[]));
    let mut browser = site.signed_in(&alice, "s1").await;
    let mut other = site.signed_in(&bob, "s2").await;
    let data = site.party.data("portal");
    let call = Call::new(alice.sub, "r");
    let files: Vec<_> = data.export(&call).await.unwrap().collect().await;
    let file = files[0].as_ref().unwrap();
    assert_eq!(file.path, "sessions.json");
    assert!(!String::from_utf8_lossy(&file.bytes).contains(&browser.cookies["__Host-session"]));
    data.delete(&call).await.unwrap();
    data.delete(&call).await.unwrap();
    assert_eq!(browser.get("/me").await.status(), StatusCode::SEE_OTHER);
    assert_eq!(other.get("/me").await.status(), StatusCode::OK);
    let mut tests = site.browser();
    let cookie = site.party.sign_in_for_tests(bob.sub, "bob").await.unwrap();
    let (name, value) = cookie.split_once('=').unwrap();
    tests.cookies.insert(name.to_owned(), value.to_owned());
    assert_eq!(text(tests.get("/me").await).await, "bob");
    assert_eq!(site.party.revoke_others(bob.sub, None).await.unwrap(), 2);
}

#[tokio::test]
async fn no_secret_stands_in_the_database_as_it_is() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    let browser = site.signed_in(&alice, "s1").await;
    let cookie = browser.cookies["__Host-session"].as_bytes();
    let path = site.url.strip_prefix("sqlite:").unwrap();
    for file in [path.to_owned(), format!("{path}-wal")] {
        let bytes = std::fs::read(file).unwrap_or_default();
        assert!(!bytes.windows(cookie.len()).any(|window| window == cookie));
        assert!(!bytes.windows(3).any(|window| window == b"eyJ"), "no token begins in the clear");
    }
}
