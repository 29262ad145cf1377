//! The OpenID provider.

use auth::jwt::{self, Expect};
use auth::openidconnect::core::CoreJsonWebKeySet;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use service::clock::now_s;

use crate::on_both_engines;
use crate::world::{Browser, PASSWORD, World, secret};

const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-one-0123456789";

pub fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(service::secrets::sha256(VERIFIER.as_bytes()))
}

pub fn authorize_url(world: &World, more: &str) -> String {
    let redirect = world.sites.my.url("/auth/callback");
    let redirect: String = url::form_urlencoded::byte_serialize(redirect.as_bytes()).collect();
    format!(
        "/authorize?response_type=code&client_id=portal&redirect_uri={redirect}&scope=openid+profile+irc&state=s%2F1&nonce=n1&code_challenge={}&code_challenge_method=S256{more}",
        challenge()
    )
}

/// Asks the token endpoint as the portal.
pub async fn token(world: &World, form: &[(&str, &str)]) -> (u16, Value) {
    ask(world, "/token", "portal", form).await
}

async fn ask(world: &World, path: &str, client: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let answer = world
        .http
        .post(&world.sites.auth.url(path))
        .unwrap()
        .basic_auth(encode(client), Some(encode(secret(client).expose_secret())))
        .form(form)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// A code for somebody who is signed in.
pub async fn code(world: &World, browser: &mut Browser) -> String {
    let page = browser.get(&authorize_url(world, "")).await;
    page.param("code").unwrap_or_else(|| panic!("{page:?}"))
}

pub async fn exchange(world: &World, code: &str, verifier: &str) -> (u16, Value) {
    let redirect = world.sites.my.url("/auth/callback");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &redirect),
        ("code_verifier", verifier),
    ];
    token(world, &form).await
}

/// Tokens of somebody who is signed in.
pub async fn tokens(world: &World, browser: &mut Browser) -> Value {
    let code = code(world, browser).await;
    let (status, tokens) = exchange(world, &code, VERIFIER).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

async fn a_stranger_signs_up_on_the_way_and_comes_back_with_a_code(world: World) {
    let mut browser = world.browser();
    let page = browser.get(&authorize_url(&world, "&prompt=create")).await;
    let to = page.location.unwrap();
    assert!(to.starts_with("/sign-up?next="), "{to}");
    let page = browser.get(&to).await;
    assert!(page.policy.ends_with("form-action 'self' http://my.localhost:8080"), "{}", page.policy);
    let next = page.hidden("next");
    let form = [("username", "Alice"), ("email", "A@example.org"), ("password", PASSWORD), ("next", &next)];
    let page = browser.post("/sign-up", &form).await;
    let page = browser.get(page.location.as_deref().unwrap()).await;
    assert_eq!(page.param("state").as_deref(), Some("s/1"));
    assert_eq!(page.param("iss").as_deref(), Some("http://auth.localhost:8080"));

    let (status, tokens) = exchange(&world, &page.param("code").unwrap(), VERIFIER).await;
    assert_eq!(status, 200, "{tokens}");
    let keys: CoreJsonWebKeySet =
        serde_json::from_str(&world.browser().get("/jwks").await.body).expect("a key set");
    let expect =
        Expect { issuer: world.gate.issuer(), audience: "portal", types: &[jwt::ID_TOKEN], now_s: now_s() };
    let id: Value = jwt::verify(tokens["id_token"].as_str().unwrap(), &keys, &expect).unwrap();
    assert_eq!(id["preferred_username"], "alice");
    assert_eq!(id["email"], "a@example.org");
    assert_eq!(id["nonce"], "n1");
    assert_eq!(id["plan"], "free");
    assert_eq!(id["sub"], world.account("alice").await.sub.to_string());

    let answer = world.http.get(&world.sites.auth.url("/userinfo")).unwrap();
    let answer = answer.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["preferred_username"], "alice");
}

async fn a_code_is_good_once_and_only_with_its_verifier(world: World) {
    let mut browser = world.signed_up("alice").await;
    let stolen = code(&world, &mut browser).await;
    let (status, body) = exchange(&world, &stolen, "another-verifier-that-is-long-enough-to-be-one").await;
    assert_eq!((status, &body["error"]), (400, &Value::from("invalid_grant")));
    assert_eq!(exchange(&world, &stolen, VERIFIER).await.0, 400, "a wrong try spends it");

    let code = code(&world, &mut browser).await;
    let (_, first) = exchange(&world, &code, VERIFIER).await;
    assert_eq!(exchange(&world, &code, VERIFIER).await.0, 400);
    let form = [("grant_type", "refresh_token"), ("refresh_token", first["refresh_token"].as_str().unwrap())];
    assert_eq!(token(&world, &form).await.0, 400, "what the first use got is taken back");
}

