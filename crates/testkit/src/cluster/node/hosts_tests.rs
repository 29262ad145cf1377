use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::{World, diverted, file};
use crate::cluster::node::plan::tests::plan;

fn service(namespace: &str, name: &str, spec: Value) -> Service {
    serde_json::from_value(json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec})).unwrap()
}

fn pod(name: &str, address: &str, ready: bool, more: Value) -> Pod {
    let mut pod = json!({
        "metadata": {"namespace": "n", "name": name, "labels": {"app": "web"}},
        "spec": {"containers": []},
        "status": {
            "phase": "Running", "podIP": address,
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
        },
    });
    for (part, fields) in more.as_object().unwrap() {
        pod[part].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    }
    serde_json::from_value(pod).unwrap()
}

/// The lines that name Services.
fn lines(services: &[Service], pods: &[Pod], slices: &[EndpointSlice]) -> Vec<String> {
    let plan = plan(json!({"containers": []})).unwrap();
    let own = crate::cluster::node::plan::tests::pod(json!({"containers": []}));
    let names = ["host.testkit".to_owned()];
    let world = World { services, pods, slices, host: ("10.0.0.1", &names) };
    let file = file(&plan, &own, "10.0.0.9", world);
    let start = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.9\tweb\n10.0.0.1\thost.testkit\n";
    file.strip_prefix(start).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_service_is_named_by_a_ready_pod_in_every_usual_way() {
    let web = service("n", "web", json!({"selector": {"app": "web"}}));
    let pods = [
        pod("a", "10.0.0.3", false, json!({})),
        pod("b", "10.0.0.20", true, json!({})),
        pod("c", "10.0.0.5", true, json!({})),
        pod("d", "10.0.0.2", true, json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})),
        pod("e", "10.0.0.1", true, json!({"status": {"phase": "Succeeded"}})),
        pod("f", "10.0.0.1", true, json!({"metadata": {"labels": {"app": "other"}}})),
        pod("g", "10.0.0.1", true, json!({"metadata": {"namespace": "m"}})),
    ];
    assert_eq!(lines(&[web], &pods, &[]), ["10.0.0.5\tweb.n.svc.cluster.local web.n.svc web.n web"]);
}

#[test]
fn another_namespace_has_no_short_name_and_a_service_without_a_pod_no_line() {
    let other = service("m", "db", json!({"selector": {"app": "web"}}));
    let none = service("n", "none", json!({"selector": {"app": "none"}}));
    let pods = [pod("a", "10.0.0.3", true, json!({"metadata": {"namespace": "m"}}))];
    assert_eq!(lines(&[other, none], &pods, &[]), ["10.0.0.3\tdb.m.svc.cluster.local db.m.svc db.m"]);
}

#[test]
fn a_headless_service_names_all_and_each() {
    let set = service(
        "n",
        "set",
        json!({"clusterIP": "None", "selector": {"app": "web"}, "publishNotReadyAddresses": true}),
    );
    let member = |name: &str| json!({"spec": {"hostname": name, "subdomain": "set"}});
    let pods =
        [pod("set-1", "10.0.0.4", false, member("set-1")), pod("set-0", "10.0.0.3", true, member("set-0"))];
    let names = "set.n.svc.cluster.local set.n.svc set.n set";
    let each = |pod: &str| names.split(' ').map(|name| format!("{pod}.{name}")).collect::<Vec<_>>().join(" ");
    let wanted = [
        format!("10.0.0.3\t{names}"),
        format!("10.0.0.4\t{names}"),
        format!("10.0.0.3\t{}", each("set-0")),
        format!("10.0.0.4\t{}", each("set-1")),
    ];
    assert_eq!(lines(&[set], &pods, &[]), wanted);
}

#[test]
fn a_service_without_selector_is_named_by_its_slices() {
    let db = service("n", "pg-rw", json!({}));
    let slice: EndpointSlice = serde_json::from_value(json!({
        "metadata": {"namespace": "n", "name": "x", "labels": {"kubernetes.io/service-name": "pg-rw"}},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["10.0.0.8"], "conditions": {"ready": false}},
            {"addresses": ["10.0.0.7"]},
        ],
    }))
    .unwrap();
    assert_eq!(
        lines(&[db], &[], &[slice]),
        ["10.0.0.7\tpg-rw.n.svc.cluster.local pg-rw.n.svc pg-rw.n pg-rw"]
    );
}

#[test]
fn a_member_of_a_set_knows_its_own_long_name_and_the_pods_aliases() {
    let spec = json!({
        "containers": [], "hostname": "set-0", "subdomain": "set",
        "hostAliases": [{"ip": "10.1.1.1", "hostnames": ["a", "b"]}],
    });
    let plan = plan(spec.clone()).unwrap();
    let pod = crate::cluster::node::plan::tests::pod(spec);
    let world = World { services: &[], pods: &[], slices: &[], host: ("10.0.0.1", &[]) };
    let file = file(&plan, &pod, "10.0.0.9", world);
    assert!(file.contains("\n10.0.0.9\tset-0.set.n.svc.cluster.local set-0\n10.1.1.1\ta b\n"), "{file}");
}

#[test]
fn a_port_that_leads_elsewhere_is_noticed() {
    let ports = json!([
        {"port": 80, "targetPort": 8080},
        {"port": 81, "targetPort": 81},
        {"port": 82},
        {"port": 443, "targetPort": "https"},
        {"port": 6697, "targetPort": "ircs"},
        {"port": 9, "targetPort": "nobody"},
    ]);
    let web = service("n", "web", json!({"selector": {"app": "web"}, "ports": ports}));
    let own = json!([{"name": "https", "containerPort": 8443}, {"name": "ircs", "containerPort": 6697}]);
    let own = json!({"spec": {"containers": [{"name": "main", "ports": own}]}});
    let pods = [pod("a", "10.0.0.3", false, own)];
    assert_eq!(diverted(&web, &pods), ["port 80 leads to 8080", "port 443 leads to 8443"]);
    assert!(
        diverted(&service("n", "db", json!({"ports": [{"port": 1, "targetPort": 2}]})), &pods).is_empty()
    );
}
