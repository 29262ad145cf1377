//! Volume claims are bound, keep their data, and go with it.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use testkit::eventually;

use super::{LIVE, pod, shell, stage, with};

fn claim(name: &str, more: Value) -> Value {
    with(
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }),
        json!({"spec": more}),
    )
}

#[tokio::test]
async fn a_claim_keeps_its_data_over_pods_and_takes_it_away_when_it_goes() {
    let Some(stage) = stage("claim").await else { return };
    stage.apply(claim("data", json!({}))).await;
    let container = with(
        shell("main", &format!("echo run >> /data/log; {LIVE}")),
        json!({"volumeMounts": [{"name": "data", "mountPath": "/data"}]}),
    );
    let more = json!({
        "securityContext": {"fsGroup": 1000},
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    });
    let set = pod("keeper", &[container], more);
    stage
        .apply(json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "keeper"},
            "spec": {
                "serviceName": "keeper", "replicas": 1, "selector": {"matchLabels": {"app": "keeper"}},
                "template": {"metadata": {"labels": {"app": "keeper"}}, "spec": set["spec"]},
            },
        }))
        .await;
    let first = stage.pod_ready("keeper-0").await.metadata.uid;
    let claims: Api<PersistentVolumeClaim> = stage.api();
    let bound = claims.get("data").await.unwrap();
    assert_eq!(bound.status.unwrap().phase.as_deref(), Some("Bound"));
    let volume = bound.spec.unwrap().volume_name.unwrap();
    let pods: Api<Pod> = stage.api();
    pods.delete("keeper-0", &DeleteParams::default()).await.unwrap();
    stage
        .pod_where("keeper-0", "another one, ready", |pod| pod.metadata.uid != first && super::is_ready(pod))
        .await;
    eventually("both wrote", || async {
        (stage.output("keeper-0", &["cat", "/data/log"]).await == "run\nrun\n").then_some(())
    })
    .await;
    // A claim in use waits for its Pod.
    claims.delete("data", &DeleteParams::default()).await.unwrap();
    assert_eq!(stage.output("keeper-0", &["cat", "/data/log"]).await, "run\nrun\n");
    assert!(claims.get("data").await.unwrap().metadata.deletion_timestamp.is_some());
    let sets: Api<k8s_openapi::api::apps::v1::StatefulSet> = stage.api();
    sets.delete("keeper", &DeleteParams::default()).await.unwrap();
    let volumes: Api<PersistentVolume> = Api::all(stage.client.clone());
    eventually("claim and volume are gone", || async {
        let gone = claims.get_opt("data").await.unwrap().is_none()
            && volumes.get_opt(&volume).await.unwrap().is_none();
        gone.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_claim_of_a_kind_the_node_has_not_is_refused_in_words() {
    let Some(stage) = stage("claims").await else { return };
    stage.apply(claim("block", json!({"volumeMode": "Block"}))).await;
    assert!(stage.event("block", "NotImplemented").await.contains("volumeMode Block"));
    stage.apply(claim("unclassed", json!({"storageClassName": ""}))).await;
    stage.apply(claim("plain", json!({}))).await;
    let claims: Api<PersistentVolumeClaim> = stage.api();
    let phase = |name: &'static str| {
        let claims = claims.clone();
        async move { claims.get(name).await.unwrap().status.unwrap().phase.unwrap() }
    };
    eventually("plain is bound", || async { (phase("plain").await == "Bound").then_some(()) }).await;
    assert_eq!(phase("unclassed").await, "Pending");
    assert_eq!(phase("block").await, "Pending");
}
