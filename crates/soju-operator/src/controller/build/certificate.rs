//! The certificate, for the host names of the bouncer.

use operator::expose::{self, TlsFrom};
use operator::resources::Parent;
use operator::{Desired, kinds};

use super::super::validate::Valid;

/// The request for one.
pub fn certificate(parent: &Parent, valid: &Valid) -> Option<Desired> {
    let TlsFrom::Asked(issuer) = &valid.tls else { return None };
    let mut hosts = vec![valid.spec.hostname.as_str()];
    hosts.extend(valid.doors.web_host.as_deref().filter(|web| *web != valid.spec.hostname.as_str()));
    let body = expose::certificate(parent, issuer, &hosts, &valid.names.tls);
    Some(parent.child(&kinds::CERTIFICATE, &valid.names.main, body))
}
