use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use service::metrics::Metrics;
use service::sites::Sites;
use service::web::{Cidr, ClientIp, ContentSecurityPolicy, Edge, FormAction, Problem, RequestId};
use tower::ServiceExt as _;

const HTML: &str = "text/html,application/xhtml+xml";

fn sites() -> Sites {
    Sites::from_base("http://localhost:8080").unwrap()
}

fn edge(metrics: &Metrics) -> Edge {
    Edge::new("test", sites(), metrics.clone())
}

fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/id/{id}", get(|RequestId(id): RequestId| async move { id.to_string() }))
        .route("/ip", get(|ClientIp(ip): ClientIp| async move { ip.to_string() }))
        .route("/panic", get(|| async { if true { panic!("hunter2") } else { "" } }))
        .route("/slow", get(std::future::pending::<&'static str>))
        .route(
            "/problem",
            get(|| async { Problem::new(StatusCode::CONFLICT, "It is <taken>.", "Choose another.") }),
        )
        .route("/inner", get(|| async { Problem::internal("the password is hunter2") }))
        .route("/change", post(|body: String| async move { body }))
        .route("/login", get(|| async { (FormAction::to([sites().my]), "form") }))
        .route("/raw", get(|| async { (ContentSecurityPolicy("sandbox"), "raw") }))
}

fn site() -> Router {
    edge(&Metrics::new()).timeout(Duration::from_millis(100)).body_limit(64).wrap(routes())
}

async fn ask(router: Router, request: Request<Body>) -> (Response<()>, String) {
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, ()), String::from_utf8_lossy(&body).into_owned())
}

async fn see(path: &str, accept: &str) -> (Response<()>, String) {
    ask(site(), Request::get(path).header("accept", accept).body(Body::empty()).unwrap()).await
}

fn header<'a>(response: &'a Response<()>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn every_answer_tells_the_browser_to_distrust_what_it_did_not_say() {
    for path in ["/", "/nothing", "/panic", "/problem"] {
        let (answer, _) = see(path, HTML).await;
        let policy = header(&answer, "content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(header(&answer, "cache-control"), "no-store");
        assert_eq!(header(&answer, "strict-transport-security"), "");
        assert!(!header(&answer, "x-request-id").is_empty());
    }
    let (answer, _) = see("/login", HTML).await;
    assert!(
        header(&answer, "content-security-policy").ends_with("form-action 'self' http://my.localhost:8080")
    );
    let (answer, _) = see("/raw", HTML).await;
    assert_eq!(header(&answer, "content-security-policy"), "sandbox");
}

#[tokio::test]
async fn an_error_is_a_page_json_or_text_as_its_reader_wants() {
    let (answer, page) = see("/problem", HTML).await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert!(header(&answer, "content-type").starts_with("text/html"));
    let id = header(&answer, "x-request-id");
    assert!(
        page.contains("It is &#60;taken&#62;.") && page.contains("Choose another.") && page.contains(id),
        "{page}"
    );
    let (answer, json) = see("/problem", "application/json").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["error"], "conflict");
    assert_eq!(json["message"], "It is <taken>.");
    assert_eq!(json["request_id"], header(&answer, "x-request-id"));
    let (answer, text) = see("/problem", "*/*").await;
    assert!(header(&answer, "content-type").starts_with("text/plain"));
    assert!(text.starts_with("It is <taken>. Choose another."));
    let (answer, page) = see("/nothing", HTML).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(page.contains("There is nothing here."));
    let (answer, _) =
        ask(site(), Request::delete("/").header("accept", HTML).body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(&answer, "allow"), "GET,HEAD");
}

#[tokio::test]
async fn what_happened_inside_stays_inside() {
    for path in ["/panic", "/inner"] {
        for accept in [HTML, "application/json", "*/*"] {
            let (answer, body) = see(path, accept).await;
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert!(
                body.contains("The server failed while it answered.") && !body.contains("hunter2"),
                "{body}"
            );
        }
    }
}

