//! Every page in Chromium: no rule of accessibility broken, in both themes and at 360 px; live parts tick, and eight
//! pages share one stream. Pictures go to `IRCNOW_SCREENSHOTS` if it is set.

use std::path::PathBuf;

use axum::routing::get;
use contracts::{DedicatedPhase, DedicatedStage, Phase};
use service::hosts::Hosts;
use service::serve::serve;
use testkit::browser::Browser;
use tokio::net::TcpListener;

use crate::pages::lived_in;
use crate::site::{Site, site_at};

async fn served() -> (Site, String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (root, my) = (format!("http://localhost:{port}"), format!("http://my.localhost:{port}"));
    let site = site_at(&root).await;
    let cookie = format!("{}; Path=/; Secure; HttpOnly; SameSite=Lax", site.alice().await.cookies[0]);
    let door = get(move || async move { ([("set-cookie", cookie)], "signed in") });
    let pages = site.my.clone().route("/sign-in-of-this-test", door);
    let sites = service::sites::Sites::from_base(&root).unwrap();
    let hosts = Hosts::new().site(&sites.root, site.site.clone()).site(&sites.my, pages);
    tokio::spawn(serve(listener, hosts.into_router(), None, site.shutdown.clone()));
    (site, root, my)
}

async fn sign_in(browser: &mut Browser, my: &str) {
    browser.goto(&format!("{my}/sign-in-of-this-test")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_in_both_themes_and_fits_a_phone() {
    testkit::part!(Chromium);
    let (site, root, my) = served().await;
    let alice = site.alice().await;
    lived_in(&site.world, &alice);
    let network = site.world.rows.lock().unwrap().networks[1].1.id;
    site.world.dedicate(alice.sub, DedicatedStage::There, DedicatedPhase::Ready);
    let mut browser = Browser::start().await.unwrap();
    sign_in(&mut browser, &my).await;
    let pictures = std::env::var_os("IRCNOW_SCREENSHOTS").map(PathBuf::from);
    let pages = [
        ("landing", format!("{root}/")),
        ("what", format!("{root}/what-is-irc")),
        ("clients", format!("{root}/clients")),
        ("client", format!("{root}/clients/senpai")),
        ("faq", format!("{root}/faq")),
        ("privacy", format!("{root}/privacy")),
        ("design", format!("{root}/design")),
        ("dashboard", format!("{my}/")),
        ("start", format!("{my}/start")),
        ("networks", format!("{my}/networks")),
        ("new", format!("{my}/networks/new?pick=Libera.Chat")),
        ("network", format!("{my}/networks/{network}")),
        ("dedicated", format!("{my}/bouncer/dedicated")),
        ("move-back", format!("{my}/bouncer/dedicated/cancel")),
        ("hosting", format!("{my}/hosting")),
        ("hosting-new", format!("{my}/hosting/new")),
        ("connect", format!("{my}/connect/irssi")),
        ("passwords", format!("{my}/passwords")),
        ("account", format!("{my}/account")),
        ("delete", format!("{my}/account/delete")),
        ("missing", format!("{my}/nothing-here")),
    ];
    let mut wrong = Vec::new();
    for (width, theme) in [(1280, "light"), (1280, "dark"), (360, "dark")] {
        browser.view(width, 860, theme).await.unwrap();
        for (name, url) in &pages {
            browser.goto(url).await.unwrap();
            for rule in browser.axe().await.unwrap() {
                wrong.push(format!("{name} {width} {theme}: {rule}"));
            }
            let over = browser.eval("document.documentElement.scrollWidth - innerWidth").await.unwrap();
            if over.as_i64().unwrap_or(1) > 0 {
                wrong.push(format!("{name} {width}: {over} px too wide"));
            }
            if let Some(folder) = &pictures {
                browser.screenshot(&folder.join(format!("{name}-{theme}-{width}.png"))).await.unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_a_bouncer_is_made_by_keyboard_and_its_page_ticks() {
    testkit::part!(Chromium);
    let (site, _, my) = served().await;
    let alice = site.alice().await;
    lived_in(&site.world, &alice);
    let mut browser = Browser::start().await.unwrap();
    sign_in(&mut browser, &my).await;
    let mut wrong = Vec::new();
    for (width, theme) in [(1280, "light"), (360, "dark")] {
        browser.view(width, 860, theme).await.unwrap();
        browser.goto(&format!("{my}/bouncer/dedicated")).await.unwrap();
        for rule in browser.axe().await.unwrap() {
            wrong.push(format!("offer {width}: {rule}"));
        }
        let over = browser.eval("document.documentElement.scrollWidth - innerWidth").await.unwrap();
        assert!(over.as_i64().unwrap() <= 0, "{width}: {over} px too wide");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Skip link, what soju does not keep, the program, the order.
    let press = |key: &str| serde_json::json!({"key": key});
    for key in ["Tab", "Enter", "Tab", "Tab", "Tab"] {
        browser.command("press", press(key)).await.unwrap();
    }
    let focused = browser.eval("document.activeElement.textContent").await.unwrap();
    assert_eq!(focused, "Order it");
    browser.command("press", press("Enter")).await.unwrap();
    browser.wait_for("Being made").await.unwrap();
    site.world.dedicate(alice.sub, DedicatedStage::MovingIn, DedicatedPhase::Ready);
    browser.wait_for("Moving in").await.unwrap();
    site.world.dedicate(alice.sub, DedicatedStage::There, DedicatedPhase::Ready);
    browser.wait_for("/connect -tls alice.example 6697").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn live_parts_tick_and_eight_pages_leave_room_for_a_form() {
    testkit::part!(Chromium);
    let (site, _, my) = served().await;
    let alice = site.alice().await;
    site.world.add(alice.sub, "libera", "irc.libera.chat", Phase::Connecting, None, false);
    let mut browser = Browser::start().await.unwrap();
    sign_in(&mut browser, &my).await;
    browser.goto(&format!("{my}/networks")).await.unwrap();
    for _ in 0..7 {
        browser.open(&format!("{my}/")).await.unwrap();
    }
    browser.wait_for("libera is on its way back.").await.unwrap();
    for (_, network) in &mut site.world.rows.lock().unwrap().networks {
        network.state.phase = Phase::Connected;
    }
    site.world.touch();
    browser.wait_for("Everything is connected.").await.unwrap();
    browser.open(&format!("{my}/passwords")).await.unwrap();
    browser.fill("Its name", "laptop").await.unwrap();
    browser.click("Make a password").await.unwrap();
    browser.wait_for("laptop is ready").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_the_first_run_ticks_by_loading_the_page_again() {
    testkit::part!(Chromium);
    let (site, _, my) = served().await;
    let mut browser = Browser::start_with(serde_json::json!({"javaScript": false})).await.unwrap();
    sign_in(&mut browser, &my).await;
    browser.goto(&format!("{my}/")).await.unwrap();
    browser.wait_for("Your first message").await.unwrap();
    browser.click("Connect").await.unwrap();
    browser.wait_for("Connecting now").await.unwrap();
    for (_, network) in &mut site.world.rows.lock().unwrap().networks {
        network.state.phase = Phase::Connected;
    }
    browser.fill("Its name", "laptop").await.unwrap();
    browser.click("Make a password").await.unwrap();
    browser.wait_for("localnet, connected as").await.unwrap();
    assert_eq!(browser.text("#fresh-password").await.unwrap(), "kq7m-3xvd-91hf-tz0c-ap4w-e6ry");
    // The tabs are radios: another client's steps come without a script too, with the password filled in.
    browser.click("label[for=c-senpai]").await.unwrap();
    let senpai = browser.text("pre[data-client=senpai]").await.unwrap();
    assert!(senpai.contains("password \"kq7m-3xvd-91hf-tz0c-ap4w-e6ry\""), "{senpai}");
    let network = site.world.rows.lock().unwrap().networks[0].1.id;
    browser.goto(&format!("{my}/networks/{network}")).await.unwrap();
    browser.click("Delete localnet").await.unwrap();
    browser.wait_for("localnet is deleted").await.unwrap();
    browser.click("Undo").await.unwrap();
    browser.wait_for("Connected").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_reaches_everything_and_skips_the_navigation() {
    testkit::part!(Chromium);
    let (site, _, my) = served().await;
    let mut browser = Browser::start().await.unwrap();
    sign_in(&mut browser, &my).await;
    browser.goto(&format!("{my}/passwords")).await.unwrap();
    let press = |key: &str| serde_json::json!({"key": key});
    browser.command("press", press("Tab")).await.unwrap();
    let first = browser.eval("document.activeElement.textContent").await.unwrap();
    assert_eq!(first, "Skip to the content");
    browser.command("press", press("Enter")).await.unwrap();
    browser.command("press", press("Tab")).await.unwrap();
    let field = browser.eval("document.activeElement.name").await.unwrap();
    assert_eq!(field, "name", "the first field of the page comes first after the skip");
    for key in ["d", "e", "s", "k", "Enter"] {
        browser.command("press", press(key)).await.unwrap();
    }
    browser.wait_for("desk is ready").await.unwrap();
    assert_eq!(site.world.rows.lock().unwrap().credentials.len(), 1);
}
