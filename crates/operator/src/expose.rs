//! How a server is exposed, decided: what stands in front of its ports, and where its certificate comes from.

use crds::Server;
use crds::expose::{Expose, IrcExposure, Issuer, WebExposure};
use serde_json::{Value, json};

use crate::conditions::ACCEPTED;
use crate::error::Error;
use crate::kind::Kind;
use crate::resources::Parent;
use crate::{Context, OWNER_UID, Operator, kinds};

/// Which optional kinds the cluster has.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one question each")]
pub struct Has {
    /// cert-manager's certificates.
    pub certificates: bool,
    /// OpenShift Routes.
    pub routes: bool,
    /// `HTTPRoute`s.
    pub http_routes: bool,
    /// `TLSRoute`s.
    pub tls_routes: bool,
    /// Pod monitors.
    pub monitors: bool,
    /// CloudNativePG's databases and roles.
    pub databases: bool,
    /// Snapshots of volumes.
    pub snapshots: bool,
}

impl Has {
    /// What this cluster has.
    pub fn of<O: Operator>(context: &Context<'_, O>) -> Self {
        Self {
            certificates: context.has(&kinds::CERTIFICATE),
            routes: context.has(&kinds::ROUTE),
            http_routes: context.has(&kinds::HTTP_ROUTE),
            tls_routes: context.has(&kinds::TLS_ROUTE),
            monitors: context.has(&kinds::POD_MONITOR),
            databases: context.has(&kinds::DATABASE) && context.has(&kinds::DATABASE_ROLE),
            snapshots: context.has(&kinds::VOLUME_SNAPSHOT),
        }
    }
}

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFrom {
    /// Somebody else keeps the Secret.
    Given(String),
    /// cert-manager is asked.
    Asked(Issuer),
}

impl TlsFrom {
    /// The Secret the certificate is in; `own` is the one that is asked for.
    pub fn secret<'a>(&'a self, own: &'a str) -> &'a str {
        match self {
            Self::Given(name) => name,
            Self::Asked(_) => own,
        }
    }
}

/// What stands in front of the IRC port, decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Irc {
    /// A load balancer.
    LoadBalancer,
    /// A `TLSRoute`.
    Gateway,
    /// A Route.
    Route,
    /// Nothing.
    Inside,
}

impl Irc {
    /// Where clients connect: by the host name, or by the Service where nothing stands in front.
    pub fn endpoint(self, host: &str, service: &str, namespace: &str) -> String {
        match self {
            Self::LoadBalancer | Self::Gateway => format!("ircs://{host}:6697"),
            // The router tells servers apart by host name, on one port for all.
            Self::Route => format!("ircs://{host}:443"),
            Self::Inside => format!("ircs://{service}.{namespace}.svc:6697"),
        }
    }
}

/// What stands in front of the WebSocket, decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Web {
    /// A Route.
    Route,
    /// An `HTTPRoute`.
    Gateway,
    /// An Ingress.
    Ingress,
    /// Nothing.
    None,
}

/// Both ports of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doors {
    /// What stands in front of the IRC port.
    pub irc: Irc,
    /// What stands in front of the WebSocket.
    pub web: Web,
    /// The WebSocket's host name, if it is reached from outside.
    pub web_host: Option<String>,
}

/// Decides what stands in front of a server, by what it asks for and what the cluster has.
pub fn doors(server: &impl Server, has: Has) -> Result<Doors, Error> {
    let expose = server.expose();
    let gateway = expose.gateway.is_some();
    let no = |kind: &'static Kind| Err(Error::NoKind { kind: kind.id() });
    let irc = match expose.irc {
        IrcExposure::Auto if gateway && has.tls_routes => Irc::Gateway,
        IrcExposure::Auto | IrcExposure::LoadBalancer => Irc::LoadBalancer,
        IrcExposure::Gateway if !has.tls_routes => return no(&kinds::TLS_ROUTE),
        IrcExposure::Gateway => Irc::Gateway,
        IrcExposure::Route if !has.routes => return no(&kinds::ROUTE),
        IrcExposure::Route => Irc::Route,
        IrcExposure::ClusterIP => Irc::Inside,
    };
    // A name that is passed through to the IRC port as it is cannot be the WebSocket's too.
    let passed_through = matches!(irc, Irc::Gateway | Irc::Route) && server.hostnames().len() == 1;
    let web = match expose.web {
        WebExposure::Auto if passed_through => Web::None,
        WebExposure::Auto if has.routes => Web::Route,
        WebExposure::Auto if gateway && has.http_routes => Web::Gateway,
        WebExposure::Auto | WebExposure::Ingress => Web::Ingress,
        WebExposure::Route if !has.routes => return no(&kinds::ROUTE),
        WebExposure::Route => Web::Route,
        WebExposure::Gateway if !has.http_routes => return no(&kinds::HTTP_ROUTE),
        WebExposure::Gateway => Web::Gateway,
        WebExposure::None => Web::None,
    };
    let host = expose.web_hostname.as_ref().unwrap_or(server.hostname());
    Ok(Doors { irc, web, web_host: (web != Web::None).then(|| host.as_str().to_owned()) })
}

