use std::sync::Arc;

use auth::jwt::{ACCESS_TOKEN, ID_TOKEN};
use auth::{ServiceTokens, TokenVerifier};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use contracts::http::Bearer as _;
use contracts::{CallError, http::Client};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use secrecy::SecretString;
use serde_json::{Value, json};
use service::clock::now_s;
use tower::ServiceExt as _;

use crate::issuer::Issuer;

fn guarded(issuer: &Issuer) -> Router {
    let verifier = TokenVerifier::remote(issuer.http.clone(), &issuer.url()).unwrap();
    verifier.guard("bouncer", &["portal"], Router::new().route("/internal/x", get(|| async { "in" })))
}

async fn call(router: &Router, authorization: Option<String>) -> (StatusCode, String) {
    let mut request = Request::get("/internal/x");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = answer.status();
    (status, String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn only_a_service_that_may_call_gets_in_with_a_token_meant_for_this_one() {
    let issuer = Issuer::start().await;
    let router = guarded(&issuer);
    let good = json!({
        "iss": issuer.url(), "sub": "portal", "client_id": "portal", "aud": "bouncer", "iat": now_s(), "exp": now_s() + 60,
    });
    let with = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        claims
    };
    let bearer = |typ: &str, claims: &Value| Some(format!("Bearer {}", issuer.sign(typ, claims)));
    assert_eq!(call(&router, bearer(ACCESS_TOKEN, &good)).await, (StatusCode::OK, "in".to_owned()));
    let refused = [
        (None, StatusCode::UNAUTHORIZED),
        (Some("Basic eDp5".to_owned()), StatusCode::UNAUTHORIZED),
        (Some("Bearer garbage".to_owned()), StatusCode::UNAUTHORIZED),
        (bearer(ID_TOKEN, &good), StatusCode::UNAUTHORIZED),
        (bearer(ACCESS_TOKEN, &with("aud", json!("portal"))), StatusCode::UNAUTHORIZED),
        (bearer(ACCESS_TOKEN, &with("exp", json!(now_s() - 600))), StatusCode::UNAUTHORIZED),
        (bearer(ACCESS_TOKEN, &with("client_id", json!("bots"))), StatusCode::FORBIDDEN),
    ];
    for (authorization, status) in refused {
        let (answer, body) = call(&router, authorization.clone()).await;
        assert_eq!(answer, status, "{authorization:?}");
        let error: CallError = serde_json::from_str(&body).unwrap();
        assert!(matches!(error, CallError::Forbidden { .. }));
    }
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_no_refusal() {
    let issuer = Issuer::start().await;
    issuer.mood.lock().unwrap().is_down = true;
    let token = issuer.sign(ACCESS_TOKEN, &json!({}));
    let (status, body) = call(&guarded(&issuer), Some(format!("Bearer {token}"))).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(matches!(serde_json::from_str(&body).unwrap(), CallError::Unavailable { .. }));
}

#[tokio::test]
async fn a_service_asks_for_a_token_once_and_shows_it_until_it_ends() {
    let issuer = Issuer::start().await;
    let secret = SecretString::from("s3cret".to_owned());
    let tokens = ServiceTokens::new(issuer.http.clone(), &issuer.url(), "portal", &secret).unwrap();
    let (a, b) = tokio::join!(tokens.bearer("bouncer"), tokens.bearer("bouncer"));
    assert_eq!(a.as_ref().unwrap(), b.as_ref().unwrap());
    assert_eq!(call(&guarded(&issuer), Some(format!("Bearer {}", a.unwrap()))).await.0, StatusCode::OK);
    assert_eq!(issuer.mood.lock().unwrap().service_tokens, 1);
    tokens.bearer("gatekeeper").await.unwrap();
    assert_eq!(issuer.mood.lock().unwrap().service_tokens, 2);
    let wrong = SecretString::from("wrong".to_owned());
    let wrong = ServiceTokens::new(issuer.http.clone(), &issuer.url(), "portal", &wrong).unwrap();
    let error = wrong.bearer("bouncer").await.unwrap_err();
    assert!(matches!(error, CallError::Unavailable { .. }) && !error.to_string().contains("wrong"));
    // It fits where the adapters take one.
    let _ =
        Client::new(issuer.http.raw().clone(), issuer.url().parse().unwrap(), "bouncer", Arc::new(tokens));
}
