//! Hostile values, read back by the real Ergo, in both versions: a word of a resource is a word in the configuration, and
//! never anything else.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crds::ErgoNetworkSpec;
use ergo_operator::ergo::{Checks, Issuer, Key, Release, Secrets, Wanted, render, yaml};
use ergo_operator::paths::Places;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::cluster::pki::Authority;
use testkit::irc::Client;
use testkit::{Part, Process, net, part};

fn versions() -> Vec<(Part, &'static str)> {
    let all = [(Part::Ergo, "2.18.0"), (Part::ErgoTrixie, "2.15.0")];
    all.into_iter().filter(|(part, _)| part.find_or_skip().is_some()).collect()
}

/// Words with a meaning somewhere: in YAML, JSON, a shell, IRC.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{1,64}",
        "[\"'\\\\{}#$`;:=&|<>()\\[\\]*?!@%, \n\r\t\u{85}\u{2028}é𝕏-]{1,32}",
        prop::sample::select(vec![
            "a\"\nopers:\n    root:\n        class: server-admin\n        password: x\n#".to_owned(),
            "\": {}\nserver:\n  listeners:\n    \":1\": {}\n# ".to_owned(),
            "a\u{85}b\u{2028}c\u{2029}d\u{feff}\u{0}".to_owned(),
            "!!binary aGVsbG8=".to_owned(),
            "*anchor &anchor <<: *anchor".to_owned(),
            "--- \n...".to_owned(),
            "${HOME} $(id) `id` {{ .Values }}".to_owned(),
            "yes".to_owned(),
            "0x1f".to_owned(),
            "1e3".to_owned(),
            "~".to_owned(),
            "\u{202e}\u{7f}\u{1b}[0m".to_owned(),
            "x".repeat(512),
            "𝕏".repeat(128),
        ]),
    ]
}

/// An Ergo's folder, with places of its own.
struct Ground {
    folder: TempDir,
    places: Places,
    port: u16,
    api: u16,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("authority", folder.path()).unwrap();
        authority.server("ergo", &["localhost".to_owned()]).unwrap().write(folder.path(), "tls").unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (port, api) = (net::free_port().unwrap(), net::free_port().unwrap());
        let places = Places {
            motd: at("motd"),
            certificate: at("tls.crt"),
            key: at("tls.key"),
            store: at("ircd.db"),
            history: at("history.db"),
            lock: at("ircd.lock"),
            address_socket: at("address.sock"),
            password_socket: at("password.sock"),
            ask: at("ask"),
            irc: format!("127.0.0.1:{port}"),
            api: format!("127.0.0.1:{api}"),
            loopback: format!("127.0.0.1:{api}"),
            ..Places::pod()
        };
        Self { folder, places, port, api }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration, as the operator renders it.
    fn write(&self, version: &str, spec: &Value, words: &[String]) {
        let spec: ErgoNetworkSpec = serde_json::from_value(spec.clone()).unwrap();
        let of = |index: usize| words.get(index).cloned().unwrap_or_default();
        let secrets = Secrets {
            issuer: words.first().map(|url| Issuer {
                introspection_url: url.clone(),
                client_id: of(1),
                client_secret: of(2).into(),
            }),
            jwt: words.get(3).map(|key| Key(key.clone().into())),
            operators: spec.operators.iter().map(|_| None).collect(),
        };
        let rendered = render(&Wanted {
            spec: &spec,
            release: Release::parse(&version.into()).unwrap(),
            secrets: &secrets,
            database: None,
            api_token: &"a-token-of-this-test-which-is-long-enough".to_owned().into(),
            operator_hash: "$2a$04$0123456789abcdefABCDEu8pS3Mdl8Vv6cJ1q3zNwZ2Zl1r8nQW0i",
            checks: Checks { addresses: false, passwords: false },
            websocket: false,
            places: &self.places,
        });
        std::fs::write(self.path("ircd.yaml"), yaml::write(&rendered)).unwrap();
    }

    fn command(&self, program: &Path, does: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(does).arg("--conf").arg(self.path("ircd.yaml")).current_dir(self.folder.path());
        command.env("GODEBUG", "httpmuxgo121=0");
        command
    }
}

/// What Ergo's reader of YAML says of something that is none, or that is of another kind than it should be.
fn is_of_the_reader(said: &str) -> bool {
    ["yaml:", "unmarshal", "mapping values", "did not find expected", "duplicate key"]
        .iter()
        .any(|words| said.contains(words))
}

