//! What a person orders on the portal runs in the cluster: `ircnow hosting` with the rights of its manifest, both
//! operators as Pods, Chromium in front and irssi behind.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use serde_json::json;
use testkit::browser::Browser;
use testkit::irc::Client;
use testkit::terminal::Terminal;
use testkit::{networks, part};

use super::world::{World, gatekeeper_port, gatekeeper_turn, until};
use crate::account::{Account, OPERATOR_PASSWORD};
use crate::installation::{Installation, Layout};
use crate::person;

/// Applies the parts of the manifest that are not the process itself, in the namespace of this test.
async fn rights(world: &World) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/hosting/hosting.yaml");
    let text = std::fs::read_to_string(file).unwrap().replace("ircnow-tenants", world.namespace());
    let kept = text.split("\n---\n").filter(|part| {
        ["kind: ServiceAccount\n", "kind: Role\n", "kind: RoleBinding\n"]
            .iter()
            .any(|kind| part.contains(kind))
    });
    let manifest = kept.collect::<Vec<_>>().join("\n---\n");
    world.all.cluster.apply(&manifest, None).await.unwrap();
    world.all.cluster.kubeconfig("ircnow-system", "ircnow-hosting").await.unwrap()
}

/// An installation whose networks and dedicated bouncers are resources of the cluster.
async fn installation(world: &World, upstream: SocketAddr) -> Installation {
    let kubeconfig = rights(world).await;
    let hosting = format!("http://127.0.0.1:{}", testkit::net::free_port().unwrap());
    let (domain, networks) = (world.host(), format!("net.{}", world.host()));
    let environment = [
        ("TEST_GATEKEEPER_PORT", gatekeeper_port().to_string()),
        ("KUBECONFIG", kubeconfig.display().to_string()),
        ("IRCNOW_GATEKEEPER_CLIENT_SECRET", "for tests".to_owned()),
        // Pro, and a network beside it.
        ("IRCNOW_GATEKEEPER_NEW_ACCOUNT_PLAN", "starter".to_owned()),
        ("IRCNOW_ROLE_HOSTING", hosting),
        ("IRCNOW_HOSTING_UNDO", "1s".to_owned()),
        ("IRCNOW_HOSTING_DOMAIN", networks),
        ("IRCNOW_HOSTING_BOUNCERS_DOMAIN", domain),
        ("IRCNOW_PROVISIONER_NAMESPACE", world.namespace().to_owned()),
        ("IRCNOW_PROVISIONER_IRC", "ClusterIP".to_owned()),
        ("IRCNOW_PROVISIONER_WEB", "None".to_owned()),
        // Debian's Ergo is built without a database for history.
        ("IRCNOW_PROVISIONER_NETWORK_HISTORY", "Memory".to_owned()),
        ("IRCNOW_PROVISIONER_ALLOW", upstream.to_string()),
        ("IRCNOW_DIAL_ALLOW", upstream.to_string()),
    ];
    let environment: Vec<_> = environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Installation::start(Layout::ThreeProcesses, &environment).unwrap()
}

/// The address of the one Pod whose name begins so.
async fn pod(world: &World, prefix: &str) -> IpAddr {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), world.namespace());
    let pods = pods.list(&ListParams::default()).await.unwrap().items;
    let found: Vec<_> = pods
        .into_iter()
        .filter(|pod| pod.metadata.name.as_deref().is_some_and(|name| name.starts_with(prefix)))
        .collect();
    assert_eq!(found.len(), 1, "{prefix}");
    found[0].status.as_ref().unwrap().pod_ip.as_ref().unwrap().parse().unwrap()
}

/// Types lines of a page into irssi, with the Pod's address in place of the name only the cluster knows.
fn irssi(lines: &str, host: &str, address: IpAddr) -> Terminal {
    let terminal = Terminal::irssi().unwrap();
    for line in lines.lines() {
        // The stand-in's authority is none this machine trusts.
        let line = line.replace(host, &address.to_string()).replace("-tls_verify ", "");
        let line = line.replace("-tls ", "-tls -notls_verify ");
        terminal.line(&line).unwrap();
    }
    terminal
}

