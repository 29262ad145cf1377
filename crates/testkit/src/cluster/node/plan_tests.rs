use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{Check, Plan, PlanError, RightsError};
use crate::cluster::node::images::Image;
use crate::cluster::node::machine::{Probe, Restart, Role};

pub fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "n", "uid": "u"}, "spec": spec}))
        .unwrap()
}

pub fn plan(spec: Value) -> Result<Plan, PlanError> {
    Plan::of(&pod(spec))
}

fn container(more: Value) -> Value {
    let mut object = json!({"name": "main", "image": "shell"});
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

#[test]
fn containers_come_in_the_order_they_start_with_their_roles() {
    let plan = plan(json!({
        "initContainers": [{"name": "a"}, {"name": "b", "restartPolicy": "Always"}],
        "containers": [{"name": "c", "readinessProbe": {"tcpSocket": {"port": 1}}}],
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": 7,
        "subdomain": "set",
    }))
    .unwrap();
    let roles: Vec<_> = plan.containers.iter().map(|c| (c.spec.name.as_str(), c.role)).collect();
    assert_eq!(roles, [("a", Role::Init), ("b", Role::Sidecar), ("c", Role::Main)]);
    assert_eq!((plan.restart, plan.grace), (Restart::OnFailure, Duration::from_secs(7)));
    assert_eq!((plan.hostname.as_str(), plan.subdomain.as_deref()), ("web", Some("set")));
    assert_eq!(plan.seeds().iter().map(|seed| seed.readiness).collect::<Vec<_>>(), [false, false, true]);
}

#[test]
fn probes_find_their_ports_by_name_and_have_the_usual_numbers() {
    let spec = json!({"containers": [container(json!({
        "ports": [{"name": "http", "containerPort": 8080}],
        "livenessProbe": {"httpGet": {"port": "http", "scheme": "HTTPS", "httpHeaders": [{"name": "a", "value": "b"}]}},
        "startupProbe": {"exec": {"command": ["true"]}, "periodSeconds": 2, "failureThreshold": 9},
    }))]});
    let probes = plan(spec).unwrap().containers.remove(0).probes;
    let kinds: Vec<_> = probes.iter().map(|probe| probe.kind).collect();
    assert_eq!(kinds, [Probe::Startup, Probe::Liveness]);
    assert_eq!((probes[0].period, probes[0].failures), (Duration::from_secs(2), 9));
    assert_eq!((probes[1].period, probes[1].timeout), (Duration::from_secs(10), Duration::from_secs(1)));
    assert_eq!((probes[1].failures, probes[1].successes), (3, 1));
    let page = Check::Http {
        host: None,
        port: 8080,
        path: "/".into(),
        tls: true,
        headers: vec![("a".into(), "b".into())],
    };
    assert_eq!(probes[1].check, page);
}

#[test]
fn what_cannot_be_a_pod_is_refused_in_words() {
    let probe =
        |probe: Value| plan(json!({"containers": [container(json!({"livenessProbe": probe}))]})).unwrap_err();
    assert_eq!(
        probe(json!({"tcpSocket": {"port": "irc"}})).to_string(),
        "container main: the probe's port \"irc\" is none of its ports"
    );
    assert_eq!(
        probe(json!({"tcpSocket": {"port": 70000}})).to_string(),
        "container main: the probe's port \"70000\" is none of its ports"
    );
    assert_eq!(probe(json!({"periodSeconds": 1})), PlanError::EmptyProbe("main".into()));
    let sysctls = json!([{"name": "kernel.shm_rmid_forced", "value": "1"}]);
    let refused = plan(json!({"containers": [], "securityContext": {"sysctls": sysctls}})).unwrap_err();
    assert_eq!(refused, PlanError::Sysctl("kernel.shm_rmid_forced".into()));
}

#[test]
fn a_container_says_who_it_is_before_its_pod_and_the_pod_before_the_image() {
    let image = Image::new(&["sh"]).user(10, 20);
    let who = |pod: Value, own: Value| {
        let spec =
            json!({"securityContext": pod, "containers": [container(json!({"securityContext": own}))]});
        plan(spec).unwrap().containers.remove(0).rights(&image)
    };
    let ids = |pod, own| who(pod, own).map(|rights| (rights.uid, rights.gid));
    assert_eq!(ids(json!({}), json!({})), Ok((10, 20)));
    assert_eq!(ids(json!({"runAsUser": 1, "runAsGroup": 2}), json!({})), Ok((1, 2)));
    assert_eq!(ids(json!({"runAsUser": 1, "runAsGroup": 2}), json!({"runAsUser": 3})), Ok((3, 2)));
    assert_eq!(ids(json!({"runAsNonRoot": true}), json!({"runAsUser": 0})), Err(RightsError::Root));
    assert_eq!(
        ids(json!({"runAsNonRoot": true}), json!({"runAsUser": 0, "runAsNonRoot": false})),
        Ok((0, 20))
    );
    assert_eq!(ids(json!({"runAsUser": 1_i64 << 40}), json!({})), Err(RightsError::Id(1 << 40)));
    let groups = who(json!({"fsGroup": 5, "supplementalGroups": [6]}), json!({})).unwrap().groups;
    assert_eq!(groups, [6, 5]);
}

#[test]
fn rights_are_what_is_left_after_dropping() {
    let rights = |own: Value| {
        let spec = json!({
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container(json!({"securityContext": own}))],
        });
        plan(spec).unwrap().containers.remove(0).rights(&Image::new(&["sh"])).unwrap()
    };
    let usual = rights(json!({}));
    assert_eq!(usual.capabilities.len(), 14);
    assert!((usual.seccomp, usual.no_new_privileges, usual.read_only_root) == (true, false, false));
    let none = rights(json!({
        "capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
    }));
    assert!(none.capabilities.is_empty() && none.no_new_privileges && none.read_only_root);
    let one = rights(json!({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}));
    assert_eq!(one.capabilities, ["CAP_NET_BIND_SERVICE"]);
    let fewer = rights(json!({"capabilities": {"drop": ["CAP_KILL", "chown"]}}));
    assert_eq!(fewer.capabilities.len(), 12);
    assert!(!rights(json!({"seccompProfile": {"type": "Unconfined"}})).seccomp);
}
