//! Every field of the resource changes what is made, or what is said: none is ignored.

use crds::ErgoNetwork;
use kube::CustomResourceExt as _;
use operator_testkit::fields::{Case, Table, case};
use operator_testkit::paper::image;
use serde_json::{Value, json};

use crate::paper::{children, network, status, valid};

fn table() -> Table {
    Table { cases: cases(), least }
}

/// What an object must have besides the field in question.
fn least(name: &str) -> Value {
    match name {
        "operators[]" => json!({ "name": "alice", "passwordHash": { "name": "hashes", "key": "alice" } }),
        "allow[]" => json!({ "cidr": "10.0.0.0/8" }),
        _ => json!({}),
    }
}

fn cases() -> Vec<Case> {
    let none = || json!({});
    let jwt = || json!({ "auth": { "jwt": { "algorithm": "Rsa", "key": { "name": "k", "key": "pub" } } } });
    let oauth2 = || {
        json!({ "auth": { "gatekeeper": false, "oauth2": {
            "introspectionUrl": "https://a.example.org/i", "client": { "name": "c" },
        } } })
    };
    let gateway = || json!({ "expose": { "irc": "Gateway", "web": "Gateway", "webHostname": "web.example.org", "gateway": { "name": "g" } } });
    let backup = || json!({ "backup": { "schedule": "0 3 * * *" } });
    let fingerprint = |digit: &str| json!(digit.repeat(64));
    let mut cases = vec![
        case("networkName", none(), json!("A"), json!("B")),
        case("hostname", none(), json!("a.example.org"), json!("b.example.org")),
        case("serverName", none(), Value::Null, json!("b.example.org")),
        case("owner.sub", json!({ "owner": { "username": "a" } }), json!("1"), json!("2")),
        case("owner.username", json!({ "owner": { "sub": "1" } }), json!("a"), json!("b")),
        case("plan", none(), json!("starter"), json!("growth")),
        case("suspend", none(), json!(false), json!(true)),
        case("image", none(), Value::Null, json!(image("own"))),
        case("version", none(), json!("2.18.0"), json!("2.19.1")),
        case("access", none(), json!("Open"), json!("MembersOnly")),
        case("auth.gatekeeper", none(), json!(true), json!(false)),
        case("auth.createAccounts", none(), json!(true), json!(false)),
        case(
            "auth.oauth2.introspectionUrl",
            oauth2(),
            json!("https://a.example.org/i"),
            json!("https://b.example.org/i"),
        ),
        case("auth.oauth2.client.name", oauth2(), json!("a"), json!("b")),
        case("auth.jwt.algorithm", jwt(), json!("Rsa"), json!("EdDsa")),
        case("auth.jwt.key.name", jwt(), json!("a"), json!("b")),
        case("auth.jwt.key.key", jwt(), json!("a"), json!("b")),
        case("auth.jwt.accountClaims", jwt(), json!(["a"]), json!(["b"])),
        case("auth.jwt.audience", jwt(), Value::Null, json!("irc")),
        case("auth.jwt.stripDomain", jwt(), Value::Null, json!("example.org")),
        case("motd", none(), Value::Null, json!("hello")),
        case("cloakName", none(), Value::Null, json!("hidden")),
        case("channels.defaultModes", none(), json!("+nt"), json!("+n")),
        case("channels.operatorOnly", none(), json!(false), json!(true)),
        case("channels.autoJoin", none(), json!([]), json!(["#lobby"])),
        case("history.backend", none(), json!("Memory"), json!("Sqlite")),
        case("history.expireDays", none(), json!(1), json!(2)),
        case("history.unregisteredChannels", none(), json!(false), json!(true)),
        case("history.directMessages", none(), json!(false), json!(true)),
        case("history.allowDelete", none(), json!(false), json!(true)),
        case("limits.clients", none(), Value::Null, json!(5)),
        case("tls.secretName", none(), Value::Null, json!("mine")),
        case("tls.issuer.name", none(), json!("a"), json!("b")),
        case(
            "tls.issuer.kind",
            json!({ "tls": { "issuer": { "name": "a" } } }),
            json!("Issuer"),
            json!("ClusterIssuer"),
        ),
        case("expose.irc", none(), json!("LoadBalancer"), json!("ClusterIP")),
        case("expose.web", none(), json!("Ingress"), json!("None")),
        case("expose.webHostname", none(), Value::Null, json!("web.example.org")),
        case("expose.gateway.name", gateway(), json!("a"), json!("b")),
        case("expose.gateway.namespace", gateway(), Value::Null, json!("b")),
        case("expose.gateway.ircSection", gateway(), Value::Null, json!("irc")),
        case("expose.gateway.webSection", gateway(), Value::Null, json!("web")),
        case("expose.ingressClassName", none(), Value::Null, json!("nginx")),
        case("expose.sourceRanges", none(), json!([]), json!(["192.0.2.0/24"])),
        case("expose.proxyRanges", none(), json!([]), json!(["192.0.2.0/24"])),
        case("plaintextInCluster", none(), json!(false), json!(true)),
        case("websocketOrigins", none(), json!([]), json!(["https://chat.example.org"])),
        case("storage.size", none(), json!("1Gi"), json!("2Gi")),
        case("storage.className", none(), Value::Null, json!("fast")),
        case("backup.schedule", backup(), json!("0 3 * * *"), json!("0 4 * * *")),
        case("restore.snapshotName", none(), json!("a"), json!("b")),
        case("egress.allow[].cidr", none(), json!("10.0.0.0/8"), json!("10.1.0.0/16")),
        case("egress.allow[].ports", none(), json!([]), json!([6697])),
        case("deletionPolicy", none(), json!("Retain"), json!("Delete")),
        case("resources.cpu", none(), json!("10m"), json!("20m")),
        case("resources.cpuLimit", none(), Value::Null, json!("1")),
        case("resources.memory", none(), json!("48Mi"), json!("49Mi")),
        case("resources.memoryLimit", none(), json!("256Mi"), json!("512Mi")),
        case("monitoring", none(), json!(true), json!(false)),
        case("operators[].name", none(), json!("alice"), json!("bob")),
        case("operators[].class", none(), json!("Moderator"), json!("Admin")),
        case("operators[].fingerprint", none(), fingerprint("a"), fingerprint("b")),
        case("operators[].automatic", none(), json!(false), json!(true)),
    ];
    for limit in [
        "limits.connectionsPerAddress",
        "limits.channelsPerClient",
        "limits.channelsPerAccount",
        "limits.nickLength",
        "limits.channelLength",
        "limits.topicLength",
        "limits.multilineBytes",
        "limits.multilineLines",
        "limits.burst",
        "limits.messagesPerSecond",
    ] {
        cases.push(case(limit, none(), json!(20), json!(21)));
    }
    // What these change is not a child; the tests that are named show it.
    let elsewhere = [
        // rendering::the_hash_of_an_operators_password_comes_from_the_secret_that_is_named
        "operators[].passwordHash.name",
        "operators[].passwordHash.key",
        // validation::only_clusters_the_installation_names_are_used
        "history.cluster.name",
        "history.cluster.namespace",
        // ergo_operator::controller::snapshots, and the cluster's tests
        "backup.keep",
        "backup.snapshotClassName",
    ];
    cases.extend(elsewhere.map(|path| case(path, none(), Value::Null, Value::Null)));
    cases
}

/// Everything a network comes to.
fn view(spec: Value) -> Value {
    let root = network(spec.clone());
    let valid = valid(&root).unwrap_or_else(|error| panic!("{spec}: {error}"));
    json!({
        "children": children(&root, &valid),
        "status": status(&root, &valid),
        "snapshots": format!("{:?}", valid.snapshots),
    })
}

#[test]
fn no_field_is_ignored() {
    table().none_is_ignored(view);
}

#[test]
fn the_table_names_every_field_there_is() {
    table().names_every_field_of(&ErgoNetwork::crd());
}
