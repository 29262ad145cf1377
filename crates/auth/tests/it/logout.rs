use contracts::ChangeKind;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::browser::{Site, location, param};

#[tokio::test]
async fn signing_out_ends_the_session_here_and_at_the_issuer() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    let mut browser = site.signed_in(&alice, "s1").await;
    let before = browser.clone();
    let answer = browser.post("/auth/logout", "").await;
    let url: url::Url = location(&answer).parse().unwrap();
    assert_eq!(url.path(), "/logout");
    assert_eq!(param(&url, "post_logout_redirect_uri"), site.issuer.sites.root.url("/"));
    assert_eq!(param(&url, "id_token_hint").split('.').count(), 3);
    assert!(browser.cookies.is_empty());
    assert_eq!(
        before.clone().get("/me").await.status(),
        StatusCode::SEE_OTHER,
        "the cookie alone is worth nothing"
    );
    // Not by a link on another page.
    let mut browser = site.signed_in(&alice, "s2").await;
    let forged = Request::post("/auth/logout").header("sec-fetch-site", "cross-site");
    assert_eq!(browser.send(forged, "").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(browser.get("/me").await.status(), StatusCode::OK);
}

async fn notify(site: &Site, token: &str) -> StatusCode {
    let request =
        Request::post("/auth/backchannel-logout").header("content-type", "application/x-www-form-urlencoded");
    site.browser().send(request, &format!("logout_token={token}")).await.status()
}

#[tokio::test]
async fn the_issuer_ends_the_sessions_it_names_and_no_others() {
    let site = Site::start().await;
    let (alice, bob) = (site.gate.add("alice", &[]), site.gate.add("bob", &[]));
    let mut first = site.signed_in(&alice, "s1").await;
    let mut second = site.signed_in(&alice, "s2").await;
    let mut other = site.signed_in(&bob, "s3").await;
    assert_eq!(notify(&site, &site.issuer.logout_token(json!({ "sid": "s1" }))).await, StatusCode::OK);
    assert_eq!(first.get("/me").await.status(), StatusCode::SEE_OTHER);
    assert_eq!(second.get("/me").await.status(), StatusCode::OK);
    let all = site.issuer.logout_token(json!({ "sub": alice.sub.to_string() }));
    assert_eq!(notify(&site, &all).await, StatusCode::OK);
    assert_eq!(second.get("/me").await.status(), StatusCode::SEE_OTHER);
    assert_eq!(other.get("/me").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_logout_token_that_is_not_quite_right_ends_nothing() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    let mut browser = site.signed_in(&alice, "s1").await;
    let now = service::clock::now_s();
    let sid = json!("s1");
    let cases: &[Value] = &[
        json!({ "sid": sid, "nonce": "x" }),
        json!({ "sid": sid, "events": {} }),
        json!({ "sid": sid, "events": { "http://schemas.openid.net/event/backchannel-logout": "yes" } }),
        json!({ "sid": sid, "events": null }),
        json!({ "sid": sid, "iss": "https://evil.example" }),
        json!({ "sid": sid, "aud": "chat" }),
        json!({ "sid": sid, "iat": now - 3600 }),
        json!({ "sid": sid, "exp": now - 3600 }),
        json!({ "sid": sid, "jti": null }),
        json!({}),
    ];
    for case in cases {
        assert_eq!(
            notify(&site, &site.issuer.logout_token(case.clone())).await,
            StatusCode::BAD_REQUEST,
            "{case}"
        );
    }
    assert_eq!(notify(&site, "garbage").await, StatusCode::BAD_REQUEST);
    assert_eq!(browser.get("/me").await.status(), StatusCode::OK);
    let replayed = site.issuer.logout_token(json!({ "sid": "unknown" }));
    assert_eq!(notify(&site, &replayed).await, StatusCode::OK);
    assert_eq!(notify(&site, &replayed).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_ended_while_the_site_was_away_has_ended_when_it_is_back() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    let mut browser = site.signed_in(&alice, "s1").await;
    // The feed has been followed to somewhere.
    site.gate.tell(ChangeKind::SessionEnded { sub: alice.sub, sid: "another".to_owned() });
    site.gate.tell(ChangeKind::SessionEnded { sub: alice.sub, sid: "yet another".to_owned() });
    let spare = site.signed_in(&alice, "spare").await;
    site.gate.tell(ChangeKind::SessionEnded { sub: alice.sub, sid: "spare".to_owned() });
    testkit::wait::eventually("the feed is followed", || {
        let mut spare = spare.clone();
        async move { (spare.get("/me").await.status() == StatusCode::SEE_OTHER).then_some(()) }
    })
    .await;
    assert_eq!(browser.get("/me").await.status(), StatusCode::OK);
    site.shutdown.trigger();
    site.shutdown.finished(std::time::Duration::from_secs(30)).await.unwrap();
    site.gate.tell(ChangeKind::SessionEnded { sub: alice.sub, sid: "s1".to_owned() });
    let again = service::shutdown::Shutdown::new();
    let party = crate::browser::open(&site.issuer, &site.gate, &site.url, &site.keyring, &again).await;
    browser.router = crate::browser::router(&site.issuer, &party);
    testkit::wait::eventually("the missed end arrives", || {
        let mut browser = browser.clone();
        async move { (browser.get("/me").await.status() == StatusCode::SEE_OTHER).then_some(()) }
    })
    .await;
}