async fn a_refresh_token_is_exchanged_for_the_next(world: World) {
    let mut browser = world.signed_up("alice").await;
    let first = tokens(&world, &mut browser).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", first["refresh_token"].as_str().unwrap())];
    let (status, second) = token(&world, &form).await;
    assert_eq!(status, 200);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    world.gate.admin().suspend("alice", "").await.unwrap();
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", second["refresh_token"].as_str().unwrap())];
    assert_eq!(token(&world, &form).await.0, 400);
}

async fn nothing_is_sent_to_an_address_that_is_not_registered(world: World) {
    let mut browser = world.signed_up("alice").await;
    for (what, with) in
        [("%2Fauth%2Fcallback", "%2Fauth%2Fcallback%2F"), ("client_id=portal", "client_id=other")]
    {
        let page = browser.get(&authorize_url(&world, "").replace(what, with)).await;
        assert_eq!((page.status, page.location), (400, None));
    }
    for (what, with) in
        [("S256", "plain"), ("response_type=code", "response_type=token"), ("openid", "email")]
    {
        let page = browser.get(&authorize_url(&world, "").replace(what, with)).await;
        assert!(page.param("error").is_some() && page.param("code").is_none(), "{page:?}");
    }
    let page = world.browser().get(&authorize_url(&world, "&prompt=none")).await;
    assert_eq!(page.param("error").as_deref(), Some("login_required"));
}

async fn a_service_gets_a_token_only_for_whom_it_may_call(world: World) {
    let form = [("grant_type", "client_credentials"), ("audience", "bouncer")];
    let (status, body) = token(&world, &form).await;
    assert_eq!((status, &body["expires_in"]), (200, &Value::from(300)));
    let form = [("grant_type", "client_credentials"), ("audience", "billing")];
    assert_eq!(token(&world, &form).await.0, 400);
    let answer =
        world.http.post(&world.sites.auth.url("/token")).unwrap().basic_auth("portal", Some("wrong"));
    let answer = answer.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
    assert_eq!(answer.status(), 401);
}

async fn another_server_asks_what_a_token_is_worth(world: World) {
    let mut browser = world.signed_up("alice").await;
    let access = tokens(&world, &mut browser).await["access_token"].as_str().unwrap().to_owned();
    let password = world.app_password("alice").await.secret;
    for token in [&access, &password] {
        let (_, worth) = ask(&world, "/introspect", "soju", &[("token", token)]).await;
        assert_eq!((&worth["active"], &worth["username"]), (&Value::from(true), &Value::from("alice")));
    }
    let (status, _) = ask(&world, "/introspect", "portal", &[("token", &access)]).await;
    assert_eq!(status, 401, "not everybody may ask");
    world.gate.admin().suspend("alice", "").await.unwrap();
    for token in [&access, &password, &"nonsense".to_owned()] {
        let (_, worth) = ask(&world, "/introspect", "soju", &[("token", token)]).await;
        assert_eq!(worth, serde_json::json!({ "active": false }));
    }
}

async fn the_metadata_names_the_issuer_that_was_asked_for(world: World) {
    let mut browser = world.browser();
    for (path, issuer) in [
        ("/.well-known/openid-configuration", "http://auth.localhost:8080"),
        ("/.well-known/oauth-authorization-server", "http://auth.localhost:8080"),
        ("/.well-known/oauth-authorization-server/bouncer", "http://auth.localhost:8080/bouncer"),
    ] {
        let document: Value = serde_json::from_str(&browser.get(path).await.body).unwrap();
        assert_eq!(document["issuer"], issuer);
        assert_eq!(document["introspection_endpoint"], "http://auth.localhost:8080/introspect");
        assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    }
}

on_both_engines!(
    a_stranger_signs_up_on_the_way_and_comes_back_with_a_code,
    a_code_is_good_once_and_only_with_its_verifier,
    a_refresh_token_is_exchanged_for_the_next,
    nothing_is_sent_to_an_address_that_is_not_registered,
    a_service_gets_a_token_only_for_whom_it_may_call,
    another_server_asks_what_a_token_is_worth,
    the_metadata_names_the_issuer_that_was_asked_for,
);
