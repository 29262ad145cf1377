//! The operator of networks is killed at every step, and does nothing for which its manifest gives it no right.

use kube::ResourceExt as _;
use kube::api::PostParams;
use operator_testkit::killed::{self, Life};
use serde_json::json;
use testkit::cluster::Stage;
use testkit::cluster::stage::{is_current, make, until};
use testkit::{eventually, part};

use crate::world::Ergo;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_killed_at_any_step_goes_on_and_needs_every_right_it_has() {
    part!(Kubernetes);
    let life = Life {
        first: json!({}),
        second: json!({
            "motd": "another",
            "expose": { "web": "Ingress", "irc": "ClusterIP" },
            "monitoring": false,
            "resources": { "memoryLimit": "300Mi" },
        }),
        password: None,
        left: &["Backup", "VolumeSnapshot"],
        deaths: [
            &[
                "finalizers ErgoNetwork",
                "status ErgoNetwork",
                "create Lease",
                "apply Secret",
                "apply Database",
            ],
            &[
                "create Lease",
                "apply StatefulSet",
                "apply Ingress",
                "delete Route",
                "delete Service",
                "delete Lease",
            ],
            &["delete StatefulSet", "create Backup", "patch Database", "delete Database"],
        ],
    };
    killed::at_every_step::<Ergo>(life, more_snapshots_than_are_kept_go).await;
}

/// Snapshots of the volume that were made by schedule, long ago.
async fn more_snapshots_than_are_kept_go(stage: &Stage) {
    let space = stage.cluster.namespace("snapshots").await.unwrap();
    let home = space.name();
    let spec = json!({
        "networkName": "ExampleNet",
        "hostname": format!("erin.{home}.example.org"),
        "suspend": true,
        "backup": { "schedule": "0 3 * * *", "keep": 1 },
    });
    make(&stage.client, "ErgoNetwork", home, "erin", &spec).await.unwrap();
    let erin = until(&stage.client, "ErgoNetwork", home, "erin", "is made", is_current).await;
    let uid = erin.uid().unwrap();
    let snapshots = stage.objects("VolumeSnapshot", home);
    for minute in [1000, 2000] {
        let snapshot = json!({
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshot",
            "metadata": {
                "name": format!("erin-{}-{minute}", &uid[..8]),
                "labels": {
                    "app.kubernetes.io/managed-by": "ergo-operator",
                    "app.kubernetes.io/instance": "erin",
                    "irc.now/owner-namespace": home,
                    "irc.now/owner-uid": uid,
                },
            },
            "spec": { "source": { "persistentVolumeClaimName": "erin" } },
        });
        snapshots.create(&PostParams::default(), &serde_json::from_value(snapshot).unwrap()).await.unwrap();
    }
    eventually("the older one goes", || async {
        let left = snapshots.list(&Default::default()).await.unwrap().items;
        matches!(left.as_slice(), [last] if last.name_any().ends_with("-2000")).then_some(())
    })
    .await;
}
