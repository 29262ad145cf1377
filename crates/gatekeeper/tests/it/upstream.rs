//! Login through another provider: one gatekeeper is the other's.

use crate::world::{Browser, PASSWORD, Page, Wishes, World, secret, until};
use gatekeeper::Client;

const HERE: &str = "http://here.localhost:8080";
const THERE: &str = "http://there.localhost:8080";

/// The provider and the gatekeeper that trusts it.
async fn pair() -> (World, World) {
    let callback = "http://auth.here.localhost:8080";
    let url = |path: &str| format!("{callback}{path}").parse().unwrap();
    let mut client = Client::site(
        "gatekeeper",
        secret("gatekeeper"),
        url("/keycloak/callback"),
        url("/"),
        url("/keycloak/logout"),
    );
    client.post_logout_redirect_uris.push(url("/signed-out"));
    let there = World::make(THERE, None, Wishes { clients: vec![client], ..Wishes::default() }).await;
    let wishes = Wishes::default()
        .set("keycloak_issuer", "http://auth.there.localhost:8080")
        .set("keycloak_secret", secrecy::ExposeSecret::expose_secret(&secret("gatekeeper")))
        .set("keycloak_name", "There");
    let here = World::make(HERE, None, wishes).await;
    connect(&there, &here).await;
    (there, here)
}

/// Lets each find the other.
async fn connect(there: &World, here: &World) {
    crate::world::serve(&here.http, &there.sites.auth, there.gate.site()).await;
    crate::world::serve(&there.http, &here.sites.auth, here.gate.site()).await;
}

/// Follows redirects over both sites, as a browser does, until a page stays.
async fn follow(there: &mut Browser, here: &mut Browser, first: Page) -> Page {
    let mut page = first;
    for _ in 0..10 {
        let Some(to) = page.location.clone() else { return page };
        page = match to.strip_prefix("http://auth.there.localhost:8080") {
            Some(path) => there.get(path).await,
            None => match to.strip_prefix("http://auth.here.localhost:8080").unwrap_or(&to) {
                path if path.starts_with('/') => here.get(path).await,
                _ => return page,
            },
        };
    }
    panic!("redirects without end: {page:?}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_comes_in_through_the_other_provider_and_out_again() {
    let (there, here) = pair().await;
    let mut abroad = there.signed_up("alice-smith").await;
    let mut home = here.browser();
    let page = home.get("/sign-in?next=%2Faccount").await;
    let page = follow(&mut abroad, &mut home, page).await;
    assert!(page.body.contains("There says who you are"), "{page:?}");
    assert!(page.body.contains("value=\"alice-smith\""), "the name there is suggested");
    let newcomer = page.hidden("newcomer");
    let taken = home.post("/welcome", &[("newcomer", &newcomer), ("username", "admin")]).await;
    assert_eq!(taken.status, 422);
    let page = home.post("/welcome", &[("newcomer", &newcomer), ("username", "al")]).await;
    assert_eq!(page.location.as_deref(), Some("/account"));
    let page = home.get("/account").await;
    assert!(page.body.contains("You sign in with There"));
    let sub = here.account("al").await.sub;

    // The second time nothing is asked.
    let mut second = here.browser();
    let page = second.get("/sign-in?next=%2Faccount").await;
    let page = follow(&mut abroad, &mut second, page).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(here.account("al").await.sub, sub);
    assert_eq!(here.gate.admin().count().await.unwrap(), 1);

    // A logout here leads over there and back to where the site wanted it.
    let mut third = here.browser();
    let page = third.get("/sign-in?next=%2Faccount").await;
    follow(&mut abroad, &mut third, page).await;
    let site = "http%3A%2F%2Fmy.here.localhost%3A8080%2F";
    let form = [("client_id", "portal"), ("post_logout_redirect_uri", "http://my.here.localhost:8080/")];
    assert!(
        third
            .get(&format!("/logout?client_id=portal&post_logout_redirect_uri={site}"))
            .await
            .body
            .contains("Sign out?")
    );
    let page = third.post("/logout", &form).await;
    let page = follow(&mut there.browser(), &mut third, page).await;
    assert_eq!(page.location.as_deref(), Some("http://my.here.localhost:8080/"));

    // A logout there ends the sessions here.
    abroad.post("/logout", &[]).await;
    until("the session here ends", || {
        let mut probe = here.browser();
        probe.cookies.clone_from(&second.cookies);
        async move { probe.get("/account").await.status == 303 }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_was_not_begun_here_is_refused() {
    let (there, here) = pair().await;
    let mut abroad = there.signed_up("mallory").await;
    let mut mallory = here.browser();
    let page = mallory.get("/keycloak/start?next=%2Faccount").await;
    let page =
        abroad.get(page.location.unwrap().strip_prefix("http://auth.there.localhost:8080").unwrap()).await;
    let callback = page.location.unwrap();
    // Somebody else's browser is sent to Mallory's call-back.
    let page = here.browser().get(callback.strip_prefix("http://auth.here.localhost:8080").unwrap()).await;
    assert_eq!(page.status, 400);
    assert_eq!(here.gate.admin().count().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_another_provider_there_are_no_passwords_of_ours() {
    let (_there, here) = pair().await;
    let page = here.browser().post("/sign-up", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(page.status, 403);
    let page = here.browser().get("/forgot").await;
    assert_eq!(page.location.as_deref(), Some("http://auth.there.localhost:8080/account/"));
    assert_eq!(here.browser().post("/keycloak/logout", &[("logout_token", "nonsense")]).await.status, 400);
}
