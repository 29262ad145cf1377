//! Pages of hosted networks.

use contracts::{HostedAccess, HostedPhase};
use http::StatusCode;

use crate::site::site;

#[tokio::test]
async fn a_network_is_made_configured_suspended_and_deleted_without_scripts() {
    let site = site().await;
    let alice = site.alice().await;
    alice.get("/hosting").await.shows("You host no network yet");
    let form = [
        ("name", "pixels"),
        ("access", "accounts"),
        ("motd", "Be kind."),
        ("operator_name", "root"),
        ("operator_password", "correct-horse"),
        ("operator_role", "admin"),
    ];
    let made = alice.post("/hosting", &form).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER);
    let page = made.location.clone();
    let shown = alice.get(&page).await;
    shown.shows("pixels.net.example");
    shown.shows("/connect -tls localhost 6699");
    shown.hides("correct-horse");
    {
        let rows = site.world.rows.lock().unwrap();
        let spec = &rows.hosted[0].1.spec;
        assert_eq!((spec.access, spec.motd.as_str()), (HostedAccess::AccountsOnly, "Be kind."));
        assert_eq!(spec.operators[0].password.as_deref(), Some("correct-horse"));
    }

    let changed =
        alice.post(&page, &[("access", "members"), ("motd", "New."), ("operator-root", "gone")]).await;
    assert_eq!(changed.status, StatusCode::SEE_OTHER);
    assert!(site.world.rows.lock().unwrap().hosted[0].1.spec.operators.is_empty());
    let stale = alice.post(&page, &[("version", "1"), ("access", "open"), ("motd", "kept as typed")]).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    stale.shows("kept as typed");

    alice.post(&format!("{page}/suspend"), &[]).await;
    let shown = alice.get(&page).await;
    shown.shows("Suspended");
    shown.shows("Start again");
    alice.post(&format!("{page}/resume"), &[]).await;
    alice.get(&page).await.shows("Starting");

    let deleted = alice.post(&format!("{page}/delete"), &[]).await;
    alice.get(&deleted.location).await.shows("pixels is stopped and deleted");
    let undone = alice.post(&format!("{page}/restore"), &[]).await;
    assert_eq!(undone.location, page);
}

#[tokio::test]
async fn a_refusal_stands_beside_its_field_and_keeps_what_was_typed() {
    let site = site().await;
    let alice = site.alice().await;
    let taken = alice.post("/hosting", &[("name", "taken"), ("motd", "Long and thoughtful.")]).await;
    assert_eq!(taken.status, StatusCode::CONFLICT);
    taken.shows("taken.net.example is taken.");
    taken.shows("Long and thoughtful.");
    let wrong = alice.post("/hosting", &[("name", "pixels"), ("operator_name", "root")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    wrong.shows("Give them a password.");
}

#[tokio::test]
async fn a_network_that_does_not_run_says_why() {
    let site = site().await;
    let alice = site.alice().await;
    site.world.host(alice.sub, "pixels", HostedPhase::Failing, Some("Its server does not start: disk full"));
    let list = alice.get("/hosting").await;
    list.shows("It does not run. Its server does not start: disk full.");
}
