//! The certificate, for the host names of the bouncer.

use operator::resources::Parent;
use operator::{Desired, kinds};
use serde_json::json;

use super::super::validate::{TlsFrom, Valid};

/// The Secret the certificate is in.
pub fn secret_name(valid: &Valid) -> &str {
    match &valid.tls {
        TlsFrom::Given(name) => name,
        TlsFrom::Asked(_) => &valid.names.tls,
    }
}

/// The request for one.
pub fn certificate(parent: &Parent, valid: &Valid) -> Option<Desired> {
    let TlsFrom::Asked(issuer) = &valid.tls else { return None };
    let mut names = vec![valid.spec.hostname.as_str()];
    names.extend(valid.web_host.as_deref().filter(|web| *web != valid.spec.hostname.as_str()));
    let body = json!({ "spec": {
        "secretName": valid.names.tls,
        "dnsNames": names,
        "issuerRef": { "group": "cert-manager.io", "kind": issuer.kind.as_str(), "name": issuer.name },
        "privateKey": { "algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always" },
        "usages": ["digital signature", "server auth"],
    }});
    Some(parent.child(&kinds::CERTIFICATE, &valid.names.main, body))
}
