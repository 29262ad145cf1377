use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::Role;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use testkit::cluster::{Cluster, Kinds, Standin, audit};
use testkit::proxy::{Mood, Proxy};
use testkit::{eventually, part};

const READER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules:
  - {apiGroups: [''], resources: [configmaps], verbs: [get, list, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader}]
";

fn of<K: serde::de::DeserializeOwned>(value: serde_json::Value) -> K {
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn the_control_plane_answers_an_administrator() {
    part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    let version = cluster.admin().await.unwrap().apiserver_version().await.unwrap();
    assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "37"));
}

#[tokio::test]
async fn rbac_refuses_what_no_role_allows() {
    part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    let space = cluster.namespace("rbac").await.unwrap();
    cluster.apply(READER, Some(space.name())).await.unwrap();
    let reader = cluster.as_service_account(space.name(), "reader").await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(reader.clone(), space.name());
    maps.list(&ListParams::default()).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(reader, space.name());
    let kube::Error::Api(refused) = secrets.list(&ListParams::default()).await.unwrap_err() else {
        unreachable!()
    };
    assert!(refused.is_forbidden(), "{refused:?}");
}

#[tokio::test]
async fn a_user_with_a_certificate_is_who_it_says() {
    part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    let nobody = cluster.as_user("nobody", &[]).await.unwrap();
    let error = Api::<Namespace>::all(nobody).list(&ListParams::default()).await.unwrap_err();
    assert!(error.to_string().contains("User \"nobody\" cannot list"), "{error}");
}

#[tokio::test]
async fn two_tests_never_share_a_namespace() {
    part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    let first = cluster.namespace("same").await.unwrap();
    let second = cluster.namespace("same").await.unwrap();
    assert_ne!(first.name(), second.name());
}

#[tokio::test]
async fn a_namespace_goes_with_its_handle_and_with_everything_in_it() {
    part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    let spaces: Api<Namespace> = Api::all(cluster.admin().await.unwrap());
    let dropped = cluster.namespace("dropped").await.unwrap();
    let name = dropped.name().to_owned();
    drop(dropped);
    eventually("the namespace goes", || async {
        spaces.get_opt(&name).await.unwrap().is_none().then_some(())
    })
    .await;
    let waited = cluster.namespace("waited").await.unwrap();
    let name = waited.name().to_owned();
    waited.delete().await.unwrap();
    assert!(spaces.get_opt(&name).await.unwrap().is_none());
}

#[tokio::test]
async fn the_restricted_standard_is_enforced() {
    part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    let space = cluster.namespace("restricted").await.unwrap();
    let pods: Api<Pod> = Api::namespaced(cluster.admin().await.unwrap(), space.name());
    let pod = |spec| of::<Pod>(json!({ "metadata": { "generateName": "pod-" }, "spec": spec }));
    let careless = json!({ "containers": [{ "name": "main", "image": "none" }] });
    let error = pods.create(&PostParams::default(), &pod(careless)).await.unwrap_err();
    assert!(error.to_string().contains("violates PodSecurity \"restricted"), "{error}");
    pods.create(&PostParams::default(), &pod(harmless())).await.unwrap();
}

