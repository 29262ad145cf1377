//! Hostile values: what stands in a resource becomes a value in each file that is made of it, and never anything else.
//! What was rendered is read back by the real soju, in both versions, and by the real PostgreSQL.

mod real;

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use crds::sidecar::SidecarConfig;
use k8s_openapi::ByteString;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use service::db::sqlx;
use soju_operator::controller::validate::{Rows, Valid, validate};
use soju_operator::soju;
use testkit::{Part, part, postgres};
use tokio::runtime::Runtime;

use crate::paper::{bouncer, children, facts, installation, merge, valid};
use real::{PASSWORD, RealSoju, USER};

/// Both versions that must work, those that are there.
fn versions() -> Vec<(Part, &'static str)> {
    let all = [(Part::Soju, "0.11.1"), (Part::SojuTrixie, "0.9.0")];
    all.into_iter().filter(|(part, _)| part.find_or_skip().is_some()).collect()
}

/// Words with a meaning somewhere: in scfg, YAML, JSON, a shell, IRC, a connection string.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{1,64}",
        "[\"'\\\\{}#$`;:=&|<>()\\[\\]*?!@%, \u{85}\u{2028}é𝕏-]{1,32}",
        prop::sample::select(vec![
            "\" } listen irc+insecure://127.0.0.1:1 {".to_owned(),
            "a\nlisten irc+insecure://127.0.0.1:1".to_owned(),
            "a\u{85}listen irc+insecure://127.0.0.1:1".to_owned(),
            "a\u{2028}listen irc+insecure://127.0.0.1:1".to_owned(),
            "ends in a backslash\\".to_owned(),
            "\\\" auth http \\\"http://127.0.0.1:1".to_owned(),
            "' dbname='postgres' x='".to_owned(),
            "# no comment".to_owned(),
            "$(id) `id` ${HOME} && id | id; id".to_owned(),
            "- {a: *b, c: &d !!e}".to_owned(),
            "-config=/etc/passwd".to_owned(),
            "NETWORK=a\\x20b".to_owned(),
            "x".repeat(128),
            "é".repeat(128),
            "𝕏".repeat(128),
            " ".repeat(3),
            "\u{feff}\u{202e}\u{0}\u{7f}".to_owned(),
        ]),
    ]
}

/// What a line must not hold, whoever writes it.
fn is_odd(c: char) -> bool {
    c.is_control() || ['\u{2028}', '\u{2029}'].contains(&c)
}

fn host() -> impl Strategy<Value = String> {
    let label = "a".repeat(63);
    prop_oneof![
        "[a-z0-9]{1,20}(\\.[a-z0-9]{1,20}){1,4}",
        word().prop_map(|word| word.split_whitespace().collect::<String>()),
        prop::sample::select(vec![
            format!("{label}.{label}.{label}.{}", "a".repeat(61)),
            "xn--bcher-kva.example.org".to_owned(),
            "bücher.example.org".to_owned(),
            "例え.example.org".to_owned(),
        ]),
    ]
    .prop_filter("a host name has letters", |host| !host.is_empty())
}

fn motd() -> impl Strategy<Value = String> {
    let line = word().prop_map(|word| word.replace(['\r', '\n', '\0'], ""));
    prop_oneof![
        9 => prop::collection::vec(line, 1..5).prop_map(|lines| lines.join("\n")),
        1 => Just("x".repeat(8192)),
    ]
}

fn tried<S: Strategy>(cases: u32, of: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 24, ..Config::default() };
    TestRunner::new(config).run(of, test).unwrap_or_else(|error| panic!("{error}"));
}

fn holds(what: impl Into<String>, is: bool) -> Result<(), TestCaseError> {
    if is { Ok(()) } else { Err(TestCaseError::fail(what.into())) }
}

/// A bouncer without doors to the outside, whose people have passwords of its own.
fn plain(version: &str, more: &Value) -> Valid {
    let mut spec = json!({
        "version": version,
        "auth": { "method": "Internal" },
        "expose": { "irc": "ClusterIP", "web": "None" },
    });
    merge(&mut spec, more);
    valid(&bouncer(spec)).unwrap()
}

