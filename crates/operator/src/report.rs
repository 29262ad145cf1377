//! The parts of a status that are said of both kinds in the same words.

use crate::conditions::{CERTIFICATE, DATABASE, EXPOSED};
use crate::expose::{Doors, Irc, TlsFrom, Web};
use crate::postgres::Made;
use crate::{Conditions, Facts, Kind, Names, kinds};

/// What is known of a child, by kind and name.
pub type Look<'a> = &'a dyn Fn(&'static Kind, &str) -> Option<Facts>;

/// Whether the certificate is there.
pub fn certificate(tls: &TlsFrom, names: &Names, look: Look<'_>, conditions: &mut Conditions) {
    if let TlsFrom::Given(name) = tls {
        return conditions.set(CERTIFICATE, true, "Given", format!("the Secret {name} is used"));
    }
    let facts = look(&kinds::CERTIFICATE, &names.main).unwrap_or_default();
    if facts.holds("ready") {
        let until = facts.get("notAfter").unwrap_or("an unknown time");
        conditions.set(CERTIFICATE, true, "Issued", format!("valid until {until}"));
    } else {
        let message = facts.get("message").unwrap_or("cert-manager was asked for a certificate");
        conditions.set(CERTIFICATE, false, "Pending", message);
    }
}

/// Whether the database is there.
pub fn database(made: &Made, conditions: &mut Conditions) {
    if made.done {
        conditions.set(DATABASE, true, "Applied", "database and role are there");
    } else {
        let message = made.message.as_deref().unwrap_or("CloudNativePG was asked for it");
        conditions.set(DATABASE, false, "Pending", message);
    }
}

/// Whether what stands in front of the server took the host names. `balancer` is the Service of the load balancer.
pub fn exposed(doors: &Doors, names: &Names, balancer: &str, look: Look<'_>, conditions: &mut Conditions) {
    let irc = match doors.irc {
        Irc::Inside => None,
        Irc::LoadBalancer => Some((&kinds::SERVICE, balancer, "address")),
        Irc::Route => Some((&kinds::ROUTE, names.main.as_str(), "admitted")),
        Irc::Gateway => Some((&kinds::TLS_ROUTE, names.main.as_str(), "accepted")),
    };
    let web = match doors.web {
        // An Ingress has no word for being refused; many controllers never write an address either.
        Web::None | Web::Ingress => None,
        Web::Route => Some((&kinds::ROUTE, names.web.as_str(), "admitted")),
        Web::Gateway => Some((&kinds::HTTP_ROUTE, names.web.as_str(), "accepted")),
    };
    let asked: Vec<(&'static Kind, &str, &str)> = irc.into_iter().chain(web).collect();
    for (kind, name, fact) in asked {
        let facts = look(kind, name).unwrap_or_default();
        let there = if fact == "address" { facts.get(fact).is_some() } else { facts.holds(fact) };
        if !there {
            let said = facts.get("message").unwrap_or("the cluster has not answered yet");
            return conditions.set(EXPOSED, false, "Pending", format!("{} {name}: {said}", kind.kind));
        }
    }
    if doors.irc == Irc::Inside {
        conditions.set(EXPOSED, true, "Inside", "IRC is reachable inside the cluster only");
    } else {
        conditions.set(EXPOSED, true, "Exposed", "what stands in front of the server took the host names");
    }
}
