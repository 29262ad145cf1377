//! What the API server refuses by itself.

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::cluster::Cluster;
use testkit::part;

async fn api(kind: &str) -> (Api<DynamicObject>, testkit::cluster::Namespace) {
    let cluster = Cluster::shared().await.unwrap();
    // Applying them at all shows that the cost of every rule is within the API server's budget.
    cluster.define(&crds::all()).await.unwrap();
    let space = cluster.namespace("definitions").await.unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("irc.now", "v1alpha1", kind));
    (Api::namespaced_with(cluster.admin().await.unwrap(), space.name(), &resource), space)
}

fn object(kind: &str, name: &str, spec: Value) -> DynamicObject {
    serde_json::from_value(
        json!({ "apiVersion": "irc.now/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec }),
    )
    .unwrap()
}

#[tokio::test]
async fn a_bouncer_is_refused_with_a_reason() {
    part!(Kubernetes);
    let (api, _space) = api("SojuBouncer").await;
    let host = "a.example.org";
    let cases = [
        (
            "a-name-of-more-than-forty-characters-is-too-long",
            json!({ "hostname": host }),
            "at most 40 characters",
        ),
        ("9lives", json!({ "hostname": host }), "begins with a letter"),
        ("a", json!({ "hostname": "Ünicode.example.org" }), "spec.hostname"),
        ("a", json!({ "hostname": "evil.example.org\nlisten irc://" }), "spec.hostname"),
        ("a", json!({ "hostname": host, "title": "a\nb" }), "spec.title"),
        ("a", json!({ "hostname": host, "image": "soju:latest" }), "spec.image"),
        ("a", json!({ "hostname": host, "engine": "Ircnow" }), "name the owner"),
        (
            "a",
            json!({ "hostname": host, "tls": { "secretName": "a", "issuer": { "name": "b" } } }),
            "not both",
        ),
        ("a", json!({ "hostname": host, "expose": { "irc": "Route" } }), "webHostname of its own"),
        ("a", json!({ "hostname": host, "expose": { "web": "Gateway" } }), "name the gateway"),
        (
            "a",
            json!({ "hostname": host, "database": { "cluster": { "name": "pg", "namespace": "x" } } }),
            "for engine Postgres",
        ),
        (
            "a",
            json!({ "hostname": host, "auth": { "method": "Internal", "createUsers": true } }),
            "createUsers",
        ),
        ("a", json!({ "hostname": host, "egress": { "allow": [{ "cidr": "10.0.0.0" }] } }), "cidr"),
        (
            "a",
            json!({ "hostname": host, "users": [{ "username": "a" }, { "username": "a" }] }),
            "Duplicate value",
        ),
        ("a", json!({ "hostname": host, "retentionDays": 0 }), "retentionDays"),
        ("a", json!({ "hostname": host, "moving": "In" }), "with an owner"),
        ("a", json!({ "hostname": host, "moving": "Sideways" }), "moving"),
        (
            "a",
            json!({
                "hostname": host, "owner": { "sub": "s", "username": "alice" },
                "moving": "In", "restore": { "snapshotName": "s" },
            }),
            "begins empty",
        ),
    ];
    for (name, spec, words) in cases {
        let answer = api.create(&PostParams::default(), &object("SojuBouncer", name, spec.clone())).await;
        let error = answer.expect_err(&format!("{spec} was taken")).to_string();
        assert!(error.contains(words), "{spec}: {error}");
    }
}

#[tokio::test]
async fn what_must_not_change_cannot() {
    part!(Kubernetes);
    let (api, _space) = api("SojuBouncer").await;
    let spec = json!({ "hostname": "a.example.org", "owner": { "sub": "s", "username": "alice" } });
    api.create(&PostParams::default(), &object("SojuBouncer", "a", spec)).await.unwrap();
    for change in [
        json!({ "engine": "Ircnow" }),
        json!({ "owner": { "sub": "other" } }),
        json!({ "owner": null }),
        json!({ "database": { "engine": "Postgres" } }),
        json!({ "moving": "In" }),
    ] {
        let patch = json!({ "spec": change });
        let answer = api.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await;
        let error = answer.expect_err(&format!("{change} was taken")).to_string();
        assert!(error.contains("cannot be"), "{change}: {error}");
    }
    // Out of it an account may move at any time, and not once that was taken back into it again.
    for change in [json!({ "moving": "Out" }), json!({ "moving": null })] {
        let patch = json!({ "spec": change });
        api.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }
}

#[tokio::test]
async fn an_empty_spec_is_filled_with_defaults_and_can_be_selected() {
    part!(Kubernetes);
    let (api, _space) = api("SojuBouncer").await;
    let spec = json!({ "hostname": "a.example.org", "plan": null });
    let made = api.create(&PostParams::default(), &object("SojuBouncer", "a", spec)).await.unwrap();
    assert_eq!(made.data["spec"]["engine"], "Soju");
    assert_eq!(made.data["spec"]["resources"]["memoryLimit"], "256Mi");
    assert_eq!(made.data["spec"]["monitoring"], true);
    assert_eq!(made.data["spec"].get("plan"), None);
    let found = |fields: &str| {
        let params = kube::api::ListParams::default().fields(fields);
        let api = api.clone();
        async move { api.list(&params).await.unwrap().items.len() }
    };
    assert_eq!(found("spec.hostname=a.example.org").await, 1);
    assert_eq!(found("spec.hostname=b.example.org").await, 0);
}

#[tokio::test]
async fn a_network_is_refused_with_a_reason() {
    part!(Kubernetes);
    let (api, _space) = api("ErgoNetwork").await;
    let least = json!({ "hostname": "a.example.org", "networkName": "Example" });
    let with = |field: &str, value: Value| {
        let mut spec = least.clone();
        spec[field] = value;
        spec
    };
    let cases = [
        (with("networkName", json!("two words")), "networkName"),
        (with("operators", json!([{ "name": "root" }])), "needs a passwordHash or a fingerprint"),
        (with("history", json!({ "cluster": { "name": "a", "namespace": "b" } })), "for backend Postgres"),
        (
            json!({ "hostname": "a.example.org", "networkName": "x", "access": "MembersOnly", "auth": { "gatekeeper": false } }),
            "knows the members",
        ),
        (with("motd", json!("a\r\nb")), "spec.motd"),
    ];
    for (spec, words) in cases {
        let answer = api.create(&PostParams::default(), &object("ErgoNetwork", "a", spec.clone())).await;
        let error = answer.expect_err(&format!("{spec} was taken")).to_string();
        assert!(error.contains(words), "{spec}: {error}");
    }
    api.create(&PostParams::default(), &object("ErgoNetwork", "a", least)).await.unwrap();
}
