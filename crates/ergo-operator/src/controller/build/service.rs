//! The Service inside the cluster, and the load balancer.

use operator::expose::Irc;
use operator::kinds;
use operator::resources::{Desired, Parent};
use serde_json::{Value, json};

use crate::controller::validate::Valid;
use crate::paths;

/// One Service with every port, and one with the IRC port alone where clients come through a load balancer: what is for
/// the inside never gets out.
pub fn build(parent: &Parent, valid: &Valid) -> Vec<Desired> {
    let mut ports = vec![port("ircs", paths::IRC_PORT)];
    if valid.doors.web_host.is_some() {
        let mut web = port("websocket", paths::WEB_PORT);
        web["appProtocol"] = "kubernetes.io/ws".into();
        ports.push(web);
    }
    if valid.spec.plaintext_in_cluster {
        ports.push(port("irc", paths::PLAIN_PORT));
    }
    let selector = super::selector(parent);
    let inside = json!({ "spec": { "type": "ClusterIP", "selector": selector, "ports": ports } });
    let mut all = vec![parent.child(&kinds::SERVICE, &valid.names.main, inside)];
    if valid.doors.irc == Irc::LoadBalancer {
        let mut spec = json!({
            "type": "LoadBalancer",
            "selector": selector,
            "ports": [port("ircs", paths::IRC_PORT)],
            // Bans and limits need the clients' own addresses.
            "externalTrafficPolicy": "Local",
        });
        let ranges: Vec<_> = valid.spec.expose.source_ranges.iter().map(|range| range.as_str()).collect();
        if !ranges.is_empty() {
            spec["loadBalancerSourceRanges"] = json!(ranges);
        }
        // external-dns makes the name, where it runs; under a wildcard of the installation's own it need not.
        let metadata = json!({ "annotations": {
            "external-dns.alpha.kubernetes.io/hostname": valid.spec.hostname.as_str(),
        } });
        let body = json!({ "metadata": metadata, "spec": spec });
        all.push(parent.child(&kinds::SERVICE, &valid.names.public, body));
    }
    all
}

fn port(name: &str, port: u16) -> Value {
    json!({ "name": name, "port": port, "targetPort": name, "protocol": "TCP" })
}
