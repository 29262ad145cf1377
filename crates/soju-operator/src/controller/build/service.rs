//! The Service: IRC, WebSocket, ident.

use crds::soju::Engine;
use operator::expose::{Irc, Web};
use operator::resources::Parent;
use operator::{Desired, kinds};
use serde_json::{Value, json};

use super::super::validate::Valid;
use crate::soju::IRC_PORT;

/// The Service.
pub fn service(parent: &Parent, valid: &Valid) -> Desired {
    let mut ports = vec![port("irc", i32::from(IRC_PORT))];
    match valid.doors.web {
        Web::None => {}
        // The engine Ircnow takes WebSockets on the port of IRC, with TLS.
        _ if valid.spec.engine == Engine::Ircnow => ports.push(port_to("wss", 443, "irc")),
        Web::Route => ports.push(port("wss", 443)),
        Web::Gateway | Web::Ingress => ports.push(port("ws", 80)),
    }
    if valid.spec.ident {
        ports.push(port("ident", 113));
    }
    let mut spec = json!({ "selector": super::selector(valid), "ports": ports, "type": "ClusterIP" });
    let mut annotations = json!({});
    if valid.doors.irc == Irc::LoadBalancer {
        spec["type"] = "LoadBalancer".into();
        // The bouncer sees who connects, for its logs and its limits.
        spec["externalTrafficPolicy"] = "Local".into();
        if !valid.spec.expose.source_ranges.is_empty() {
            spec["loadBalancerSourceRanges"] = json!(valid.spec.expose.source_ranges);
        }
        annotations["external-dns.alpha.kubernetes.io/hostname"] = valid.spec.hostname.as_str().into();
    }
    parent.child(
        &kinds::SERVICE,
        &valid.names.main,
        json!({ "metadata": { "annotations": annotations }, "spec": spec }),
    )
}

fn port(name: &str, port: i32) -> Value {
    port_to(name, port, name)
}

fn port_to(name: &str, port: i32, target: &str) -> Value {
    json!({ "name": name, "port": port, "targetPort": target, "protocol": "TCP" })
}
