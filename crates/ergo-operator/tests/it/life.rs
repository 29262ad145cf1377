//! A network's life on a real API server: made, looked at, suspended, deleted.

use kube::ResourceExt as _;
use operator_testkit::world::{names, reason};
use serde_json::json;
use testkit::cluster::standin::Mood;
use testkit::{eventually, part};

use crate::world::{Ergo, World};

#[tokio::test]
async fn everything_is_made_once_and_nothing_is_written_at_rest() {
    part!(Kubernetes);
    let mut world = World::new("rest").await;
    world.make("rest", json!({ "suspend": true })).await;
    let network = world.reconciled("rest").await;
    for (kind, name) in [
        ("Secret", "rest-config"),
        ("ConfigMap", "rest-config"),
        ("StatefulSet", "rest"),
        ("Service", "rest"),
        ("Service", "rest-public"),
        ("NetworkPolicy", "rest"),
        ("PodDisruptionBudget", "rest"),
        ("Certificate", "rest"),
        ("Route", "rest-web"),
        ("PodMonitor", "rest"),
    ] {
        let child = world.child(kind, name).await.unwrap_or_else(|| panic!("no {kind} {name}"));
        assert_eq!(child.owner_references()[0].uid, network.uid().unwrap(), "{kind}");
    }
    let volume = world.child("PersistentVolumeClaim", &names::<Ergo>(&network).volume).await.unwrap();
    assert!(volume.owner_references().is_empty(), "a volume outlives its network");
    assert_eq!(reason(&network, "Ready"), "Suspended");
    let settled = world.quiet().await;
    world.stop().await;
    world.start().await;
    assert_eq!(world.quiet().await, settled, "{:?}", world.writes.each());
}

#[tokio::test]
async fn a_host_name_belongs_to_the_oldest() {
    part!(Kubernetes);
    let world = World::new("hosts").await;
    let host = world.host("shared");
    world.make("first", json!({ "suspend": true, "hostname": host })).await;
    world.reconciled("first").await;
    world.make("thief", json!({ "suspend": true, "hostname": host })).await;
    world
        .until("thief", "shows that the name is taken", |is| reason(is, "HostnameClaimed") == "HostnameTaken")
        .await;
    assert!(world.child("StatefulSet", "thief").await.is_none());
    for name in ["first", "thief"] {
        world.delete(name).await;
        world.gone(name).await;
    }
    world.make("heir", json!({ "suspend": true, "hostname": host })).await;
    let heir = world.reconciled("heir").await;
    assert_eq!(heir.status.unwrap().hostnames[0].as_str(), host);
}

#[tokio::test]
async fn a_volume_goes_or_stays_as_the_policy_says() {
    part!(Kubernetes);
    let world = World::new("volumes").await;
    for (name, policy, stays) in [("keeps", "Retain", true), ("leaves", "Delete", false)] {
        world.make(name, json!({ "suspend": true, "deletionPolicy": policy })).await;
        let volume = names::<Ergo>(&world.reconciled(name).await).volume;
        world.delete(name).await;
        world.gone(name).await;
        eventually(format!("the volume of {policy}"), || async {
            let there = world.child("PersistentVolumeClaim", &volume).await;
            let stays_now = there.is_some_and(|there| there.metadata.deletion_timestamp.is_none());
            (stays_now == stays).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_database_goes_or_stays_as_the_policy_says() {
    part!(Kubernetes, Postgres);
    let (world, rows) = World::with_rows("databases").await;
    for (name, policy, stays) in [("archive", "Retain", true), ("scratch", "Delete", false)] {
        let spec = json!({ "suspend": true, "deletionPolicy": policy, "history": { "backend": "Postgres" } });
        rows.standin.cloudnative_pg(Mood::Missing);
        let names = names::<Ergo>(&world.make(name, spec).await);
        world.until(name, "waits for its database", |is| reason(is, "DatabaseReady") == "Pending").await;
        assert!(world.child("StatefulSet", name).await.is_none(), "the server waits for its database");
        rows.standin.cloudnative_pg(Mood::Working);
        eventually(format!("{name} has a server"), || world.child("StatefulSet", name)).await;
        let network = world.reconciled(name).await;
        assert_eq!(network.status.unwrap().database.unwrap().name.0, names.postgres);
        let api = testkit::cluster::stage::objects(&world.client, "Database", rows.space.name());
        assert_eq!(api.get(&names.outside).await.unwrap().data["spec"]["databaseReclaimPolicy"], "retain");
        assert!(rows.databases().await.contains(&names.postgres));
        world.delete(name).await;
        world.gone(name).await;
        assert_eq!(api.get_opt(&names.outside).await.unwrap().is_some(), stays, "{policy}");
        assert_eq!(rows.databases().await.contains(&names.postgres), stays, "{policy}");
        assert_eq!(rows.roles().await.contains(&names.postgres), stays, "{policy}");
    }
}