/// What a line of ISUPPORT calls the network, with its escapes read back.
fn network_of(line: &str) -> Option<String> {
    let (_, token) = line.split_once(" NETWORK=")?;
    let mut bytes = Vec::new();
    let mut rest = token.split(' ').next()?.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        match (first, more) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                rest = after;
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

fn shown_as_it_was_written(part: Part, version: &str) {
    let runtime = Runtime::new().unwrap();
    let soju = Mutex::new(RealSoju::new(part, 0));
    let words = (word(), host(), motd(), prop::collection::vec(word(), 0..3));
    tried(20, &words, |(title, host, motd, origins)| {
        let origins: Vec<String> = origins.iter().map(|origin| format!("https://{origin}")).collect();
        let more = json!({
            "title": title, "hostname": host, "motd": motd, "websocketOrigins": origins,
            "expose": { "web": "Ingress", "webHostname": "web.example.org" },
        });
        let mut valid = plain(version, &more);
        valid.web_in_the_clear = false;
        let Ok(config) = soju::config(&valid) else {
            let mut all = origins.iter().chain([&title, &host]);
            return holds("it was refused for nothing", all.any(|word| word.contains(is_odd)));
        };
        let mut soju = soju.lock().unwrap();
        soju.start(&config.text, &motd).map_err(TestCaseError::fail)?;
        soju.make_user();
        holds(format!("it listens on {:?}", soju.listens()), soju.listens() == soju.doors())?;
        let seen = runtime.block_on(soju.greeting(PASSWORD));
        let said = |words: &str| seen.iter().any(|line| line.contains(words));
        holds(
            format!("{host:?} in {seen:#?}"),
            seen.iter().any(|line| line.starts_with(&format!(":{host} 001 "))),
        )?;
        let named = seen.iter().any(|line| network_of(line).as_ref() == Some(&title));
        holds(format!("{title:?} in {seen:#?}"), title.is_empty() || named)?;
        for line in motd.lines().map(str::trim_end) {
            holds(format!("{line:?} in {seen:#?}"), said(line))?;
        }
        Ok(())
    });
}

#[test]
fn soju_shows_every_word_as_it_was_written() {
    part!(Soju);
    for (part, version) in versions() {
        shown_as_it_was_written(part, version);
    }
}

type Told = Arc<Mutex<Vec<String>>>;

/// An issuer that knows everybody, and keeps what it is asked with.
async fn issuer(told: Told) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let base = format!("http://127.0.0.1:{port}");
    let about = json!({
        "issuer": base,
        "introspection_endpoint": format!("{base}/introspect"),
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "response_types_supported": ["code"],
    });
    let introspect = |State(told): State<Told>, headers: HeaderMap| async move {
        let given = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        told.lock().unwrap().push(given.to_owned());
        Json(json!({ "active": true, "username": USER }))
    };
    let router = Router::new()
        .route("/.well-known/oauth-authorization-server", get(move || async move { Json(about) }))
        .route("/introspect", post(introspect))
        .with_state(told);
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// Whether Basic credentials are these. RFC 6749 §2.3.1 wants both encoded as a form before they are put together; not
/// everybody does.
fn are(given: &str, id: &str, secret: &str) -> bool {
    let Some(text) = given.strip_prefix("Basic ") else { return false };
    let Ok(bytes) = serde_json::from_value::<ByteString>(json!(text)) else { return false };
    let text = String::from_utf8_lossy(&bytes.0).into_owned();
    let form = |text: &str| {
        let pair = format!("p={text}");
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    let (one, other) = text.split_once(':').unwrap_or_default();
    text == format!("{id}:{secret}")
        || (form(one).as_deref(), form(other).as_deref()) == (Some(id), Some(secret))
}

fn asked_with_these_credentials(part: Part, version: &str) {
    let (runtime, told) = (Runtime::new().unwrap(), Told::default());
    let port = runtime.block_on(issuer(Arc::clone(&told)));
    let soju = Mutex::new(RealSoju::new(part, 0));
    let client = "[ -~é]{1,40}";
    tried(8, &(client, client), |(id, secret)| {
        let root = bouncer(json!({
            "version": version,
            "auth": { "issuerUrl": format!("http://127.0.0.1:{port}"), "client": { "name": "client" } },
            "expose": { "irc": "ClusterIP", "web": "None" },
        }));
        let mut facts = facts(&root);
        facts.client = Some((id.clone(), secret.clone().into()));
        let valid = validate(&installation(), &root, facts).unwrap();
        let mut soju = soju.lock().unwrap();
        soju.start(&soju::config(&valid).unwrap().text, "").map_err(TestCaseError::fail)?;
        soju.make_user();
        holds(format!("it listens on {:?}", soju.listens()), soju.listens() == soju.doors())?;
        runtime.block_on(soju.greeting("a token"));
        let given = told.lock().unwrap().pop().unwrap_or_default();
        holds(format!("{id:?} and {secret:?} came as {given}"), are(&given, &id, &secret))
    });
}

#[test]
fn soju_proves_itself_with_the_very_credentials_of_the_secret() {
    part!(Soju);
    for (part, version) in versions() {
        asked_with_these_credentials(part, version);
    }
}

#[test]
fn an_issuer_whose_address_soju_could_not_read_is_refused_in_words() {
    let of = |path: &str| {
        let auth =
            json!({ "issuerUrl": format!("https://id.example.org/{path}"), "client": { "name": "c" } });
        valid(&bouncer(json!({ "auth": auth }))).map(drop)
    };
    assert!(of("realms/a%20b").is_ok());
    for path in ["%zz", "%", "a%4"] {
        let refused = of(path).unwrap_err();
        assert_eq!(refused.reason(), "IssuerInvalid", "{refused}");
    }
}

fn rows_with_this_password(part: Part, version: &str, server: &postgres::Cluster) {
    let runtime = Runtime::new().unwrap();
    let soju = Mutex::new(RealSoju::new(part, server.port()));
    let place = if part == Part::Soju { "newest" } else { "oldest" };
    server
        .sql("postgres", &format!("CREATE ROLE {place} LOGIN; CREATE DATABASE {place} OWNER {place};"))
        .unwrap();
    let nasty = prop::sample::select(vec![
        "' dbname='postgres' user='postgres".to_owned(),
        "\\' host='192.0.2.1".to_owned(),
        "@192.0.2.1:5432/postgres?sslmode=disable&x=".to_owned(),
        "\"\\\\\" %41 %".to_owned(),
        "ü".to_owned(),
    ]);
    tried(6, &prop_oneof!["[ -~]{1,40}", nasty], |password| {
        let quoted = password.replace('\'', "''");
        server.sql("postgres", &format!("ALTER ROLE {place} PASSWORD '{quoted}';")).unwrap();
        let mut root = bouncer(json!({
            "version": version,
            "auth": { "method": "Internal" },
            "expose": { "irc": "ClusterIP", "web": "None" },
            "database": { "engine": "Postgres" },
        }));
        let identity = root.status.as_mut().unwrap().database.as_mut().unwrap();
        (identity.name, identity.role) = (place.into(), place.into());
        let mut facts = facts(&root);
        facts.postgres.as_mut().unwrap().password = password.clone().into();
        let valid = validate(&installation(), &root, facts).unwrap();
        let mut soju = soju.lock().unwrap();
        soju.start(&soju::config(&valid).unwrap().text, "").map_err(TestCaseError::fail)?;
        soju.make_user();
        // The sidecar reaches the same rows by the address it is given.
        let Rows::Postgres(at) = &valid.rows else { panic!("no PostgreSQL") };
        let url = at.url().replace("@main-rw.postgres.svc:5432/", &format!("@127.0.0.1:{}/", server.port()));
        let url = url.replace("?sslmode=require", "?sslmode=disable");
        let users = runtime.block_on(async {
            sqlx::any::install_default_drivers();
            let pool = sqlx::AnyPool::connect(&url).await?;
            let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM \"User\"").fetch_one(&pool).await;
            pool.close().await;
            count
        });
        let users = users.map_err(|error| TestCaseError::fail(format!("{password:?}: {error}")))?;
        holds("the user is in another database", users == 1)
    });
}

#[test]
fn a_database_is_reached_with_any_password() {
    part!(Soju, Postgres);
    let options = postgres::Options { passwords: true, ..postgres::Options::default() };
    let server = postgres::Cluster::start_with(options).unwrap();
    for (part, version) in versions() {
        rows_with_this_password(part, version, &server);
    }
}

/// The files of the bouncer's Secret.
fn file(all: &[Value], name: &str) -> Option<String> {
    let secret = all.iter().find(|child| child["kind"] == "Secret" && child["data"][name].is_string())?;
    let text: ByteString = serde_json::from_value(secret["data"][name].clone()).unwrap();
    Some(String::from_utf8(text.0).unwrap())
}

/// Everything that is told the kubelet: no word of a resource is ever among it.
fn pod(all: &[Value]) -> String {
    let deployment = all.iter().find(|child| child["kind"] == "Deployment").unwrap();
    deployment["spec"].to_string()
}

proptest! {
    #[test]
    fn the_sidecar_reads_what_was_written(words in prop::collection::vec(word(), 10)) {
        let root = bouncer(json!({
            "title": "t",
            "users": [{
                "username": words[0], "nick": words[1], "realname": words[2],
                "networks": [{
                    "name": words[3], "address": words[4], "nick": words[5], "username": words[6],
                    "realname": words[7], "connectCommands": [words[8]], "channels": [{ "name": words[9] }],
                }],
            }],
        }));
        let valid = valid(&root).unwrap();
        let all = children(&root, &valid);
        let read: SidecarConfig = serde_json::from_str(&file(&all, "sidecar.json").unwrap()).unwrap();
        prop_assert_eq!(&read, &soju::sidecar(&valid));
        let (user, network) = (&read.users[0], &read.users[0].networks[0]);
        prop_assert_eq!([&user.username, &network.name, &network.address], [&words[0], &words[3], &words[4]]);
        prop_assert_eq!(user.realname.as_ref(), Some(&words[2]));
        prop_assert_eq!(network.connect_commands.as_slice(), &words[8..9]);
        prop_assert_eq!(network.channels.keys().collect::<Vec<_>>(), [&words[9]]);
        let said = json!(words).to_string();
        for word in said.trim_matches(['[', ']']).split("\",\"").filter(|word| word.chars().count() > 12) {
            prop_assert!(!pod(&all).contains(word.trim_matches('"')));
        }
    }

    #[test]
    fn the_bouncer_of_one_account_reads_what_was_written(host in word(), origin in word(), range in word()) {
        let root = bouncer(json!({
            "engine": "Ircnow", "hostname": host,
            "owner": { "sub": "0192f0c1-7b1e-7c7a-9d5e-1f2a3b4c5d6e", "username": "alice" },
            "websocketOrigins": [origin], "expose": { "irc": "ClusterIP", "web": "None" },
        }));
        let mut valid = valid(&root).unwrap();
        valid.spec.expose.proxy_ranges = vec![range.as_str().into()];
        let text = file(&children(&root, &valid), "ircnow.toml").unwrap();
        let read: toml::Table = text.parse().unwrap();
        prop_assert_eq!(read["bouncer"]["server_name"].as_str(), Some(&*host));
        prop_assert_eq!(read["bouncer"]["websocket_origins"].as_str(), Some(&*origin));
        prop_assert_eq!(read["bouncer"]["proxies"].as_str(), Some(&*range));
        prop_assert_eq!(read.len(), 3);
        prop_assert_eq!(read["bouncer"].as_table().map(toml::Table::len), Some(6));
    }

    #[test]
    fn an_address_of_rows_holds_its_password_whatever_it_is(password in any::<String>()) {
        let root = bouncer(json!({ "database": { "engine": "Postgres" } }));
        let mut facts = facts(&root);
        facts.postgres.as_mut().unwrap().password = password.clone().into();
        let at = facts.postgres.unwrap();
        let url = url::Url::parse(&at.url()).unwrap();
        prop_assert_eq!((url.host_str(), url.path(), url.query()), (Some("main-rw.postgres.svc"), "/bouncer_5a0d", Some("sslmode=require")));
        let form = format!("p={}", url.password().unwrap_or_default().replace('+', "%2B"));
        let read = url::form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned());
        prop_assert_eq!(read.as_deref(), Some(at.password.expose_secret()));
    }
}
