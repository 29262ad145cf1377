//! What both kinds are: a server under a host name, with data that may outlive it.

use crate::common::{DeletionPolicy, Egress};
use crate::database::ClusterRef;
use crate::expose::{Expose, Tls};
use crate::text::HostName;

/// The fields both kinds have, so that what is done with them is written once.
pub trait Server {
    /// The host name clients connect to.
    fn hostname(&self) -> &HostName;
    /// How clients reach it.
    fn expose(&self) -> &Expose;
    /// The certificate.
    fn tls(&self) -> &Tls;
    /// What the server may connect to.
    fn egress(&self) -> &Egress;
    /// Whether it has a database of its own in a PostgreSQL cluster.
    fn uses_postgres(&self) -> bool;
    /// The PostgreSQL cluster, where one is named.
    fn cluster(&self) -> Option<&ClusterRef>;
    /// What happens to the data when the resource is deleted.
    fn deletion_policy(&self) -> DeletionPolicy;

    /// Every host name: the server's, and the WebSocket's where that is another.
    fn hostnames(&self) -> Vec<&str> {
        let own = self.hostname().as_str();
        let web = self.expose().web_hostname.as_ref().map(HostName::as_str).filter(|web| *web != own);
        std::iter::once(own).chain(web).collect()
    }
}

/// What one should be: the fields that are the kind's own, those both kinds have, and [`Server`] for the kind. Fields that
/// mean the same say the same in both definitions; where a kind has words or rules of its own for one, it gives them
/// under `as`.
macro_rules! server_spec {
    (
        $(#[$about:meta])*
        pub struct $name:ident of $kind:ident { $($own:tt)* }
        as {
            $(#[$owner:meta])* owner,
            $(#[$version:meta])* version,
            $(#[$origins:meta])* websocket_origins,
            $(#[$egress:meta])* egress,
            $(#[$deletion:meta])* deletion_policy,
        }
        with rows($spec:ident) { postgres: $postgres:expr, cluster: $cluster:expr, }
    ) => {
        $(#[$about])*
        pub struct $name {
            $($own)*
            /// The host name clients connect to. It belongs to one resource in the whole cluster; the oldest wins.
            pub hostname: crate::text::HostName,
            $(#[$owner])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub owner: Option<crate::common::Owner>,
            /// The plan it is paid by.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub plan: Option<crate::text::PlanName>,
            /// Stops it, and keeps everything.
            #[serde(default)]
            pub suspend: bool,
            /// The image; the installation's own where none is named.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub image: Option<crate::text::Image>,
            $(#[$version])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub version: Option<crate::text::Version>,
            /// The message of the day.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub motd: Option<crate::text::Lines<8192>>,
            /// The certificate.
            #[serde(default)]
            pub tls: crate::expose::Tls,
            /// How clients reach it.
            #[serde(default)]
            pub expose: crate::expose::Expose,
            $(#[$origins])*
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            #[schemars(length(max = 16))]
            pub websocket_origins: Vec<crate::text::Origin>,
            $(#[$egress])*
            #[serde(default)]
            pub egress: crate::common::Egress,
            $(#[$deletion])*
            #[serde(default)]
            pub deletion_policy: crate::common::DeletionPolicy,
            /// What the server may use.
            #[serde(default)]
            pub resources: crate::common::Resources,
            /// Whether a `PodMonitor` is made where the cluster knows the kind.
            #[serde(default = "crate::common::yes")]
            pub monitoring: bool,
        }

        impl crate::server::Server for $kind {
            fn hostname(&self) -> &crate::text::HostName {
                &self.spec.hostname
            }

            fn expose(&self) -> &crate::expose::Expose {
                &self.spec.expose
            }

            fn tls(&self) -> &crate::expose::Tls {
                &self.spec.tls
            }

            fn egress(&self) -> &crate::common::Egress {
                &self.spec.egress
            }

            fn uses_postgres(&self) -> bool {
                let $spec = &self.spec;
                $postgres
            }

            fn cluster(&self) -> Option<&crate::database::ClusterRef> {
                let $spec = &self.spec;
                $cluster
            }

            fn deletion_policy(&self) -> crate::common::DeletionPolicy {
                self.spec.deletion_policy
            }
        }
    };
}

pub(crate) use server_spec;
