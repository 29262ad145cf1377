//! What is secured before a resource goes: it is awaited, it outlives the resource, and another one begins from it.

use kube::api::{Patch, PatchParams};
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use testkit::cluster::{Cluster, Kinds, stage};
use testkit::{eventually, part};
use tokio::sync::OnceCell;

use crate::Subject;
use crate::world::{World, holds, names, reason};

/// A control plane that knows snapshots and backups, which most do not.
async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    let cluster = CLUSTER.get_or_init(|| async { Cluster::start().await.unwrap() }).await;
    cluster.install(Kinds::ALL | Kinds::BACKUPS).await.unwrap();
    cluster
}

/// Says of a snapshot or a backup what its controller would.
async fn say<S: Subject>(world: &World<S>, kind: &str, namespace: &str, name: &str, status: Value) {
    let patch = Patch::Merge(json!({ "status": status }));
    let api = stage::objects(&world.client, kind, namespace);
    api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

/// With `deletionPolicy: Snapshot`, the volume goes when its snapshot can be used, and not before; a new resource begins
/// from that.
pub async fn a_volume_goes_when_its_snapshot_is_there_and_another_begins_from_it<S: Subject>() {
    part!(Kubernetes);
    let world = World::<S>::on(cluster().await, "snapshots", "").await;
    let root = world.make("alice", json!({ "suspend": true, "deletionPolicy": "Snapshot" })).await;
    world.reconciled("alice").await;
    let names = names::<S>(&root);
    world.delete("alice").await;
    let waits = |root: &_| reason(root, "SnapshotReady") == "SnapshotPending";
    world.until("alice", "waits for its snapshot", waits).await;
    let snapshot = world.child("VolumeSnapshot", &names.last).await.unwrap();
    assert_eq!(snapshot.data["spec"]["source"], json!({ "persistentVolumeClaimName": names.volume }));
    assert!(snapshot.owner_references().is_empty(), "it outlives what it is of");
    assert!(world.child(S::WORKLOAD, "alice").await.is_none(), "nothing writes while it is made");

    // One that fails is told of, and nothing goes.
    let home = world.namespace().to_owned();
    let failed = json!({ "readyToUse": false, "error": { "message": "the driver is away" } });
    say(&world, "VolumeSnapshot", &home, &names.last, failed).await;
    let told = |root: &crate::Root<S>| {
        let status = serde_json::to_string(&kube::core::object::HasStatus::status(root)).unwrap();
        status.contains("the driver is away")
    };
    world.until("alice", "says why there is no snapshot", told).await;
    let volume = world.child("PersistentVolumeClaim", &names.volume).await.unwrap();
    assert!(volume.meta().deletion_timestamp.is_none());

    say(&world, "VolumeSnapshot", &home, &names.last, json!({ "readyToUse": true, "error": null })).await;
    world.gone("alice").await;
    world.free_volume(&root).await;
    eventually("the volume is gone", || async {
        world.child("PersistentVolumeClaim", &names.volume).await.is_none().then_some(())
    })
    .await;
    let snapshot = world.child("VolumeSnapshot", &names.last).await.unwrap();
    assert!(snapshot.meta().deletion_timestamp.is_none(), "the snapshot is what stays");

    // A namesake has a volume of its own, which begins from the snapshot; nothing can change that later.
    let restored = json!({ "suspend": true, "restore": { "snapshotName": names.last } });
    let root = world.make("alice", restored).await;
    world.reconciled("alice").await;
    let own = crate::world::names::<S>(&root).volume;
    assert_ne!(own, names.volume);
    let volume = world.child("PersistentVolumeClaim", &own).await.unwrap();
    let source =
        json!({ "apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": names.last });
    assert_eq!(volume.data["spec"]["dataSource"], source);
    let patch = Patch::Merge(json!({ "spec": { "restore": null } }));
    let refused =
        world.roots().patch("alice", &PatchParams::default(), &patch).await.unwrap_err().to_string();
    assert!(refused.contains("restore is only read when"), "{refused}");
}

/// With `deletionPolicy: Snapshot`, database and role go when a backup of their cluster is there, and not before.
pub async fn a_database_goes_when_a_backup_is_there<S: Subject>() {
    part!(Kubernetes, Postgres);
    let (world, rows) = World::<S>::with_rows_on(cluster().await, "backups").await;
    let mut spec = json!({ "suspend": true, "deletionPolicy": "Snapshot" });
    crate::paper::merge(&mut spec, &S::stored());
    let root = world.make("alice", spec).await;
    world.until("alice", "has a database", |root| holds(root, "DatabaseReady", "True")).await;
    world.reconciled("alice").await;
    let names = names::<S>(&root);
    world.delete("alice").await;
    let (place, home) = (rows.space.name().to_owned(), world.namespace().to_owned());
    // Where there is a volume as well, that is secured first.
    if world.child("PersistentVolumeClaim", &names.volume).await.is_some() {
        eventually("a snapshot is asked for", || async { world.child("VolumeSnapshot", &names.last).await })
            .await;
        say(&world, "VolumeSnapshot", &home, &names.last, json!({ "readyToUse": true })).await;
    }
    let backups = stage::objects(&world.client, "Backup", &place);
    let backup =
        eventually("a backup is asked for", || async { backups.get_opt(&names.outside).await.unwrap() })
            .await;
    assert_eq!(backup.data["spec"]["cluster"], json!({ "name": "pg" }));
    say(&world, "Backup", &place, &names.outside, json!({ "phase": "running" })).await;
    let waits = |root: &_| reason(root, "SnapshotReady") == "SnapshotPending";
    world.until("alice", "waits for its backup", waits).await;
    assert!(rows.databases().await.contains(&names.postgres), "nothing goes before it is secured");

    say(&world, "Backup", &place, &names.outside, json!({ "phase": "completed" })).await;
    world.gone("alice").await;
    assert!(!rows.databases().await.contains(&names.postgres));
    assert!(!rows.roles().await.contains(&names.postgres));
    assert!(backups.get_opt(&names.outside).await.unwrap().is_some(), "the backup is what stays");
}