#[tokio::test]
async fn no_request_waits_for_ever_or_takes_more_than_it_may() {
    assert_eq!(see("/slow", "*/*").await.0.status(), StatusCode::GATEWAY_TIMEOUT);
    let request = Request::post("/change").body(Body::from(vec![b'a'; 65])).unwrap();
    assert_eq!(ask(site(), request).await.0.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn what_changes_something_comes_from_the_same_origin() {
    let cases: &[(&[(&str, &str)], bool)] = &[
        (&[], true),
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("sec-fetch-site", "none")], true),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "cross-site"), ("origin", "http://my.localhost:8080")], false),
        (&[("origin", "http://my.localhost:8080")], true),
        (&[("origin", "http://evil.localhost:8080")], false),
        (&[("origin", "http://my.localhost:8081")], false),
        (&[("origin", "null")], false),
        (&[("origin", "")], false),
    ];
    for (headers, allowed) in cases {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let mut request =
                Request::builder().method(method.clone()).uri("/change").header("host", "my.localhost:8080");
            for (name, value) in *headers {
                request = request.header(*name, *value);
            }
            let (answer, _) = ask(site(), request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status() != StatusCode::FORBIDDEN, *allowed, "{method} {headers:?}");
        }
    }
    let read = Request::get("/").header("sec-fetch-site", "cross-site").body(Body::empty()).unwrap();
    assert_eq!(ask(site(), read).await.0.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_request_keeps_the_id_it_came_with_if_it_looks_like_one() {
    for (sent, kept) in
        [("0123456789abcdef", true), ("a", false), ("bad\tid bad id", false), ("<script>alert(1)", false)]
    {
        let request = Request::get("/id/7").header("x-request-id", sent).body(Body::empty()).unwrap();
        let (answer, body) = ask(site(), request).await;
        assert_eq!(body == sent, kept, "{sent}");
        assert_eq!(header(&answer, "x-request-id"), body);
    }
}

#[tokio::test]
async fn the_clients_address_is_believed_from_trusted_proxies_only() {
    let cases = [
        ("198.51.100.1", "1.2.3.4", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "garbage", "10.0.0.1"),
    ];
    for (peer, forwarded, expected) in cases {
        let router =
            edge(&Metrics::new()).trusted_proxies(vec!["10.0.0.0/8".parse().unwrap()]).wrap(routes());
        let mut request =
            Request::get("/ip").header("x-forwarded-for", forwarded).body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        assert_eq!(ask(router, request).await.1, expected, "{peer} {forwarded}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_the_template_they_match() {
    let metrics = Metrics::new();
    let router = edge(&metrics).wrap(routes());
    for path in ["/id/1", "/id/2", "/secret-path"] {
        ask(router.clone(), Request::get(path).body(Body::empty()).unwrap()).await;
    }
    let odd = Request::builder().method("BREW").uri("/").body(Body::empty()).unwrap();
    ask(router, odd).await;
    let text = metrics.encode();
    assert!(
        text.contains(
            r#"ircnow_http_requests_total{site="test",method="GET",route="/id/{id}",status="2xx"} 2"#
        ),
        "{text}"
    );
    assert!(text.contains(r#"route="none",status="4xx"} 1"#), "{text}");
    assert!(text.contains(r#"method="other""#), "{text}");
    assert!(!text.contains("secret-path"));
    assert!(text.contains(r#"ircnow_http_requests_in_flight{site="test"} 0"#), "{text}");
}

#[tokio::test]
async fn the_admin_listener_says_what_is_missing() {
    let readiness = service::health::Readiness::new();
    let database = readiness.part("database");
    let router = service::admin::router(
        Metrics::new(),
        readiness,
        Router::new().route("/internal/x", get(|| async { "x" })),
    );
    let get = async |path: &str| ask(router.clone(), Request::get(path).body(Body::empty()).unwrap()).await;
    let (answer, text) = get("/readyz").await;
    assert_eq!((answer.status(), text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "database: starting\n"));
    assert_eq!(get("/healthz").await.0.status(), StatusCode::OK);
    database.ready();
    assert_eq!(get("/readyz").await.0.status(), StatusCode::OK);
    assert_eq!(get("/internal/x").await.1, "x");
    assert!(get("/metrics").await.1.contains("ircnow_up 1"));
}

proptest! {
    #[test]
    fn a_range_contains_its_own_address(v4 in any::<u32>(), length in 0_u32..=32, other in any::<u32>()) {
        let address = std::net::Ipv4Addr::from_bits(v4);
        let range: Cidr = format!("{address}/{length}").parse().unwrap();
        prop_assert!(range.contains(address.into()));
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        prop_assert_eq!(range.contains(std::net::Ipv4Addr::from_bits(other).into()), v4 & mask == other & mask);
    }
}