#[tokio::test]
async fn every_definition_is_served_and_checked() {
    part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    cluster.install(Kinds::ALL).await.unwrap();
    let space = cluster.namespace("kinds").await.unwrap();
    let cases = [
        "{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: a}, spec: {secretName: a, dnsNames: [a.test], issuerRef: {name: a}}}",
        "{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: a}, spec: {selfSigned: {}}}",
        "{apiVersion: route.openshift.io/v1, kind: Route, metadata: {name: a}, spec: {host: a.test, to: {kind: Service, name: a, weight: 100}}}",
        "{apiVersion: gateway.networking.k8s.io/v1alpha2, kind: TCPRoute, metadata: {name: a}, spec: {rules: [{backendRefs: [{name: a, port: 6667}]}]}}",
        "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: a}, spec: {hostnames: [a.test]}}",
        "{apiVersion: monitoring.coreos.com/v1, kind: PodMonitor, metadata: {name: a}, spec: {selector: {}, podMetricsEndpoints: []}}",
        "{apiVersion: monitoring.coreos.com/v1, kind: PrometheusRule, metadata: {name: a}, spec: {groups: []}}",
        "{apiVersion: postgresql.cnpg.io/v1, kind: Cluster, metadata: {name: a}, spec: {instances: 1}}",
        "{apiVersion: postgresql.cnpg.io/v1, kind: Database, metadata: {name: a}, spec: {cluster: {name: a}, name: a, owner: a}}",
        "{apiVersion: postgresql.cnpg.io/v1, kind: DatabaseRole, metadata: {name: a}, spec: {cluster: {name: a}, name: a}}",
    ];
    for case in cases {
        cluster.apply(case, Some(space.name())).await.unwrap();
        let error = cluster.apply(&case.replace("spec: {", "spec: {typo: 1, "), Some(space.name())).await;
        assert!(format!("{:#}", error.unwrap_err()).contains("typo"), "{case}");
    }
}

#[tokio::test]
async fn the_fields_that_cannot_change_are_refused() {
    part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    cluster.install(Kinds::CLOUDNATIVE_PG).await.unwrap();
    let space = cluster.namespace("immutable").await.unwrap();
    let database = "{apiVersion: postgresql.cnpg.io/v1, kind: Database, metadata: {name: a}, spec: {cluster: {name: a}, name: NAME, owner: a}}";
    let role = "{apiVersion: postgresql.cnpg.io/v1, kind: DatabaseRole, metadata: {name: a}, spec: {cluster: {name: a}, name: NAME}}";
    for (object, reserved) in [(database, "template1"), (role, "pg_monitor")] {
        let error = cluster.apply(&object.replace("NAME", reserved), Some(space.name())).await.unwrap_err();
        assert!(format!("{error:#}").contains("reserved"), "{error:#}");
        cluster.apply(&object.replace("NAME", "one"), Some(space.name())).await.unwrap();
        let error = cluster.apply(&object.replace("NAME", "two"), Some(space.name())).await.unwrap_err();
        assert!(format!("{error:#}").contains("immutable"), "{error:#}");
    }
}

#[tokio::test]
async fn a_kind_is_missing_until_it_is_installed_and_after_it_is_taken_away() {
    part!(Kubernetes);
    let mut cluster = Cluster::start().await.unwrap();
    let route = "{apiVersion: route.openshift.io/v1, kind: Route, metadata: {name: a, namespace: default}, spec: {to: {kind: Service, name: a, weight: 100}}}";
    cluster.apply(route, None).await.unwrap_err();
    cluster.install(Kinds::OPENSHIFT_ROUTE).await.unwrap();
    cluster.apply(route, None).await.unwrap();
    cluster.uninstall(Kinds::OPENSHIFT_ROUTE).await.unwrap();
    cluster.apply(route, None).await.unwrap_err();
}

/// A Pod's spec that the restricted standard lets pass.
fn harmless() -> serde_json::Value {
    json!({
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        "containers": [{
            "name": "main",
            "image": "none",
            "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
        }],
    })
}

