//! Everything a test needs around a bouncer.

use std::sync::Arc;
use std::time::Duration;

use bouncer::{Addresses, Bouncer, Config, Deps};
use contracts::{
    Bouncers, Call, Moves, Network, NetworkId, NetworkSpec, Phase, Sasl, SavedChannel, Sub, Tls,
};
use service::config::Source;
use service::db::Database;
use service::dialer::{DialConfig, Guarded, HostPort};
use service::health::Readiness;
use service::metrics::Metrics;
use service::paths::DataDir;
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use tempfile::TempDir;
use testkit::eventually;
use testkit::irc::Client;

use crate::gatekeeper::{Gatekeeper, PASSWORD};

/// What a modern client asks for.
pub const MODERN: &str =
    "server-time message-tags batch echo-message draft/chathistory draft/event-playback draft/read-marker";

pub struct World {
    pub gatekeeper: Gatekeeper,
    pub dialer: Guarded,
    pub metrics: Metrics,
    bouncer: Option<(Bouncer, Shutdown)>,
    keys: Arc<Keyring>,
    folder: TempDir,
    /// How many connections to one host begin at once.
    host_burst: u32,
    /// The one account the bouncer is for.
    pub account: Option<String>,
}

impl World {
    pub async fn new() -> Self {
        Self::knocking(100).await
    }

    /// A bouncer that begins so many connections to one host, and then no more for an hour.
    pub async fn knocking(host_burst: u32) -> Self {
        service::tls::install_provider();
        let dial = DialConfig { allow: Vec::new(), timeout: Duration::from_secs(5) };
        let mut world = Self {
            gatekeeper: Gatekeeper::new(),
            dialer: Guarded::new(&dial),
            metrics: Metrics::new(),
            bouncer: None,
            keys: Arc::new(Keyring::ephemeral().unwrap()),
            folder: tempfile::tempdir().unwrap(),
            host_burst,
            account: None,
        };
        world.start().await;
        world
    }

    pub async fn start(&mut self) {
        let source = Source::from_toml(&format!(
            "[bouncer]\nlisten = '127.0.0.1:0'\nlisten_tls = '127.0.0.1:0'\nhost_burst = {}\nhost_interval = '1h'\n{}",
            self.host_burst,
            self.account.as_ref().map(|name| format!("account = '{}'\n", self.gatekeeper.account(name).sub)).unwrap_or_default(),
        ))
        .unwrap();
        let data = DataDir::open(self.folder.path().join("data")).unwrap();
        let tls = service::tls::local_certificate(&self.folder.path().join("tls"), &["localhost".to_owned()])
            .unwrap();
        let shutdown = Shutdown::new();
        self.metrics = Metrics::new();
        let readiness = Readiness::new();
        let deps = Deps {
            accounts: Arc::new(self.gatekeeper.clone()),
            keys: Arc::clone(&self.keys),
            folder: data.service("bouncer").unwrap(),
            dialer: self.dialer.clone(),
            certificate: tls.certificate,
            roots: Arc::new(rustls::RootCertStore::empty()),
            local: None,
            origins: irc_server::Origins::default(),
            metrics: self.metrics.clone(),
            readiness: readiness.clone(),
            shutdown: shutdown.clone(),
        };
        let bouncer = Bouncer::open(Config::load(&source).unwrap(), deps).await.unwrap();
        self.bouncer = Some((bouncer, shutdown));
        if self.gatekeeper.is_here() {
            eventually("the bouncer is ready", || async { readiness.is_ready().then_some(()) }).await;
        }
    }

