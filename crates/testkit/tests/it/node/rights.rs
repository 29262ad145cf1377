//! Who a container is, what it may do, what it sees, and what is refused.

use kube::ResourceExt as _;
use serde_json::json;

use super::{LIVE, phase_of, pod, shell, stage, with};

#[tokio::test]
async fn a_container_is_who_the_pod_says_and_may_no_more() {
    let Some(stage) = stage("rights").await else { return };
    let script = "id; touch /here; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; unshare -U true; \
                  stat -c '%g %a' /scratch; touch /scratch/mine && stat -c '%u %g' /scratch/mine; hostname; pwd; echo end; "
        .to_owned()
        + LIVE;
    let container = with(
        shell("main", &script),
        json!({"workingDir": "/scratch", "volumeMounts": [{"name": "work", "mountPath": "/scratch"}]}),
    );
    let more = json!({
        "securityContext": {"fsGroup": 3000, "supplementalGroups": [4000]},
        "volumes": [{"name": "work", "emptyDir": {}}],
    });
    stage.apply(pod("who", &[container], more)).await;
    let log = stage.logged("who", "main", "end").await;
    for line in [
        "uid=1000(app1000) gid=1000(app) groups=1000(app),3000,4000",
        "touch: cannot touch '/here': Read-only file system",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "unshare: unshare failed: Operation not permitted",
        "3000 2777",
        "1000 3000",
        "who",
        "/scratch",
    ] {
        assert!(log.lines().any(|said| said == line), "{line:?} in:\n{log}");
    }
    // A command of a test, or of a probe, is the container's too.
    assert!(stage.output("who", &["id", "-u"]).await.starts_with("1000"));
}

#[tokio::test]
async fn a_container_that_must_not_be_root_is_not() {
    let Some(stage) = stage("nonroot").await else { return };
    stage.apply(pod("root", &[shell("main", LIVE)], json!({"securityContext": {"runAsUser": null}}))).await;
    assert!(stage.event("root", "Failed").await.contains("runAsNonRoot"));
    assert_eq!(phase_of(&stage.pod_in_phase("root", "Pending").await), "Pending");
}

#[tokio::test]
async fn the_environment_is_what_the_pod_says() {
    let Some(stage) = stage("env").await else { return };
    stage.apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"A": "secret"}})).await;
    stage
        .apply(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"B": "map"}}),
        )
        .await;
    let container = with(
        shell("main", "env; echo \"args $*\"; echo end; trap 'exit 0' TERM; while :; do sleep 0.1; done"),
        json!({
            "args": ["zero", "$(PLAIN)", "$$(PLAIN)"],
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}}],
            "env": [
                {"name": "PLAIN", "value": "plain"},
                {"name": "MADE", "value": "$(PLAIN)-$(A)-$(NONE)"},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "A"}}},
                {"name": "MAP", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "B"}}},
                {"name": "GONE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "Z", "optional": true}}},
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            ],
        }),
    );
    stage.apply(pod("env", &[container], json!({}))).await;
    let log = stage.logged("env", "main", "end").await;
    let address = stage.node.pod_address(stage.space.name(), "env").await.unwrap();
    let node = stage.node.name();
    for line in [
        "A=secret",
        "P_B=map",
        "PLAIN=plain",
        "MADE=plain-secret-$(NONE)",
        "KEY=secret",
        "MAP=map",
        "NAME=env",
        "LABEL=env",
        "HOSTNAME=env",
        "args plain $(PLAIN)",
        &format!("IP={address}"),
        &format!("NODE={node}"),
    ] {
        assert!(log.lines().any(|said| said == line), "{line:?} in:\n{log}");
    }
    assert!(!log.contains("GONE"), "{log}");
}

#[tokio::test]
async fn a_field_the_node_does_not_implement_is_refused_in_words() {
    let Some(stage) = stage("refused").await else { return };
    stage.apply(pod("refused", &[with(shell("main", LIVE), json!({"tty": true}))], json!({}))).await;
    let failed = stage.pod_in_phase("refused", "Failed").await;
    let status = failed.status.clone().unwrap();
    assert_eq!(status.reason.as_deref(), Some("NotImplemented"));
    assert!(status.message.unwrap().contains("spec.containers[0].tty"), "{}", failed.name_any());
    assert!(stage.event("refused", "NotImplemented").await.contains("spec.containers[0].tty = true"));
    assert_eq!(stage.node.logs(stage.space.name(), "refused", "main"), "");
}

#[tokio::test]
async fn a_deployment_of_refused_pods_does_not_make_new_ones_at_full_speed() {
    let Some(stage) = stage("flood").await else { return };
    let spec = pod("flood", &[with(shell("main", LIVE), json!({"stdin": true}))], json!({}))["spec"].clone();
    stage
        .apply(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "flood"},
            "spec": {
                "selector": {"matchLabels": {"app": "flood"}},
                "template": {"metadata": {"labels": {"app": "flood"}}, "spec": spec},
            },
        }))
        .await;
    // 0, 0.5, 1, 2 and 4 s: whoever waits for the fourth has seen them slow down.
    let began = std::time::Instant::now();
    testkit::eventually("four refused Pods", || async {
        (stage.pods_of("flood").await.iter().filter(|pod| phase_of(pod) == "Failed").count() >= 4)
            .then_some(())
    })
    .await;
    assert!(began.elapsed().as_millis() >= 3000, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_bound_on_memory_holds() {
    let Some(stage) = stage("memory").await else { return };
    let container = with(
        shell("main", ""),
        json!({
            "command": ["python3", "-c", "a = bytearray(300 << 20); print('took it')"],
            "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
        }),
    );
    stage.apply(pod("greedy", &[container], json!({"restartPolicy": "Never"}))).await;
    stage.pod_in_phase("greedy", "Failed").await;
    assert_eq!(stage.node.logs(stage.space.name(), "greedy", "main"), "");
}
