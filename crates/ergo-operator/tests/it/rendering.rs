//! What is written for Ergo is what was asked for, whatever the words are.

use crds::ErgoNetworkSpec;
use ergo_operator::ergo::{Change, Checks, Issuer, Key, Release, Secrets, Wanted, render, yaml};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::paper::{child, children, config, facts, network, valid};

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\PC\n\r\t:#{}\\[\\]&*!|>'\"%@`,?-]{0,40}",
        Just("\": {}\nopers: {\"x\": {}}\n#".to_owned()),
        Just("a\u{85}b\u{2028}c\u{2029}d\u{feff}\0".to_owned()),
        Just("${HOME} $(id) `id` {{ .Values }}".to_owned()),
        Just("x".repeat(512)),
    ]
}

proptest! {
    #[test]
    fn no_value_ever_escapes(words in proptest::collection::vec(hostile(), 12), name in "[a-zA-Z\u{80}-\u{10ffff}:#'\"{}]{1,64}") {
        let spec: ErgoNetworkSpec = serde_json::from_value(json!({
            "networkName": words[0], "hostname": words[1], "serverName": words[2],
            "auth": { "gatekeeper": false, "jwt": {
                "algorithm": "Hmac", "key": { "name": "k", "key": "k" },
                "accountClaims": [words[3]], "audience": words[4], "stripDomain": words[5],
            } },
            "operators": [{ "name": name, "fingerprint": words[6] }],
            "cloakName": words[7],
            "channels": { "defaultModes": words[8], "autoJoin": [words[9]] },
            "websocketOrigins": [words[10]],
            "expose": { "proxyRanges": [words[11]] },
        })).unwrap();
        let secrets = Secrets {
            issuer: Some(Issuer {
                introspection_url: words[0].clone(),
                client_id: words[1].clone(),
                client_secret: words[2].clone().into(),
            }),
            jwt: Some(Key(words[3].clone().into())),
            operators: vec![Some(words[4].clone().into())],
        };
        let rendered = render(&Wanted {
            spec: &spec,
            release: Release::parse(&"2.19.1".into()).unwrap(),
            secrets: &secrets,
            database: None,
            api_token: &words[5].clone().into(),
            operator_hash: "",
            checks: Checks { addresses: true, passwords: true },
            websocket: true,
            places: &ergo_operator::paths::Places::pod(),
        });
        let text = yaml::write(&rendered);
        let read: Value = serde_saphyr::from_str(&text).unwrap();
        prop_assert_eq!(&read, &rendered);
        let at = |path: &str| read.pointer(path).and_then(Value::as_str).unwrap_or_default();
        prop_assert_eq!(at("/network/name"), &words[0]);
        prop_assert_eq!(at("/server/name"), &words[2]);
        prop_assert_eq!(at("/accounts/oauth2/client-secret"), &words[2]);
        prop_assert_eq!(at("/accounts/jwt-auth/tokens/0/key"), &words[3]);
        prop_assert_eq!(at("/accounts/jwt-auth/tokens/0/validate-aud"), &words[4]);
        prop_assert_eq!(at("/channels/auto-join/0"), &words[9]);
        prop_assert_eq!(read["opers"][&name]["certfp"].as_str(), Some(&*words[6]));
        prop_assert_eq!(read["opers"].as_object().map(serde_json::Map::len), Some(1));
    }
}

#[test]
fn what_is_rendered_depends_on_the_release() {
    let at = |version: &str, path: &str| {
        let root = network(
            json!({ "version": version, "history": { "backend": "Memory" }, "limits": { "clients": 5 } }),
        );
        config(&valid(&root).unwrap()).pointer(path).cloned()
    };
    let script = |version, field| at(version, &format!("/server/ip-check-script/{field}"));
    assert_eq!(script("2.18.0", "socket"), None);
    assert_eq!(script("2.18.0", "command"), Some(json!("/run/ergo/ircnow")));
    assert_eq!(script("2.19.1", "socket"), Some(json!("/run/ergo/address.sock")));
    assert_eq!(script("2.19.1", "command"), None);
    assert_eq!(at("2.15.0", "/api"), None);
    assert!(at("2.15.0", "/opers/ircnow-operator/password").is_some());
    assert!(at("2.15.0", "/server/listeners/127.0.0.1:6668").is_some());
    assert_eq!(at("2.16.0", "/api/enabled"), Some(json!(true)));
    assert_eq!(at("2.16.0", "/opers/ircnow-operator"), None);
}

