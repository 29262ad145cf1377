//! What an installation decides, as opposed to a resource.

use crds::database::ClusterRef;
use crds::expose::Issuer;
use crds::text::Version;
use entitlements::Table;
use operator::settings::{Section, list};
use secrecy::SecretString;
use service::config::{ConfigError, Source};
use url::Url;

service::config! {
    /// The operator of networks.
    pub struct Config in "ergo_operator" {
        /// Where the lease and the claims on host names are: the namespace the operators run in.
        pub namespace: String = "ircnow-system",
        /// What this process is called in the lease: the Pod's name.
        pub identity: Option<String>,
        /// How many networks are looked at at once.
        pub workers: usize = "8",
        /// Where health and figures are served.
        pub admin_listen: std::net::SocketAddr = "127.0.0.1:9092",
        /// The image of Ergo, by digest.
        pub ergo_image: Option<String>,
        /// The version of Ergo in that image.
        pub ergo_version: String = "2.19.1",
        /// The program in that image.
        pub ergo_program: String = "/ircd-bin/ergo",
        /// The image of irc.now itself, by digest: the sidecar beside Ergo.
        pub ircnow_image: Option<String>,
        /// Secrets with logins at image registries, separated by commas.
        pub pull_secrets: Option<String>,
        /// The user id of every process; none where the cluster gives one (OpenShift).
        pub user_id: Option<i64>,
        /// Gatekeeper, as networks reach it.
        pub issuer_url: Option<Url>,
        /// What the secrets of every network are derived from. Gatekeeper must have the same.
        pub client_secret: Option<SecretString>,
        /// The cert-manager issuer networks use: `ClusterIssuer/name` or `Issuer/name`.
        pub certificate_issuer: Option<String>,
        /// PostgreSQL clusters of CloudNativePG that networks may use, `namespace/name`, separated by commas. The first
        /// is the one used where a network names none.
        pub postgres_clusters: Option<String>,
        /// Ranges that networks must not reach, besides private ones: the cluster's own. Separated by commas.
        pub denied_ranges: Option<String>,
        /// Ranges that networks may reach all the same: gatekeeper inside the cluster. Separated by commas.
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
    /// The image of Ergo.
    pub ergo_image: Option<String>,
    /// Its version.
    pub ergo_version: Version,
    /// The program in it.
    pub ergo_program: String,
    /// The image of irc.now.
    pub ircnow_image: Option<String>,
    /// Logins at image registries.
    pub pull_secrets: Vec<String>,
    /// The user id of every process.
    pub user_id: Option<i64>,
    /// Gatekeeper.
    pub issuer_url: Option<Url>,
    /// What secrets are derived from.
    pub client_secret: SecretString,
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
    /// Plans and what they allow.
    pub plans: Table,
}

impl Installation {
    /// Reads the configuration.
    pub fn load(source: &Source, plans: Table) -> Result<(Config, Self), ConfigError> {
        let config = Config::load(source)?;
        let section = Section(Config::SECTION);
        let issuer = config.certificate_issuer.as_deref();
        let issuer = issuer.map(|text| section.issuer("certificate_issuer", text)).transpose()?;
        let Some(client_secret) = config.client_secret.clone() else {
            return Err(ConfigError::Missing {
                key: format!("{}.client_secret", Config::SECTION),
                env: "IRCNOW_ERGO_OPERATOR_CLIENT_SECRET".to_owned(),
            });
        };
        let installation = Self {
            namespace: config.namespace.clone(),
            ergo_image: config.ergo_image.clone(),
            ergo_version: config.ergo_version.as_str().into(),
            ergo_program: config.ergo_program.clone(),
            ircnow_image: config.ircnow_image.clone(),
            pull_secrets: list(config.pull_secrets.as_deref()),
            user_id: config.user_id,
            issuer_url: config.issuer_url.clone(),
            client_secret,
            certificate_issuer: issuer,
            postgres_clusters: section.clusters("postgres_clusters", config.postgres_clusters.as_deref())?,
            denied_ranges: section.ranges("denied_ranges", config.denied_ranges.as_deref())?,
            allowed_ranges: section.ranges("allowed_ranges", config.allowed_ranges.as_deref())?,
            monitoring_namespace: config.monitoring_namespace.clone(),
            plans,
        };
        Ok((config, installation))
    }
}
