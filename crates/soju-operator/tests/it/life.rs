//! A bouncer's life: made, looked at, edited by others, suspended, deleted.

use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use operator_testkit::world::{holds, names, reason};
use serde_json::json;
use testkit::{eventually, part};

use crate::world::{Soju, World};

#[tokio::test]
async fn everything_is_made_once_and_nothing_is_written_at_rest() {
    part!(Kubernetes);
    let mut world = World::new("rest").await;
    world.make("alice", json!({ "suspend": true })).await;
    let bouncer = world.reconciled("alice").await;
    for (kind, name) in [
        ("Secret", "alice-config"),
        ("Service", "alice"),
        ("Deployment", "alice"),
        ("NetworkPolicy", "alice"),
        ("PodDisruptionBudget", "alice"),
        ("Certificate", "alice"),
        ("Route", "alice-web"),
        ("PodMonitor", "alice"),
    ] {
        let child = world.child(kind, name).await.unwrap_or_else(|| panic!("no {kind} {name}"));
        assert_eq!(child.owner_references()[0].uid, bouncer.uid().unwrap(), "{kind}");
    }
    let volume = world.child("PersistentVolumeClaim", &names::<Soju>(&bouncer).volume).await.unwrap();
    assert!(volume.owner_references().is_empty(), "a volume outlives its bouncer");
    assert_eq!(reason(&bouncer, "Ready"), "Suspended");
    // Whatever the controllers write into the children is looked at, and changes nothing.
    let settled = world.quiet().await;
    world.stop().await;
    world.start().await;
    let labelled = json!({ "metadata": { "labels": { "somebody": "else" } } });
    world.roots().patch("alice", &PatchParams::default(), &Patch::Merge(&labelled)).await.unwrap();
    assert_eq!(world.quiet().await, settled, "{:?}", world.writes.each());
}

#[tokio::test]
async fn what_is_not_wanted_any_more_goes() {
    part!(Kubernetes);
    let world = World::new("orphans").await;
    world.make("alice", json!({ "suspend": true })).await;
    world.reconciled("alice").await;
    assert!(world.child("Route", "alice-web").await.is_some());
    world.change("alice", json!({ "expose": { "web": "None" }, "monitoring": false })).await;
    eventually("Route and monitor are gone", || async {
        let left = (world.child("Route", "alice-web").await, world.child("PodMonitor", "alice").await);
        matches!(left, (None, None)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_oldest_has_the_host_name_until_it_gives_it_back() {
    part!(Kubernetes);
    let world = World::new("hosts").await;
    let host = world.host("shared");
    world.make("first", json!({ "suspend": true, "hostname": host })).await;
    world.reconciled("first").await;
    world.make("second", json!({ "suspend": true, "hostname": host })).await;
    let second =
        world.until("second", "is refused", |bouncer| reason(bouncer, "Ready") == "HostnameTaken").await;
    assert!(holds(&second, "HostnameClaimed", "False"));
    assert!(world.child("Service", "second").await.is_none(), "the loser makes nothing");
    world.change("first", json!({ "hostname": world.host("other") })).await;
    world.reconciled("first").await;
    // It looks again by itself within a minute; a change wakes it at once.
    eventually("the claim is given back", || async {
        world.change("second", json!({ "title": format!("{:?}", std::time::Instant::now()) })).await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let second = world.roots().get("second").await.unwrap();
        holds(&second, "HostnameClaimed", "True").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_foreign_object_of_the_same_name_is_left_alone() {
    part!(Kubernetes);
    let world = World::new("foreign").await;
    let theirs = "{apiVersion: v1, kind: Secret, metadata: {name: alice-config}, data: {mine: Zm9v}}";
    world.cluster.apply(theirs, Some(world.namespace())).await.unwrap();
    world.make("alice", json!({ "suspend": true })).await;
    world.until("alice", "is refused", |bouncer| reason(bouncer, "Ready") == "NameTaken").await;
    let secret = world.child("Secret", "alice-config").await.unwrap();
    assert_eq!(secret.data["data"], json!({ "mine": "Zm9v" }));
}

#[tokio::test]
async fn a_deleted_bouncer_leaves_its_volume_or_takes_it_along() {
    part!(Kubernetes);
    let world = World::new("ends").await;
    for (policy, stays) in [("Retain", true), ("Delete", false)] {
        let name = policy.to_lowercase();
        world.make(&name, json!({ "suspend": true, "deletionPolicy": policy })).await;
        let bouncer = world.reconciled(&name).await;
        let volume = names::<Soju>(&bouncer).volume;
        // Nothing mounts it, but the API server protects it from being deleted until its controller agrees.
        world.free_volume(&bouncer).await;
        world.delete(&name).await;
        world.gone(&name).await;
        assert_eq!(world.child("PersistentVolumeClaim", &volume).await.is_some(), stays, "{policy}");
        eventually("its children go with it", || async {
            world.child("Service", &name).await.is_none().then_some(())
        })
        .await;
    }
}
