//! Pastes as people and their programs meet them: a browser, curl, and the command line.

use std::process::{Command, Output, Stdio};

use anyhow::{Result, ensure};
use serde_json::json;
use testkit::browser::Browser;
use testkit::part;

use crate::account::Account;
use crate::backup::unzipped;
use crate::installation::{Installation, Layout};
use crate::person;

/// curl with these arguments and this input: what it printed.
fn curl(at: &Installation, args: &[&str], input: &str) -> Result<String> {
    use std::io::Write as _;
    let resolve = ["txt", "raw.txt"].map(|site| format!("{site}.localhost:{}:127.0.0.1", at.http));
    let mut child = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60"])
        .args(resolve.iter().flat_map(|resolve| ["--resolve", resolve]))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().unwrap().write_all(input.as_bytes())?;
    let output: Output = child.wait_with_output()?;
    ensure!(output.status.success(), "curl {args:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn id_of(url: &str) -> String {
    url.trim().split(['/', '#']).nth(3).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn curl_works_as_the_guide_says() {
    let at = Installation::up().unwrap();
    let txt = at.url("txt", "");
    let url = curl(&at, &["--data-binary", "@-", &txt], "hello\nworld\n").unwrap();
    assert_eq!(url, format!("{txt}/{}\n", id_of(&url)));
    assert_eq!(curl(&at, &[url.trim()], "").unwrap(), "hello\nworld\n");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("main.rs");
    std::fs::write(&file, "fn main() {}\n").unwrap();
    let form = format!("file=@{}", file.display());
    let url = curl(&at, &["-F", &form, "-F", "expires=1h", "-F", "burn=on", &txt], "").unwrap();
    let asked = curl(&at, &[url.trim()], "").unwrap();
    assert!(asked.contains("This paste is read once") && !asked.contains("fn main"), "{asked}");
    let open = format!("{}/open", url.trim());
    assert_eq!(curl(&at, &["-X", "POST", &open], "").unwrap(), "fn main() {}\n");
    assert!(!curl(&at, &["-X", "POST", &open], "").unwrap().contains("fn main"));

    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let password = alice.app_password("curl").await.unwrap();
    let login = format!("alice:{password}");
    let url = curl(&at, &["-u", &login, "--data-binary", "@-", &txt], "mine").unwrap();
    let listed =
        curl(&at, &["-u", &login, "-H", "accept: application/json", &format!("{txt}/mine")], "").unwrap();
    assert!(listed.contains(&id_of(&url)), "{listed}");
    let refused = curl(&at, &["-u", "alice:wrong", "--data-binary", "@-", &txt], "mine").unwrap();
    assert!(refused.contains("app password"), "{refused}");
}

#[tokio::test]
async fn a_role_of_its_own_serves_the_same_pastes_and_takes_part_in_export() {
    let admin = format!("http://127.0.0.1:{}", testkit::net::free_port().unwrap());
    let page = testkit::net::free_port().unwrap().to_string();
    let txt = format!("http://txt.localhost:{page}");
    let raw = format!("http://raw.txt.localhost:{page}");
    let environment = [
        ("IRCNOW_ROLE_PASTE", admin.as_str()),
        ("IRCNOW_SITES_TXT", txt.as_str()),
        ("IRCNOW_SITES_RAW_TXT", raw.as_str()),
        ("TEST_PASTE_PORT", page.as_str()),
    ];
    let at = Installation::start(Layout::ThreeProcesses, &environment).unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let password = alice.app_password("curl").await.unwrap();
    let resolve = format!("txt.localhost:{page}:127.0.0.1");
    let login = format!("alice:{password}");
    let put = curl(&at, &["--resolve", &resolve, "-u", &login, "--data-binary", "@-", &txt], "mine").unwrap();
    assert!(put.starts_with(&txt), "{put}");
    let export = alice.send(reqwest::Method::GET, &at.url("my", "/account/export"), None).await.unwrap();
    let export = String::from_utf8_lossy(&unzipped(&export.bytes().await.unwrap())).into_owned();
    assert!(export.contains(&format!("irc-now/paste/pastes/{}/paste.txt", id_of(&put))));
}

#[tokio::test]
async fn the_command_line_encrypts_what_the_page_decrypts() {
    part!(Chromium);
    let at = Installation::up().unwrap();
    let file = at.data.path().join("notes.txt");
    std::fs::write(&file, "the eagle lands at noon\n").unwrap();
    let put = at.command(&["paste", "put", "--encrypt", "--expires", "1h"]).arg(&file).output().unwrap();
    let address = String::from_utf8(put.stdout).unwrap().trim().to_owned();
    assert!(address.contains('#'), "{address} {}", String::from_utf8_lossy(&put.stderr));
    let get = at.command(&["paste", "get", &address]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&get.stdout), "the eagle lands at noon\n");
    let mut browser = Browser::start().await.unwrap();
    browser.goto(&address).await.unwrap();
    browser.wait_for("the eagle lands at noon").await.unwrap();
    browser.close().await.unwrap();
    let without = at.command(&["paste", "get", address.split('#').next().unwrap()]).output().unwrap();
    assert!(!without.status.success());
    assert!(String::from_utf8_lossy(&without.stderr).contains("the key is missing"));
}

#[tokio::test]
async fn what_a_browser_encrypts_the_server_never_sees() {
    part!(Chromium);
    let at = Installation::up().unwrap();
    let mut browser = Browser::start().await.unwrap();
    browser.goto(&at.url("txt", "/")).await.unwrap();
    browser.fill("Text", "the eagle <b>lands</b> at noon").await.unwrap();
    browser.command("click", json!({"what": "details.more summary"})).await.unwrap();
    browser.command("click", json!({"what": "#f-encrypt"})).await.unwrap();
    browser.click("Put it up").await.unwrap();
    browser.wait_for("the eagle <b>lands</b> at noon").await.unwrap();
    let address = browser.url().await.unwrap();
    let key = address.split('#').nth(1).unwrap().to_owned();
    assert!(key.len() >= 43, "{address}");
    // The same address in another window, and without its key.
    browser.open(&address).await.unwrap();
    browser.wait_for("the eagle").await.unwrap();
    browser.open(address.split('#').next().unwrap()).await.unwrap();
    browser.wait_for("The key is missing").await.unwrap();
    browser.close().await.unwrap();
    let mut files = vec![at.data.path().to_owned()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        for secret in ["the eagle", key.as_str()] {
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{secret} stands in {}", path.display());
        }
    }
    assert!(!at.output().contains(&key));
}

#[tokio::test]
async fn somebody_pastes_forks_edits_and_deletes_in_a_browser() {
    part!(Chromium);
    let at = Installation::up().unwrap();
    let mut browser = Browser::start().await.unwrap();
    person::sign_up(&mut browser, &at, "alice").await.unwrap();
    browser.goto(&at.url("txt", "/mine")).await.unwrap();
    browser.wait_for("Nothing yet.").await.unwrap();
    browser.click("New paste").await.unwrap();
    browser.fill("Text", "fn one() {}\nfn two() {}\nfn three() {}\n").await.unwrap();
    browser.fill("Title or file name", "numbers.rs").await.unwrap();
    browser.click("Put it up").await.unwrap();
    browser.wait_for("numbers.rs").await.unwrap();
    assert_eq!(browser.text(".hf").await.unwrap(), "one");
    let first = browser.url().await.unwrap();
    let goto = format!("{first}#L2-L3");
    browser.goto(&goto).await.unwrap();
    let marked = browser.eval("document.querySelectorAll('.ln.on').length").await.unwrap();
    assert_eq!(marked, 2);
    browser.goto(&first).await.unwrap();
    browser.click("Edit").await.unwrap();
    browser.fill("Text", "fn one() {}\nfn zwei() {}\nfn three() {}\n").await.unwrap();
    browser.click("Save").await.unwrap();
    browser.wait_for("revision 2").await.unwrap();
    browser.click("Changes").await.unwrap();
    browser.wait_for("1 added, 1 removed.").await.unwrap();
    assert!(browser.axe().await.unwrap().is_empty());
    browser.goto(&first).await.unwrap();
    browser.command("press", json!({"key": "f"})).await.unwrap();
    browser.wait_for("Fork").await.unwrap();
    browser.click("Put it up").await.unwrap();
    browser.wait_for("forked from another").await.unwrap();
    browser.goto(&at.url("txt", "/mine?q=ZWEI")).await.unwrap();
    browser.wait_for("2 pastes").await.unwrap();
    browser.goto(&first).await.unwrap();
    browser.click("Delete").await.unwrap();
    browser.click("Delete it").await.unwrap();
    browser.wait_for("1 paste").await.unwrap();
    assert_eq!(browser.goto(&first).await.unwrap(), 404);
    browser.close().await.unwrap();
}

#[tokio::test]
async fn without_javascript_everything_but_encryption_works() {
    part!(Chromium);
    let at = Installation::up().unwrap();
    let mut browser = Browser::start_with(json!({"javaScript": false})).await.unwrap();
    browser.goto(&at.url("txt", "/")).await.unwrap();
    browser.fill("Text", "read me once").await.unwrap();
    browser.command("click", json!({"what": "details.more summary"})).await.unwrap();
    browser.command("click", json!({"what": "#f-burn"})).await.unwrap();
    browser.click("Put it up").await.unwrap();
    browser.wait_for("This paste is read once").await.unwrap();
    browser.click("Open and delete it").await.unwrap();
    browser.wait_for("read me once").await.unwrap();
    browser.close().await.unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let mut at = Installation::start(
        Layout::OneProcess,
        &[("IRCNOW_PASTE_ANONYMOUS_PLAN", "pro"), ("IRCNOW_PASTE_PUTS_PER_ADDRESS", "10000")],
    )
    .unwrap();
    let txt = at.url("txt", "");
    let urls: Vec<String> =
        (0..20).map(|n| curl(&at, &["--data-binary", "@-", &txt], &format!("paste {n}")).unwrap()).collect();
    at.kill().unwrap();
    at.launch().unwrap();
    for (n, url) in urls.iter().enumerate() {
        assert_eq!(curl(&at, &[url.trim()], "").unwrap(), format!("paste {n}"));
    }
}

/// What the kernel says of the memory of a process, in MiB: `VmRSS` now, `VmHWM` the most there was.
fn memory(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn twenty_four_wrong_passwords_at_once_take_little_memory() {
    let at =
        Installation::start(Layout::OneProcess, &[("IRCNOW_PASTE_GUESSES_PER_ADDRESS", "1000")]).unwrap();
    let txt = at.url("txt", "");
    let form = ["-F", "text=the secret", "-F", "password=open sesame", txt.as_str()];
    let open = format!("{}/open", curl(&at, &form, "").unwrap().trim());
    let before = memory(at.id(), "VmRSS");
    let guesses: Vec<_> = (0..24)
        .map(|n| {
            let mut guess = Command::new("curl");
            let resolve = format!("txt.localhost:{}:127.0.0.1", at.http);
            guess.args(["--silent", "--max-time", "60", "--resolve", &resolve, "-d"]);
            guess.args([&format!("password=wrong{n}"), &open]).stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for guess in guesses {
        let said = String::from_utf8(guess.wait_with_output().unwrap().stdout).unwrap();
        assert!(said.contains("That is not its password."), "{said}");
    }
    let most = memory(at.id(), "VmHWM");
    println!("memory: {before} MiB before, {most} MiB at the most");
    assert!(most < before + 100, "{before} MiB before, {most} MiB at the most");
    assert_eq!(curl(&at, &["-d", "password=open sesame", &open], "").unwrap(), "the secret");
}
