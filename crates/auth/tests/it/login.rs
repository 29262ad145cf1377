use std::sync::atomic::Ordering;

use auth::jwt::SigningKey;
use contracts::Role;
use http::{Request, StatusCode};
use serde_json::json;

use crate::browser::{Site, location, param, text};

#[tokio::test]
async fn a_browser_is_sent_to_sign_in_and_comes_back_to_where_it_was() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    let mut browser = site.browser();
    let answer = browser.get("/me?tab=2").await;
    assert_eq!(location(&answer), "/auth/login?return_to=%2Fme%3Ftab%3D2");
    let url = browser.begin("/auth/login?return_to=%2Fme%3Ftab%3D2").await;
    assert_eq!(param(&url, "redirect_uri"), site.issuer.sites.my.url("/auth/callback"));
    let code = site.issuer.approve(&url, &alice, "s1");
    let answer = browser.get(&format!("/auth/callback?code={code}&state={}", param(&url, "state"))).await;
    assert_eq!(location(&answer), "/me?tab=2");
    assert_eq!(text(browser.get("/me").await).await, "alice");
    assert_eq!(browser.cookies.len(), 1, "nothing is left of the sign-in: {:?}", browser.cookies.keys());
    assert_eq!(text(browser.get("/plan").await).await, "own", "gatekeeper's word goes before the token's");
    let sessions = site.party.sessions(alice.sub).await.unwrap();
    assert_eq!((sessions.len(), sessions[0].sid.as_deref()), (1, Some("s1")));
}

#[tokio::test]
async fn a_program_is_told_in_json() {
    let site = Site::start().await;
    let mut browser = site.browser();
    let answer = browser.send(Request::get("/me").header("accept", "application/json"), "").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(text(answer).await.contains("\"request_id\""));
    assert_eq!(text(browser.get("/maybe").await).await, "nobody");
    let stream = browser.send(Request::get("/events").header("accept", "text/event-stream"), "").await;
    assert_eq!(stream.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_way_back_never_leads_to_another_site() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    for away in [
        "https%3A%2F%2Fevil.example",
        "%2F%2Fevil.example",
        "%2F%5Cevil.example",
        "%2Fauth%2Flogin",
        "javascript%3A1",
    ] {
        let mut browser = site.browser();
        let url = browser.begin(&format!("/auth/login?return_to={away}")).await;
        let code = site.issuer.approve(&url, &alice, "s");
        let answer = browser.get(&format!("/auth/callback?code={code}&state={}", param(&url, "state"))).await;
        assert_eq!(location(&answer), "/", "{away}");
    }
}

#[tokio::test]
async fn an_answer_to_somebody_elses_sign_in_is_worth_nothing() {
    let site = Site::start().await;
    let mallory = site.gate.add("mallory", &[]);
    let mut theirs = site.browser();
    let url = theirs.begin("/auth/login").await;
    let code = site.issuer.approve(&url, &mallory, "s");
    let state = param(&url, "state");
    // The link, opened in a browser that did not begin it.
    let mut victim = site.browser();
    victim.begin("/auth/login").await;
    let answer = victim.get(&format!("/auth/callback?code={code}&state={state}")).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(victim.cookies.keys().all(|name| name != "__Host-session"));
    // And a code does not work twice.
    let path = format!("/auth/callback?code={code}&state={state}");
    let kept = theirs.cookies.clone();
    assert_eq!(theirs.get(&path).await.status(), StatusCode::SEE_OTHER);
    theirs.cookies = kept;
    assert_eq!(theirs.get(&path).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_id_token_that_is_not_quite_right_signs_nobody_in() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    let cases = [
        json!({ "nonce": "another" }),
        json!({ "nonce": null }),
        json!({ "aud": "chat" }),
        json!({ "iss": "https://evil.example" }),
        json!({ "exp": 1 }),
        json!({ "sub": "no-account-of-ours" }),
    ];
    for case in cases {
        site.issuer.mood.lock().unwrap().claims = case.as_object().unwrap().clone();
        let mut browser = site.browser();
        let answer = browser.sign_in(&site.issuer, &alice, "s").await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{case}");
        assert!(browser.cookies.keys().all(|name| name != "__Host-session"), "{case}");
    }
}

#[tokio::test]
async fn signing_in_again_makes_a_new_session_and_ends_the_old() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    let mut browser = site.signed_in(&alice, "s1").await;
    let old = browser.clone();
    assert_eq!(
        location(&browser.get("/auth/login?return_to=%2Fplan").await),
        "/plan",
        "who is signed in is not asked"
    );
    let url = browser.begin("/auth/login?prompt=login&return_to=%2Fme").await;
    assert_eq!(param(&url, "prompt"), "login");
    let code = site.issuer.approve(&url, &alice, "s2");
    browser.get(&format!("/auth/callback?code={code}&state={}", param(&url, "state"))).await;
    assert_ne!(browser.cookies, old.cookies);
    assert_eq!(browser.get("/me").await.status(), StatusCode::OK);
    assert_eq!(old.clone().get("/me").await.status(), StatusCode::SEE_OTHER);
    assert_eq!(site.party.sessions(alice.sub).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_away_keeps_nobody_out_who_is_in() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    site.issuer.mood.lock().unwrap().is_down = true;
    let mut stranger = site.browser();
    let answer = stranger.get("/auth/login").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(answer).await.contains("Signing in does not work right now."));
    site.issuer.mood.lock().unwrap().is_down = false;
    let mut browser = site.signed_in(&alice, "s").await;
    site.issuer.mood.lock().unwrap().is_down = true;
    site.gate.away.store(true, Ordering::SeqCst);
    assert_eq!(text(browser.get("/me").await).await, "alice");
}

#[tokio::test]
async fn keys_may_be_rotated_between_two_sign_ins() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    site.signed_in(&alice, "s1").await;
    // Known keys are believed for at least ten seconds: the first token under an unknown one may be refused until then.
    *site.issuer.key.lock().unwrap() = SigningKey::generate().unwrap().0;
    testkit::wait::eventually("the new key is taken", || async {
        let mut browser = site.browser();
        (browser.sign_in(&site.issuer, &alice, "s2").await.status() == StatusCode::SEE_OTHER).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_an_administrator_sees_does_not_exist_for_others() {
    let site = Site::start().await;
    let (alice, root) = (site.gate.add("alice", &[]), site.gate.add("root", &[Role::Admin]));
    assert_eq!(site.signed_in(&alice, "s").await.get("/admin").await.status(), StatusCode::NOT_FOUND);
    let mut admin = site.signed_in(&root, "t").await;
    assert_eq!(text(admin.get("/admin").await).await, "root");
    site.gate.change(root.sub, |account| account.roles.clear());
    testkit::wait::eventually("the role is gone", || {
        let mut admin = admin.clone();
        async move { (admin.get("/admin").await.status() == StatusCode::NOT_FOUND).then_some(()) }
    })
    .await;
}

#[tokio::test]
async fn forms_may_lead_to_the_issuer_and_come_from_nowhere_else() {
    let site = Site::start().await;
    let alice = site.gate.add("alice", &[]);
    let mut browser = site.signed_in(&alice, "s").await;
    let answer = browser.get("/me").await;
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.ends_with(&format!("form-action 'self' {} {}", site.issuer.url(), site.issuer.sites.root)),
        "{policy}"
    );
    assert_eq!(browser.post("/change", "").await.status(), StatusCode::OK);
    let forged = Request::post("/change").header("origin", "http://evil.localhost");
    assert_eq!(browser.send(forged, "").await.status(), StatusCode::FORBIDDEN);
}
