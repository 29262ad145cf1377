//! App passwords: shown once, filled into the steps, revoked by name.

use http::StatusCode;

use crate::site::site;

const SECRET: &str = "kq7m-3xvd-91hf-tz0c-ap4w-e6ry";

#[tokio::test]
async fn a_new_password_is_shown_to_the_browser_that_made_it_and_to_no_other() {
    let site = site().await;
    let alice = site.alice().await;
    let made = alice.post("/passwords", &[("name", "laptop")]).await;
    assert_eq!((made.status, made.location.as_str()), (StatusCode::SEE_OTHER, "/passwords"));
    assert!(!made.cookies.concat().contains(SECRET), "sealed");
    let maker = alice.clone().with(&made);
    maker.get("/passwords").await.shows(SECRET).shows("laptop");
    alice.get("/passwords").await.hides(SECRET).shows("laptop");
    site.visitor("bob").await.with(&made).get("/passwords").await.hides(SECRET);
}

#[tokio::test]
async fn a_new_password_is_filled_into_the_steps_of_every_client_until_it_is_used() {
    let site = site().await;
    let alice = site.alice().await;
    site.world.add(alice.sub, "libera", "irc.libera.chat", contracts::Phase::Connected, None, false);
    let alice = alice.clone().with(&alice.post("/passwords", &[("name", "laptop")]).await);
    let irssi = alice.get("/connect/irssi").await;
    irssi.shows("data-client=\"irssi\"").shows("<u>alice/libera</u>").shows(SECRET);
    alice.get("/connect/mirc").await.shows(&format!("alice/libera:{SECRET}"));
    site.world.rows.lock().unwrap().credentials[0].1.last_used_at = Some(1);
    alice.get("/connect/irssi").await.hides(SECRET).shows("YOUR-APP-PASSWORD");
}

#[tokio::test]
async fn a_password_is_hidden_when_its_owner_says_so() {
    let site = site().await;
    let alice = site.alice().await;
    let alice = alice.clone().with(&alice.post("/passwords", &[("name", "laptop")]).await);
    let hidden = alice.post("/passwords/hide", &[]).await;
    assert!(hidden.cookies.concat().contains("Max-Age=0"), "{:?}", hidden.cookies);
}

#[tokio::test]
async fn revoking_wants_the_name_typed() {
    let site = site().await;
    let alice = site.alice().await;
    alice.post("/passwords", &[("name", "laptop")]).await;
    let path = format!("/passwords/{}/revoke", site.world.rows.lock().unwrap().credentials[0].1.id);
    alice.get(&path).await.shows("Type laptop to revoke it");
    let wrong = alice.post(&path, &[("confirm", "phone")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    wrong.shows("value=\"phone\"");
    assert_eq!(alice.post(&path, &[("confirm", "laptop")]).await.status, StatusCode::SEE_OTHER);
    assert!(site.world.rows.lock().unwrap().credentials.is_empty());
}

#[tokio::test]
async fn a_certificate_is_listed_by_its_fingerprint() {
    let site = site().await;
    let alice = site.alice().await;
    let bad = alice.post("/certificates", &[("name", "yubikey"), ("fingerprint", "9f:3c")]).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    bad.shows("64 hexadecimal digits").shows("yubikey");
    let fingerprint = vec!["9F"; 32].join(":");
    alice.post("/certificates", &[("name", "yubikey"), ("fingerprint", &fingerprint)]).await;
    alice.get("/passwords").await.shows(&"9f".repeat(32));
}
