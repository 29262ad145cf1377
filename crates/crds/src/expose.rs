//! How clients reach a server: host names, certificates, and what stands in front of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::text::{Cidr, HostName, Label, ObjectName};

/// Where the certificate comes from. Without either field it is asked for at the installation's own issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[
    ("!(has(self.secretName) && has(self.issuer))", "name a secretName or an issuer, not both"),
])))]
pub struct Tls {
    /// A Secret of type `kubernetes.io/tls` that somebody else keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<ObjectName>,
    /// The cert-manager issuer that is asked for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Issuer>,
}

/// An issuer of cert-manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// Its name.
    pub name: ObjectName,
    /// Whether it belongs to the namespace or to the whole cluster.
    #[serde(default)]
    pub kind: IssuerKind,
}

/// Whom an issuer belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IssuerKind {
    /// The whole cluster.
    #[default]
    ClusterIssuer,
    /// The resource's namespace.
    Issuer,
}

impl IssuerKind {
    /// The kind, as cert-manager writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIssuer => "ClusterIssuer",
            Self::Issuer => "Issuer",
        }
    }
}

/// What stands in front of the IRC port (TLS from the first byte, so it can be told apart by host name).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IrcExposure {
    /// A `TLSRoute` if a gateway is named and the cluster has that kind, else a load balancer.
    #[default]
    Auto,
    /// A Service of type `LoadBalancer` on port 6697.
    LoadBalancer,
    /// A `TLSRoute` of the Gateway API: the gateway passes TLS through by host name.
    Gateway,
    /// An OpenShift Route that passes TLS through by host name, on the router's port 443.
    Route,
    /// Nothing: reachable inside the cluster only.
    ClusterIP,
}

/// What stands in front of the WebSocket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WebExposure {
    /// A Route where the cluster has Routes, else an `HTTPRoute` if a gateway is named and the cluster has that kind, else an Ingress.
    #[default]
    Auto,
    /// An OpenShift Route.
    Route,
    /// An `HTTPRoute` of the Gateway API.
    Gateway,
    /// An Ingress.
    Ingress,
    /// No WebSocket from outside.
    None,
}

/// How clients reach the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[
    ("self.irc != 'Gateway' && self.web != 'Gateway' || has(self.gateway)", "name the gateway"),
])))]
pub struct Expose {
    /// What stands in front of the IRC port.
    pub irc: IrcExposure,
    /// What stands in front of the WebSocket.
    pub web: WebExposure,
    /// The host name of the WebSocket, where it is another than the server's. It must be another where a Route or a
    /// gateway passes the server's own host name through to the IRC port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_hostname: Option<HostName>,
    /// The gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
    /// The class of the Ingress; the cluster's default where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_class_name: Option<ObjectName>,
    /// Who may connect to the load balancer; everybody where none is listed.
    #[schemars(length(max = 32))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_ranges: Vec<Cidr>,
    /// Proxies in front of the server that say a client's address in a PROXY header. Nobody else is believed.
    #[schemars(length(max = 16))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxy_ranges: Vec<Cidr>,
}

/// A `Gateway` of the Gateway API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// Its name.
    pub name: ObjectName,
    /// Its namespace; the resource's own where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Label>,
    /// The listener the IRC port hangs on; any that matches where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irc_section: Option<ObjectName>,
    /// The listener the WebSocket hangs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_section: Option<ObjectName>,
}
