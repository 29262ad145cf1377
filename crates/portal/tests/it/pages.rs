//! What each page promises at first sight.

use contracts::{Device, Mention, Phase};
use entitlements::Table;
use http::StatusCode;
use service::clock::now_s;
use uuid::Uuid;

use crate::fakes::World;
use crate::site::{Visitor, site};

/// An account in the middle of its life.
pub fn lived_in(world: &World, alice: &Visitor<'_>) {
    world.add(alice.sub, "Libera.Chat", "irc.libera.chat", Phase::Connected, None, false);
    world.add(
        alice.sub,
        "OFTC",
        "irc.oftc.net",
        Phase::Off,
        Some(
            "OFTC refused the password for alice nine minutes ago. Check it, or sign in without an account.",
        ),
        true,
    );
    world.add(alice.sub, "localnet", "localhost", Phase::Connected, None, false);
    let until = now_s() + 30;
    world.add(
        alice.sub,
        "hackint",
        "irc.hackint.org",
        Phase::Waiting { until },
        Some("the server closed the link (ping timeout)"),
        false,
    );
    let mut rows = world.rows.lock().unwrap();
    let mut credential = |name: &str, client: &str| {
        let id = Uuid::now_v7();
        rows.credentials.push((
            alice.sub,
            contracts::Credential {
                id,
                name: name.into(),
                kind: contracts::CredentialKind::AppPassword,
                scopes: Vec::new(),
                created_at: now_s() - 90_000,
                last_used_at: Some(now_s() - 180),
                last_used_client: Some(client.into()),
            },
        ));
        id
    };
    let ids = [("laptop", "weechat", 1), ("phone", "goguma", 1), ("desk", "irssi", 0)]
        .map(|(name, client, connections)| (credential(name, client), client, connections));
    for (credential, software, connections) in ids {
        let last_seen = if connections > 0 { now_s() } else { now_s() - 3 * 86_400 };
        let software = Some(software.to_owned());
        rows.devices.push((
            alice.sub,
            Device { id: Uuid::now_v7(), credential, client: None, software, connections, last_seen },
        ));
    }
    for (ago, network, buffer, nick, text) in [
        (3_000, "Libera.Chat", "#docs", "quill", "thanks alice!"),
        (9_000, "localnet", "#ops", "tomás", "ping alice, the build is red again"),
        (40_000, "Libera.Chat", "#rust", "noor", "alice: can you include the arena case?"),
    ] {
        let at_ms = (now_s() - ago) * 1_000;
        rows.mentions.push((
            alice.sub,
            Mention {
                network: network.into(),
                buffer: buffer.into(),
                nick: nick.into(),
                text: text.into(),
                at_ms,
            },
        ));
    }
}

#[tokio::test]
async fn a_new_account_begins_with_three_steps_that_tick_when_they_happened() {
    let site = site().await;
    let alice = site.alice().await;
    assert_eq!(alice.get("/").await.location, "/start");
    let start = alice.get("/start").await;
    start
        .shows("Another network")
        .hides("class=\"done\"")
        .shows("localnet")
        .shows("Nothing has arrived on port 6697 yet");
    let id = site.world.add(alice.sub, "libera", "irc.libera.chat", Phase::Connecting, None, false);
    alice.get("/start").await.hides("class=\"done\"").shows("Connecting now");
    for (_, network) in &mut site.world.rows.lock().unwrap().networks {
        assert_eq!(network.id, id);
        network.state.phase = Phase::Connected;
        network.state.nick = Some("alice".into());
    }
    assert_eq!(alice.get("/start").await.text().matches("class=\"done\"").count(), 1);
    alice.post("/passwords", &[("name", "laptop")]).await;
    assert_eq!(alice.get("/start").await.text().matches("class=\"done\"").count(), 2);
    let credential = site.world.rows.lock().unwrap().credentials[0].1.id;
    let device = Device {
        id: Uuid::now_v7(),
        credential,
        client: None,
        software: None,
        connections: 1,
        last_seen: now_s(),
    };
    site.world.rows.lock().unwrap().devices.push((alice.sub, device));
    let done = alice.get("/start").await;
    assert_eq!(done.text().matches("class=\"done\"").count(), 3);
    done.shows("See everything");
}

