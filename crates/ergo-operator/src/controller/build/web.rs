//! What sends clients to the server by host name: Routes, routes of the Gateway API, an Ingress.

use operator::kinds;
use operator::resources::{Desired, Parent};
use serde_json::{Value, json};

use crate::controller::validate::{Irc, TlsFrom, Valid, Web};
use crate::paths;

/// What the exposure asks for.
pub fn build(parent: &Parent, valid: &Valid) -> Vec<Desired> {
    let names = &valid.names;
    let mut all = Vec::new();
    match valid.irc {
        Irc::Gateway => all.push(parent.child(&kinds::TLS_ROUTE, &names.main, tls_route(valid))),
        Irc::Route => all.push(parent.child(&kinds::ROUTE, &names.main, irc_route(valid))),
        Irc::LoadBalancer | Irc::Inside => {}
    }
    let Some(host) = &valid.web_host else { return all };
    match valid.web {
        Web::Route => all.push(parent.child(&kinds::ROUTE, &names.web, web_route(valid, host))),
        Web::Gateway => all.push(parent.child(&kinds::HTTP_ROUTE, &names.web, http_route(valid, host))),
        Web::Ingress => all.push(parent.child(&kinds::INGRESS, &names.web, ingress(valid, host))),
        Web::None => {}
    }
    all
}

fn tls_route(valid: &Valid) -> Value {
    let section = valid.spec.expose.gateway.as_ref().and_then(|gateway| gateway.irc_section.as_ref());
    json!({ "spec": {
        "parentRefs": [gateway(valid, section.map(|section| section.as_str()))],
        "hostnames": [valid.spec.hostname.as_str()],
        "rules": [{ "backendRefs": [{ "name": valid.names.main, "port": paths::IRC_PORT }] }],
    } })
}

fn http_route(valid: &Valid, host: &str) -> Value {
    let section = valid.spec.expose.gateway.as_ref().and_then(|gateway| gateway.web_section.as_ref());
    json!({ "spec": {
        "parentRefs": [gateway(valid, section.map(|section| section.as_str()))],
        "hostnames": [host],
        "rules": [{ "backendRefs": [{ "name": valid.names.main, "port": paths::WEB_PORT }] }],
    } })
}

fn gateway(valid: &Valid, section: Option<&str>) -> Value {
    let Some(gateway) = &valid.spec.expose.gateway else { return Value::Null };
    json!({
        "name": gateway.name.as_str(),
        "namespace": gateway.namespace.as_ref().map(|namespace| namespace.as_str()),
        "sectionName": section,
    })
}

fn irc_route(valid: &Valid) -> Value {
    json!({ "spec": {
        "host": valid.spec.hostname.as_str(),
        "to": { "kind": "Service", "name": valid.names.main, "weight": 100 },
        "port": { "targetPort": "ircs" },
        "tls": { "termination": "passthrough", "insecureEdgeTerminationPolicy": "None" },
        "wildcardPolicy": "None",
    } })
}

fn web_route(valid: &Valid, host: &str) -> Value {
    // A WebSocket may be silent for long; the router's own limit is 30 s.
    let metadata = json!({ "annotations": { "haproxy.router.openshift.io/timeout-tunnel": "1h" } });
    json!({ "metadata": metadata, "spec": {
        "host": host,
        "to": { "kind": "Service", "name": valid.names.main, "weight": 100 },
        "port": { "targetPort": "websocket" },
        "tls": { "termination": "edge", "insecureEdgeTerminationPolicy": "Redirect" },
        "wildcardPolicy": "None",
    } })
}

fn ingress(valid: &Valid, host: &str) -> Value {
    let secret = match &valid.tls {
        TlsFrom::Given(name) => name,
        TlsFrom::Asked(_) if host == valid.spec.hostname.as_str() => &valid.names.tls,
        TlsFrom::Asked(_) => &valid.names.web_tls,
    };
    let backend = json!({ "service": { "name": valid.names.main, "port": { "name": "websocket" } } });
    let metadata = json!({ "annotations": {
        "nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
        "nginx.ingress.kubernetes.io/proxy-send-timeout": "3600",
    } });
    json!({ "metadata": metadata, "spec": {
        "ingressClassName": valid.spec.expose.ingress_class_name.as_ref().map(|class| class.as_str()),
        "tls": [{ "hosts": [host], "secretName": secret }],
        "rules": [{ "host": host, "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": backend }] } }],
    } })
}
