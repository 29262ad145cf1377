//! What an installation decides about every resource it makes.

use crds::expose::{Gateway, IrcExposure, WebExposure};
use service::config::{ConfigError, Source};

service::config! {
    /// Hosted networks and dedicated bouncers in a Kubernetes cluster.
    pub struct Config in "provisioner" {
        /// The namespace the resources are made in.
        pub namespace: String = "ircnow-tenants",
        /// What stands in front of IRC ports: `Auto`, `LoadBalancer`, `Gateway`, `Route` or `ClusterIP`.
        pub irc: String = "Auto",
        /// What stands in front of WebSockets: `Auto`, `Route`, `Gateway`, `Ingress` or `None`.
        pub web: String = "Auto",
        /// The Gateway of the Gateway API, `namespace/name`, where one is used.
        pub gateway: Option<String>,
        /// The class of Ingresses; the cluster's default where none is named.
        pub ingress_class: Option<String>,
        /// Where hosted networks keep history: `Sqlite`, `Postgres` or `Memory`.
        pub network_history: String = "Sqlite",
        /// Where dedicated bouncers keep rows and messages: `Sqlite` or `Postgres`.
        pub bouncer_database: String = "Sqlite",
        /// The storage class of volumes; the cluster's default where none is named.
        pub storage_class: Option<String>,
        /// Whether people may choose soju for their dedicated bouncer.
        pub soju: bool = "true",
        /// Private addresses dedicated bouncers may reach all the same, `address:port`, separated by commas.
        pub allow: Option<String>,
    }
}

/// The configuration, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Installation {
    /// Where resources are made.
    pub namespace: String,
    /// In front of IRC ports.
    pub irc: IrcExposure,
    /// In front of WebSockets.
    pub web: WebExposure,
    /// The gateway.
    pub gateway: Option<Gateway>,
    /// The class of Ingresses.
    pub ingress_class: Option<String>,
    /// Where networks keep history.
    pub network_history: crds::ergo::HistoryBackend,
    /// Where bouncers keep rows.
    pub bouncer_database: crds::database::DatabaseEngine,
    /// The class of volumes.
    pub storage_class: Option<String>,
    /// Whether soju can be had.
    pub soju: bool,
    /// What bouncers reach besides the internet.
    pub allow: Vec<std::net::SocketAddr>,
}

impl Installation {
    /// Reads the configuration.
    pub fn load(source: &Source) -> Result<Self, ConfigError> {
        let config = Config::load(source)?;
        let gateway = config.gateway.as_deref().map(gateway).transpose()?;
        let allow = config.allow.as_deref().unwrap_or_default();
        let allow = allow.split(',').map(str::trim).filter(|text| !text.is_empty());
        Ok(Self {
            irc: choice("irc", &config.irc, "Auto, LoadBalancer, Gateway, Route or ClusterIP")?,
            web: choice("web", &config.web, "Auto, Route, Gateway, Ingress or None")?,
            gateway,
            ingress_class: config.ingress_class,
            network_history: choice(
                "network_history",
                &config.network_history,
                "Sqlite, Postgres or Memory",
            )?,
            bouncer_database: choice("bouncer_database", &config.bouncer_database, "Sqlite or Postgres")?,
            storage_class: config.storage_class,
            soju: config.soju,
            allow: allow
                .map(|text| text.parse().map_err(|_| wrong("allow", text, "an address with its port")))
                .collect::<Result<_, _>>()?,
            namespace: config.namespace,
        })
    }
}

fn choice<T: serde::de::DeserializeOwned>(
    key: &'static str,
    text: &str,
    wanted: &'static str,
) -> Result<T, ConfigError> {
    serde_json::from_value(text.into()).map_err(|_| wrong(key, text, wanted))
}

fn gateway(text: &str) -> Result<Gateway, ConfigError> {
    let wanted = "a gateway, namespace/name";
    let (namespace, name) = text.split_once('/').ok_or_else(|| wrong("gateway", text, wanted))?;
    Ok(Gateway { name: name.into(), namespace: Some(namespace.into()), irc_section: None, web_section: None })
}

fn wrong(key: &'static str, given: &str, wanted: &'static str) -> ConfigError {
    ConfigError::Invalid {
        key: format!("{}.{key}", Config::SECTION),
        origin: "the configuration".to_owned(),
        kind: wanted.to_owned(),
        message: format!("`{given}` is none"),
    }
}
