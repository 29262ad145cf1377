//! Running the webhook: watches, certificate, door.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use entitlements::Table;
use kube::Client;
use service::config::{ConfigError, Source};
use service::health::Readiness;
use service::shutdown::Shutdown;
use service::tls::rustls::ServerConfig;
use service::tls::{ReloadingCert, TlsError};
use tokio::net::TcpListener;

use crate::authority::Terms;
use crate::certificate::{InUse, Keeper, Places};
use crate::config::Config;
use crate::known::Kind;
use crate::metrics::Metrics;
use crate::serve::{self, Answers};
use crate::watch::{self, Shared};

/// How often the certificate of its own making is looked at.
const LOOK: Duration = Duration::from_secs(60);

/// Where the certificate comes from.
#[derive(Clone, Debug)]
pub enum Certificate {
    /// From files somebody else keeps; they are read again when they change.
    Files {
        /// The chain (PEM).
        chain: PathBuf,
        /// The key (PEM).
        key: PathBuf,
    },
    /// It makes one itself.
    OwnMaking {
        /// Where the authority is kept and told.
        places: Places,
        /// How long it is good.
        terms: Terms,
        /// How often it is looked at.
        every: Duration,
    },
}

/// How the webhook runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where its certificate comes from.
    pub certificate: Certificate,
    /// Plans and what they allow.
    pub plans: Table,
}

/// Why the webhook could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Only one of the two files is named.
    #[error("`admission.certificate` and `admission.certificate_key` belong together: set both, or neither")]
    HalfACertificate,
    /// The API server is not known.
    #[error("finding the API server: {0}")]
    ApiServer(#[source] kube::Error),
    /// A listener could not be opened.
    #[error("listening on {address}: {source}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The certificate's files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Answers on a listener until the process ends. Readiness says what is missing.
pub fn run(
    settings: Settings,
    client: &Client,
    listener: TcpListener,
    metrics: &service::metrics::Metrics,
    readiness: &Readiness,
    shutdown: &Shutdown,
) -> Result<(), StartError> {
    let metrics = Metrics::register(metrics);
    let tls = match settings.certificate {
        Certificate::Files { chain, key } => {
            let certificate = ReloadingCert::open(chain, key)?;
            certificate.watch(shutdown);
            service::tls::server_config(certificate, &[b"http/1.1"], None)?
        }
        Certificate::OwnMaking { places, terms, every } => {
            let in_use = Arc::new(InUse::default());
            let part = readiness.part("certificate");
            let keeper =
                Keeper::new(client.clone(), places, terms, Arc::clone(&in_use), metrics.clone(), part);
            shutdown.spawn_until("certificate", keeper.keep(every));
            service::tls::install_provider();
            let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(in_use);
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Arc::new(config)
        }
    };
    let known = Shared::default();
    for (kind, part) in [(Kind::Bouncer, "bouncers"), (Kind::Network, "networks")] {
        let (known, metrics, part) = (Arc::clone(&known), metrics.clone(), readiness.part(part));
        shutdown.spawn_until("watch", watch::follow(client.clone(), kind, known, metrics, part));
    }
    let router = serve::router(Answers { known, plans: Arc::new(settings.plans), metrics });
    let ending = shutdown.clone();
    shutdown.spawn("admission", async move {
        if let Err(error) = service::serve::serve(listener, router, Some(tls), ending).await {
            tracing::error!(%error, "the listener ended");
        }
    });
    Ok(())
}

/// Runs the webhook as a process of its own: configuration, the API server from the environment (a Pod's token, or
/// KUBECONFIG), both listeners. Returns when everything runs; the caller waits for the end.
pub async fn serve(source: &Source, plans: Table, shutdown: &Shutdown) -> Result<(), StartError> {
    let config = Config::load(source)?;
    let certificate = match (&config.certificate, &config.certificate_key) {
        (Some(chain), Some(key)) => Certificate::Files { chain: chain.clone(), key: key.clone() },
        (None, None) => Certificate::OwnMaking {
            places: Places {
                names: names(&config.service, &config.namespace),
                namespace: config.namespace.clone(),
                secret: config.secret.clone(),
                configuration: config.configuration.clone(),
            },
            terms: Terms::lasting(config.authority_lifetime),
            every: LOOK,
        },
        _ => return Err(StartError::HalfACertificate),
    };
    let client = Client::try_default().await.map_err(StartError::ApiServer)?;
    let (metrics, readiness) = (service::metrics::Metrics::new(), Readiness::new());
    let listener = bind(config.listen).await?;
    let admin = bind(config.admin_listen).await?;
    run(Settings { certificate, plans }, &client, listener, &metrics, &readiness, shutdown)?;
    let router = service::admin::router(metrics, readiness, axum::Router::new());
    let ending = shutdown.clone();
    shutdown.spawn("admin", async move {
        if let Err(error) = service::serve::serve(admin, router, None, ending).await {
            tracing::error!(%error, "the admin listener ended");
        }
    });
    Ok(())
}

async fn bind(address: std::net::SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

/// What the API server calls a Service by.
fn names(service: &str, namespace: &str) -> Vec<String> {
    vec![format!("{service}.{namespace}.svc"), format!("{service}.{namespace}.svc.cluster.local")]
}
