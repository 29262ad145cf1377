//! What an operator meets first (issue "From sign-up to the first message", section 7): the reference, a file that is
//! checked before it is used, and a process that asks for little.

use std::fs;

use testkit::eventually;

use crate::garbage::memory;
use crate::installation::{Installation, Layout};

/// What `ircnow up` may hold when nobody does anything, in KiB, besides pages of its own program: a debug build maps several
/// times the code of a release build, whose whole figure stands in `docs/benchmarks.md`.
const IDLE: u64 = 40 * 1024;

/// What `ircnow config` says about a file, and whether it takes it.
fn checked(at: &Installation, file: Option<&str>, variables: &[(&str, &str)]) -> (bool, String) {
    let mut command = at.command(&["config"]);
    if let Some(text) = file {
        let path = at.data.path().join("ircnow.toml");
        fs::write(&path, text).unwrap();
        command.arg("--check").arg(path);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn the_reference_names_every_key_and_a_file_is_checked_before_it_is_used() {
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_UP_LOCAL_NETWORK", "false")]).unwrap();
    let (fine, reference) = checked(&at, None, &[]);
    assert!(
        fine && reference.contains("[gatekeeper]") && reference.contains("new_account_plan"),
        "{reference}"
    );
    let (fine, said) = checked(&at, Some("[gatekeeper]\nregistration = \"invitation\"\n"), &[]);
    assert!(fine, "{said}");
    for (file, word) in [
        ("[gatekeeper]\nregistratoin = \"open\"\n", "registration"),
        ("[gatekeeper]\nregistration = \"perhaps\"\n", "invitation"),
        ("[gatekeeper]\nsign_ups_per_day = \"many\"\n", "sign_ups_per_day"),
    ] {
        let (fine, said) = checked(&at, Some(file), &[]);
        assert!(!fine && said.contains(word), "{file}: {said}");
    }

    let plans = at.data.path().join("plans.toml");
    let plans = plans.to_str().unwrap();
    fs::write(plans, "[plans.free]\nnetworkz = 7\n").unwrap();
    let (fine, said) = checked(&at, Some(""), &[("IRCNOW_PLANS_PATH", plans)]);
    assert!(!fine && said.contains("networkz"), "{said}");
}

#[tokio::test]
async fn it_is_ready_by_itself_and_asks_for_little() {
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_UP_LOCAL_NETWORK", "false")]).unwrap();
    let ready = format!("{}/readyz", at.up_admin_url());
    service::tls::install_provider();
    let http = reqwest::Client::new();
    eventually("the process to be ready", || async {
        http.get(&ready).send().await.ok().filter(|answer| answer.status().is_success()).map(drop)
    })
    .await;
    let used = memory(&at, "RssAnon:");
    println!("idle: {} MB", used / 1024);
    assert!(used < IDLE, "{used} KiB");
}
