//! What sends clients to the server by host name: Routes, routes of the Gateway API, an Ingress.

use operator::expose::{self, Backend, Ends, Irc, TlsFrom, Web};
use operator::kinds;
use operator::resources::{Desired, Parent};

use crate::controller::validate::Valid;
use crate::paths;

/// What the exposure asks for.
pub fn build(parent: &Parent, valid: &Valid) -> Vec<Desired> {
    let (names, exposed, own) = (&valid.names, &valid.spec.expose, valid.spec.hostname.as_str());
    let irc = Backend { service: &names.main, port_name: "ircs", port: paths::IRC_PORT };
    let web = Backend { service: &names.main, port_name: "websocket", port: paths::WEB_PORT };
    let mut all = Vec::new();
    match valid.doors.irc {
        Irc::Gateway => {
            all.push(parent.child(&kinds::TLS_ROUTE, &names.main, expose::tls_route(exposed, own, irc)));
        }
        Irc::Route => {
            all.push(parent.child(&kinds::ROUTE, &names.main, expose::route(own, irc, Ends::Server)));
        }
        Irc::LoadBalancer | Irc::Inside => {}
    }
    let Some(host) = &valid.doors.web_host else { return all };
    match valid.doors.web {
        Web::Route => {
            all.push(parent.child(&kinds::ROUTE, &names.web, expose::route(host, web, Ends::Router)))
        }
        Web::Gateway => {
            all.push(parent.child(&kinds::HTTP_ROUTE, &names.web, expose::http_route(exposed, host, web)));
        }
        Web::Ingress => {
            let secret = match &valid.tls {
                TlsFrom::Given(name) => name,
                TlsFrom::Asked(_) if host == own => &names.tls,
                TlsFrom::Asked(_) => &names.web_tls,
            };
            all.push(parent.child(&kinds::INGRESS, &names.web, expose::ingress(exposed, host, web, secret)));
        }
        Web::None => {}
    }
    all
}