/// Waits for words on the page, longer than a page may take: a cluster makes something.
async fn shows(browser: &mut Browser, at: &Installation, words: &str) {
    let mut last = Ok(());
    for _ in 0..6 {
        last = browser.wait_for(words).await;
        if last.is_ok() {
            return;
        }
    }
    let page = browser.eval("document.body.innerText").await.unwrap_or_default();
    panic!("{words:?}: {last:?}\n{page}\n{}", at.output());
}

/// No rule of accessibility broken, and no wider than a phone.
async fn fits(browser: &mut Browser) {
    browser.view(360, 860, "dark").await.unwrap();
    assert_eq!(browser.axe().await.unwrap(), Vec::<String>::new());
    let over = browser.eval("document.documentElement.scrollWidth - innerWidth").await.unwrap();
    assert!(over.as_i64().unwrap() <= 0, "{over} px too wide");
    browser.view(1280, 860, "light").await.unwrap();
}

#[tokio::test]
async fn a_bouncer_and_a_network_are_ordered_in_a_browser_used_from_irssi_and_given_back() {
    part!(Chromium, InspIrcd, Irssi, Tmux);
    let Some(world) = World::new("ordered").await else { return };
    let _turn = gatekeeper_turn().await;
    let inspircd = networks::inspircd().unwrap();
    let upstream = world.all.node.expose(inspircd.port()).await.unwrap();
    let at = installation(&world, upstream).await;
    let before = world.objects().await;

    // Somebody with a network and something that was said there.
    let mut browser = Browser::start().await.unwrap();
    person::sign_up(&mut browser, &at, "alice").await.unwrap();
    let account = Account::sign_in(&at, "alice").await.unwrap();
    let mut bob = Client::connect(inspircd.port()).await.unwrap();
    bob.register("bob").await.unwrap();
    bob.send("JOIN #pods").await.unwrap();
    bob.wait_for(" 366 ").await.unwrap();
    let host = upstream.ip().to_string();
    let port = upstream.port().to_string();
    let fields =
        [("name", "home"), ("host", &host), ("port", &port), ("nick", "alice"), ("channels", "#pods")];
    let home = account.add_network_with(&fields).await.unwrap();
    account.wait_until_connected(&home, "alice").await;
    bob.wait_where("alice's JOIN", |line| line.contains("alice") && line.contains("JOIN")).await.unwrap();
    bob.send("PRIVMSG #pods :said before the move").await.unwrap();

    // The bouncer.
    browser.goto(&at.url("my", "/networks")).await.unwrap();
    browser.click("a bouncer of your own").await.unwrap();
    shows(&mut browser, &at, &format!("alice.{}", world.host())).await;
    fits(&mut browser).await;
    browser.click("Order it").await.unwrap();
    shows(&mut browser, &at, "Being made").await;
    shows(&mut browser, &at, "Running. Your networks live here.").await;
    fits(&mut browser).await;
    bob.wait_for("QUIT").await.unwrap();
    bob.wait_for("JOIN").await.unwrap();
    let lines = person::connection_lines(&mut browser, &at, "irssi", "home", "irssi").await.unwrap();
    let service = lines.split_whitespace().find(|word| word.contains(".svc")).unwrap().to_owned();
    let name = service.split('.').next().unwrap().to_owned();
    let terminal = irssi(&lines, &service, pod(&world, &name).await);
    terminal.wait_for("End of /MOTD").unwrap();
    terminal.line("/window goto #pods").unwrap();
    terminal.wait_for("#pods").unwrap();
    // A client that was never there before begins with what comes now; the log is there for those that ask.
    bob.send("PRIVMSG #pods :good to see you there").await.unwrap();
    terminal.wait_for("good to see you there").unwrap();
    terminal.line("it is mine alone").unwrap();
    bob.wait_for("PRIVMSG #pods :it is mine alone").await.unwrap();
    let password = account.app_password("reader").await.unwrap();
    assert_said(&world, &name, &password, &["said before the move", "it is mine alone"]).await;

    // The network.
    browser.goto(&at.url("my", "/hosting/new")).await.unwrap();
    browser.fill("Name", "pixels").await.unwrap();
    browser.fill("Operator", "root").await.unwrap();
    browser.fill("Password", OPERATOR_PASSWORD).await.unwrap();
    browser.command("click", json!({"what": "button.primary"})).await.unwrap();
    shows(&mut browser, &at, "Running, 0 of 50 people").await;
    fits(&mut browser).await;
    let url = browser.url().await.unwrap();
    let command = browser.text("#hosted-connect").await.unwrap();
    let ergo = command.split_whitespace().find(|word| word.contains(".svc")).unwrap().to_owned();
    let network = irssi(&command, &ergo, pod(&world, ergo.split('.').next().unwrap()).await);
    network.wait_for("Welcome to the pixels IRC Network").unwrap();
    network.line(&format!("/oper root {OPERATOR_PASSWORD}")).unwrap();
    network.wait_for("You are now an IRC operator").unwrap();

    // Both are given back.
    browser.goto(&url).await.unwrap();
    browser.click("Delete pixels").await.unwrap();
    shows(&mut browser, &at, "pixels is stopped and deleted").await;
    browser.goto(&at.url("my", "/bouncer/dedicated/cancel")).await.unwrap();
    fits(&mut browser).await;
    browser.click("button.danger").await.unwrap();
    shows(&mut browser, &at, "You are back at the shared bouncer").await;
    account.wait_until_connected(&home, "alice").await;
    let mut device = Client::connect_tls(at.irc_tls).await.unwrap();
    device.register_sasl("alice/home@reader", &password, READER).await.unwrap();
    said(&mut device, &["said before the move", "it is mine alone"]).await;
    // cert-manager leaves the Secrets of certificates that go.
    until("nothing of both is left", || async {
        let more: Vec<_> = world.objects().await.difference(&before).cloned().collect();
        let left = more.iter().filter(|object| !object.ends_with("-tls")).count();
        if left == 0 { Ok(()) } else { Err(format!("{more:#?}")) }
    })
    .await;
    browser.close().await.unwrap();
}

