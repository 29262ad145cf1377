//! Starts, restarts, probes, ends.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use testkit::eventually;

use super::{LIVE, Stage, is_ready, phase_of, pod, shell, stage, status_of, with};

impl Stage {
    async fn delete(&self, name: &str) {
        let pods: Api<Pod> = self.api();
        pods.delete(name, &DeleteParams::default()).await.unwrap();
    }

    async fn gone(&self, name: &str) {
        let pods: Api<Pod> = self.api();
        eventually(format!("{name} is gone"), || async {
            pods.get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_container_that_ends_is_started_again_later_each_time_and_counted() {
    let Some(stage) = stage("restart").await else { return };
    let script = "echo run; echo why > /dev/termination-log; exit 3";
    stage.apply(pod("crash", &[shell("main", script)], json!({}))).await;
    let crashed = stage
        .pod_where("crash", "restarted twice and waiting", |pod| {
            let Some(_) = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()) else {
                return false;
            };
            let status = status_of(pod, "main");
            let waiting = status.state.and_then(|state| state.waiting).and_then(|waiting| waiting.reason);
            status.restart_count >= 2 && waiting.as_deref() == Some("CrashLoopBackOff")
        })
        .await;
    assert_eq!(phase_of(&crashed), "Running");
    assert!(!is_ready(&crashed));
    let last = status_of(&crashed, "main").last_state.unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (3, Some("Error")));
    assert_eq!(last.message.as_deref(), Some("why\n"));
    let log = stage.node.logs(stage.space.name(), "crash", "main");
    assert!(log.lines().filter(|line| *line == "run").count() >= 3, "{log}");
}

#[tokio::test]
async fn a_deleted_pod_has_its_grace_and_is_gone_then() {
    let Some(stage) = stage("grace").await else { return };
    let polite = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done";
    stage.apply(pod("polite", &[shell("main", polite)], json!({"terminationGracePeriodSeconds": 60}))).await;
    let stubborn = "trap '' TERM; echo up; while :; do sleep 0.1; done";
    stage
        .apply(pod("stubborn", &[shell("main", stubborn)], json!({"terminationGracePeriodSeconds": 1})))
        .await;
    stage.logged("polite", "main", "up").await;
    stage.logged("stubborn", "main", "up").await;
    stage.delete("polite").await;
    stage.gone("polite").await;
    assert!(stage.node.logs(stage.space.name(), "polite", "main").contains("bye"));
    stage.delete("stubborn").await;
    stage.gone("stubborn").await;
}

#[tokio::test]
async fn the_last_command_runs_before_sigterm() {
    let Some(stage) = stage("prestop").await else { return };
    let script = "trap 'cat /scratch/last; exit 0' TERM; echo up; while :; do sleep 0.1; done";
    let container = with(
        shell("main", script),
        json!({
            "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "echo tidied > /scratch/last"]}}},
            "volumeMounts": [{"name": "work", "mountPath": "/scratch"}],
        }),
    );
    stage.apply(pod("tidy", &[container], json!({"volumes": [{"name": "work", "emptyDir": {}}]}))).await;
    stage.logged("tidy", "main", "up").await;
    stage.delete("tidy").await;
    stage.gone("tidy").await;
    assert!(stage.node.logs(stage.space.name(), "tidy", "main").contains("tidied"));
}

#[tokio::test]
async fn init_containers_run_one_by_one_and_sidecars_outlive_the_rest() {
    let Some(stage) = stage("init").await else { return };
    let mount = |container: Value| {
        with(container, json!({"volumeMounts": [{"name": "work", "mountPath": "/scratch"}]}))
    };
    let sidecar = "trap 'echo side >> /scratch/log; cat /scratch/log; exit 0' TERM; echo ready > /scratch/side; \
                   while :; do sleep 0.1; done";
    let sidecar = with(
        mount(shell("side", sidecar)),
        json!({"restartPolicy": "Always", "startupProbe": {"exec": {"command": ["test", "-e", "/scratch/side"]}, "periodSeconds": 1}}),
    );
    let more = json!({
        "restartPolicy": "Never",
        "initContainers": [
            mount(shell("one", "echo one >> /scratch/log")),
            sidecar,
            mount(shell("two", "test -e /scratch/side && echo two >> /scratch/log")),
        ],
        "volumes": [{"name": "work", "emptyDir": {}}],
    });
    stage.apply(pod("steps", &[mount(shell("main", "echo main >> /scratch/log"))], more)).await;
    let done = stage.pod_in_phase("steps", "Succeeded").await;
    stage.logged("steps", "side", "one\ntwo\nmain\nside\n").await;
    for name in ["one", "two", "main"] {
        let ended = status_of(&done, name).state.unwrap().terminated.unwrap();
        assert_eq!((ended.exit_code, ended.reason.as_deref()), (0, Some("Completed")), "{name}");
    }
}

#[tokio::test]
async fn a_failed_init_container_fails_a_pod_that_never_restarts() {
    let Some(stage) = stage("initfail").await else { return };
    let more = json!({"restartPolicy": "Never", "initContainers": [shell("one", "exit 1")]});
    stage.apply(pod("failing", &[shell("main", "echo never")], more)).await;
    stage.pod_in_phase("failing", "Failed").await;
    assert_eq!(stage.node.logs(stage.space.name(), "failing", "main"), "");
}

#[tokio::test]
async fn probes_hold_a_pod_back_until_it_has_started_and_restart_it_when_it_no_longer_lives() {
    let Some(stage) = stage("probes").await else { return };
    let exec = |file: &str| json!({"exec": {"command": ["test", "-e", file]}, "periodSeconds": 1, "failureThreshold": 1});
    let script =
        "echo run; rm -f /scratch/*; touch /scratch/lives; trap 'exit 0' TERM; while :; do sleep 0.1; done";
    let container = with(
        shell("main", script),
        json!({
            "startupProbe": with(exec("/scratch/started"), json!({"failureThreshold": 60})),
            "livenessProbe": exec("/scratch/lives"),
            "readinessProbe": exec("/scratch/ready"),
            "volumeMounts": [{"name": "work", "mountPath": "/scratch"}],
        }),
    );
    stage.apply(pod("probed", &[container], json!({"volumes": [{"name": "work", "emptyDir": {}}]}))).await;
    let started = |wanted: bool| {
        move |pod: &Pod| phase_of(pod) == "Running" && status_of(pod, "main").started == Some(wanted)
    };
    let before = stage.pod_where("probed", "running, not started", started(false)).await;
    assert!(!is_ready(&before));
    stage.logged("probed", "main", "run").await;
    stage.output("probed", &["touch", "/scratch/started"]).await;
    let after = stage.pod_where("probed", "started", started(true)).await;
    assert!(!is_ready(&after));
    stage.output("probed", &["touch", "/scratch/ready"]).await;
    stage.pod_ready("probed").await;
    stage.output("probed", &["rm", "/scratch/ready"]).await;
    stage.pod_where("probed", "not ready any more", |pod| !is_ready(pod)).await;
    stage.output("probed", &["rm", "/scratch/lives"]).await;
    stage.pod_where("probed", "restarted", |pod| status_of(pod, "main").restart_count >= 1).await;
    assert!(stage.event("probed", "Killing").await.contains("Liveness"));
}

#[tokio::test]
async fn a_tcp_probe_follows_the_port() {
    let Some(stage) = stage("tcp").await else { return };
    let serve = "import socket,time,os\nwhile not os.path.exists('/scratch/go'): time.sleep(0.1)\n\
                 s=socket.socket(); s.bind(('0.0.0.0',7000)); s.listen()\nwhile True: s.accept()[0].close()";
    let container = with(
        shell("main", ""),
        json!({
            "command": ["python3", "-c", serve],
            "readinessProbe": {"tcpSocket": {"port": 7000}, "periodSeconds": 1},
            "volumeMounts": [{"name": "work", "mountPath": "/scratch"}],
        }),
    );
    stage.apply(pod("door", &[container], json!({"volumes": [{"name": "work", "emptyDir": {}}]}))).await;
    let before = stage.pod_in_phase("door", "Running").await;
    assert!(!is_ready(&before));
    stage.output("door", &["touch", "/scratch/go"]).await;
    stage.pod_ready("door").await;
}

#[tokio::test]
async fn a_job_completes_and_a_failing_one_fails() {
    let Some(stage) = stage("job").await else { return };
    let job = |name: &str, script: &str| {
        let spec = pod(name, &[shell("main", script)], json!({"restartPolicy": "Never"}))["spec"].clone();
        json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": {"app": name}}, "spec": spec}},
        })
    };
    stage.apply(job("good", "echo done")).await;
    stage.apply(job("bad", "exit 4")).await;
    let jobs: Api<Job> = stage.api();
    let condition = |name: &'static str, kind: &'static str| {
        let jobs = jobs.clone();
        eventually(format!("job {name} {kind}"), move || {
            let jobs = jobs.clone();
            async move {
                let status = jobs.get(name).await.unwrap().status.unwrap_or_default();
                let mut conditions = status.conditions.into_iter().flatten();
                conditions
                    .any(|condition| condition.type_ == kind && condition.status == "True")
                    .then_some(())
            }
        })
    };
    condition("good", "Complete").await;
    condition("bad", "Failed").await;
    assert_eq!(phase_of(&stage.pods_of("good").await[0]), "Succeeded");
    assert_eq!(phase_of(&stage.pods_of("bad").await[0]), "Failed");
}

