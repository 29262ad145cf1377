use axum::body::Body;
use http::{Request, Response, StatusCode};
use proptest::prelude::*;
use service::assets::local_path;
use tower::ServiceExt as _;

async fn ask(request: Request<Body>) -> Response<Body> {
    service::assets::router().oneshot(request).await.unwrap()
}

async fn get(path: &str) -> Response<Body> {
    ask(Request::get(path).header("accept-encoding", "gzip").body(Body::empty()).unwrap()).await
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_stylesheet_and_the_scripts_never_expire_and_come_compressed() {
    let script = "text/javascript";
    for (url, kind) in [
        (service::assets::css(), "text/css"),
        (service::assets::js(), script),
        (service::assets::of_pages("paste.js"), script),
        (service::assets::of_pages("paste.css"), "text/css"),
    ] {
        let answer = get(url).await;
        assert_eq!(answer.status(), StatusCode::OK, "{url}");
        assert!(header(&answer, "content-type").starts_with(kind));
        assert!(header(&answer, "cache-control").contains("immutable"));
        assert_eq!(header(&answer, "content-encoding"), "gzip");
        let etag = header(&answer, "etag").to_owned();
        let again = ask(Request::get(url).header("if-none-match", etag).body(Body::empty()).unwrap()).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let plain = ask(Request::get(url).body(Body::empty()).unwrap()).await;
        assert_eq!(header(&plain, "content-encoding"), "");
    }
}

#[tokio::test]
async fn nothing_else_of_the_folder_is_served() {
    assert_eq!(service::assets::of_pages("live.js"), "", "every page has it already");
    for path in [
        "/design/package.json",
        "/design/templates/layout.html",
        "/design/../Cargo.toml",
        "/design/tokens.css",
    ] {
        assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(get("/design/icons/irc-now.svg").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_theme_is_kept_and_the_way_back_stays_on_the_site() {
    for (back, to) in [("/faq", "/faq"), ("//evil.example", "/"), ("https://evil.example", "/"), ("", "/")] {
        let form = format!("theme=dark&back={back}");
        let request = Request::post("/design/theme")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap();
        let answer = ask(request).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(header(&answer, "location"), to);
        assert!(header(&answer, "set-cookie").starts_with("theme=dark;"));
    }
}

proptest! {
    #[test]
    fn a_local_path_never_leads_elsewhere(path in "[/\\\\a-z:.@%?#\t\n ]{0,12}") {
        if let Some(path) = local_path(&path) {
            let here = url::Url::parse("https://my.irc.now/x").unwrap();
            let there = here.join(path).unwrap();
            prop_assert_eq!(there.origin(), here.origin());
        }
    }
}
