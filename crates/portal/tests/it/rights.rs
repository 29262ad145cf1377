//! Every route, as a stranger and as somebody else.

use contracts::{HostedPhase, Phase};
use http::StatusCode;
use portal::routes::{MY_ROUTES, SITE_ROUTES, Who};
use uuid::Uuid;

use crate::site::site;

#[tokio::test]
async fn a_stranger_is_sent_to_the_login_from_every_page_of_the_portal() {
    let site = site().await;
    let stranger = site.stranger();
    for route in MY_ROUTES {
        assert_ne!(route.who, Who::Anyone, "{}", route.path);
        let path = route.path.replace("{id}", &Uuid::nil().to_string()).replace("{client}", "irssi");
        let answer = match route.method {
            "GET" => stranger.get(&path).await,
            _ => stranger.post(&path, &[]).await,
        };
        if route.method == "GET" && route.path != "/live" {
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{} {path}", route.method);
            assert!(answer.location.starts_with("/auth/login?"), "{} {path}", answer.location);
        } else {
            assert!(
                answer.location.starts_with("/auth/login?") || answer.status == StatusCode::UNAUTHORIZED,
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_not_there_on_any_route() {
    let site = site().await;
    let bob = site.visitor("bob").await;
    let network = site.world.add(bob.sub, "bobnet", "irc.example", Phase::Connected, None, false);
    let hosted = site.world.host(bob.sub, "bobnet", HostedPhase::Ready, None);
    bob.post("/passwords", &[("name", "bobs")]).await;
    let password = site.world.rows.lock().unwrap().credentials[0].1.id;
    let session = site.portal.login().sessions(bob.sub).await.unwrap()[0].id;
    let alice = site.alice().await;
    let mut walked = 0;
    for route in MY_ROUTES.iter().filter(|route| route.who == Who::Owner) {
        for id in [network.0, hosted.0, password, session, Uuid::nil()] {
            let path = route.path.replace("{id}", &id.to_string());
            let answer = match route.method {
                "GET" => alice.get(&path).await,
                _ => alice.post(&path, &[("confirm", "bobs"), ("name", "x"), ("host", "y")]).await,
            };
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{} {path}", route.method);
            answer.hides("bobnet");
            walked += 1;
        }
    }
    assert!(walked >= 28, "{walked}");
    assert_eq!(site.world.rows.lock().unwrap().networks.len(), 1);
    assert_eq!(site.world.rows.lock().unwrap().credentials.len(), 1);
    assert!(alice.get("/connect/irssi?network=bobnet").await.status == StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_id_that_is_none_is_not_found_rather_than_misread() {
    let site = site().await;
    let alice = site.alice().await;
    for path in ["/networks/7", "/networks/..%2Fx", "/passwords/x/revoke"] {
        assert_eq!(alice.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn everybody_may_read_irc_now() {
    let site = site().await;
    for route in SITE_ROUTES {
        let path = route.path.replace("{client}", "weechat");
        let answer = site.stranger().read(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(route.who, Who::Anyone, "{path}");
    }
}

#[tokio::test]
async fn a_form_from_another_site_changes_nothing() {
    let site = site().await;
    let alice = site.alice().await;
    let mut request = alice.request(http::Method::POST, "/passwords", Some("name=x".into()));
    request.headers_mut().insert("origin", "http://evil.localhost:8080".parse().unwrap());
    request.headers_mut().insert("sec-fetch-site", "same-site".parse().unwrap());
    let answer = tower::ServiceExt::oneshot(site.my.clone(), request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(site.world.rows.lock().unwrap().credentials.is_empty());
}