fn read_whatever_it_says(part: Part, version: &str) {
    let (program, ground) = (part.find().unwrap(), Ground::new());
    let config = Config { cases: 48, failure_persistence: None, max_shrink_iters: 24, ..Config::default() };
    let words = (prop::collection::vec(word(), 12), "[a-zA-Z\u{80}-\u{10ffff}:#'\"{}]{1,64}");
    let tried = TestRunner::new(config).run(&words, |(words, name)| {
        let spec = json!({
            "networkName": words[0], "hostname": words[1], "serverName": words[2],
            "auth": { "gatekeeper": false, "jwt": {
                "algorithm": "Hmac", "key": { "name": "k", "key": "k" },
                "accountClaims": [words[3]], "audience": words[4], "stripDomain": words[5],
            } },
            "operators": [{ "name": name, "fingerprint": words[6] }],
            "cloakName": words[7],
            "channels": { "defaultModes": words[8], "autoJoin": [words[9]] },
            "history": { "backend": "Memory" },
            "websocketOrigins": [words[10]],
            "expose": { "proxyRanges": [words[11]] },
        });
        ground.write(version, &spec, &words);
        let _ = std::fs::remove_file(ground.path("ircd.db"));
        let output = ground.command(&program, &["initdb", "--quiet"]).output().unwrap();
        let said =
            [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        // It may find a value unfit for what it is for, but never take it for anything but a value.
        if is_of_the_reader(&said) {
            let text = std::fs::read_to_string(ground.path("ircd.yaml")).unwrap();
            return Err(TestCaseError::fail(format!("{said}\n{text}")));
        }
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("Ergo {version}: {error}"));
}

#[test]
fn ergo_reads_whatever_a_resource_says_as_a_value() {
    part!(Ergo);
    for (part, version) in versions() {
        read_whatever_it_says(part, version);
    }
}

/// Eight different channels whose names are anything Ergo lets a channel be called.
fn channels(runner: &mut TestRunner) -> Vec<String> {
    let mut names = BTreeSet::new();
    while names.len() < 8 {
        let name = "#[!-)+./0-9:;<=>@\\[\\]\\\\^_`{|}~-]{1,30}".new_tree(runner).unwrap().current();
        names.insert(name);
    }
    names.into_iter().collect()
}

async fn joined_as_written(part: Part, version: &str) {
    let program = part.find().unwrap();
    let mut runner = TestRunner::default();
    for _ in 0..3 {
        let (ground, wanted) = (Ground::new(), channels(&mut runner));
        let motd = "%s {line}: \"it\" 'is' # no comment \\ $HOME\n- \u{202e}é 𝕏\n--- !!str";
        std::fs::write(ground.path("motd"), motd).unwrap();
        let spec = json!({
            "networkName": "Example-Net.of_words", "hostname": "irc.example.org",
            "auth": { "gatekeeper": false },
            "channels": { "autoJoin": wanted },
            "history": { "backend": "Memory" },
            "plaintextInCluster": false,
        });
        ground.write(version, &spec, &[]);
        // The one listener there is speaks TLS, at this test's port.
        let made = ground.command(&program, &["initdb", "--quiet"]).output().unwrap();
        assert!(made.status.success(), "{wanted:?}: {}", String::from_utf8_lossy(&made.stderr));
        let mut run = ground.command(&program, &["run"]);
        let process = Process::spawn(&mut run, &ground.path("log")).unwrap();
        net::wait_for_port(ground.port, testkit::wait::PATIENCE)
            .unwrap_or_else(|_| panic!("{}", process.output()));
        let mut client = Client::connect_tls(ground.port).await.unwrap();
        client.register("alice").await.unwrap();
        for channel in &wanted {
            if !client.seen.iter().any(|line| line.ends_with(&format!(" JOIN {channel}"))) {
                let is = |line: &str| line.contains(" JOIN ") && line.ends_with(&format!(" {channel}"));
                client.wait_where(&format!("{version} JOIN {channel}"), is).await.unwrap();
            }
        }
        for line in motd.lines() {
            assert!(
                client.seen.iter().any(|seen| seen.ends_with(line)),
                "{line:?} is not in {:#?}",
                client.seen
            );
        }
        assert_eq!(process.listens(), [ground.port, ground.api].into(), "{wanted:?}");
    }
}

#[tokio::test]
async fn ergo_joins_people_to_channels_of_exactly_these_names() {
    part!(Ergo);
    for (part, version) in versions() {
        joined_as_written(part, version).await;
    }
}
