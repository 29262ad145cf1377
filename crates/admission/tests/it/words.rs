//! What it says, to whom, and when it says nothing.

use kube::api::{DeleteParams, Patch, PatchParams};
use kube::client::Body;
use serde_json::json;
use testkit::cluster::pki::Authority;
use testkit::{eventually, part};
use tokio::net::TcpListener;

use crate::world::World;

const SUB: &str = "0192f0c1-7b1e-7c7a-9d5e-1f2a3b4c5d6e";

#[tokio::test]
async fn whoever_applies_hears_at_once_what_an_operator_would_say_later() {
    part!(Kubernetes);
    let (world, webhook) = World::with_webhook("words").await;
    let paid = json!({ "owner": { "sub": SUB, "username": "alice" }, "plan": "starter" });
    world.apply("SojuBouncer", "alice", &json!({})).await;
    world.apply("ErgoNetwork", "net", &paid).await;
    world.known("alice").await;
    world.known("net").await;

    let taken = world.refusal("ErgoNetwork", "other", &json!({ "hostname": world.host("alice") })).await;
    assert!(taken.contains("belongs to another resource: choose another host name"), "{taken}");
    assert!(!taken.contains("alice/") && !taken.contains("SojuBouncer"), "{taken}");
    let web = json!({ "expose": { "webHostname": world.host("net") } });
    assert!(world.refusal("SojuBouncer", "alice", &web).await.contains("belongs to another"));
    let second = world.refusal("ErgoNetwork", "second", &paid).await;
    assert!(second.contains("Your plan allows 1 hosted network"), "{second}");
    let plan = world.refusal("SojuBouncer", "third", &json!({ "plan": "gold" })).await;
    assert!(plan.contains("no plan `gold`"), "{plan}");
    let days = world.refusal("SojuBouncer", "alice", &json!({ "retentionDays": 7 })).await;
    assert!(days.contains("deleted for ever"), "{days}");
    let small = json!({ "database": { "storage": { "size": "512Mi" } } });
    assert!(world.refusal("SojuBouncer", "alice", &small).await.contains("cannot shrink"));

    // What is meant is said, and what is there may be changed.
    let meant = json!({ "retentionDays": 7, "annotations": { "irc.now/allow-data-loss": "true" } });
    world.apply("SojuBouncer", "alice", &meant).await;
    let mut more = paid.clone();
    more["annotations"] = json!({ "irc.now/over-quota": "true" });
    world.apply("ErgoNetwork", "second", &more).await;
    assert!(webhook.figure("admission_known_resources") >= 3.0);
    assert!(webhook.figure("admission_answers_total{kind=\"SojuBouncer\",answer=\"refused\"}") >= 4.0);
}

#[tokio::test]
async fn a_warning_reaches_whoever_applies() {
    part!(Kubernetes);
    let (world, _webhook) = World::with_webhook("warnings").await;
    world.apply("SojuBouncer", "alice", &json!({})).await;
    let patch = json!({ "spec": { "deletionPolicy": "Delete" } }).to_string();
    let path = format!("/apis/irc.now/v1alpha1/namespaces/{}/sojubouncers/alice", world.namespace());
    let request = axum::http::Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .body(Body::from(patch.into_bytes()))
        .unwrap();
    let answer = world.client.send(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let warnings: Vec<_> =
        answer.headers().get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(warnings.iter().any(|words| words.contains("go for ever")), "{warnings:?}");
}

#[tokio::test]
async fn nobody_is_asked_about_what_goes_or_stays_as_it_is() {
    part!(Kubernetes);
    let (world, webhook) = World::with_webhook("quiet").await;
    let object = |name: &str| {
        json!({
            "apiVersion": "irc.now/v1alpha1", "kind": "SojuBouncer",
            "metadata": { "name": name, "finalizers": ["irc.now/for-a-test"] },
            "spec": { "hostname": world.host(name) },
        })
    };
    world.create("SojuBouncer", object("alice")).await;
    world.create("SojuBouncer", object("bob")).await;
    let asked = webhook.answers();
    let api = world.objects("SojuBouncer");
    let merge = |patch| Patch::Merge(patch);
    // What an operator does: labels, finalizers, status; then the end, by name and all at once.
    let labelled = json!({ "metadata": { "labels": { "some": "body" } } });
    api.patch("alice", &PatchParams::default(), &merge(labelled)).await.unwrap();
    let status = json!({ "status": { "hostnames": [world.host("alice")] } });
    api.patch_status("alice", &PatchParams::default(), &merge(status)).await.unwrap();
    api.delete("alice", &DeleteParams::default()).await.unwrap();
    api.delete_collection(&DeleteParams::default(), &kube::api::ListParams::default()).await.unwrap();
    for name in ["alice", "bob"] {
        let free = json!({ "metadata": { "finalizers": null } });
        api.patch(name, &PatchParams::default(), &merge(free)).await.unwrap();
        eventually(format!("{name} is gone"), || async {
            (!world.is_there("SojuBouncer", name).await).then_some(())
        })
        .await;
    }
    assert_eq!(webhook.answers(), asked, "it was asked about something else than what is made or changed");
}

#[tokio::test]
async fn a_webhook_that_is_down_lets_everything_through() {
    part!(Kubernetes);
    let (world, webhook) = World::with_webhook("down").await;
    world.apply("SojuBouncer", "alice", &json!({})).await;
    world.known("alice").await;
    let taken = json!({ "hostname": world.host("alice") });
    world.refusal("SojuBouncer", "bob", &taken).await;
    webhook.stop().await;
    world.apply("SojuBouncer", "bob", &taken).await;
    world.objects("SojuBouncer").delete("bob", &DeleteParams::default()).await.unwrap();

    // One that takes the question and never answers is as good as none.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let (asked, mut questions) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            open.push(stream);
            let _ = asked.send(());
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("authority", folder.path()).unwrap();
    world.configure(port, Some(authority.pem())).await;
    let mut number = 0;
    loop {
        number += 1;
        let name = format!("carol{number}");
        world.apply("SojuBouncer", &name, &json!({ "hostname": world.host("alice") })).await;
        if questions.try_recv().is_ok() {
            break;
        }
        assert!(number < 200, "the API server never asked");
    }
}
