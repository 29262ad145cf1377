//! Deployments, Services, Secrets, restarts, termination.

use serde_json::json;

use super::{LIVE, pod, shell, stage, with};

#[tokio::test]
async fn a_deployment_with_a_secret_and_a_probe_becomes_ready_and_another_pod_finds_it_by_name() {
    let Some(stage) = stage("deploy").await else { return };
    stage.apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "words"}, "stringData": {"word": "frosch"}})).await;
    stage
        .apply(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 8000}]},
        }))
        .await;
    let serve = "cat /words/word; exec python3 -m http.server --directory /words 8000";
    let container = with(
        shell("main", serve),
        json!({
            "ports": [{"name": "http", "containerPort": 8000}],
            "readinessProbe": {"httpGet": {"path": "/word", "port": "http"}, "periodSeconds": 1},
            "volumeMounts": [{"name": "words", "mountPath": "/words"}],
        }),
    );
    let template =
        pod("web", &[container], json!({"volumes": [{"name": "words", "secret": {"secretName": "words"}}]}));
    stage
        .apply(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": template["spec"]},
            },
        }))
        .await;
    testkit::eventually("two ready Pods", || async {
        let pods = stage.pods_of("web").await;
        (pods.len() == 2 && pods.iter().all(super::is_ready)).then_some(())
    })
    .await;
    stage.apply(pod("asker", &[shell("main", LIVE)], json!({}))).await;
    stage.pod_ready("asker").await;
    let space = stage.space.name().to_owned();
    for name in [
        "web".to_owned(),
        format!("web.{space}"),
        format!("web.{space}.svc"),
        format!("web.{space}.svc.cluster.local"),
    ] {
        let script = format!(
            "import urllib.request as r; print(r.urlopen('http://{name}:8000/word').read().decode())"
        );
        let said = testkit::eventually(&name, || async {
            let output = stage.node.exec(&space, "asker", "main", &["python3", "-c", &script]).await.unwrap();
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        })
        .await;
        assert_eq!(said.trim(), "frosch");
    }
}