    pub async fn stop(&mut self) {
        if let Some((bouncer, shutdown)) = self.bouncer.take() {
            shutdown.trigger();
            shutdown.finished(Duration::from_secs(20)).await.expect("everything ends in time");
            drop(bouncer);
        }
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// One of the bouncer's databases, as somebody beside it opens it.
    pub async fn database(&self, name: &str) -> Database {
        let file = self.folder.path().join("data/bouncer").join(name);
        Database::open(&format!("sqlite:{}", file.display())).await.unwrap()
    }

    pub fn calls(&self) -> Arc<dyn Bouncers> {
        self.bouncer.as_ref().unwrap().0.calls()
    }

    pub fn moves(&self) -> Arc<dyn Moves> {
        self.bouncer.as_ref().unwrap().0.moves()
    }

    /// Its doors for the other services.
    pub fn internal(&self) -> axum::Router {
        self.bouncer.as_ref().unwrap().0.internal()
    }

    /// Puts lines into a network's log, as if somebody had said them in #tea, and marks it read.
    pub async fn put_lines(&mut self, sub: Sub, network: NetworkId, count: usize) {
        self.stop().await;
        let file = self.folder.path().join("data/bouncer/history.db");
        let log = history::History::open_sqlite(&file, history::Options::default()).await.unwrap();
        let (account, stream) = (history::AccountId(sub.0), history::StreamId(network.0));
        let writer = log.open_stream(account, stream).await.unwrap();
        let first = service::clock::now_ms() - 10 * i64::try_from(count).unwrap();
        let line = |n: usize| history::NewEntry {
            ts_ms: Some(first + 10 * i64::try_from(n).unwrap()),
            source: "bob!bob@example.org".into(),
            kind: history::Kind::Privmsg,
            target: "#tea".into(),
            buffers: [history::Buffer::from("#tea")].into_iter().collect(),
            body: format!("the line with the number {n}").into(),
            meta: bytes::Bytes::new(),
            msgid: Some(format!("line-{n}")),
        };
        let all: Vec<usize> = (0..count).collect();
        for some in all.chunks(history::MAX_BATCH) {
            for stored in log.append(&writer, some.iter().copied().map(line).collect()).await.unwrap() {
                stored.unwrap();
            }
        }
        log.set_read_marker(account, stream, &history::Buffer::from("#tea"), first).await.unwrap();
        log.close().await;
        self.start().await;
    }

    /// The ids of everything in its log, in their order.
    pub async fn msgids(&self) -> Vec<String> {
        let log = self.database("history.db").await;
        let found = sqlx::query_scalar("SELECT coalesce(msgid, '') FROM entry ORDER BY epoch, offset");
        found.fetch_all(log.pool()).await.unwrap()
    }

    pub fn addresses(&self) -> Addresses {
        self.bouncer.as_ref().unwrap().0.addresses()
    }

    pub fn call(&self, user: &str) -> Call {
        let mut call = Call::new(self.gatekeeper.account(user).sub, "test").changing();
        call.timeout = Duration::from_secs(20);
        call
    }

    /// Adds a network at a loopback port, which the guarded dialer lets through.
    pub async fn add_network(&self, user: &str, name: &str, port: u16, channels: &[&str]) -> Network {
        self.dialer.allow(HostPort::new("127.0.0.1", port));
        let spec = NetworkSpec {
            channels: channels
                .iter()
                .map(|name| SavedChannel { name: (*name).to_owned(), key: None })
                .collect(),
            ..spec(user, name, port)
        };
        self.calls().add_network(&self.call(user), spec).await.unwrap()
    }

    pub async fn connected(&self, user: &str, network: &Network) -> Network {
        eventually("the network is connected", || async {
            let now = self.calls().network(&self.call(user), network.id).await.unwrap();
            (now.state.phase == Phase::Connected && now.state.nick.is_some()).then_some(now)
        })
        .await
    }

    /// A device over TLS with SASL PLAIN, the way clients do it.
    pub async fn device(&self, login: &str, caps: &str) -> Client {
        let mut client = Client::connect_tls(self.addresses().tls.port()).await.unwrap();
        client.register_sasl(login, PASSWORD, caps).await.unwrap();
        client
    }
}

pub fn spec(user: &str, name: &str, port: u16) -> NetworkSpec {
    NetworkSpec {
        name: name.to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
        tls: Tls::Off,
        nick: user.to_owned(),
        realname: String::new(),
        server_password: None,
        sasl: Sasl::None,
        channels: Vec::new(),
        on_connect: Vec::new(),
        enabled: true,
    }
}