/// Decides where the certificate comes from. `section` is the configuration's, for what it says.
pub fn tls(
    server: &impl Server,
    installed: Option<&Issuer>,
    has: Has,
    section: &str,
) -> Result<TlsFrom, Error> {
    let tls = server.tls();
    if let Some(name) = &tls.secret_name {
        return Ok(TlsFrom::Given(name.0.clone()));
    }
    let issuer = tls.issuer.as_ref().or(installed).ok_or_else(|| {
        let message = format!(
            "no certificate is named: set spec.tls, or `{section}.certificate_issuer` for the installation"
        );
        refused("NoCertificate", message)
    })?;
    if !has.certificates {
        return Err(Error::NoKind { kind: kinds::CERTIFICATE.id() });
    }
    Ok(TlsFrom::Asked(issuer.clone()))
}

/// Refuses ranges that are none. The API server checks their shape, but takes them in more ways than policies do.
pub fn ranges(server: &impl Server) -> Result<(), Error> {
    let expose = server.expose();
    let all = expose.source_ranges.iter().chain(&expose.proxy_ranges);
    let all = all.chain(server.egress().allow.iter().map(|rule| &rule.cidr));
    match all.map(|range| range.as_str()).find(|range| !crate::settings::is_range(range)) {
        Some(range) => Err(refused("RangeInvalid", format!("`{range}` is no range of addresses"))),
        None => Ok(()),
    }
}

/// What is asked for cannot be had: only a change of the resource, or of the installation, helps.
pub fn refused(reason: &'static str, message: impl Into<String>) -> Error {
    Error::Invalid { condition: ACCEPTED, reason, message: message.into() }
}

/// A port of a Service that something stands in front of.
#[derive(Clone, Copy, Debug)]
pub struct Backend<'a> {
    /// The Service.
    pub service: &'a str,
    /// The port's name.
    pub port_name: &'a str,
    /// The port's number.
    pub port: u16,
}

/// Who ends TLS in front of a Route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The server.
    Server,
    /// The router.
    Router,
}

/// The body of a Route.
pub fn route(host: &str, to: Backend<'_>, tls: Ends) -> Value {
    let tls = match tls {
        Ends::Server => json!({ "termination": "passthrough", "insecureEdgeTerminationPolicy": "None" }),
        Ends::Router => json!({ "termination": "edge", "insecureEdgeTerminationPolicy": "Redirect" }),
    };
    json!({
        // A connection may be silent for long; the router's own limit is 30 s.
        "metadata": { "annotations": { "haproxy.router.openshift.io/timeout-tunnel": "24h" } },
        "spec": {
            "host": host,
            "to": { "kind": "Service", "name": to.service, "weight": 100 },
            "port": { "targetPort": to.port_name },
            "tls": tls,
            "wildcardPolicy": "None",
        },
    })
}

/// The body of a `TLSRoute`: TLS is passed through by host name.
pub fn tls_route(expose: &Expose, host: &str, to: Backend<'_>) -> Value {
    let section = expose.gateway.as_ref().and_then(|gateway| gateway.irc_section.as_ref());
    json!({ "spec": {
        "parentRefs": [parent_ref(expose, section.map(|section| section.as_str()))],
        "hostnames": [host],
        "rules": [{ "backendRefs": [{ "name": to.service, "port": to.port }] }],
    } })
}

/// The body of an `HTTPRoute`.
pub fn http_route(expose: &Expose, host: &str, to: Backend<'_>) -> Value {
    let section = expose.gateway.as_ref().and_then(|gateway| gateway.web_section.as_ref());
    json!({ "spec": {
        "parentRefs": [parent_ref(expose, section.map(|section| section.as_str()))],
        "hostnames": [host],
        "rules": [{
            "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }],
            "backendRefs": [{ "name": to.service, "port": to.port }],
            // A WebSocket that says nothing for an hour is no dead one.
            "timeouts": { "request": "0s" },
        }],
    } })
}

fn parent_ref(expose: &Expose, section: Option<&str>) -> Value {
    let Some(gateway) = &expose.gateway else { return Value::Null };
    json!({
        "name": gateway.name.as_str(),
        "namespace": gateway.namespace.as_ref().map(|namespace| namespace.as_str()),
        "sectionName": section,
    })
}

/// The body of an Ingress; `secret` holds the certificate.
pub fn ingress(expose: &Expose, host: &str, to: Backend<'_>, secret: &str) -> Value {
    let backend = json!({ "service": { "name": to.service, "port": { "name": to.port_name } } });
    let annotations = json!({
        "nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
        "nginx.ingress.kubernetes.io/proxy-send-timeout": "3600",
    });
    json!({ "metadata": { "annotations": annotations }, "spec": {
        "ingressClassName": expose.ingress_class_name.as_ref().map(|class| class.as_str()),
        "tls": [{ "hosts": [host], "secretName": secret }],
        "rules": [{ "host": host, "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": backend }] } }],
    } })
}

/// The body of a certificate that cert-manager is asked for. Its Secret outlives it, so it is marked as the resource's: by
/// that it is found when the resource ends ([`crate::deletion`]). No more than that mark: what carries the labels of a
/// child is a child, and this one is cert-manager's.
pub fn certificate(parent: &Parent, issuer: &Issuer, hosts: &[&str], secret: &str) -> Value {
    json!({ "spec": {
        "secretName": secret,
        "secretTemplate": { "labels": { OWNER_UID: parent.uid } },
        "dnsNames": hosts,
        "issuerRef": { "group": "cert-manager.io", "kind": issuer.kind.as_str(), "name": issuer.name.as_str() },
        "privateKey": { "algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always" },
        "usages": ["digital signature", "server auth"],
    } })
}
