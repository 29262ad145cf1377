//! The NetworkPolicy: who reaches the server, and what the server reaches.
//!
//! Users name the hosts their bouncer connects to, so it must never reach the cluster: private, link-local and metadata
//! ranges are denied, whatever they are written as (IPv4 in IPv6, NAT64, 6to4, Teredo).

use crds::sidecar::SIDECAR_PORT;
use operator::resources::Parent;
use operator::{Desired, kinds};
use serde_json::{Value, json};

use super::super::validate::{Rows, Valid};
use crate::config::Installation;
use crate::soju::{IDENT_PORT, IRC_PORT, WS_PORT, WSS_PORT};

/// IPv4 that is not the internet.
pub const DENIED_V4: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// IPv6 that is allowed at all: global unicast.
pub const ALLOWED_V6: &str = "2000::/3";

/// IPv6 within that that is not the internet, or is IPv4 in disguise. (`64:ff9b::/96` and `::ffff:0:0/96` lie outside.)
pub const DENIED_V6: [&str; 4] = ["2001::/32", "2001:db8::/32", "2002::/16", "3fff::/20"];

/// The policy.
pub fn network_policy(installation: &Installation, parent: &Parent, valid: &Valid) -> Desired {
    let body = json!({ "spec": {
        "podSelector": { "matchLabels": super::selector(valid) },
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress(installation, valid),
        "egress": egress(installation, valid),
    }});
    parent.child(&kinds::NETWORK_POLICY, &valid.names.main, body)
}

fn tcp(ports: &[u16]) -> Vec<Value> {
    ports.iter().map(|port| json!({ "protocol": "TCP", "port": port })).collect()
}

fn namespace(name: &str) -> Value {
    json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": name } } })
}

fn ingress(installation: &Installation, valid: &Valid) -> Vec<Value> {
    let mut open = vec![IRC_PORT];
    if valid.web_host.is_some() {
        open.push(if valid.web_in_the_clear { WS_PORT } else { WSS_PORT });
    }
    if valid.spec.ident {
        open.push(IDENT_PORT);
    }
    // Figures and state: Prometheus and the operator.
    let mut askers = vec![namespace(&installation.namespace)];
    askers.push(match &installation.monitoring_namespace {
        Some(name) => namespace(name),
        None => json!({ "namespaceSelector": {} }),
    });
    vec![json!({ "ports": tcp(&open) }), json!({ "from": askers, "ports": tcp(&[SIDECAR_PORT]) })]
}

fn egress(installation: &Installation, valid: &Valid) -> Vec<Value> {
    let mut rules = vec![
        // Name resolution: Pods of the cluster, or the node's own cache.
        json!({
            "to": [{ "namespaceSelector": {} }, { "ipBlock": { "cidr": "169.254.20.10/32" } }],
            "ports": [
                { "protocol": "UDP", "port": 53 },
                { "protocol": "TCP", "port": 53 },
                { "protocol": "UDP", "port": 5353 },
                { "protocol": "TCP", "port": 5353 },
            ],
        }),
        json!({ "to": internet(installation) }),
    ];
    if let Rows::Postgres(at) = &valid.rows {
        let mut database = namespace(&at.cluster.namespace.0);
        database["podSelector"] = json!({ "matchLabels": { "cnpg.io/cluster": at.cluster.name } });
        rules.push(json!({ "to": [database], "ports": tcp(&[5432]) }));
    }
    rules.extend(
        installation.allowed_ranges.iter().map(|range| json!({ "to": [{ "ipBlock": { "cidr": range } }] })),
    );
    for rule in &valid.spec.egress.allow {
        let mut allowed = json!({ "to": [{ "ipBlock": { "cidr": rule.cidr } }] });
        if !rule.ports.is_empty() {
            let ports: Vec<_> =
                rule.ports.iter().map(|port| json!({ "protocol": "TCP", "port": port })).collect();
            allowed["ports"] = json!(ports);
        }
        rules.push(allowed);
    }
    rules
}

fn internet(installation: &Installation) -> Vec<Value> {
    let own = |v6: bool| {
        installation.denied_ranges.iter().map(String::as_str).filter(move |range| range.contains(':') == v6)
    };
    let v4: Vec<&str> = DENIED_V4.into_iter().chain(own(false)).collect();
    let v6: Vec<&str> = DENIED_V6.into_iter().chain(own(true).filter(|range| is_global(range))).collect();
    vec![
        json!({ "ipBlock": { "cidr": "0.0.0.0/0", "except": v4 } }),
        json!({ "ipBlock": { "cidr": ALLOWED_V6, "except": v6 } }),
    ]
}

/// An exception must lie within the range it is an exception of.
fn is_global(range: &str) -> bool {
    let address = range.split('/').next().and_then(|address| address.parse::<std::net::Ipv6Addr>().ok());
    address.is_some_and(|address| address.segments()[0] & 0xe000 == 0x2000)
}
