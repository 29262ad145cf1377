use axum::Router;
use axum::http::HeaderMap;
use axum::response::Redirect;
use axum::routing::{get, post};
use service::http::{HttpClient, HttpError, Target};
use service::shutdown::Shutdown;
use service::sites::Sites;
use tokio::net::TcpListener;

async fn site() -> (HttpClient, Sites) {
    let router = Router::new()
        .route("/host", get(|headers: HeaderMap| async move { headers["host"].to_str().unwrap().to_owned() }))
        .route("/away", get(|| async { Redirect::to("http://169.254.169.254/") }))
        .route("/echo", post(|body: String| async move { body }))
        .route("/long", get(|| async { "a".repeat(2 << 20) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(service::serve::serve(listener, router, None, Shutdown::new()));
    let sites = Sites::from_base("https://irc.test").unwrap();
    let http = HttpClient::new().unwrap();
    // Served in the clear behind an ingress that speaks TLS.
    http.map_site(&sites.auth, Target { address, tls: false });
    (http, sites)
}

#[tokio::test]
async fn a_site_is_reached_past_dns_under_its_public_name() {
    let (http, sites) = site().await;
    let answer = http.get(&sites.auth.url("/host")).unwrap().send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "auth.irc.test");
    let unmapped = http.get(&sites.my.url("/host")).unwrap().send().await;
    assert!(unmapped.is_err(), "only what was mapped is");
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let (http, sites) = site().await;
    let answer = http.get(&sites.auth.url("/away")).unwrap().send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 303);
}

#[tokio::test]
async fn an_exchange_carries_both_ways_and_reads_no_endless_answer() {
    let (http, sites) = site().await;
    let request = |path: &str, method: &str, body: &[u8]| {
        http::Request::builder().method(method).uri(sites.auth.url(path)).body(body.to_vec()).unwrap()
    };
    let answer = http.exchange(request("/echo", "POST", b"hello")).await.unwrap();
    assert_eq!(answer.body(), b"hello");
    assert!(matches!(http.exchange(request("/long", "GET", b"")).await, Err(HttpError::TooLong(_))));
    for url in ["ftp://irc.test/", "/relative", "file:///etc/passwd"] {
        assert!(matches!(http.get(url), Err(HttpError::Url(_))), "{url}");
    }
}
