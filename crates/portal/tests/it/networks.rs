//! Networks: what a form does, and what it keeps.

use contracts::{Phase, Sasl, Tls};
use entitlements::Amount;
use http::StatusCode;

use crate::site::site;

const LIBERA: [(&str, &str); 6] = [
    ("name", "libera"),
    ("host", "irc.libera.chat"),
    ("port", "6697"),
    ("tls", "verified"),
    ("nick", "alice"),
    ("enabled", "on"),
];

#[tokio::test]
async fn a_picked_network_needs_only_a_nick() {
    let site = site().await;
    let alice = site.alice().await;
    let answer =
        alice.post("/networks", &[("pick", "Libera.Chat"), ("nick", "alice"), ("next", "/start")]).await;
    assert_eq!((answer.status, answer.location.as_str()), (StatusCode::SEE_OTHER, "/start"));
    let rows = site.world.rows.lock().unwrap();
    let spec = &rows.networks[0].1.spec;
    assert_eq!(
        (spec.name.as_str(), spec.host.as_str(), &spec.tls),
        ("Libera.Chat", "irc.libera.chat", &Tls::Verified)
    );
    assert!(spec.enabled);
}

#[tokio::test]
async fn a_full_plan_says_so_and_keeps_what_was_typed() {
    let site = site().await;
    let alice = site.alice().await;
    *site.world.limit.lock().unwrap() = Amount::AtMost(0);
    let answer =
        alice.post("/networks", &[&LIBERA[..], &[("channels", "#rust\n#ops s3cret")]].concat()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    answer.shows("Your plan allows no networks.").shows("irc.libera.chat").shows("#ops s3cret");
    assert!(site.world.rows.lock().unwrap().networks.is_empty());
}

#[tokio::test]
async fn a_mistake_is_told_beside_its_field_and_nothing_is_lost() {
    let site = site().await;
    let answer = site
        .alice()
        .await
        .post("/networks", &[("host", "irc libera"), ("nick", "al ice"), ("port", "x")])
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    answer
        .shows("A host name has no spaces")
        .shows("A nick has no spaces")
        .shows("value=\"irc libera\"")
        .shows("aria-invalid");
}

#[tokio::test]
async fn a_form_that_is_sent_twice_adds_one_network() {
    let site = site().await;
    let alice = site.alice().await;
    let key = uuid::Uuid::now_v7().to_string();
    let form = [&LIBERA[..], &[("key", key.as_str())]].concat();
    let (first, second) = (alice.post("/networks", &form).await, alice.post("/networks", &form).await);
    assert_eq!(first.location, second.location);
    assert_eq!(site.world.rows.lock().unwrap().networks.len(), 1);
}

#[tokio::test]
async fn a_deleted_network_comes_back_by_the_toast() {
    let site = site().await;
    let alice = site.alice().await;
    let id = site.world.add(alice.sub, "libera", "irc.libera.chat", Phase::Connected, None, false);
    let answer = alice.post(&format!("/networks/{id}/delete"), &[]).await;
    let list = alice.get(&answer.location).await;
    list.shows("libera is deleted").shows(&format!("/networks/{id}/restore")).shows("No network yet");
    let answer = alice.post(&format!("/networks/{id}/restore"), &[]).await;
    assert_eq!(answer.location, format!("/networks/{id}"));
    alice.get("/networks").await.shows("irc.libera.chat:6697");
}

#[tokio::test]
async fn an_edit_of_something_older_is_refused_with_the_words_kept() {
    let site = site().await;
    let alice = site.alice().await;
    let id = site.world.add(alice.sub, "libera", "irc.libera.chat", Phase::Connected, None, false);
    let path = format!("/networks/{id}");
    let edit = |nick, version| {
        [&LIBERA[..4], &[("nick", nick), ("version", version), ("sasl", "external")]].concat()
    };
    assert_eq!(alice.post(&path, &edit("al", "1")).await.status, StatusCode::SEE_OTHER);
    let late = alice.post(&path, &edit("ally", "1")).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    late.shows("changed in the meantime").shows("value=\"ally\"");
    let rows = site.world.rows.lock().unwrap();
    assert_eq!(rows.networks[0].1.spec.nick, "al");
    assert_eq!(rows.networks[0].1.spec.sasl, Sasl::External { fingerprint: None });
}

#[tokio::test]
async fn what_a_network_says_of_itself_cannot_become_html() {
    let site = site().await;
    let alice = site.alice().await;
    site.world.add(alice.sub, "x", "irc.example", Phase::Connecting, Some("<script>alert(1)</script>"), true);
    let page = alice.get("/").await;
    page.hides("<script>alert").shows("&#60;script&#62;alert(1)");
}
