//! Volumes hold what their sources say, and follow them.

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;
use testkit::eventually;

use super::{LIVE, pod, shell, stage, with};

#[tokio::test]
async fn a_secret_volume_follows_its_secret_and_is_never_seen_half() {
    let Some(stage) = stage("follow").await else { return };
    let secret = |value: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pair"}, "stringData": {"one": value, "two": value},
        })
    };
    stage.apply(secret("0")).await;
    // It reads through the folder it has open: all files of it are of one version.
    let script = "while :; do cd -P /pair/..data && a=$(cat one) && b=$(cat two) && [ \"$a\" != \"$b\" ] && echo torn; \
                  [ \"$a\" = 3 ] && echo three; sleep 0.02; done";
    let container = with(
        shell("main", script),
        json!({"volumeMounts": [{"name": "pair", "mountPath": "/pair", "readOnly": true}]}),
    );
    let more = json!({
        "securityContext": {"fsGroup": 3000},
        "volumes": [{"name": "pair", "secret": {"secretName": "pair", "defaultMode": 0o400}}],
    });
    stage.apply(pod("reader", &[container], more)).await;
    stage.pod_ready("reader").await;
    assert_eq!(stage.output("reader", &["stat", "-Lc", "%u %g %a", "/pair/one"]).await.trim(), "0 3000 440");
    for value in ["1", "2", "3"] {
        stage.apply(secret(value)).await;
        eventually(format!("the file says {value}"), || async {
            (stage.output("reader", &["cat", "/pair/one"]).await == value).then_some(())
        })
        .await;
    }
    let log = stage.logged("reader", "main", "three").await;
    assert!(!log.contains("torn"), "{log}");
    let secrets: Api<Secret> = stage.api();
    secrets.delete("pair", &DeleteParams::default()).await.unwrap();
    assert_eq!(stage.output("reader", &["cat", "/pair/one"]).await, "3");
}

#[tokio::test]
async fn items_paths_and_sub_paths_lie_where_the_pod_says() {
    let Some(stage) = stage("items").await else { return };
    stage.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "A", "b": "B"}})).await;
    let container = with(
        shell("main", LIVE),
        json!({"volumeMounts": [
            {"name": "c", "mountPath": "/c"},
            {"name": "c", "mountPath": "/etc/one.conf", "subPath": "deep/a.conf"},
            {"name": "work", "mountPath": "/scratch/sub", "subPath": "inner"},
            {"name": "small", "mountPath": "/small"},
            {"name": "fields", "mountPath": "/fields"},
        ]}),
    );
    let more = json!({"volumes": [
        {"name": "c", "configMap": {"name": "c", "items": [{"key": "a", "path": "deep/a.conf", "mode": 0o444}]}},
        {"name": "work", "emptyDir": {}},
        {"name": "small", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "fields", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]});
    stage.apply(pod("items", &[container], more)).await;
    stage.pod_ready("items").await;
    assert_eq!(stage.output("items", &["cat", "/c/deep/a.conf", "/etc/one.conf"]).await, "AA");
    assert_eq!(stage.output("items", &["ls", "/c"]).await, "deep\n");
    assert!(stage.output("items", &["cat", "/fields/labels"]).await.starts_with("app=\"items\""));
    let fill = "head -c 2000000 /dev/zero > /small/file; stat -c %s /small/file";
    assert_eq!(stage.output("items", &["sh", "-c", fill]).await.trim(), "1048576");
}

#[tokio::test]
async fn a_projected_token_is_the_pods_own() {
    let Some(stage) = stage("token").await else { return };
    stage.apply(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner"}})).await;
    stage
        .apply(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"ca": "CA"}}),
        )
        .await;
    let container = with(shell("main", LIVE), json!({"volumeMounts": [{"name": "id", "mountPath": "/id"}]}));
    let more = json!({
        "serviceAccountName": "runner",
        "volumes": [{"name": "id", "projected": {"sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}},
            {"configMap": {"name": "c", "items": [{"key": "ca", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]}}],
    });
    stage.apply(pod("who", &[container], more)).await;
    stage.pod_ready("who").await;
    assert_eq!(
        stage.output("who", &["cat", "/id/ca.crt", "/id/namespace"]).await,
        format!("CA{}", stage.space.name())
    );
    let token = stage.output("who", &["cat", "/id/token"]).await;
    let reviews: Api<TokenReview> = Api::all(stage.client.clone());
    let review = TokenReview {
        spec: TokenReviewSpec { token, ..TokenReviewSpec::default() },
        ..TokenReview::default()
    };
    let status = reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
    let user = status.user.unwrap();
    assert_eq!(user.username.unwrap(), format!("system:serviceaccount:{}:runner", stage.space.name()));
    let extra = user.extra.unwrap_or_default();
    assert_eq!(extra["authentication.kubernetes.io/pod-name"], ["who"]);
}

#[tokio::test]
async fn an_empty_folder_is_shared_by_containers_and_lasts_as_long_as_its_pod() {
    let Some(stage) = stage("empty").await else { return };
    let mount = json!({"volumeMounts": [{"name": "work", "mountPath": "/scratch"}]});
    let writer = with(shell("writer", &format!("echo hello > /scratch/word; {LIVE}")), mount.clone());
    let main = with(shell("main", LIVE), mount);
    let object = pod("pair", &[main, writer], json!({"volumes": [{"name": "work", "emptyDir": {}}]}));
    stage.apply(object.clone()).await;
    stage.pod_ready("pair").await;
    eventually("the word is there", || async {
        let output =
            stage.node.exec(stage.space.name(), "pair", "main", &["cat", "/scratch/word"]).await.unwrap();
        (output.stdout == b"hello\n").then_some(())
    })
    .await;
    // Another Pod of that name has a folder of its own.
    stage.output("pair", &["touch", "/scratch/old"]).await;
    let pods: Api<Pod> = stage.api();
    let first = pods.delete("pair", &DeleteParams::default()).await.unwrap().left().unwrap().metadata.uid;
    eventually("gone", || async { pods.get_opt("pair").await.unwrap().is_none().then_some(()) }).await;
    stage.apply(object).await;
    let second = stage.pod_ready("pair").await;
    assert_ne!(second.metadata.uid, first);
    assert!(!stage.output("pair", &["ls", "/scratch"]).await.contains("old"));
}
