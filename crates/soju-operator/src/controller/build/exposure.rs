//! What stands in front of the server: Route, Gateway route, Ingress.

use operator::resources::Parent;
use operator::{Desired, kinds};
use serde_json::{Value, json};

use super::super::validate::{Irc, Valid, Web};
use super::certificate;

/// In front of the IRC port. TLS is passed through: the server has the certificate.
pub fn irc(parent: &Parent, valid: &Valid) -> Option<Desired> {
    let host = valid.spec.hostname.as_str();
    match valid.irc {
        Irc::LoadBalancer | Irc::Inside => None,
        Irc::Route => Some(parent.child(&kinds::ROUTE, &valid.names.main, route(valid, host, "irc"))),
        Irc::Gateway => {
            let section = valid.spec.expose.gateway.as_ref().and_then(|gateway| gateway.irc_section.as_ref());
            let body = json!({ "spec": {
                "parentRefs": [parent_ref(valid, section.map(|section| section.as_str()))],
                "hostnames": [host],
                "rules": [{ "backendRefs": [{ "name": valid.names.main, "port": crate::soju::IRC_PORT }] }],
            }});
            Some(parent.child(&kinds::TLS_ROUTE, &valid.names.main, body))
        }
    }
}

/// In front of the WebSocket.
pub fn web(parent: &Parent, valid: &Valid) -> Option<Desired> {
    let host = valid.web_host.as_deref()?;
    let name = &valid.names.web;
    match valid.web {
        Web::None => None,
        Web::Route => Some(parent.child(&kinds::ROUTE, name, route(valid, host, "wss"))),
        Web::Gateway => {
            let section = valid.spec.expose.gateway.as_ref().and_then(|gateway| gateway.web_section.as_ref());
            let body = json!({ "spec": {
                "parentRefs": [parent_ref(valid, section.map(|section| section.as_str()))],
                "hostnames": [host],
                "rules": [{
                    "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }],
                    "backendRefs": [{ "name": valid.names.main, "port": 80 }],
                    // A WebSocket that says nothing for an hour is no dead one.
                    "timeouts": { "request": "0s" },
                }],
            }});
            Some(parent.child(&kinds::HTTP_ROUTE, name, body))
        }
        Web::Ingress => {
            let mut spec = json!({
                "tls": [{ "hosts": [host], "secretName": certificate::secret_name(valid) }],
                "rules": [{ "host": host, "http": { "paths": [{
                    "path": "/",
                    "pathType": "Prefix",
                    "backend": { "service": { "name": valid.names.main, "port": { "name": "ws" } } },
                }] } }],
            });
            if let Some(class) = &valid.spec.expose.ingress_class_name {
                spec["ingressClassName"] = class.as_str().into();
            }
            let annotations = json!({
                "nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
                "nginx.ingress.kubernetes.io/proxy-send-timeout": "3600",
            });
            let body = json!({ "metadata": { "annotations": annotations }, "spec": spec });
            Some(parent.child(&kinds::INGRESS, name, body))
        }
    }
}

fn route(valid: &Valid, host: &str, port: &str) -> Value {
    json!({
        "metadata": { "annotations": { "haproxy.router.openshift.io/timeout-tunnel": "24h" } },
        "spec": {
            "host": host,
            "to": { "kind": "Service", "name": valid.names.main, "weight": 100 },
            "port": { "targetPort": port },
            "tls": { "termination": "passthrough", "insecureEdgeTerminationPolicy": "None" },
            "wildcardPolicy": "None",
        },
    })
}

fn parent_ref(valid: &Valid, section: Option<&str>) -> Value {
    let gateway = valid.spec.expose.gateway.as_ref();
    let mut parent = json!({ "name": gateway.map(|gateway| gateway.name.as_str()) });
    if let Some(namespace) = gateway.and_then(|gateway| gateway.namespace.as_ref()) {
        parent["namespace"] = namespace.as_str().into();
    }
    if let Some(section) = section {
        parent["sectionName"] = section.into();
    }
    parent
}
