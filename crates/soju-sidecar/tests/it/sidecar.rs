//! The whole sidecar beside a real soju.

use std::time::Duration;

use crds::sidecar::{STATE_TOKEN_FILE, SidecarConfig, SidecarState, hash};
use crds::soju::SeedPolicy;
use service::shutdown::Shutdown;
use soju_sidecar::{Pace, run_at};
use testkit::{Part, eventually};
use tokio::net::TcpListener;

use crate::soju::Soju;
use crate::world::{network, user};

struct Beside {
    base: String,
    http: reqwest::Client,
    folder: tempfile::TempDir,
    _end: End,
}

struct End(Shutdown);

impl Drop for End {
    fn drop(&mut self) {
        self.0.trigger();
    }
}

impl Beside {
    async fn start(config: &SidecarConfig) -> Self {
        service::tls::install_provider();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sidecar.json");
        std::fs::write(&path, serde_json::to_vec(config).unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let short = Duration::from_millis(50);
        let pace = Pace { tick: short, status: short, pass: short * 10, retry: short, prune: short };
        let shutdown = Shutdown::new();
        let end = End(shutdown.clone());
        tokio::spawn(async move { run_at(&path, listener, pace, shutdown).await.unwrap() });
        Self { base, http: reqwest::Client::new(), folder, _end: end }
    }

    fn write(&self, config: &SidecarConfig) {
        std::fs::write(self.folder.path().join("sidecar.json"), serde_json::to_vec(config).unwrap()).unwrap();
    }

    async fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let mut request = self.http.get(format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn state_where(&self, what: &str, holds: impl Fn(&SidecarState) -> bool) -> SidecarState {
        eventually(what, || async {
            let state: SidecarState = serde_json::from_str(&self.get("/state", None).await.1).unwrap();
            holds(&state).then_some(state)
        })
        .await
    }
}

#[tokio::test]
async fn a_change_of_the_resource_reaches_soju_and_is_told() {
    testkit::part!(Soju);
    let soju = Soju::start(Part::Soju).await;
    let mut config = soju.sidecar(SeedPolicy::CreateOnly);
    config.users = vec![user("alice")];
    config.storage_bytes = Some(1);
    let beside = Beside::start(&config).await;
    let state = beside.state_where("alice is made", |state| state.seeded && state.users == 1).await;
    assert!(state.answering && state.networks == 0 && state.seed_errors.is_empty());
    let state = beside.state_where("it is measured", |state| state.over_quota).await;
    assert!(state.storage_bytes.is_some_and(|bytes| bytes > 1));

    config.users[0].networks.push(network("net", "irc+insecure://127.0.0.1:1"));
    config.users.push(user("a/b"));
    config.storage_bytes = None;
    beside.write(&config);
    beside.state_where("the network is made", |state| state.networks == 1).await;
    beside.state_where("there is room", |state| !state.over_quota).await;
    let state = beside.state_where("the bad name is said", |state| !state.seed_errors.is_empty()).await;
    assert!(!state.seeded && state.seed_errors[0].contains("a/b"));
}

#[tokio::test]
async fn figures_of_both_are_in_one_answer() {
    testkit::part!(Soju);
    let soju = Soju::start(Part::Soju).await;
    let mut config = soju.sidecar(SeedPolicy::CreateOnly);
    config.users = vec![user("alice")];
    config.users[0].networks.push(network("net", "irc+insecure://127.0.0.1:1"));
    let beside = Beside::start(&config).await;
    beside.state_where("alice is made", |state| state.networks == 1).await;
    let (status, text) = beside.get("/metrics", None).await;
    assert_eq!(status, 200);
    for line in [
        "ircnow_soju_users 1",
        "ircnow_soju_networks_by_state{state=\"disconnected\"} 1",
        "ircnow_soju_answering 1",
        "soju_users_active 1",
    ] {
        assert!(text.lines().any(|there| there == line), "{line}: {text}");
    }
    assert!(!text.contains("# EOF") && !text.contains("alice"));
    assert_eq!(beside.get("/healthz", None).await.0, 200);
}

#[tokio::test]
async fn only_who_brings_the_token_is_told_the_state() {
    testkit::part!(Soju);
    let soju = Soju::start(Part::Soju).await;
    let beside = Beside::start(&soju.sidecar(SeedPolicy::CreateOnly)).await;
    let file = beside.folder.path().join(STATE_TOKEN_FILE);
    std::fs::write(&file, "s3cret\n").unwrap();
    for (token, status) in [(None, 401), (Some("s3cre"), 401), (Some(""), 401), (Some("s3cret"), 200)] {
        assert_eq!(beside.get("/state", token).await.0, status, "{token:?}");
    }
    std::fs::write(&file, "").unwrap();
    assert_eq!(beside.get("/state", Some("")).await.0, 401, "an empty file lets nobody in");
}

#[tokio::test]
async fn soju_is_told_to_read_its_configuration_and_its_restarts_are_seen() {
    testkit::part!(Soju);
    let mut soju = Soju::start(Part::Soju).await;
    let beside = Beside::start(&soju.sidecar(SeedPolicy::CreateOnly)).await;
    let now = || Some(hash(&std::fs::read(soju.path("conf")).unwrap()));
    let first = now();
    eventually("a reload is asked for", || async { soju.take_reload().then_some(()) }).await;
    beside.state_where("it was read", |state| state.config_hash == first).await;
    soju.configure("motd /dev/null\nlisten irc+insecure://127.0.0.1:0");
    let second = now();
    eventually("a reload is asked for", || async { soju.take_reload().then_some(()) }).await;
    let state = beside.state_where("it was read", |state| state.config_hash == second).await;
    assert_eq!(state.restart_required, ["listen"]);
    soju.restart().await;
    let state = beside.state_where("the restart was seen", |state| state.restart_required.is_empty()).await;
    assert_eq!(state.config_error, None);
}

#[tokio::test]
async fn a_sidecar_without_soju_is_alive_but_not_ready() {
    testkit::part!(Soju);
    let soju = Soju::start(Part::Soju).await;
    let config = soju.sidecar(SeedPolicy::CreateOnly);
    let beside = Beside::start(&config).await;
    eventually("ready", || async { (beside.get("/readyz", None).await.0 == 200).then_some(()) }).await;
    drop(soju);
    let reason = eventually("not ready", || async {
        let (status, text) = beside.get("/readyz", None).await;
        (status == 503).then_some(text)
    })
    .await;
    assert!(reason.contains("admin socket"), "{reason}");
    assert_eq!(beside.get("/healthz", None).await.0, 200);
    let state = beside.state_where("it is told", |state| !state.answering).await;
    assert_eq!(state.seed_errors, Vec::<String>::new());
    assert_eq!(beside.get("/metrics", None).await.0, 200);
}
