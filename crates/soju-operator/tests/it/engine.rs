//! The engine `Ircnow`: `ircnow bouncer` for one account.

use k8s_openapi::ByteString;
use kube::ResourceExt as _;
use operator_testkit::world::reason;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use soju_operator::credentials;
use testkit::part;

use crate::world::World;

const SUB: &str = "0190a5ee-33cb-7a5e-9b2f-3d0a9d3b8a11";

fn owned(more: &Value) -> Value {
    let mut spec = json!({ "engine": "Ircnow", "owner": { "sub": SUB, "username": "alice" } });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    spec
}

async fn child(world: &World, kind: &str, name: &str) -> Value {
    world.child(kind, name).await.unwrap_or_else(|| panic!("no {kind} {name}")).data
}

/// The configuration as it stands in the Secret.
async fn config(world: &World, name: &str) -> toml::Table {
    let secret = child(world, "Secret", &format!("{name}-config")).await;
    let files = secret["data"].as_object().unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["ircnow.toml"], "nothing of soju is in it");
    let text: ByteString = serde_json::from_value(files["ircnow.toml"].clone()).unwrap();
    String::from_utf8(text.0).unwrap().parse().unwrap()
}

#[tokio::test]
async fn one_accounts_bouncer_is_told_everything_by_its_secret() {
    part!(Kubernetes);
    let world = World::new("engine").await;
    let expose = json!({ "proxyRanges": ["10.1.0.0/16"] });
    let egress = json!({ "allow": [{ "cidr": "10.9.0.7/32", "ports": [6667] }] });
    let origins = json!(["https://gamja.example.org"]);
    let more = json!({ "expose": expose, "egress": egress, "websocketOrigins": origins });
    let bouncer = world.make("alice", owned(&more)).await;
    world.reconciled("alice").await;
    let uid = bouncer.uid().unwrap();

    let config = config(&world, "alice").await;
    let id = format!("bouncer-{uid}");
    let secret = credentials::client_secret(&"for tests".into(), &id);
    assert_eq!(config["bouncer"]["account"].as_str(), Some(SUB));
    assert_eq!(config["bouncer"]["server_name"].as_str(), Some(world.host("alice").as_str()));
    assert_eq!(config["bouncer"]["proxies"].as_str(), Some("10.1.0.0/16"));
    assert_eq!(config["bouncer"]["websocket_origins"].as_str(), Some("https://gamja.example.org"));
    assert_eq!(config["dial"]["allow"].as_array().unwrap()[0].as_str(), Some("10.9.0.7:6667"));
    assert_eq!(config["role"]["client_id"].as_str(), Some(id.as_str()));
    assert_eq!(config["role"]["client_secret"].as_str(), Some(secret.expose_secret()));
    assert_eq!(config["role"]["gatekeeper"].as_str(), Some("https://auth.example.org/dedicated/"));
    assert_eq!(config["sites"]["auth"].as_str(), Some("https://auth.example.org"));
    assert_eq!(config["sites"]["base"].as_str(), Some("https://example.org"));

    let deployment = child(&world, "Deployment", "alice").await;
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate");
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let containers = pod["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1, "there is no soju to have a sidecar");
    let container = &containers[0];
    assert!(container["image"].as_str().unwrap().starts_with("ircnow@sha256:"));
    assert_eq!(container["command"], json!(["ircnow"]));
    let args = container["args"].to_string();
    assert!(args.contains("bouncer") && args.contains("/data/ircnow"), "{args}");
    assert!(
        !deployment.to_string().contains(secret.expose_secret()),
        "the secret stands in the Secret alone"
    );
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        assert_eq!(container[probe]["httpGet"]["path"], path);
        assert_eq!(container[probe]["httpGet"]["port"], "admin");
    }

    let service = child(&world, "Service", "alice").await;
    let ports = service["spec"]["ports"].as_array().unwrap();
    let names: Vec<_> =
        container["ports"].as_array().unwrap().iter().map(|port| port["name"].clone()).collect();
    assert!(ports.iter().all(|port| names.contains(&port["targetPort"])), "{ports:?} of {names:?}");
    let policy = child(&world, "NetworkPolicy", "alice").await;
    assert_eq!(policy["spec"]["ingress"][0]["ports"], json!([{ "protocol": "TCP", "port": 6697 }]));
    let monitor = child(&world, "PodMonitor", "alice").await;
    assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["port"], "admin");
}

#[tokio::test]
async fn what_this_engine_would_not_do_is_refused_in_words() {
    part!(Kubernetes);
    let world = World::new("refusals").await;
    world.make("plain", owned(&json!({ "suspend": true }))).await;
    world.reconciled("plain").await;
    for (name, more, wanted) in [
        ("title", json!({ "title": "Alice's" }), "FieldNotSupported"),
        ("motd", json!({ "motd": "Hello." }), "FieldNotSupported"),
        ("ident", json!({ "ident": true }), "FieldNotSupported"),
        ("days", json!({ "retentionDays": 7 }), "FieldNotSupported"),
        ("limits", json!({ "limits": { "networksPerUser": 3 } }), "FieldNotSupported"),
        ("issuer", json!({ "auth": { "issuerUrl": "https://id.example.org" } }), "FieldNotSupported"),
        (
            "egress",
            json!({ "egress": { "allow": [{ "cidr": "10.9.0.0/24", "ports": [1] }] } }),
            "FieldNotSupported",
        ),
        ("owner", json!({ "owner": { "sub": "alice", "username": "alice" } }), "OwnerInvalid"),
    ] {
        world.make(name, owned(&more)).await;
        let bouncer = world.until(name, "is refused", |bouncer| reason(bouncer, "Ready") == wanted).await;
        assert!(world.child("Deployment", name).await.is_none(), "{:?}", bouncer.status);
    }
}
