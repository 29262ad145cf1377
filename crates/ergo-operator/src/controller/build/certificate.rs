//! Certificates that cert-manager is asked for.

use operator::kinds;
use operator::resources::{Desired, Parent};
use serde_json::json;

use crate::controller::validate::{TlsFrom, Valid, Web};

/// One for IRC, and one for an Ingress under another name.
pub fn build(parent: &Parent, valid: &Valid) -> Vec<Desired> {
    let TlsFrom::Asked(issuer) = &valid.tls else { return Vec::new() };
    let certificate = |name: &str, secret: &str, host: &str| {
        let body = json!({ "spec": {
            "secretName": secret,
            "dnsNames": [host],
            "issuerRef": { "group": "cert-manager.io", "kind": issuer.kind.as_str(), "name": issuer.name.as_str() },
            "privateKey": { "algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always" },
            "usages": ["server auth", "digital signature"],
        } });
        parent.child(&kinds::CERTIFICATE, name, body)
    };
    let names = &valid.names;
    let mut all = vec![certificate(&names.main, &names.tls, valid.spec.hostname.as_str())];
    if let (Web::Ingress, Some(host)) = (valid.web, &valid.web_host)
        && host != valid.spec.hostname.as_str()
    {
        all.push(certificate(&names.web, &names.web_tls, host));
    }
    all
}
