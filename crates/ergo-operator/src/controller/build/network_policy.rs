//! Who may connect to the server, and what it may connect to.

use std::net::IpAddr;

use operator::kinds;
use operator::resources::{Desired, Parent};
use serde_json::{Value, json};

use crate::config::Installation;
use crate::controller::validate::{Valid, Web};
use crate::paths;

/// Ranges that are not the public internet: loopback, private, shared, link-local with the metadata address, benchmarks,
/// documentation, multicast, reserved.
const NOT_PUBLIC_4: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// IPv4-mapped addresses are left out: they travel as IPv4, and the API server refuses to name them.
const NOT_PUBLIC_6: &[&str] = &[
    "::/127",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001:db8::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

/// One policy with both directions.
pub fn build(installation: &Installation, parent: &Parent, valid: &Valid) -> Desired {
    let body = json!({ "spec": {
        "podSelector": { "matchLabels": super::selector(parent) },
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress(installation, valid),
        "egress": egress(installation, valid),
    } });
    parent.child(&kinds::NETWORK_POLICY, &valid.names.main, body)
}

fn ingress(installation: &Installation, valid: &Valid) -> Vec<Value> {
    let mut public = vec![paths::IRC_PORT];
    if valid.web != Web::None {
        public.push(paths::WEB_PORT);
    }
    let mut rules = vec![json!({ "ports": ports(&public) })];
    if valid.spec.plaintext_in_cluster {
        // Pods of the cluster, and nobody outside of it.
        rules.push(json!({ "from": [{ "namespaceSelector": {} }], "ports": ports(&[paths::PLAIN_PORT]) }));
    }
    let mut ask = vec![namespace(&installation.namespace)];
    match &installation.monitoring_namespace {
        Some(name) => ask.push(namespace(name)),
        None => ask.push(json!({ "namespaceSelector": {} })),
    }
    rules.push(json!({ "from": ask, "ports": ports(&[paths::SIDECAR_PORT]) }));
    rules
}

fn egress(installation: &Installation, valid: &Valid) -> Vec<Value> {
    let dns = json!([{ "protocol": "UDP", "port": 53 }, { "protocol": "TCP", "port": 53 }]);
    let resolvers =
        json!({ "namespaceSelector": {}, "podSelector": { "matchLabels": { "k8s-app": "kube-dns" } } });
    let mut rules = vec![json!({ "to": [resolvers], "ports": dns })];
    if let Some((cluster, _)) = &valid.database {
        let mut to = namespace(cluster.namespace.as_str());
        to["podSelector"] = json!({ "matchLabels": { "cnpg.io/cluster": cluster.name.as_str() } });
        rules.push(json!({ "to": [to], "ports": ports(&[5432]) }));
    }
    for range in &installation.allowed_ranges {
        rules.push(json!({ "to": [{ "ipBlock": { "cidr": range } }] }));
    }
    for allowed in &valid.spec.egress.allow {
        let mut rule = json!({ "to": [{ "ipBlock": { "cidr": allowed.cidr.as_str() } }] });
        if !allowed.ports.is_empty() {
            let ports: Vec<_> =
                allowed.ports.iter().map(|port| json!({ "protocol": "TCP", "port": port })).collect();
            rule["ports"] = ports.into();
        }
        rules.push(rule);
    }
    let public = json!([
        { "ipBlock": { "cidr": "0.0.0.0/0", "except": denied(installation, NOT_PUBLIC_4, false) } },
        { "ipBlock": { "cidr": "::/0", "except": denied(installation, NOT_PUBLIC_6, true) } },
    ]);
    rules.push(json!({ "to": public }));
    rules
}

fn denied<'a>(installation: &'a Installation, known: &[&'a str], six: bool) -> Vec<&'a str> {
    let more = installation.denied_ranges.iter().map(String::as_str).filter(|range| {
        let address = range.split('/').next().and_then(|address| address.parse::<IpAddr>().ok());
        address.is_some_and(|address| address.is_ipv6() == six)
    });
    known.iter().copied().chain(more).collect()
}

fn namespace(name: &str) -> Value {
    json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": name } } })
}

fn ports(ports: &[u16]) -> Vec<Value> {
    ports.iter().map(|port| json!({ "protocol": "TCP", "port": port })).collect()
}
