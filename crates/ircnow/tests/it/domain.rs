//! From sign-up to the first message over TLS under a domain, as a hosted installation is reached (test 8.1).

use std::process::Command;

use serde_json::json;
use testkit::browser::Browser;
use testkit::{networks, part};

use crate::first_message::talk_both_ways;
use crate::installation::{Installation, Layout};
use crate::person;

const DOMAIN: &str = "irc.test";

/// Whether curl, which trusts nothing but the authority, gets the page: the certificate is good for that name.
fn is_trusted(at: &Installation, site: &str, path: &str) -> bool {
    let url = at.url(site, path);
    let host = url.trim_start_matches("https://").split('/').next().unwrap().to_owned();
    let authority = at.data.path().join("data/tls/authority.pem");
    let status = Command::new("curl")
        .args(["--silent", "--output", "/dev/null", "--resolve", &format!("{host}:127.0.0.1"), "--cacert"])
        .arg(authority)
        .arg(url)
        .status();
    status.unwrap().success()
}

#[tokio::test]
async fn a_stranger_reaches_their_first_message_over_tls_under_a_domain() {
    part!(Chromium, InspIrcd, Irssi, Tmux);
    let inspircd = networks::inspircd().unwrap();
    let allowed = format!("127.0.0.1:{}", inspircd.port());
    let environment = [
        ("TEST_HTTPS", "yes"),
        ("TEST_DOMAIN", DOMAIN),
        // irssi asks the system's resolver, which does not know the domain.
        ("IRCNOW_SITES_IRC_HOST", "localhost"),
        ("IRCNOW_DIAL_ALLOW", &allowed),
    ];
    let at = Installation::start(Layout::OneProcess, &environment).unwrap();
    for (site, path) in [("", "/"), ("my", "/design/nothing"), ("auth", "/sign-in")] {
        assert!(is_trusted(&at, site, path), "{site}: {}", at.output());
    }
    let options = json!({
        "ignoreCertificates": true,
        "hosts": { DOMAIN: "127.0.0.1", format!("*.{DOMAIN}"): "127.0.0.1" },
    });
    let mut browser = Browser::start_with(options).await.unwrap();
    person::sign_up(&mut browser, &at, "alice").await.unwrap();
    assert!(browser.url().await.unwrap().starts_with("https://my.irc.test:"));
    person::add_network(&mut browser, &at, "insp", inspircd.port(), "alice").await.unwrap();
    let lines = person::connection_lines(&mut browser, &at, "irssi", "insp", "irssi").await.unwrap();
    talk_both_ways(&lines, inspircd.port(), "alice", &at).await;
    browser.close().await.unwrap();
}
