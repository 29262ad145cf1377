//! What an installation decides, as opposed to a resource.

use crds::database::ClusterRef;
use crds::expose::Issuer;
use crds::text::Version;
use operator::settings::{Section, list};
use secrecy::SecretString;
use service::config::{ConfigError, Source};
use url::Url;

service::config! {
    /// The operator of bouncers.
    pub struct Config in "soju_operator" {
        /// Where the lease and the claims on host names are: the namespace the operators run in.
        pub namespace: String = "ircnow-system",
        /// What this process is called in the lease: the Pod's name.
        pub identity: Option<String>,
        /// Where figures, health and readiness are served. Keep it off public networks.
        pub admin_listen: std::net::SocketAddr = "127.0.0.1:9105",
        /// How many bouncers are looked at at once.
        pub workers: usize = "8",
        /// The image of soju, by digest.
        pub soju_image: Option<String>,
        /// The version of soju in that image.
        pub soju_version: String = "0.11.1",
        /// The image of irc.now itself, by digest: the sidecar beside soju, and the engine `Ircnow`.
        pub ircnow_image: Option<String>,
        /// Secrets with logins at image registries, separated by commas.
        pub pull_secrets: Option<String>,
        /// Gatekeeper, as bouncers reach it.
        pub issuer_url: Option<Url>,
        /// What the client credentials of every bouncer are derived from. Gatekeeper must have the same.
        pub client_secret: Option<SecretString>,
        /// The cert-manager issuer bouncers use: `ClusterIssuer/name` or `Issuer/name`.
        pub certificate_issuer: Option<String>,
        /// PostgreSQL clusters of CloudNativePG that bouncers may use, `namespace/name`, separated by commas. The first
        /// is the one used where a bouncer names none.
        pub postgres_clusters: Option<String>,
        /// Ranges that bouncers must not reach, besides private ones: the cluster's own. Separated by commas.
        pub denied_ranges: Option<String>,
        /// Ranges that bouncers may reach all the same: gatekeeper inside the cluster. Separated by commas.
        pub allowed_ranges: Option<String>,
        /// The namespace Prometheus asks from; any where none is named.
        pub monitoring_namespace: Option<String>,
    }
}

/// The configuration, read and checked.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Where the operators run.
    pub namespace: String,
    /// The image of soju.
    pub soju_image: Option<String>,
    /// Its version.
    pub soju_version: Version,
    /// The image of irc.now.
    pub ircnow_image: Option<String>,
    /// Logins at image registries.
    pub pull_secrets: Vec<String>,
    /// Gatekeeper.
    pub issuer_url: Option<Url>,
    /// What client credentials are derived from.
    pub client_secret: Option<SecretString>,
    /// The issuer of certificates.
    pub certificate_issuer: Option<Issuer>,
    /// Clusters that may be used, the usual one first.
    pub postgres_clusters: Vec<ClusterRef>,
    /// Ranges nobody reaches.
    pub denied_ranges: Vec<String>,
    /// Ranges everybody reaches.
    pub allowed_ranges: Vec<String>,
    /// Where Prometheus asks from.
    pub monitoring_namespace: Option<String>,
}

impl Installation {
    /// Reads the configuration.
    pub fn load(source: &Source) -> Result<(Config, Self), ConfigError> {
        let config = Config::load(source)?;
        let section = Section(Config::SECTION);
        let issuer = config.certificate_issuer.as_deref();
        let issuer = issuer.map(|text| section.issuer("certificate_issuer", text)).transpose()?;
        let installation = Self {
            namespace: config.namespace.clone(),
            soju_image: config.soju_image.clone(),
            soju_version: config.soju_version.as_str().into(),
            ircnow_image: config.ircnow_image.clone(),
            pull_secrets: list(config.pull_secrets.as_deref()),
            issuer_url: config.issuer_url.clone(),
            client_secret: config.client_secret.clone(),
            certificate_issuer: issuer,
            postgres_clusters: section.clusters("postgres_clusters", config.postgres_clusters.as_deref())?,
            denied_ranges: section.ranges("denied_ranges", config.denied_ranges.as_deref())?,
            allowed_ranges: section.ranges("allowed_ranges", config.allowed_ranges.as_deref())?,
            monitoring_namespace: config.monitoring_namespace.clone(),
        };
        Ok((config, installation))
    }
}