#[tokio::test]
async fn a_deployment_makes_pods_and_takes_them_along() {
    part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    let space = cluster.namespace("deployment").await.unwrap();
    let admin = cluster.admin().await.unwrap();
    let deployments: Api<Deployment> = Api::namespaced(admin.clone(), space.name());
    let template = json!({ "metadata": { "labels": { "app": "a" } }, "spec": harmless() });
    let deployment = json!({
        "metadata": { "name": "a" },
        "spec": { "selector": { "matchLabels": { "app": "a" } }, "template": template },
    });
    deployments.create(&PostParams::default(), &of(deployment)).await.unwrap();
    let (pods, sets): (Api<Pod>, Api<ReplicaSet>) =
        (Api::namespaced(admin.clone(), space.name()), Api::namespaced(admin, space.name()));
    let everything = ListParams::default();
    eventually("a Pod of the Deployment", || async {
        (!pods.list(&everything).await.unwrap().items.is_empty()).then_some(())
    })
    .await;
    deployments.delete("a", &DeleteParams::background()).await.unwrap();
    eventually("the Deployment's children go", || async {
        let (sets, pods) = (sets.list(&everything).await.unwrap(), pods.list(&everything).await.unwrap());
        (sets.items.is_empty() && pods.items.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_cron_job_makes_a_job_and_the_job_a_pod() {
    part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    let space = cluster.namespace("cron").await.unwrap();
    let admin = cluster.admin().await.unwrap();
    let cron: Api<CronJob> = Api::namespaced(admin.clone(), space.name());
    let mut spec = harmless();
    spec["restartPolicy"] = "Never".into();
    let job = json!({
        "metadata": { "name": "b" },
        "spec": { "schedule": "* * * * *", "jobTemplate": { "spec": { "template": { "spec": spec } } } },
    });
    cron.create(&PostParams::default(), &of(job)).await.unwrap();
    // A minute was missed, so that the next one need not be waited for.
    let past = k8s_openapi::jiff::Timestamp::now() - std::time::Duration::from_secs(90);
    let status = json!({ "status": { "lastScheduleTime": past.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() } });
    cron.patch_status("b", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(admin, space.name());
    eventually("a Pod of the CronJob's Job", || async {
        let pods = pods.list(&ListParams::default().labels("batch.kubernetes.io/job-name")).await.unwrap();
        (!pods.items.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_audit_log_says_who_did_what_and_what_a_role_never_needed() {
    part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    let space = cluster.namespace("audit").await.unwrap();
    cluster.apply(READER, Some(space.name())).await.unwrap();
    let reader = cluster.as_service_account(space.name(), "reader").await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(reader.clone(), space.name());
    maps.list(&ListParams::default()).await.unwrap();
    maps.get_opt("none").await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(reader, space.name());
    accounts.get("reader").await.unwrap_err();

    let requests = cluster.audit_of(space.name(), "reader").unwrap();
    let seen: Vec<_> = requests
        .iter()
        .map(|request| (request.verb.as_str(), request.resource.as_str(), request.allowed, request.code))
        .collect();
    assert_eq!(
        seen,
        [
            ("list", "configmaps", true, 200),
            ("get", "configmaps", true, 404),
            ("get", "serviceaccounts", false, 403)
        ]
    );
    let [first, ..] = requests.as_slice() else { unreachable!() };
    assert_eq!((first.group.as_str(), first.namespace.as_str()), ("", space.name()));

    let roles: Api<Role> = Api::namespaced(cluster.admin().await.unwrap(), space.name());
    let rules = roles.get("reader").await.unwrap().rules.unwrap();
    assert_eq!(audit::unused(&rules, &requests), BTreeSet::from(["delete /configmaps".to_owned()]));
}

#[tokio::test]
async fn a_program_with_a_kubeconfig_is_the_service_account() {
    part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    let space = cluster.namespace("program").await.unwrap();
    cluster.apply(READER, Some(space.name())).await.unwrap();
    let file = cluster.kubeconfig(space.name(), "reader").await.unwrap();
    let config = kube::config::Kubeconfig::read_from(&file).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    Api::<ConfigMap>::namespaced(client, space.name()).list(&ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn one_client_loses_the_api_server_while_the_others_go_on() {
    part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    let space = cluster.namespace("proxy").await.unwrap();
    cluster.apply(READER, Some(space.name())).await.unwrap();
    let proxy = Proxy::start(cluster.address()).await.unwrap();
    let through = cluster.as_service_account_through(space.name(), "reader", proxy.address()).await.unwrap();
    let direct = cluster.as_service_account(space.name(), "reader").await.unwrap();
    let maps = |client| Api::<ConfigMap>::namespaced(client, space.name());
    let (through, direct) = (maps(through), maps(direct));
    through.list(&ListParams::default()).await.unwrap();
    proxy.set(Mood::Cut);
    through.list(&ListParams::default()).await.unwrap_err();
    direct.list(&ListParams::default()).await.unwrap();
    proxy.set(Mood::Through);
    through.list(&ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn the_api_server_comes_back_with_what_it_stored() {
    part!(Kubernetes);
    let mut cluster = Cluster::start().await.unwrap();
    let spaces: Api<Namespace> = Api::all(cluster.admin().await.unwrap());
    let space: Namespace = of(json!({ "metadata": { "name": "kept" } }));
    spaces.create(&PostParams::default(), &space).await.unwrap();
    cluster.kill_api().unwrap();
    spaces.get("kept").await.unwrap_err();
    cluster.start_api().await.unwrap();
    spaces.get("kept").await.unwrap();
    cluster.stop_api().unwrap();
    spaces.get("kept").await.unwrap_err();
    cluster.start_api().await.unwrap();
    spaces.get("kept").await.unwrap();
}

pub fn runs(process: u32) -> bool {
    // A zombie has ended: only its parent has not looked yet.
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[tokio::test]
async fn nothing_runs_any_more_once_the_cluster_is_dropped() {
    part!(Kubernetes);
    let cluster = Cluster::start().await.unwrap();
    let processes = cluster.processes();
    assert_eq!(processes.len(), 3);
    assert!(processes.iter().all(|process| runs(*process)));
    drop(cluster);
    assert!(!processes.iter().any(|process| runs(*process)));
}

/// Run by the test below in a process of its own, which is then killed.
#[tokio::test]
#[ignore = "the other half of everything_dies_with_a_killed_test_process"]
async fn a_test_process_that_will_be_killed() {
    let cluster = Cluster::start().await.unwrap();
    cluster.install(Kinds::CLOUDNATIVE_PG).await.unwrap();
    let standin = Standin::start(&cluster, &["default"]).await.unwrap();
    let database =
        "{apiVersion: postgresql.cnpg.io/v1, kind: Cluster, metadata: {name: pg}, spec: {instances: 1}}";
    cluster.apply(database, Some("default")).await.unwrap();
    let address = eventually("PostgreSQL runs", || standin.address("default", "pg")).await;
    let mut words = vec![address.ip().to_string()];
    words.extend(cluster.processes().iter().chain(&standin.processes().await).map(u32::to_string));
    let report = std::env::var("TESTKIT_REPORT").unwrap();
    std::fs::write(format!("{report}.part"), words.join(" ")).unwrap();
    std::fs::rename(format!("{report}.part"), report).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn everything_dies_with_a_killed_test_process() {
    part!(Kubernetes, Postgres);
    let folder = tempfile::tempdir().unwrap();
    // PostgreSQL, which is not root, keeps its data somewhere below.
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let report = folder.path().join("report");
    let mut half = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "cluster::plane::a_test_process_that_will_be_killed"])
        .env("TESTKIT_REPORT", &report)
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let report =
        eventually("the other half starts", || async { std::fs::read_to_string(&report).ok() }).await;
    let (address, processes) = report.split_once(' ').unwrap();
    let processes: Vec<u32> = processes.split(' ').map(|id| id.parse().unwrap()).collect();
    assert_eq!(processes.len(), 4);
    assert!(processes.iter().all(|process| runs(*process)));
    half.kill().unwrap();
    half.wait().unwrap();
    eventually("programs, folders and the address go", || async {
        // The folder of ports that tests share stays: it is nobody's.
        let is_left = |path: std::path::PathBuf| path.is_dir() && !path.ends_with("ircnow-test-ports");
        let left =
            std::fs::read_dir(folder.path()).unwrap().filter(|entry| is_left(entry.as_ref().unwrap().path()));
        let nothing = !processes.iter().any(|process| runs(*process)) && left.count() == 0;
        (nothing && (address.starts_with("127.") || !is_ours(address))).then_some(())
    })
    .await;
}

/// Whether the machine has that address.
pub fn is_ours(address: &str) -> bool {
    let addresses = Command::new("ip").args(["-o", "address"]).output().unwrap().stdout;
    String::from_utf8_lossy(&addresses).contains(&format!(" {address}/"))
}
