//! What people do in a browser.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use contracts::Accounts as _;
use serde_json::Value;

use crate::on_both_engines;
use crate::provider::{authorize_url, tokens};
use crate::world::{Browser, PASSWORD, Wishes, World, until};

async fn who_signs_in_gets_a_new_session_and_the_old_one_ends(world: World) {
    let mut browser = world.signed_up("alice").await;
    let before = browser.cookies.clone();
    let page = browser
        .post("/sign-in", &[("username", "ALICE "), ("password", PASSWORD), ("next", "/account")])
        .await;
    assert_eq!(page.location.as_deref(), Some("/account"));
    assert_ne!(before, browser.cookies);
    assert_eq!(browser.get("/account").await.status, 200);
    browser.cookies = before;
    assert_eq!(browser.get("/account").await.status, 303);
}

async fn a_wrong_password_and_an_unknown_user_look_the_same(world: World) {
    world.signed_up("alice").await;
    let mut pages = Vec::new();
    for name in ["alice", "other"] {
        let page = world.browser().post("/sign-in", &[("username", name), ("password", "wrong wrong")]).await;
        pages.push((page.status, page.body.replace(name, "NAME")));
    }
    assert_eq!(pages[0], pages[1]);
    assert!(!pages[0].1.contains("wrong wrong"), "a password is never sent back");
}

async fn too_many_wrong_passwords_lock_the_account_for_a_while(world: World) {
    world.signed_up("alice").await;
    for name in ["alice", "nobody"] {
        let mut last = 0;
        for _ in 0..7 {
            last = world
                .browser()
                .post("/sign-in", &[("username", name), ("password", "wrong wrong")])
                .await
                .status;
        }
        assert_eq!(last, 429);
    }
    let page = world.browser().post("/sign-in", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(page.status, 429, "even with the right one");
}

async fn a_sign_in_leads_to_no_other_site(world: World) {
    world.signed_up("alice").await;
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example", ""] {
        let form = [("username", "alice"), ("password", PASSWORD), ("next", next)];
        let page = world.browser().post("/sign-in", &form).await;
        assert_eq!(page.location.as_deref(), Some("http://my.localhost:8080/"));
    }
    let page = world.browser().get("/sign-in").await;
    assert!(page.policy.ends_with("form-action 'self' http://my.localhost:8080"), "{}", page.policy);
}

async fn a_form_from_another_site_changes_nothing(world: World) {
    let request = world.http.post(&world.sites.auth.url("/sign-up")).unwrap();
    let request = request.header("origin", "http://evil.localhost:8080");
    let answer = request.form(&[("username", "alice"), ("password", PASSWORD)]).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(world.gate.admin().account("alice").await.is_err());
}

async fn a_form_comes_back_with_what_is_wrong_and_what_was_typed(world: World) {
    world.signed_up("alice").await;
    for (username, password, words) in [
        ("alice", PASSWORD, "taken"),
        ("root", PASSWORD, "reserved"),
        ("9lives", PASSWORD, "begins with a letter"),
        ("bob", "short", "at least 10"),
    ] {
        let form = [("username", username), ("password", password), ("email", "b@example.org")];
        let page = world.browser().post("/sign-up", &form).await;
        assert_eq!(page.status, 422);
        assert!(page.body.contains(words), "{words} is missing");
        assert!(page.body.contains("value=\"b@example.org\"") && !page.body.contains(PASSWORD));
    }
}

async fn one_address_makes_so_many_accounts_a_day(world: World) {
    let world = world.again(Wishes::default().set("sign_ups_per_day", "2")).await;
    world.signed_up("alice").await;
    world.signed_up("bob").await;
    let page = world.browser().post("/sign-up", &[("username", "carol"), ("password", PASSWORD)]).await;
    assert_eq!(page.status, 429);
}