const READER: &str = "server-time message-tags batch draft/chathistory draft/read-marker";

/// What was said, as the log of the bouncer in this Pod has it.
async fn assert_said(world: &World, name: &str, password: &str, words: &[&str]) {
    let address = SocketAddr::from((pod(world, name).await, 6697));
    let mut device = Client::connect_tls_to(address).await.unwrap();
    device.register_sasl("alice/home@reader", password, READER).await.unwrap();
    said(&mut device, words).await;
}

/// What a line says with its id and its time, without whatever else a bouncer may say of it.
fn essence(line: &str) -> Option<String> {
    let (tags, rest) = line.strip_prefix('@')?.split_once(' ')?;
    let tag = |name: &str| tags.split(';').find_map(|tag| tag.strip_prefix(name)?.strip_prefix('='));
    Some(format!("{} {} {rest}", tag("msgid")?, tag("time")?))
}

/// The messages of the channel's history.
async fn history(device: &mut Client) -> Vec<String> {
    device.seen.clear();
    said(device, &[]).await;
    device
        .seen
        .iter()
        .filter(|line| line.contains(" PRIVMSG #pods "))
        .filter_map(|line| essence(line))
        .collect()
}

async fn said(device: &mut Client, words: &[&str]) {
    device.send("CHATHISTORY LATEST #pods * 100").await.unwrap();
    device.wait_where("the batch's end", |line| line.contains("BATCH -")).await.unwrap();
    for word in words {
        assert!(device.seen.iter().any(|line| line.contains(word)), "{word:?}: {:#?}", device.seen);
    }
}

