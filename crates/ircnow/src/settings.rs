//! The configuration only the binary reads: listeners, and where the other roles are.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

service::config! {
    /// `ircnow up`: everything in one process.
    pub struct UpConfig in "up" {
        /// Where all sites are served, told apart by host name.
        pub listen: SocketAddr = "127.0.0.1:8080",
        /// Where figures, health and readiness are served. Keep it off public networks.
        pub admin_listen: SocketAddr = "127.0.0.1:9100",
        /// Whether a local IRC network is run if a server binary is found.
        pub local_network: bool = "true",
        /// The local network's port.
        pub local_network_port: u16 = "6668",
    }
}

service::config! {
    /// `ircnow gatekeeper|bouncer|hosting|portal|paste|pics`: one role a process.
    pub struct RoleConfig in "role" {
        /// Where this role's pages are served. The bouncer and hosting have none.
        pub listen: SocketAddr = "127.0.0.1:8081",
        /// Where this role answers other services, and serves figures, health and readiness. Keep it off public networks.
        pub admin_listen: SocketAddr = "127.0.0.1:9101",
        /// Where gatekeeper's admin listener is.
        pub gatekeeper: Url = "http://127.0.0.1:9101",
        /// Where the bouncer's admin listener is.
        pub bouncer: Url = "http://127.0.0.1:9102",
        /// Where the portal's admin listener is.
        pub portal: Url = "http://127.0.0.1:9103",
        /// Where hosting's admin listener is. Without one, this installation hosts no networks and has no dedicated bouncers.
        pub hosting: Option<Url>,
        /// Where the admin listener of pastes is. Without one, this installation has none.
        pub paste: Option<Url>,
        /// Where the admin listener of pictures is. Without one, this installation has none.
        pub pics: Option<Url>,
        /// Where gatekeeper's pages are really served, past DNS, where its public name does not resolve from here.
        pub gatekeeper_site: Option<SocketAddr>,
        /// Who this process is at gatekeeper, where it is none of the installation's own services: the client id an operator gave
        /// a dedicated bouncer (`bouncer-<uid>`). `role.gatekeeper` is then `/dedicated/` on gatekeeper's site.
        pub client_id: Option<String>,
        /// The secret that belongs to `client_id`.
        pub client_secret: Option<SecretString>,
        /// Where the portal's pages are really served, past DNS.
        pub portal_site: Option<SocketAddr>,
        /// A PEM file with the authorities that sign our own sites, where the system does not know them.
        pub authorities: Option<PathBuf>,
        /// The certificate chain (PEM) pages are served with; without one they are served in the clear, for a proxy in front.
        pub certificate: Option<PathBuf>,
        /// The private key of `certificate`.
        pub certificate_key: Option<PathBuf>,
    }
}

service::config! {
    /// What services prove themselves with to each other.
    pub struct ServiceConfig in "service" {
        /// The secret all services share. Without one, it is derived from the data folder's `secret.key`.
        pub secret: Option<SecretString>,
    }
}

service::config! {
    /// What people may use.
    pub struct PlansConfig in "plans" {
        /// A `plans.toml` laid over the compiled-in plans.
        pub path: Option<PathBuf>,
    }
}
