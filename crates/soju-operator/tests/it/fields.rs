//! Every field of the resource changes what is made, or what is said: none is ignored.

use crds::SojuBouncer;
use kube::CustomResourceExt as _;
use operator_testkit::fields::{Case, Table, case};
use operator_testkit::paper::image;
use serde_json::{Value, json};

use crate::paper::{bouncer, children, status, valid};

fn table() -> Table {
    Table { cases: cases(), least }
}

fn cases() -> Vec<Case> {
    let none = || json!({});
    let (one, two) = ("0192f0c1-7b1e-7c7a-9d5e-1f2a3b4c5d6e", "0192f0c1-7b1e-7c7a-9d5e-1f2a3b4c5d6f");
    let owner = || json!({ "owner": { "sub": one, "username": "alice" } });
    let gateway = || json!({ "expose": { "irc": "Gateway", "web": "Gateway", "webHostname": "web.example.org", "gateway": { "name": "g" } } });
    let issuer = || json!({ "tls": { "issuer": { "name": "a" } } });
    let own_issuer =
        || json!({ "auth": { "issuerUrl": "https://a.example.org", "client": { "name": "c" } } });
    let digits = |digit: &str| json!(digit.repeat(64));
    let mut cases = vec![
        case("engine", owner(), json!("Soju"), json!("Ircnow")),
        case("hostname", none(), json!("a.example.org"), json!("b.example.org")),
        case("owner.sub", owner(), json!(one), json!(two)),
        case("owner.username", owner(), json!("alice"), json!("bob")),
        case("plan", none(), json!("starter"), json!("growth")),
        case("suspend", none(), json!(false), json!(true)),
        case("image", none(), Value::Null, json!(image("own"))),
        case("version", json!({ "retentionDays": 7 }), json!("0.9.0"), json!("0.11.1")),
        case("title", none(), Value::Null, json!("a title")),
        case("motd", none(), Value::Null, json!("hello")),
        case("tls.secretName", none(), Value::Null, json!("mine")),
        case("tls.issuer.name", none(), json!("a"), json!("b")),
        case("tls.issuer.kind", issuer(), json!("Issuer"), json!("ClusterIssuer")),
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
        case("websocketOrigins", none(), json!([]), json!(["https://chat.example.org"])),
        case("database.engine", none(), json!("Sqlite"), json!("Postgres")),
        case("database.storage.size", none(), json!("1Gi"), json!("2Gi")),
        case("database.storage.className", none(), Value::Null, json!("fast")),
        case("retentionDays", none(), json!(7), json!(8)),
        case("auth.method", none(), json!("OAuth2"), json!("Internal")),
        case("auth.issuerUrl", own_issuer(), json!("https://a.example.org"), json!("https://b.example.org")),
        case("auth.client.name", own_issuer(), json!("a"), json!("b")),
        case("auth.createUsers", none(), json!(false), json!(true)),
        case("limits.networksPerUser", none(), json!(1), json!(2)),
        case("limits.disableInactiveDays", none(), json!(1), json!(2)),
        case("limits.storageBytes", none(), json!(1_048_576), json!(2_097_152)),
        case("uploads.url", none(), json!("https://a.example.org"), json!("https://b.example.org")),
        case("egress.allow[].cidr", none(), json!("10.0.0.0/8"), json!("10.1.0.0/16")),
        case("egress.allow[].ports", none(), json!([]), json!([6697])),
        case("ident", none(), json!(false), json!(true)),
        case("seedPolicy", none(), json!("CreateOnly"), json!("Enforce")),
        case("restore.snapshotName", json!({}), json!("a"), json!("b")),
        case("moving", owner(), Value::Null, json!("In")),
        case("moving", owner(), json!("In"), json!("Out")),
        case("deletionPolicy", none(), json!("Retain"), json!("Delete")),
        case("resources.cpu", none(), json!("10m"), json!("20m")),
        case("resources.cpuLimit", none(), Value::Null, json!("1")),
        case("resources.memory", none(), json!("48Mi"), json!("49Mi")),
        case("resources.memoryLimit", none(), json!("256Mi"), json!("512Mi")),
        case("monitoring", none(), json!(true), json!(false)),
        case("users[].networks[].fingerprint", none(), digits("a"), digits("b")),
        case("users[].networks[].connectCommands", none(), json!([]), json!(["PRIVMSG NickServ :hi"])),
        case(
            "users[].networks[].address",
            none(),
            json!("ircs://a.example.org"),
            json!("ircs://b.example.org"),
        ),
        case("users[].networks[].channels[].name", none(), json!("#a"), json!("#b")),
        case("users[].maxNetworks", none(), json!(1), json!(2)),
    ];
    for text in [
        "users[].username",
        "users[].nick",
        "users[].realname",
        "users[].password.name",
        "users[].password.key",
        "users[].networks[].name",
        "users[].networks[].nick",
        "users[].networks[].username",
        "users[].networks[].realname",
        "users[].networks[].serverPassword.name",
        "users[].networks[].serverPassword.key",
        "users[].networks[].sasl.username",
        "users[].networks[].sasl.password.name",
        "users[].networks[].sasl.password.key",
    ] {
        cases.push(case(text, none(), json!("one"), json!("two")));
    }
    for switch in [
        "users[].admin",
        "users[].enabled",
        "users[].networks[].autoAway",
        "users[].networks[].enabled",
        "users[].networks[].channels[].detached",
    ] {
        cases.push(case(switch, none(), json!(false), json!(true)));
    }
    // children::a_cluster_that_is_not_allowed_is_refused; where it is allowed, the status names it.
    let elsewhere = ["database.cluster.name", "database.cluster.namespace"];
    cases.extend(elsewhere.map(|path| case(path, none(), Value::Null, Value::Null)));
    cases
}

/// What an object must have besides the field in question.
fn least(name: &str) -> Value {
    match name {
        "users[]" => json!({ "username": "alice" }),
        "networks[]" => json!({ "name": "net", "address": "ircs://irc.example.org" }),
        "channels[]" => json!({ "name": "#a" }),
        "allow[]" => json!({ "cidr": "10.0.0.0/8" }),
        "sasl" => json!({ "username": "alice", "password": { "name": "s", "key": "k" } }),
        "password" | "serverPassword" => json!({ "name": "s", "key": "k" }),
        _ => json!({}),
    }
}

/// Everything a bouncer comes to.
fn view(spec: Value) -> Value {
    let root = bouncer(spec.clone());
    let valid = valid(&root).unwrap_or_else(|error| panic!("{spec}: {error}"));
    json!({ "children": children(&root, &valid), "status": status(&root, &valid) })
}

#[test]
fn no_field_is_ignored() {
    table().none_is_ignored(view);
}

#[test]
fn the_table_names_every_field_there_is() {
    table().names_every_field_of(&SojuBouncer::crd());
}