#[tokio::test]
async fn a_bouncer_on_soju_begins_with_what_was_said_and_read_and_what_is_said_there_comes_back() {
    part!(InspIrcd);
    let Some(world) = World::new("ordered-soju").await else { return };
    let _turn = gatekeeper_turn().await;
    let inspircd = networks::inspircd().unwrap();
    let upstream = world.all.node.expose(inspircd.port()).await.unwrap();
    let at = installation(&world, upstream).await;
    let account = Account::sign_up(&at, "alice").await.unwrap();
    let password = account.app_password("desk").await.unwrap();
    let mut bob = Client::connect(inspircd.port()).await.unwrap();
    bob.register("bob").await.unwrap();
    bob.send("JOIN #pods").await.unwrap();
    bob.wait_for(" 366 ").await.unwrap();
    let (host, port) = (upstream.ip().to_string(), upstream.port().to_string());
    let fields =
        [("name", "home"), ("host", &host), ("port", &port), ("nick", "alice"), ("channels", "#pods")];
    let home = account.add_network_with(&fields).await.unwrap();
    account.wait_until_connected(&home, "alice").await;
    bob.wait_where("alice's JOIN", |line| line.contains("alice") && line.contains("JOIN")).await.unwrap();
    let mut desk = Client::connect_tls(at.irc_tls).await.unwrap();
    desk.register_sasl("alice/home@desk", &password, READER).await.unwrap();
    for n in 1..=20 {
        bob.send(&format!("PRIVMSG #pods :said before soju, {n}")).await.unwrap();
    }
    desk.wait_for("said before soju, 20").await.unwrap();
    desk.send("MARKREAD #pods timestamp=2026-01-02T03:04:05.678Z").await.unwrap();
    desk.wait_for("MARKREAD #pods timestamp=2026-01-02T03:04:05.678Z").await.unwrap();
    let before = history(&mut desk).await;
    assert_eq!(before.len(), 20, "{before:#?}");

    account.post("/bouncer/dedicated", &[("engine", "soju")]).await.unwrap();
    until("soju runs", || async {
        let page = account.get("/bouncer/dedicated").await.unwrap().text;
        let runs = page.contains("Running. Your networks live here.");
        if runs { Ok(()) } else { Err(format!("{page}\n{}", at.output())) }
    })
    .await;
    let address = SocketAddr::from((pod(&world, "bouncer-").await, 6697));
    let mut desk = Client::connect_tls_to(address).await.unwrap();
    desk.register_sasl("alice/home", &password, READER).await.unwrap();
    desk.wait_for("JOIN #pods").await.unwrap();
    // The same lines, by their ids and times, and what was read.
    assert_eq!(history(&mut desk).await, before);
    desk.send("MARKREAD #pods").await.unwrap();
    desk.wait_for("MARKREAD #pods timestamp=2026-01-02T03:04:05.678Z").await.unwrap();
    bob.send("PRIVMSG #pods :hello soju").await.unwrap();
    desk.wait_for("hello soju").await.unwrap();
    desk.send("PRIVMSG #pods :hello bob").await.unwrap();
    bob.wait_for("hello bob").await.unwrap();
    desk.send("MARKREAD #pods timestamp=2026-02-03T04:05:06.789Z").await.unwrap();
    desk.wait_for("MARKREAD #pods timestamp=2026-02-03T04:05:06.789Z").await.unwrap();
    until("soju has stored both", || async {
        let mut other = Client::connect_tls_to(address).await.unwrap();
        other.register_sasl("alice/home", &password, READER).await.unwrap();
        said(&mut other, &[]).await;
        let both =
            ["hello soju", "hello bob"].iter().all(|word| other.seen.iter().any(|line| line.contains(word)));
        if both { Ok(()) } else { Err(format!("{:#?}", other.seen)) }
    })
    .await;
    // The shared bouncer says where she is, and this site whom to ask.
    let mut stray = Client::connect_tls(at.irc_tls).await.unwrap();
    assert!(stray.register_sasl("alice", &password, "").await.is_err());
    assert!(stray.seen.join("\n").contains(&format!("alice.{}", world.host())), "{:?}", stray.seen);
    let more =
        [("name", "more"), ("host", "h.example"), ("port", "6697"), ("nick", "alice"), ("tls", "verified")];
    let refused = account.try_post("/networks", &more).await.unwrap();
    assert!(refused.text.contains("BouncerServ"), "{}", refused.text);

    account.post("/bouncer/dedicated/cancel", &[]).await.unwrap();
    account.wait_until_connected(&home, "alice").await;
    until("it can be ordered again", || async {
        let page = account.get("/bouncer/dedicated").await.unwrap().text;
        if page.contains("Order it") { Ok(()) } else { Err(page) }
    })
    .await;
    let mut device = Client::connect_tls(at.irc_tls).await.unwrap();
    device.register_sasl("alice/home@reader", &password, READER).await.unwrap();
    let after = history(&mut device).await;
    assert_eq!(after[..20], before, "what was there before is as it was");
    said(&mut device, &["hello soju", "hello bob"]).await;
    assert_eq!(after.len(), 22, "{after:#?}");
    device.send("MARKREAD #pods").await.unwrap();
    device.wait_for("MARKREAD #pods timestamp=2026-02-03T04:05:06.789Z").await.unwrap();
}
