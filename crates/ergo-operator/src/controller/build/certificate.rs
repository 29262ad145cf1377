//! Certificates that cert-manager is asked for.

use operator::expose::{self, TlsFrom, Web};
use operator::kinds;
use operator::resources::{Desired, Parent};

use crate::controller::validate::Valid;

/// One for IRC, and one for an Ingress under another name.
pub fn build(parent: &Parent, valid: &Valid) -> Vec<Desired> {
    let TlsFrom::Asked(issuer) = &valid.tls else { return Vec::new() };
    let certificate = |name: &str, secret: &str, host: &str| {
        parent.child(&kinds::CERTIFICATE, name, expose::certificate(parent, issuer, &[host], secret))
    };
    let (names, own) = (&valid.names, valid.spec.hostname.as_str());
    let mut all = vec![certificate(&names.main, &names.tls, own)];
    if let (Web::Ingress, Some(host)) = (valid.doors.web, &valid.doors.web_host)
        && host != own
    {
        all.push(certificate(&names.web, &names.web_tls, host));
    }
    all
}
