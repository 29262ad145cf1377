//! The bouncer as a service: opened, served, closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use contracts::{AccountData, Accounts, Bouncers, Moves, Sub, WellKnownNetwork};
use history::History;
use irc_client::HostLimiter;
use irc_server::{Door, DoorConfig, DoorMetrics, ListenerSpec};
use rustls::server::ResolvesServerCert;
use secrecy::ExposeSecret as _;
use service::db::Database;
use service::dialer::Guarded;
use service::health::Readiness;
use service::metrics::Metrics;
use service::paths::ServiceDir;
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use tokio::sync::watch;

use crate::calls::BouncerCalls;
use crate::config::Config;
use crate::context::{Context, SeenCursors};
use crate::dial::GuardedDial;
use crate::door::BouncerBackend;
use crate::hub::Hub;
use crate::metrics::BouncerMetrics;
use crate::store::Store;
use crate::{feed, janitor, well_known};

/// How long gatekeeper is waited for before the networks connect without its word.
const CATCH_UP: Duration = Duration::from_secs(5);
/// How long devices may take to read their last lines when the process ends.
const FAREWELL: Duration = Duration::from_secs(3);
const RESTARTING: &str = "The bouncer is being restarted. Your client can connect again in a moment.";

/// What the bouncer needs from around it.
pub struct Deps {
    /// Gatekeeper.
    pub accounts: Arc<dyn Accounts>,
    /// The keys secrets are sealed with.
    pub keys: Arc<Keyring>,
    /// The bouncer's folder, for the databases the config does not name.
    pub folder: ServiceDir,
    /// The way out for upstream connections.
    pub dialer: Guarded,
    /// The certificate of the TLS listener.
    pub certificate: Arc<dyn ResolvesServerCert>,
    /// The authorities upstreams are checked against.
    pub roots: Arc<rustls::RootCertStore>,
    /// The local network of `ircnow up`, first on the list of networks on offer.
    pub local: Option<WellKnownNetwork>,
    /// Which browsers' pages may open a WebSocket to the door.
    pub origins: irc_server::Origins,
    /// The process's figures.
    pub metrics: Metrics,
    /// What the process needs before it serves.
    pub readiness: Readiness,
    /// The process's end.
    pub shutdown: Shutdown,
}

