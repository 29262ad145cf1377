//! Every page of every site in Chromium: accessible, by keyboard alone, on a phone, in both themes (test 8.7).
//! Pictures go to the folder `IRCNOW_SCREENSHOTS`, if it is set.

use std::path::PathBuf;

use serde_json::json;
use service::web::Route;
use testkit::browser::Browser;
use testkit::irc::{Client, base64};
use testkit::{networks, part};

use crate::account::Account;
use crate::installation::{Installation, Layout};
use crate::person;

/// Routes with GET that answer with something other than a page.
const NO_PAGES: [&str; 14] = [
    "/openapi.json",
    "/live",
    "/account/export",
    "/authority.pem",
    "/design/{*path}",
    "/auth/login",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/{*path}",
    "/jwks",
    "/userinfo",
    "/keycloak/start",
    "/keycloak/callback",
    "/welcome",
];

/// A log with everything a log has.
const PASTED: &str = "12:34 <alice> \u{2}bold\u{2} \u{3}04red\u{3} and a line that is longer than a phone is wide, by a lot\n12:35 * bob waves\n12:36 -!- carol has joined";

const VIEWS: [(u32, &str); 4] = [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")];

/// Lists everything that can be worked with, notes what the focus comes to and what does not show it, and gives how many
/// there are. By their words, because a live part may be exchanged on the way.
const WATCH_FOCUS: &str = r#"(() => {
    const all = [...document.querySelectorAll(
        'a[href]:not([tabindex="-1"]), button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]'
    )].filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.disabled);
    const name = (element) => element.type === 'radio' ? `radio ${element.name}` : element.outerHTML.slice(0, 200);
    window.unreached = new Set(all.map(name));
    window.unseen = new Set();
    addEventListener('focusin', ({ target }) => {
        window.unreached.delete(name(target));
        const boxes = [target, target.labels?.[0], target.nextElementSibling, target.parentElement];
        const styles = boxes.filter(Boolean).map((box) => getComputedStyle(box));
        if (!styles.some((style) => style.outlineStyle !== 'none' || style.boxShadow !== 'none')) {
            window.unseen.add(name(target));
        }
    });
    return all.length;
})()"#;

fn pictures() -> Option<PathBuf> {
    std::env::var_os("IRCNOW_SCREENSHOTS").map(PathBuf::from)
}

fn lines(value: &serde_json::Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|line| line.as_str().map(str::to_owned)).collect()
}

/// Every page: a name for its picture, and its address.
fn every_page(
    at: &Installation,
    network: &str,
    hosted: &str,
    credential: &str,
    paste: &str,
) -> Vec<(String, String)> {
    let tables: [(&str, &[Route]); 6] = [
        ("", portal::routes::SITE_ROUTES),
        ("my", portal::routes::MY_ROUTES),
        ("my", auth::ROUTES),
        ("auth", gatekeeper::PAGE_ROUTES),
        ("auth", gatekeeper::OIDC_ROUTES),
        ("txt", paste::routes::SITE_ROUTES),
    ];
    let mut pages = Vec::new();
    for (site, table) in tables {
        let pages_of = table.iter().filter(|route| route.method == "GET" && !NO_PAGES.contains(&route.path));
        for path in pages_of.map(|route| route.path).chain(["/nothing/here"]) {
            let id = match path {
                _ if site == "txt" => paste,
                path if path.starts_with("/passwords") => credential,
                path if path.starts_with("/hosting") => hosted,
                _ => network,
            };
            let path = path.replace("{id}", id).replace("{client}", "irssi");
            let name = format!("{}{}", if site.is_empty() { "root" } else { site }, path.replace('/', "-"));
            pages.push((name.replace(id, "id"), at.url(site, &path)));
        }
    }
    pages.push(("my-new-picked".to_owned(), at.url("my", "/networks/new?pick=Libera.Chat")));
    pages
}