#[tokio::test]
async fn a_pod_that_restarts_on_failure_is_done_once_it_ended_well() {
    let Some(stage) = stage("onfailure").await else { return };
    let script = "test -e /scratch/once && exit 0; touch /scratch/once; exit 1";
    let container =
        with(shell("main", script), json!({"volumeMounts": [{"name": "work", "mountPath": "/scratch"}]}));
    let more = json!({"restartPolicy": "OnFailure", "volumes": [{"name": "work", "emptyDir": {}}]});
    stage.apply(pod("retry", &[container], more)).await;
    let done = stage.pod_in_phase("retry", "Succeeded").await;
    assert_eq!(status_of(&done, "main").restart_count, 1);
}

#[tokio::test]
async fn a_pod_past_its_deadline_fails() {
    let Some(stage) = stage("deadline").await else { return };
    stage.apply(pod("late", &[shell("main", LIVE)], json!({"activeDeadlineSeconds": 1}))).await;
    let failed = stage.pod_in_phase("late", "Failed").await;
    assert_eq!(failed.status.unwrap().reason.as_deref(), Some("DeadlineExceeded"));
}

#[tokio::test]
async fn what_cannot_start_says_why_and_starts_once_it_can() {
    let Some(stage) = stage("waits").await else { return };
    let container = with(
        shell("main", LIVE),
        json!({"env": [{"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "later", "key": "word"}}}]}),
    );
    stage.apply(pod("waits", &[container], json!({}))).await;
    assert!(stage.event("waits", "Failed").await.contains("secret \"later\" not found"));
    let says_so = |pod: &Pod| {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let mut waiting =
            statuses.filter_map(|status| status.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
        phase_of(pod) == "Pending" && waiting.any(|reason| reason == "CreateContainerConfigError")
    };
    stage.pod_where("waits", "waiting for its Secret", says_so).await;
    stage.apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "later"}, "stringData": {"word": "x"}})).await;
    stage.pod_ready("waits").await;
    stage
        .apply(pod("nowhere", &[with(shell("main", LIVE), json!({"image": "no/such:image"}))], json!({})))
        .await;
    assert!(stage.event("nowhere", "Failed").await.contains("no/such:image"));
    let missing = with(shell("main", ""), json!({"command": ["/no/such/program"]}));
    stage.apply(pod("empty", &[missing], json!({"restartPolicy": "Never"}))).await;
    let failed = stage.pod_in_phase("empty", "Failed").await;
    assert_eq!(
        status_of(&failed, "main").state.unwrap().terminated.unwrap().reason.as_deref(),
        Some("StartError")
    );
}