/// Why the bouncer cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Our rows.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// Their database.
    #[error(transparent)]
    Database(#[from] service::db::DbError),
    /// The log.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The list of networks on offer.
    #[error(transparent)]
    WellKnown(#[from] well_known::WellKnownError),
    /// The system gives no random bytes.
    #[error(transparent)]
    Secret(#[from] service::secrets::SecretError),
    /// A listener.
    #[error("the bouncer cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration.
    #[error("[bouncer] proxies: \"{0}\" is no address and no range")]
    Proxies(String),
}

/// Where the bouncer's door listens, as bound.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// In the clear.
    pub plain: SocketAddr,
    /// With TLS.
    pub tls: SocketAddr,
}

/// An open bouncer. It runs until its [`Shutdown`] is triggered.
#[derive(Clone)]
pub struct Bouncer {
    hub: Arc<Hub>,
    door: Door<BouncerBackend>,
    addresses: Addresses,
    /// Whether everything that happened at gatekeeper while we were away is known.
    gate: watch::Receiver<bool>,
}

impl Bouncer {
    /// Opens the databases, the door and everything between, and begins to connect.
    pub async fn open(config: Config, deps: Deps) -> Result<Self, OpenError> {
        let part = deps.readiness.part("bouncer");
        let secret =
            |url: &Option<secrecy::SecretString>| url.as_ref().map(|url| url.expose_secret().to_owned());
        let database = secret(&config.database).unwrap_or_else(|| deps.folder.sqlite_url("bouncer.db"));
        let log = secret(&config.history).unwrap_or_else(|| deps.folder.sqlite_url("history.db"));
        let store = Store::open(Database::open(&database).await?, deps.keys).await?;
        // A key may have been put before the others while nothing ran here.
        resealed(&store).await?;
        let held = store.held().await?.into_iter().collect();
        let history = History::open(&log, history::Options::default()).await?;
        let metrics = BouncerMetrics::default();
        deps.metrics.register(|registry| metrics.register(registry));
        let hub = Arc::new(Hub::new(Arc::new(Context {
            store,
            history,
            accounts: deps.accounts,
            dialer: Arc::new(GuardedDial(deps.dialer.clone())),
            guard: deps.dialer,
            limiter: Arc::new(HostLimiter::new(config.host_burst, config.host_interval)),
            roots: deps.roots,
            metrics,
            well_known: well_known::list(deps.local, config.well_known.as_deref())?,
            only: config.account.map(Sub),
            held: std::sync::Mutex::new(held),
            clearing: crate::moves::Clearing::default(),
            server_name: config.server_name.clone(),
            page_limit: config.page_limit,
            seen: SeenCursors::default(),
            next_conn: AtomicU64::new(u64::from_ne_bytes(service::secrets::random_bytes()?)),
        })));
        let (open_gate, gate) = watch::channel(false);
        let backend = Arc::new(BouncerBackend { hub: Arc::clone(&hub), gate: gate.clone() });
        let figures = DoorMetrics::default();
        deps.metrics.register(|registry| figures.register(registry.sub_registry_with_prefix("door")));
        let door = Door::new(backend, door_config(&config, deps.origins), figures);
        let addresses = listen(&door, &config, deps.certificate).await?;
        deps.shutdown
            .spawn("bouncer feed", feed::follow(Arc::clone(&hub), part, open_gate, deps.shutdown.clone()));
        janitor::start(hub.context(), &deps.shutdown);
        let bouncer = Self { hub, door, addresses, gate };
        deps.shutdown.spawn("bouncer", bouncer.clone().until_the_end(deps.shutdown.clone()));
        Ok(bouncer)
    }

    /// The bouncer as other services see it.
    pub fn calls(&self) -> Arc<dyn Bouncers> {
        Arc::new(BouncerCalls { hub: Arc::clone(&self.hub) })
    }

    /// Its part in the export and deletion of accounts.
    pub fn account_data(&self) -> Arc<dyn AccountData> {
        Arc::new(BouncerCalls { hub: Arc::clone(&self.hub) })
    }

    /// The bouncer as whoever moves accounts sees it.
    pub fn moves(&self) -> Arc<dyn Moves> {
        Arc::new(BouncerCalls { hub: Arc::clone(&self.hub) })
    }

    /// Seals every secret of networks and channels under the newest key of the keyring. It is done at every start, too.
    pub async fn reseal(&self) -> Result<(), OpenError> {
        resealed(&self.hub.context().store).await
    }

    /// The routes for other processes, to be mounted behind the check of their tokens.
    pub fn internal(&self) -> axum::Router {
        contracts::http::bouncers_router(self.calls()).merge(contracts::http::moves_router(self.moves()))
    }

    /// Where the door listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The door itself, for WebSockets that an HTTP server has upgraded.
    pub fn door(&self) -> &Door<BouncerBackend> {
        &self.door
    }

    async fn until_the_end(mut self, shutdown: Shutdown) {
        let bring_up = async {
            // Who was suspended meanwhile is not connected first; without gatekeeper the last known state has to do.
            if tokio::time::timeout(CATCH_UP, self.gate.wait_for(|known| *known)).await.is_err() {
                tracing::warn!(
                    "gatekeeper does not answer; going on with what was last known of the accounts"
                );
            }
            match self.hub.bring_up().await {
                Ok(count) => tracing::info!(accounts = count, "every account with networks is up"),
                Err(error) => tracing::error!(%error, "not every account could be brought up"),
            }
        };
        // Nobody new is brought up once the end has begun.
        let _ = shutdown.token().run_until_cancelled(bring_up).await;
        shutdown.cancelled().await;
        self.door.close(RESTARTING, FAREWELL).await;
        self.hub.stop().await;
        let context = self.hub.context();
        janitor::last_words(context).await;
        context.history.close().await;
        context.store.close().await;
    }
}

async fn resealed(store: &Store) -> Result<(), OpenError> {
    let done = store.reseal().await?;
    if done.unreadable > 0 {
        tracing::error!(
            secrets = done.unreadable,
            "secrets of networks were sealed under a key that is gone: put it back, or their users must enter them again"
        );
    }
    if done.moved > 0 {
        tracing::info!(secrets = done.moved, "sealed under the newest key");
    }
    Ok(())
}

fn door_config(config: &Config, origins: irc_server::Origins) -> DoorConfig {
    DoorConfig {
        server_name: config.server_name.clone(),
        registration_timeout: config.registration_timeout,
        max_connections: config.max_connections,
        max_per_address: config.max_per_address,
        flood: irc_server::FloodLimits { patience: config.flood_patience, ..Default::default() },
        origins,
        ..DoorConfig::default()
    }
}

async fn listen(
    door: &Door<BouncerBackend>,
    config: &Config,
    certificate: Arc<dyn ResolvesServerCert>,
) -> Result<Addresses, OpenError> {
    let proxies = config
        .proxies
        .as_deref()
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| irc_server::Network::parse(text).ok_or_else(|| OpenError::Proxies(text.to_owned())))
        .collect::<Result<Vec<_>, _>>()?;
    let mut plain = ListenerSpec::plain("irc", config.listen);
    plain.proxies.clone_from(&proxies);
    let mut tls = ListenerSpec::tls("ircs", config.listen_tls, certificate);
    tls.proxies = proxies;
    let at = |address: SocketAddr| move |source| OpenError::Listen { address, source };
    Ok(Addresses {
        plain: door.listen(plain).await.map_err(at(config.listen))?,
        tls: door.listen(tls).await.map_err(at(config.listen_tls))?,
    })
}