async fn an_invitation_lets_so_many_in_and_a_closed_house_nobody(world: World) {
    let invited = world.again(Wishes::default().set("registration", "invitation")).await;
    let code = invited.gate.admin().invite(1, 7).await.unwrap();
    let form = |name: &'static str, code: &str| {
        [("username", name.to_owned()), ("password", PASSWORD.to_owned()), ("invitation", code.to_owned())]
    };
    let mut answers = Vec::new();
    for (name, code) in [("alice", "guessed"), ("alice", code.as_str()), ("bob", code.as_str())] {
        let form = form(name, code);
        let form: Vec<(&str, &str)> = form.iter().map(|(key, value)| (*key, value.as_str())).collect();
        answers.push(invited.browser().post("/sign-up", &form).await.status);
    }
    assert_eq!(answers, [422, 303, 422]);
    let closed = world.again(Wishes::default().set("registration", "closed")).await;
    let page = closed.browser().post("/sign-up", &[("username", "carol"), ("password", PASSWORD)]).await;
    assert_eq!(page.status, 403);
    assert_eq!(closed.gate.admin().count().await.unwrap(), 1);
}

/// The code an authenticator app shows for a base 32 key, so many steps from now.
pub fn app_code(key: &str, later: i64) -> String {
    let bits: String = key
        .bytes()
        .filter(|byte| *byte != b' ')
        .map(|byte| format!("{:05b}", if byte.is_ascii_digit() { byte - b'2' + 26 } else { byte - b'A' }))
        .collect();
    let seed: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|bits| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap())
        .collect();
    let step = service::clock::now_s() / 30 + later;
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &seed);
    let tag = ring::hmac::sign(&key, &step.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let word = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

/// Turns two-step sign-in on and returns the app's key.
pub async fn turn_on_two_steps(browser: &mut Browser) -> String {
    let page = browser.get("/account/two-step").await;
    let key = shown_key(&page.body);
    let sealed = page.hidden("sealed");
    let page = browser.post("/account/two-step", &[("sealed", &sealed), ("code", &app_code(&key, 0))]).await;
    assert_eq!(page.status, 200);
    key
}

fn shown_key(body: &str) -> String {
    let start = body.find("<code class=\"break\">").unwrap() + "<code class=\"break\">".len();
    body[start..].split('<').next().unwrap().to_owned()
}

async fn two_step_sign_in_asks_for_a_code_and_takes_each_once(world: World) {
    let mut browser = world.signed_up("alice").await;
    let page = browser.get("/account/two-step").await;
    let key = shown_key(&page.body);
    let sealed = page.hidden("sealed");
    assert_eq!(
        browser.post("/account/two-step", &[("sealed", &sealed), ("code", "000000")]).await.status,
        422
    );
    let page = browser.post("/account/two-step", &[("sealed", &sealed), ("code", &app_code(&key, 0))]).await;
    let codes = page.body.split("tabindex=\"0\">").nth(1).unwrap().split("</pre>").next().unwrap();
    let codes: Vec<&str> = codes.split_whitespace().collect();
    assert_eq!(codes.len(), 10);

    let sign_in = [("username", "alice"), ("password", PASSWORD), ("next", "/account")];
    let mut again = world.browser();
    let page = again.post("/sign-in", &sign_in).await;
    assert!(again.cookies.is_empty(), "the password alone opens nothing");
    let step = page.hidden("step");
    let mut answers = Vec::new();
    for code in
        [app_code(&key, 0), app_code(&key, 1), app_code(&key, 1), codes[0].to_owned(), codes[0].to_owned()]
    {
        let form = [("step", step.as_str()), ("code", code.as_str()), ("next", "/account")];
        answers.push(world.browser().post("/sign-in/code", &form).await.status);
    }
    assert_eq!(answers, [422, 303, 422, 303, 422], "each code is for one use");
    let form = [("step", "forged"), ("code", codes[1])];
    assert_eq!(world.browser().post("/sign-in/code", &form).await.status, 403);

    let off = |password: &'static str| [("current_for_two_step", password)];
    assert_eq!(browser.post("/account/two-step/off", &off("wrong wrong")).await.status, 422);
    assert_eq!(browser.post("/account/two-step/off", &off(PASSWORD)).await.status, 303);
    assert_eq!(world.browser().post("/sign-in", &sign_in).await.location.as_deref(), Some("/account"));
}

async fn a_reset_link_changes_the_password_once_and_signs_everybody_out(world: World) {
    let mut browser = world.signed_up("alice").await;
    let page = world.browser().post("/forgot", &[("who", "nobody")]).await;
    assert_eq!(page.status, 200, "who asks learns nothing");
    let link = world.gate.admin().reset_link("alice").await.unwrap();
    let token = link.rsplit_once('=').unwrap().1.to_owned();
    assert!(world.browser().get(&format!("/reset?token={token}")).await.body.contains("alice"));
    let form = [("token", token.as_str()), ("password", "another green terminal")];
    assert_eq!(world.browser().post("/reset", &[("token", &token), ("password", "short")]).await.status, 422);
    assert_eq!(world.browser().post("/reset", &form).await.status, 200);
    assert_eq!(world.browser().post("/reset", &form).await.status, 404);
    assert_eq!(browser.get("/account").await.status, 303);
    assert_eq!(
        world.browser().post("/sign-in", &[("username", "alice"), ("password", PASSWORD)]).await.status,
        403
    );
    let form = [("username", "alice"), ("password", "another green terminal")];
    assert_eq!(world.browser().post("/sign-in", &form).await.status, 303);
}

async fn a_changed_password_signs_out_every_other_browser(world: World) {
    let mut here = world.signed_up("alice").await;
    let mut there = world.browser();
    there.post("/sign-in", &[("username", "alice"), ("password", PASSWORD)]).await;
    let wrong = [("current", "wrong wrong"), ("password", "another green terminal")];
    assert_eq!(here.post("/account/password", &wrong).await.status, 422);
    let right = [("current", PASSWORD), ("password", "another green terminal")];
    assert_eq!(here.post("/account/password", &right).await.status, 303);
    assert_eq!(here.get("/account").await.status, 200);
    assert_eq!(there.get("/account").await.status, 303);
}

async fn a_session_is_listed_and_ended_from_another_browser(world: World) {
    let mut here = world.signed_up("alice").await;
    let mut there = world.browser();
    there.post("/sign-in", &[("username", "alice"), ("password", PASSWORD)]).await;
    let page = here.get("/account").await;
    assert!(page.body.contains("Firefox on Linux"));
    let sid = page.hidden("sid");
    let mut bob = world.signed_up("bob").await;
    assert_eq!(bob.post("/account/sessions/end", &[("sid", &sid)]).await.status, 404, "only one's own");
    assert_eq!(here.post("/account/sessions/end", &[("sid", &sid)]).await.status, 303);
    assert_eq!(there.get("/account").await.status, 303);
}

async fn what_happened_is_shown_to_its_user(world: World) {
    let mut browser = world.signed_up("alice").await;
    world.browser().post("/sign-in", &[("username", "alice"), ("password", "wrong wrong")]).await;
    world.app_password("alice").await;
    world.gate.admin().set_plan("alice", &"pro".into()).await.unwrap();
    let kinds: Vec<String> = world
        .gate
        .security_events(&world.call("alice").await, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|event| event.kind)
        .collect();
    assert_eq!(
        kinds,
        ["plan_changed_by_admin", "app_password_created", "sign_in_failed", "sign_in", "sign_up"]
    );
    assert!(browser.get("/account").await.body.contains("An administrator put your account on the plan pro"));
}

async fn who_signs_out_at_a_site_is_signed_out_everywhere_and_sites_are_told(world: World) {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let refuse_first = post(|State(told): State<Arc<Mutex<Vec<String>>>>, body: String| async move {
        let mut told = told.lock().unwrap();
        told.push(body);
        if told.len() == 1 { axum::http::StatusCode::SERVICE_UNAVAILABLE } else { axum::http::StatusCode::OK }
    });
    let routes = Router::new().route("/auth/backchannel-logout", refuse_first).with_state(Arc::clone(&told));
    world.serve(&world.sites.my, routes).await;

    let mut browser = world.signed_up("alice").await;
    let tokens = tokens(&world, &mut browser).await;
    let page = browser.get("/logout").await;
    assert!(page.body.contains("Sign out?"), "without a hint the user is asked");
    let hint = tokens["id_token"].as_str().unwrap();
    let page = browser
        .get(&format!("/logout?id_token_hint={hint}&post_logout_redirect_uri=http%3A%2F%2Fmy.localhost%3A8080%2F&state=x"))
        .await;
    assert_eq!(page.location.as_deref(), Some("http://my.localhost:8080/?state=x"));
    assert!(browser.cookies.is_empty());
    assert_eq!(
        browser.get(&authorize_url(&world, "&prompt=none")).await.param("error").as_deref(),
        Some("login_required")
    );

    until("the site hears of it, at its second try", || async { told.lock().unwrap().len() == 2 }).await;
    let body = told.lock().unwrap()[1].clone();
    let keys = serde_json::from_str(&world.browser().get("/jwks").await.body).unwrap();
    let token = body.strip_prefix("logout_token=").unwrap();
    let checked =
        auth::verify_logout_token(token, &keys, world.gate.issuer(), "portal", service::clock::now_s())
            .unwrap();
    assert!(checked.sid.is_some());
    let page = world
        .browser()
        .get("/logout?post_logout_redirect_uri=http%3A%2F%2Fevil.example%2F&client_id=portal")
        .await;
    assert_eq!((page.status, page.location), (200, None), "nobody is sent to an unknown page");
}

async fn a_users_token_calls_no_service_and_a_services_does(world: World) {
    let mut browser = world.signed_up("alice").await;
    let users = tokens(&world, &mut browser).await["access_token"].as_str().unwrap().to_owned();
    let site = service::sites::Origin::of(&"http://admin.localhost:1".parse().unwrap());
    world.serve(&site, world.gate.internal()).await;
    let sub = world.account("alice").await.sub.to_string();
    let services = world.gate.service_token("portal", "gatekeeper").unwrap();
    let elsewhere = world.gate.service_token("portal", "bouncer").unwrap();
    let mut answers = Vec::new();
    for token in [users, elsewhere, "nonsense".to_owned(), services] {
        let request = world.http.post(&site.url("/internal/accounts/account")).unwrap().bearer_auth(token);
        let answer = request.header("x-account", &sub).json(&Value::Null).send().await.unwrap();
        answers.push(answer.status().as_u16());
    }
    assert_eq!(answers, [401, 401, 401, 200]);
}

on_both_engines!(
    who_signs_in_gets_a_new_session_and_the_old_one_ends,
    a_wrong_password_and_an_unknown_user_look_the_same,
    too_many_wrong_passwords_lock_the_account_for_a_while,
    a_sign_in_leads_to_no_other_site,
    a_form_from_another_site_changes_nothing,
    a_form_comes_back_with_what_is_wrong_and_what_was_typed,
    one_address_makes_so_many_accounts_a_day,
    an_invitation_lets_so_many_in_and_a_closed_house_nobody,
    two_step_sign_in_asks_for_a_code_and_takes_each_once,
    a_reset_link_changes_the_password_once_and_signs_everybody_out,
    a_changed_password_signs_out_every_other_browser,
    a_session_is_listed_and_ended_from_another_browser,
    what_happened_is_shown_to_its_user,
    who_signs_out_at_a_site_is_signed_out_everywhere_and_sites_are_told,
    a_users_token_calls_no_service_and_a_services_does,
);