#[tokio::test]
async fn the_overview_says_first_what_needs_its_reader() {
    let site = site().await;
    let alice = site.alice().await;
    lived_in(&site.world, &alice);
    let page = alice.get("/").await;
    page.shows("One thing needs you.").shows("hackint is on its way back.").shows("The other two are fine.");
    page.shows("Fix it")
        .shows("aria-label=\"Lag, last hour: 31 to 48 ms\"")
        .shows("<b>alice</b>: can you include");
    page.shows("4, no limit").hides("style=").hides("onclick");
}

#[tokio::test]
async fn prices_are_those_of_the_table() {
    let site = site().await;
    let page = site.stranger().read("/").await;
    for (_, plan) in Table::compiled_in().unwrap().listed() {
        page.shows(&plan.title);
    }
    page.shows("5 $").shows("12 $").shows("History without end").shows("30 days of history");
}

#[tokio::test]
async fn every_page_is_small_and_brings_no_style_or_script_of_its_own() {
    let site = site().await;
    let alice = site.alice().await;
    lived_in(&site.world, &alice);
    let shared = site.stranger().read(service::assets::css()).await.body.len()
        + site.stranger().read(service::assets::js()).await.body.len();
    for (public, path) in [
        (true, "/"),
        (true, "/what-is-irc"),
        (true, "/clients"),
        (true, "/clients/irssi"),
        (true, "/faq"),
        (true, "/privacy"),
        (true, "/design"),
        (false, "/"),
        (false, "/start"),
        (false, "/networks"),
        (false, "/networks/new"),
        (false, "/connect/irssi"),
        (false, "/passwords"),
        (false, "/account"),
        (false, "/account/delete"),
    ] {
        let page = if public { site.stranger().read(path).await } else { alice.get(path).await };
        assert_eq!(page.status, StatusCode::OK, "{path}");
        page.hides(" style=").hides("<style").hides(" onclick=").hides("<script>");
        let csp = page.headers.get("content-security-policy").unwrap().to_str().unwrap();
        assert!(!csp.contains("unsafe"), "{csp}");
        // Fonts apart, everything a page loads the first time.
        let loads = page.body.len() + shared;
        assert!(loads < 50_000, "{path}: {loads} bytes");
    }
}

#[tokio::test]
async fn deleting_the_account_wants_its_name_typed() {
    let site = site().await;
    let alice = site.alice().await;
    let wrong = alice.post("/account/delete", &[("confirm", "bob")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(site.world.rows.lock().unwrap().deleted.is_empty());
    alice.post("/account/delete", &[("confirm", "alice")]).await;
    assert_eq!(site.world.rows.lock().unwrap().deleted, [alice.sub]);
    site.stranger().read("/?gone").await.shows("Your account is deleted.");
    site.stranger().read("/").await.hides("Your account is deleted.");
}

#[tokio::test]
async fn the_account_lists_its_sessions_and_ends_them() {
    let site = site().await;
    let (here, other) = (site.alice().await, site.alice().await);
    let page = here.get("/account").await;
    page.shows("A browser").shows("this one").shows("You made the app password laptop.");
    let sessions = site.portal.login().sessions(here.sub).await.unwrap();
    let id = sessions.iter().map(|session| session.id).max().unwrap();
    assert_eq!(here.post(&format!("/sessions/{id}/revoke"), &[]).await.status, StatusCode::SEE_OTHER);
    assert!(other.get("/account").await.location.starts_with("/auth/login?"));
}

#[tokio::test]
async fn who_is_signed_in_stays_so_on_a_page_that_says_what_went_wrong() {
    let site = site().await;
    let alice = site.alice().await;
    let nobody = Uuid::nil();
    let missing = alice.get(&format!("/networks/{nobody}")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let no_such_page = alice.get("/no/such/page").await;
    assert_eq!(no_such_page.status, StatusCode::NOT_FOUND);
    let refused = alice.post(&format!("/passwords/{nobody}/revoke"), &[]).await;
    assert!(refused.status.is_client_error(), "{}", refused.status);
    for page in [missing, no_such_page, refused] {
        let text = page.text();
        assert!(text.contains("alice") && text.contains(">Overview</a>"), "{text}");
        assert!(!text.contains("Sign in"), "{text}");
    }
    let stranger = site.stranger().get("/no/such/page").await;
    assert!(stranger.text().contains("Sign in") && !stranger.text().contains(">Overview</a>"));
}
