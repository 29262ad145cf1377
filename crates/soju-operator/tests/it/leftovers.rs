//! What an operator that died half-way, or somebody else's controller, leaves behind.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, PostParams};
use operator::{OWNER_UID, claim};
use serde_json::json;
use testkit::{eventually, part};

use crate::world::World;

fn claims(world: &World) -> Api<Lease> {
    Api::namespaced(world.client.clone(), world.namespace())
}

/// A claim as an operator leaves it that dies before it writes the status.
async fn left_behind(world: &World, host: &str, uid: &str) {
    let holder = format!("SojuBouncer/{}/alice/{uid}", world.namespace());
    let lease = json!({
        "metadata": {
            "name": claim::object_name(host),
            "labels": { OWNER_UID: uid },
            "annotations": { "irc.now/hostname": host },
        },
        "spec": { "holderIdentity": holder },
    });
    claims(world).create(&PostParams::default(), &serde_json::from_value(lease).unwrap()).await.unwrap();
}

async fn is_claimed(world: &World, host: &str) -> bool {
    claims(world).get_opt(&claim::object_name(host)).await.unwrap().is_some()
}

#[tokio::test]
async fn a_claim_nobody_knows_of_is_given_back_with_the_next_change() {
    part!(Kubernetes);
    let world = World::new("claims").await;
    world.make("alice", json!({ "suspend": true })).await;
    let uid = world.reconciled("alice").await.uid().unwrap();
    let (left, others) = (world.host("left"), world.host("others"));
    left_behind(&world, &left, &uid).await;
    left_behind(&world, &others, "5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11").await;
    world.change("alice", json!({ "title": "another" })).await;
    eventually("the claim is given back", || async { (!is_claimed(&world, &left).await).then_some(()) })
        .await;
    world.reconciled("alice").await;
    assert!(is_claimed(&world, &world.host("alice")).await, "the name that is used stays claimed");
    assert!(is_claimed(&world, &others).await, "a claim of somebody else is theirs");
}

#[tokio::test]
async fn a_claim_nobody_knows_of_goes_with_the_bouncer() {
    part!(Kubernetes);
    let world = World::new("last-claims").await;
    world.make("alice", json!({ "suspend": true })).await;
    let uid = world.reconciled("alice").await.uid().unwrap();
    left_behind(&world, &world.host("left"), &uid).await;
    world.delete("alice").await;
    world.gone("alice").await;
    assert!(!is_claimed(&world, &world.host("left")).await);
    assert!(!is_claimed(&world, &world.host("alice")).await);
}

#[tokio::test]
async fn the_certificate_in_a_secret_stays_or_goes_as_the_policy_says() {
    part!(Kubernetes);
    let world = World::new("certificates").await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), world.namespace());
    for (policy, stays) in [("Retain", true), ("Delete", false)] {
        let name = policy.to_lowercase();
        world.make(&name, json!({ "suspend": true, "deletionPolicy": policy })).await;
        let uid = world.reconciled(&name).await.uid().unwrap();
        // cert-manager makes the Secret by this template, and leaves it where it is when the certificate goes.
        let certificate = world.child("Certificate", &name).await.unwrap();
        let template = &certificate.data["spec"]["secretTemplate"];
        assert_eq!(*template, json!({ "labels": { OWNER_UID: uid } }));
        let secret = |name: &str, labels| {
            serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } })).unwrap()
        };
        let (tls, others) = (format!("{name}-tls"), format!("{name}-web-tls"));
        secrets.create(&PostParams::default(), &secret(&tls, template["labels"].clone())).await.unwrap();
        secrets.create(&PostParams::default(), &secret(&others, json!({}))).await.unwrap();
        world.delete(&name).await;
        world.gone(&name).await;
        assert_eq!(secrets.get_opt(&tls).await.unwrap().is_some(), stays, "{policy}");
        assert!(secrets.get_opt(&others).await.unwrap().is_some(), "what nobody marked is somebody else's");
    }
}