/// Somebody with a network, a password and a browser.
async fn settled(at: &Installation, browser: &mut Browser, port: u16) -> (Account, String) {
    person::sign_up(browser, at, "alice").await.unwrap();
    let alice = Account::sign_in(at, "alice").await.unwrap();
    let network = alice.add_network("inspircd", port, "alice").await.unwrap();
    (alice, network)
}

#[tokio::test]
async fn every_page_is_for_everybody() {
    part!(Chromium, InspIrcd, Ergo);
    let inspircd = networks::inspircd().unwrap();
    let allowed = format!("127.0.0.1:{}", inspircd.port());
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_DIAL_ALLOW", &allowed)]).unwrap();
    let mut browser = Browser::start().await.unwrap();
    let (alice, network) = settled(&at, &mut browser, inspircd.port()).await;
    alice.app_password("laptop").await.unwrap();
    let credential = alice.credential_ids().await.unwrap().remove(0);
    let hosted = alice.host_network("pixels", "accounts").await.unwrap();
    alice.wait_until_hosted(&hosted).await;
    let paste = alice.paste(PASTED).await.unwrap();
    let pages = every_page(&at, &network, &hosted, &credential, &paste);
    let mut wrong = Vec::new();
    for (width, theme) in VIEWS {
        browser.view(width, 860, theme).await.unwrap();
        for (name, url) in &pages {
            let status = browser.goto(url).await.unwrap();
            if status >= 500 {
                wrong.push(format!("{name}: {status}"));
            }
            let broken = browser.axe().await.unwrap();
            wrong.extend(broken.into_iter().map(|rule| format!("{name} {width} {theme}: {rule}")));
            let over = browser.eval("document.documentElement.scrollWidth - innerWidth").await.unwrap();
            if over.as_i64().is_none_or(|over| over > 0) {
                wrong.push(format!("{name} {width}: {over} px too wide"));
            }
            if let Some(folder) = pictures() {
                let picture = folder.join(format!("{name}-{width}-{theme}.png"));
                browser.screenshot(&picture).await.unwrap();
            }
        }
    }
    browser.close().await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_page_is_worked_with_by_keyboard_alone() {
    part!(Chromium, InspIrcd, Ergo);
    let inspircd = networks::inspircd().unwrap();
    let allowed = format!("127.0.0.1:{}", inspircd.port());
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_DIAL_ALLOW", &allowed)]).unwrap();
    let mut browser = Browser::start().await.unwrap();
    let (alice, network) = settled(&at, &mut browser, inspircd.port()).await;
    alice.app_password("laptop").await.unwrap();
    let credential = alice.credential_ids().await.unwrap().remove(0);
    let mut wrong = Vec::new();
    let hosted = alice.host_network("pixels", "accounts").await.unwrap();
    alice.wait_until_hosted(&hosted).await;
    let paste = alice.paste(PASTED).await.unwrap();
    for (name, url) in every_page(&at, &network, &hosted, &credential, &paste) {
        browser.goto(&url).await.unwrap();
        let count = browser.eval(WATCH_FOCUS).await.unwrap().as_u64().unwrap();
        for _ in 0..count + 2 {
            browser.command("press", json!({"key": "Tab"})).await.unwrap();
        }
        let unreached = lines(&browser.eval("[...window.unreached]").await.unwrap());
        wrong.extend(unreached.into_iter().map(|what| format!("{name}: the focus never comes to {what}")));
        let unseen = lines(&browser.eval("[...window.unseen]").await.unwrap());
        wrong.extend(unseen.into_iter().map(|what| format!("{name}: the focus does not show on {what}")));
    }
    browser.close().await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn eight_open_overviews_leave_room_for_a_form_and_all_of_them_live() {
    part!(Chromium, InspIrcd);
    let inspircd = networks::inspircd().unwrap();
    let allowed = format!("127.0.0.1:{}", inspircd.port());
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_DIAL_ALLOW", &allowed)]).unwrap();
    let mut browser = Browser::start().await.unwrap();
    let (alice, _) = settled(&at, &mut browser, inspircd.port()).await;
    for _ in 0..8 {
        browser.open(&at.url("my", "/")).await.unwrap();
        browser.wait_for("Everything is connected.").await.unwrap();
    }
    browser.open(&at.url("my", "/passwords")).await.unwrap();
    browser.fill("Its name", "ninth").await.unwrap();
    browser.click("Make a password").await.unwrap();
    browser.wait_for("ninth is ready").await.unwrap();
    alice.add_network("second", inspircd.port(), "alice2").await.unwrap();
    for index in 1..=8 {
        browser.command("page", json!({"index": index})).await.unwrap();
        browser.wait_for("as alice2").await.unwrap();
    }
    browser.close().await.unwrap();
}

/// Attaches a client that calls itself `software`.
async fn attach_as(at: &Installation, software: &str, login: &str, password: &str) -> Client {
    let mut client = Client::connect_tls(at.irc_tls).await.unwrap();
    for line in ["CAP REQ :sasl", "NICK alice", &format!("USER alice 0 * :{software}"), "AUTHENTICATE PLAIN"]
    {
        client.send(line).await.unwrap();
    }
    let plain = base64(format!("\0{login}\0{password}").as_bytes());
    client.wait_for("AUTHENTICATE +").await.unwrap();
    client.send(&format!("AUTHENTICATE {plain}")).await.unwrap();
    client.wait_for(" 903 ").await.unwrap();
    client.send("CAP END").await.unwrap();
    client.wait_for(" 001 ").await.unwrap();
    client
}

#[tokio::test]
async fn the_overview_tells_what_is_connected_who_called_and_where_one_is_attached() {
    part!(Chromium, InspIrcd, Ergo);
    let (inspircd, ergo) = (networks::inspircd().unwrap(), networks::ergo().unwrap());
    let allowed = format!("127.0.0.1:{},127.0.0.1:{}", inspircd.port(), ergo.port());
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_DIAL_ALLOW", &allowed)]).unwrap();
    let mut browser = Browser::start().await.unwrap();
    let (alice, _) = settled(&at, &mut browser, inspircd.port()).await;
    alice.add_network("ergo", ergo.port(), "alice").await.unwrap();
    let mut devices = Vec::new();
    for (name, software, network, channel) in [
        ("laptop", "weechat", "inspircd", "#garden"),
        ("phone", "goguma", "ergo", "#rust"),
        ("desk", "irssi", "inspircd", "#garden"),
    ] {
        let password = alice.app_password(name).await.unwrap();
        let mut device = attach_as(&at, software, &format!("alice/{network}"), &password).await;
        device.send(&format!("JOIN {channel}")).await.unwrap();
        device.wait_for(" 366 ").await.unwrap();
        devices.push(device);
    }
    for (port, nick, channel, words) in [
        (inspircd.port(), "noor", "#garden", "alice: the tomatoes are in, come and see"),
        (ergo.port(), "ferris", "#rust", "can you include the arena case, alice?"),
    ] {
        let mut friend = Client::connect(port).await.unwrap();
        friend.register(nick).await.unwrap();
        friend.send(&format!("JOIN {channel}")).await.unwrap();
        friend.wait_for(" 366 ").await.unwrap();
        friend.send(&format!("PRIVMSG {channel} :{words}")).await.unwrap();
        let device = if nick == "noor" { &mut devices[0] } else { &mut devices[1] };
        device.wait_for(words).await.unwrap();
    }
    browser.view(1280, 640, "dark").await.unwrap();
    testkit::eventually("the mentions to be on the overview", || async {
        let page = alice.get("/").await.ok()?;
        (page.text.contains("tomatoes") && page.text.contains("arena")).then_some(())
    })
    .await;
    browser.goto(&at.url("my", "/")).await.unwrap();
    for words in ["Everything is connected.", "laptop", "phone", "ferris"] {
        browser.wait_for(words).await.unwrap();
    }
    if let Some(folder) = pictures() {
        browser.screenshot(&folder.join("dashboard.png")).await.unwrap();
    }
    browser.close().await.unwrap();
}
