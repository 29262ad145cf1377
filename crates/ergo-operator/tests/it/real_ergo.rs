//! The real Ergo takes what is rendered, shows it, and reads it anew when the sidecar says so.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crds::ErgoNetwork;
use ergo_operator::sidecar::{self, SidecarState, config_hash};
use serde_json::{Value, json};
use service::shutdown::Shutdown;
use tempfile::TempDir;
use testkit::irc::Client;
use testkit::parts::Part;
use testkit::process::Process;
use testkit::{net, part};

use crate::paper::{facts, merge, network};

const OPERATOR: &str = "a{b}[c]|^`d-_";
const PASSWORD: &str = "correct horse";

/// An Ergo with its sidecar, as they stand in a Pod, with paths and ports of this test.
struct World {
    folder: TempDir,
    irc: SocketAddr,
    api: u16,
    loopback: u16,
    tls: u16,
    sidecar: u16,
    _ergo: Option<Process>,
    shutdown: Shutdown,
}

/// An address of this machine that is not loopback: those are the sidecar's own.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").unwrap();
    socket.local_addr().unwrap().ip()
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in ["etc", "tls", "data", "run"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        let key = rcgen::generate_simple_self_signed(vec!["irc.example.org".to_owned()]).unwrap();
        std::fs::write(path.join("tls/tls.crt"), key.cert.pem()).unwrap();
        std::fs::write(path.join("tls/tls.key"), key.signing_key.serialize_pem()).unwrap();
        let ask = path.join("run/ircnow");
        std::fs::write(&ask, ASK).unwrap();
        std::fs::set_permissions(&ask, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let port = || net::free_port().unwrap();
        let irc = SocketAddr::new(own_address(), port());
        let (api, loopback, tls, sidecar) = (port(), port(), port(), port());
        Self { folder, irc, api, loopback, tls, sidecar, _ergo: None, shutdown: Shutdown::new() }
    }

    /// The same words with this test's paths and ports.
    fn local(&self, text: &str) -> String {
        let path = self.folder.path().display();
        let mut text = text.to_owned();
        for (is, here) in [
            ("\":6697\"", format!("\"127.0.0.1:{}\"", self.tls)),
            ("\":6667\"", format!("\"{}\"", self.irc)),
            ("127.0.0.1:6668", format!("127.0.0.1:{}", self.loopback)),
            ("\"port\": 6668", format!("\"port\": {}", self.loopback)),
            ("127.0.0.1:8089", format!("127.0.0.1:{}", self.api)),
            ("0.0.0.0:9182", format!("127.0.0.1:{}", self.sidecar)),
            ("/etc/ergo-tls", format!("{path}/tls")),
            ("/etc/ergo", format!("{path}/etc")),
            ("/data", format!("{path}/data")),
            ("/run/ergo", format!("{path}/run")),
        ] {
            text = text.replace(is, &here);
        }
        text
    }

    /// Writes what the Secret and the ConfigMap would hold, and gives the name of it.
    fn write(&self, version: &str, more: &Value) -> String {
        let mut spec = json!({
            "version": version,
            "networkName": "Example-Net.of_thirty-two_letters",
            "history": { "backend": "Memory" },
            "auth": { "gatekeeper": false },
            "expose": { "web": "None" },
            "plaintextInCluster": true,
            "motd": "first: {line}\n- \"second\" 'line' \\ # $b",
            "operators": [{ "name": OPERATOR, "passwordHash": { "name": "s", "key": "k" } }],
        });
        merge(&mut spec, more);
        spec["networkName"] = spec["networkName"].as_str().unwrap()[..32].into();
        let root: ErgoNetwork = network(spec);
        let mut facts = facts(&root);
        let hash = bcrypt::hash(PASSWORD, 4).unwrap().replacen("$2b$", "$2a$", 1);
        facts.secrets.values_mut().for_each(|secret| *secret = hash.clone().into());
        let installation = crate::paper::installation();
        let valid = ergo_operator::controller::validate::validate(&installation, &root, facts).unwrap();
        self.put(
            &self.local(valid.config.ergo.expose()),
            &valid.config.motd,
            &self.local(valid.config.sidecar.expose()),
        )
    }

    fn put(&self, ergo: &str, motd: &str, sidecar: &str) -> String {
        let put = |name: &str, text: &str| {
            let (part, whole) = (self.folder.path().join("part"), self.folder.path().join("etc").join(name));
            std::fs::write(&part, text).unwrap();
            std::fs::rename(part, whole).unwrap();
        };
        // The kubelet swaps them together; here the one the sidecar is told by comes first.
        put("sidecar.json", sidecar);
        put("motd", motd);
        put("ircd.yaml", ergo);
        config_hash(ergo.as_bytes(), motd.as_bytes())
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("etc").join(name)).unwrap()
    }

    fn start(&mut self, program: &Path) {
        let config = self.folder.path().join("etc/ircd.yaml");
        let mut initdb = Command::new(program);
        let made = initdb.args(["initdb", "--quiet", "--conf"]).arg(&config).output().unwrap();
        assert!(
            made.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&made.stderr),
            self.read("ircd.yaml")
        );
        let mut run = Command::new(program);
        run.args(["run", "--conf"])
            .arg(&config)
            .current_dir(self.folder.path())
            .env("GODEBUG", "httpmuxgo121=0");
        let process = Process::spawn(&mut run, &self.folder.path().join("log")).unwrap();
        net::wait_for_port(self.tls, Duration::from_secs(20))
            .unwrap_or_else(|_| panic!("{}", process.output()));
        self._ergo = Some(process);
        let (path, shutdown) = (self.folder.path().join("etc/sidecar.json"), self.shutdown.clone());
        tokio::spawn(async move { drop(sidecar::run(&path, shutdown).await) });
    }

    async fn state(&self) -> Option<SidecarState> {
        let url = format!("http://127.0.0.1:{}/state", self.sidecar);
        reqwest::get(url).await.ok()?.json().await.ok()
    }

    async fn wait(&self, what: &str, holds: impl Fn(&SidecarState) -> bool) -> SidecarState {
        let end = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let state = self.state().await;
            if let Some(state) = state.as_ref().filter(|state| holds(state)) {
                return state.clone();
            }
            assert!(tokio::time::Instant::now() < end, "{what} did not happen: {state:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn join(&self, nick: &str) -> Client {
        let mut client = Client::connect_to(self.irc).await.unwrap();
        client.register(nick).await.unwrap();
        client.send("PING :there").await.unwrap();
        client.wait_for("there").await.unwrap();
        client
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// What `ircnow ergo-sidecar --ask SOCKET` does, for a test without that program.
const ASK: &str = "#!/usr/bin/perl\nuse IO::Socket::UNIX;\nmy $socket = IO::Socket::UNIX->new(Peer => $ARGV[2]) or die;\n\
    my $question = <STDIN>;\nprint $socket $question;\n$socket->flush;\nprint while <$socket>;\n";

async fn a_network_lives(program: Part, version: &str) {
    let program = program.find().unwrap();
    service::tls::install_provider();
    let mut world = World::new();
    let first = world.write(version, &json!({ "limits": { "clients": 1, "nickLength": 21 } }));
    world.start(&program);

    let alice = world.join("alice").await;
    let seen = alice.seen.join("\n");
    for words in [
        "NETWORK=Example-Net.of_thirty-two_letter ",
        "NICKLEN=21",
        "first: {line}",
        "- \"second\" 'line' \\ # $b",
    ] {
        let line = seen.lines().any(|line| format!("{line} ").contains(words));
        assert!(line || seen.contains(words.trim_end()), "{words} is not in {seen}");
    }
    let state = world.wait("the configuration is known", |state| {
        state.config_hash.as_ref() == Some(&first) && state.users == 1
    });
    let state = state.await;
    assert!(state.version.is_some_and(|said| said.contains(version)), "the version is {version}");
    world.wait("the network is full", |state| state.full).await;

    let mut bob = Client::connect_to(world.irc).await.unwrap();
    let _ = bob.register("bob").await;
    assert!(bob.seen.iter().any(|line| line.contains("This network is full")), "{:?}", bob.seen);

    // A larger network, longer nicknames: Ergo reads that while it runs.
    let second = world.write(version, &json!({ "limits": { "clients": 5, "nickLength": 25 } }));
    world.wait("the change is read", |state| state.config_hash.as_ref() == Some(&second)).await;
    let mut bob = world.join("bob").await;
    assert!(bob.seen.iter().any(|line| line.contains("NICKLEN=25")), "{:?}", bob.seen);
    bob.send(&format!("OPER {OPERATOR} :{PASSWORD}")).await.unwrap();
    bob.wait_for(" 381 ").await.unwrap();
    bob.send("REHASH").await.unwrap();
    bob.wait_where("a refusal", |line| line.contains(" 481 ") || line.contains(" 723 ")).await.unwrap();

    // What Ergo refuses is said, and it runs on as it was.
    let broken =
        world.read("ircd.yaml").replace("\"messages-per-window\"", "x").replace("\"ascii\"", "\"klingon\"");
    let third = world.put(&broken, &world.read("motd"), &world.read("sidecar.json"));
    let state = world.wait("the refusal", |state| {
        state.rehash.as_ref().is_some_and(|rehash| rehash.hash == third && rehash.error.is_some())
    });
    assert_eq!(state.await.config_hash.as_ref(), Some(&second));

    // What needs a new process is left to the next Pod.
    let fourth =
        world.write(version, &json!({ "serverName": "other.example.org", "limits": { "clients": 9 } }));
    world.wait("the new limit is known", |state| state.clients == Some(9)).await;
    world.wait("another look", |state| state.answering).await;
    let state = world.state().await.unwrap();
    assert_ne!(state.config_hash.as_ref(), Some(&fourth));
    assert_ne!(state.rehash.map(|rehash| rehash.hash).as_ref(), Some(&fourth));
    let figures = reqwest::get(format!("http://127.0.0.1:{}/metrics", world.sidecar)).await.unwrap();
    assert!(figures.text().await.unwrap().contains("ergo_turned_away_total 1"));
    drop(alice);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_lives_on_the_newest_ergo_through_its_api() {
    part!(Ergo);
    a_network_lives(Part::Ergo, "2.18.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_lives_on_an_ergo_without_an_api_through_an_operators_connection() {
    part!(ErgoTrixie);
    a_network_lives(Part::ErgoTrixie, "2.15.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_counted_where_ergo_says_them() {
    part!(Ergo);
    service::tls::install_provider();
    let mut world = World::new();
    world.write("2.18.0", &json!({}));
    world.start(&Part::Ergo.find().unwrap());
    let mut carol = world.join("carol").await;
    carol.send("NS REGISTER correct-horse").await.unwrap();
    carol.wait_for("ccount").await.unwrap();
    world.wait("the account is counted", |state| state.accounts == Some(1)).await;
}

#[test]
fn an_ergo_built_without_sql_says_so_itself() {
    part!(Ergo);
    let world = World::new();
    world.write("2.18.0", &json!({ "history": { "backend": "Sqlite" } }));
    let mut run = Command::new(Part::Ergo.find().unwrap());
    let config = world.folder.path().join("etc/ircd.yaml");
    let ended = run.args(["run", "--conf"]).arg(config).current_dir(world.folder.path()).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(said.contains("not built with SQLite support"), "{said}");
}
