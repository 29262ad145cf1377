use std::time::Duration;

use axum::Router;
use axum::routing::get;
use service::hosts::Hosts;
use service::http::{HttpClient, Target};
use service::paths::{DataDir, PathError};
use service::serve::serve;
use service::shutdown::Shutdown;
use service::sites::Sites;
use service::tls::{local_certificate, server_config};
use tokio::net::TcpListener;

#[tokio::test]
async fn sites_share_a_port_and_are_told_apart_by_name() {
    let sites = Sites::from_base("http://localhost:8080").unwrap();
    let router = Hosts::new()
        .site(&sites.root, Router::new().route("/", get(|| async { "root" })))
        .site(&sites.my, Router::new().route("/", get(|| async { "my" })))
        .into_router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let server = tokio::spawn(serve(listener, router, None, shutdown.clone()));
    let http = HttpClient::new().unwrap();
    for site in [&sites.root, &sites.my, &sites.chat] {
        http.map_site(site, Target { address, tls: false });
    }
    let get = async |url: String| {
        let answer = http.get(&url).unwrap().send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get(sites.root.url("/")).await, (200, "root".to_owned()));
    assert_eq!(get(sites.my.url("/")).await, (200, "my".to_owned()));
    assert_eq!(get(sites.chat.url("/")).await.0, 421);
    assert_eq!(get(format!("http://{address}/")).await.0, 421);
    shutdown.trigger();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stopping_server_answers_what_was_asked_and_takes_no_more() {
    let (begun_tx, mut begun) = tokio::sync::mpsc::channel::<()>(1);
    let (go, wait) = tokio::sync::watch::channel(false);
    let router = Router::new().route(
        "/",
        get(move || {
            let (begun, mut wait) = (begun_tx.clone(), wait.clone());
            async move {
                begun.send(()).await.unwrap();
                wait.wait_for(|go| *go).await.unwrap();
                "answered"
            }
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let server = tokio::spawn(serve(listener, router, None, shutdown.clone()));
    let http = HttpClient::new().unwrap();
    // An idle connection that is kept alive does not hold the end up.
    let idle = tokio::net::TcpStream::connect(address).await.unwrap();
    let asked = tokio::spawn(http.get(&format!("http://{address}/")).unwrap().send());
    begun.recv().await.unwrap();
    shutdown.trigger();
    testkit::wait::eventually("new connections are refused", || async {
        tokio::net::TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
    go.send(true).unwrap();
    assert_eq!(asked.await.unwrap().unwrap().text().await.unwrap(), "answered");
    tokio::time::timeout(Duration::from_secs(30), server).await.expect("it ends").unwrap().unwrap();
    drop(idle);
}

#[tokio::test]
async fn tls_is_served_and_trusted_under_the_sites_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let tls = local_certificate(folder.path(), &["my.localhost".to_owned()]).unwrap();
    let config = server_config(tls.certificate.clone(), &[b"http/1.1"], None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let router = Router::new().route("/", get(|| async { "secret" }));
    tokio::spawn(serve(listener, router, Some(config), shutdown.clone()));
    let sites = Sites::from_base("https://localhost:8443").unwrap();
    let http = HttpClient::trusting(std::slice::from_ref(&tls.authority_pem)).unwrap();
    http.map_site(&sites.my, Target { address, tls: true });
    let answer = http.get(&sites.my.url("/")).unwrap().send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "secret");
    let stranger = HttpClient::new().unwrap();
    stranger.map_site(&sites.my, Target { address, tls: true });
    assert!(stranger.get(&sites.my.url("/")).unwrap().send().await.is_err());
    shutdown.trigger();
}

#[test]
fn a_services_folder_has_one_user_and_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let data = DataDir::open(folder.path()).unwrap();
    let first = data.service("bouncer").unwrap();
    for path in [data.path(), first.path()] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
    }
    assert!(matches!(data.service("bouncer"), Err(PathError::InUse { .. })));
    data.service("portal").unwrap();
    drop(first);
    data.service("bouncer").unwrap();
}
