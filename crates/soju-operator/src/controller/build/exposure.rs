//! What stands in front of the server: Route, Gateway route, Ingress.

use crds::soju::Engine;
use operator::expose::{self, Backend, Ends, Irc, Web};
use operator::resources::Parent;
use operator::{Desired, kinds};

use super::super::validate::Valid;
use crate::soju::IRC_PORT;

/// In front of the IRC port. TLS is passed through: the server has the certificate.
pub fn irc(parent: &Parent, valid: &Valid) -> Option<Desired> {
    let (name, host) = (&valid.names.main, valid.spec.hostname.as_str());
    let to = Backend { service: name, port_name: "irc", port: IRC_PORT };
    match valid.doors.irc {
        Irc::LoadBalancer | Irc::Inside => None,
        Irc::Route => Some(parent.child(&kinds::ROUTE, name, expose::route(host, to, Ends::Server))),
        Irc::Gateway => {
            Some(parent.child(&kinds::TLS_ROUTE, name, expose::tls_route(&valid.spec.expose, host, to)))
        }
    }
}

/// In front of the WebSocket.
pub fn web(parent: &Parent, valid: &Valid) -> Option<Desired> {
    let host = valid.doors.web_host.as_deref()?;
    let (name, exposed) = (&valid.names.web, &valid.spec.expose);
    let clear = Backend { service: &valid.names.main, port_name: "ws", port: 80 };
    let encrypted = Backend { service: &valid.names.main, port_name: "wss", port: 443 };
    match valid.doors.web {
        Web::None => None,
        Web::Route => Some(parent.child(&kinds::ROUTE, name, expose::route(host, encrypted, Ends::Server))),
        Web::Gateway => {
            Some(parent.child(&kinds::HTTP_ROUTE, name, expose::http_route(exposed, host, clear)))
        }
        Web::Ingress if valid.spec.engine == Engine::Ircnow => {
            let secret = valid.tls.secret(&valid.names.tls);
            let mut body = expose::ingress(exposed, host, encrypted, secret);
            body["metadata"]["annotations"]["nginx.ingress.kubernetes.io/backend-protocol"] = "HTTPS".into();
            Some(parent.child(&kinds::INGRESS, name, body))
        }
        Web::Ingress => {
            let secret = valid.tls.secret(&valid.names.tls);
            Some(parent.child(&kinds::INGRESS, name, expose::ingress(exposed, host, clear, secret)))
        }
    }
}