#[test]
fn history_goes_where_it_was_asked_to_go() {
    let of = |backend: &str| config(&valid(&network(json!({ "history": { "backend": backend } }))).unwrap());
    assert_eq!(of("Memory").pointer("/history/persistent/enabled"), Some(&json!(false)));
    assert_eq!(of("Sqlite").pointer("/datastore/sqlite/database-path"), Some(&json!("/data/history.db")));
    let postgres = of("Postgres");
    assert_eq!(postgres.pointer("/datastore/postgresql/host"), Some(&json!("main-rw.postgres.svc")));
    assert_eq!(postgres.pointer("/datastore/postgresql/history-database"), Some(&json!("network_5a0d")));
    assert_eq!(postgres.pointer("/datastore/sqlite"), None);
}

#[test]
fn access_says_who_gets_in() {
    let of = |access: &str| {
        let config = config(&valid(&network(json!({ "access": access }))).unwrap());
        let at = |path: &str| config.pointer(path).and_then(Value::as_bool).unwrap();
        (at("/accounts/registration/enabled"), at("/accounts/require-sasl/enabled"))
    };
    assert_eq!(of("Open"), (true, false));
    assert_eq!(of("AccountsOnly"), (true, true));
    assert_eq!(of("MembersOnly"), (false, true));
}

#[test]
fn the_less_of_plan_and_resource_limits_the_clients() {
    let of = |spec: Value| {
        let valid = valid(&network(spec)).unwrap();
        let sidecar: Value = serde_json::from_str(valid.config.sidecar.expose()).unwrap();
        let asks = config(&valid).pointer("/server/ip-check-script/enabled").cloned();
        (sidecar["clients"].as_u64(), asks == Some(json!(true)))
    };
    assert_eq!(of(json!({})), (None, false));
    assert_eq!(of(json!({ "plan": "starter" })), (Some(50), true));
    assert_eq!(of(json!({ "plan": "starter", "limits": { "clients": 7 } })), (Some(7), true));
    assert_eq!(of(json!({ "plan": "starter", "limits": { "clients": 700 } })), (Some(50), true));
}

#[test]
fn the_hash_of_an_operators_password_comes_from_the_secret_that_is_named() {
    let operators = json!({ "operators": [
        { "name": "alice", "passwordHash": { "name": "a", "key": "x" } },
        { "name": "bob", "passwordHash": { "name": "b", "key": "y" }, "class": "Admin" },
    ] });
    let root = network(operators);
    let config = config(&valid(&root).unwrap());
    for (name, operator) in ["alice", "bob"].into_iter().zip(&root.spec.operators) {
        let known = facts(&root).secrets;
        let hash =
            secrecy::ExposeSecret::expose_secret(&known[operator.password_hash.as_ref().unwrap()]).to_owned();
        assert_eq!(config["opers"][name]["password"], hash);
    }
    assert_eq!(config["opers"]["bob"]["class"], "admin");
    let capabilities = config.pointer("/oper-classes/admin/capabilities").unwrap().to_string();
    assert!(!capabilities.contains("rehash"), "{capabilities}");
}

#[test]
fn secrets_are_in_the_secret_alone() {
    let root = network(json!({ "history": { "backend": "Postgres" }, "motd": "hello" }));
    let valid = valid(&root).unwrap();
    let config = config(&valid);
    let secrets =
        ["/datastore/postgresql/password", "/accounts/oauth2/client-secret", "/api/bearer-tokens/0"]
            .map(|path| config.pointer(path).and_then(Value::as_str).unwrap().to_owned());
    for child in children(&root, &valid) {
        let text = child.to_string();
        let open = secrets.iter().find(|secret| text.contains(secret.as_str()));
        assert_eq!(open, None, "in the {}", child["kind"]);
    }
    let debug = format!("{valid:?}");
    assert!(secrets.iter().all(|secret| !debug.contains(secret.as_str())), "{debug}");
}

#[test]
fn a_pod_is_only_made_anew_for_what_a_running_server_refuses() {
    let mark = |spec: Value| {
        let root = network(spec);
        let valid = valid(&root).unwrap();
        let all = children(&root, &valid);
        (config(&valid), child(&all, "StatefulSet", "example")["spec"]["template"].clone())
    };
    let (before, template) = mark(json!({}));
    for rehashable in [
        json!({ "motd": "new" }),
        json!({ "access": "MembersOnly" }),
        json!({ "limits": { "clients": 3, "nickLength": 20 } }),
        json!({ "auth": { "gatekeeper": false } }),
        json!({ "history": { "expireDays": 3 } }),
    ] {
        let (after, same) = mark(rehashable.clone());
        assert!(matches!(Change::between(&before, &after), Change::None | Change::Rehash), "{rehashable}");
        assert_eq!(template, same, "{rehashable}");
    }
    for restart in [json!({ "serverName": "b.example.org" }), json!({ "history": { "backend": "Memory" } })] {
        let (after, other) = mark(restart.clone());
        assert!(matches!(Change::between(&before, &after), Change::Restart(_)), "{restart}");
        assert_ne!(template, other, "{restart}");
    }
}
