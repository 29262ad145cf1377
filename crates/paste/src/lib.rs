//! txt.irc.now: pastes by page, curl and API, with highlighting, expiry, burning, passwords and moderation.
//!
//! Start with [`routes`]: everything that can be asked, in tables. What comes in is a [`draft`] (pure rules), becomes a row
//! (`store`), and is shown by [`render`] (pure, and worked on beside the threads that answer). What may be shown to whoever
//! asks is decided in `app`. Raw texts come from an origin of their own, without cookies.

mod app;
mod cache;
pub mod client;
mod data;
mod diff;
pub mod draft;
#[doc(hidden)]
pub mod fuzz;
mod lock;
mod metrics;
mod pages;
pub mod render;
pub mod routes;
mod store;
mod sweeper;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use contracts::{AccountData, Accounts};
use entitlements::{Override, Plan, Table};
use secrecy::ExposeSecret as _;
use service::db::Database;
use service::health::Readiness;
use service::http::HttpClient;
use service::metrics::Metrics;
use service::paths::ServiceDir;
use service::rate::Buckets;
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use service::sites::Sites;
use service::web::Edge;
use share::{Abuse, Pace, Rate};

use crate::app::App;
use crate::lock::Locks;
use crate::metrics::PasteMetrics;
use crate::render::Painter;
use crate::store::Store;

/// A body may be a form around a paste, or a paste in base64: more than the paste itself.
const MOST_BODY: usize = 2 * draft::MOST_BYTES;
/// How many places are remembered that guess passwords.
const REMEMBERED: usize = 50_000;

service::config! {
    /// Pastes.
    pub struct Config in "paste" {
        /// The database (`sqlite:/path/file.db` or `postgres://…`); a file in the data folder where none is named.
        pub database: Option<secrecy::SecretString>,
        /// The plan whose limits hold for those without an account, each address (a /32 or a /64) for itself.
        pub anonymous_plan: String = "free",
        /// How many pastes an account may put up in a minute.
        pub puts_per_account: u32 = "60",
        /// How many pastes an address (a /32 or a /64) without an account may put up in a minute.
        pub puts_per_address: u32 = "10",
        /// How many passwords an address may try in a minute.
        pub guesses_per_address: u32 = "20",
        /// How many passwords are worked on at once. Each takes `password_memory_kib` of memory and a core.
        pub passwords_at_once: usize = "2",
        /// The memory one password takes, in KiB (argon2id, two passes).
        pub password_memory_kib: u32 = "19456",
        /// How many texts are highlighted at once. Each takes a core.
        pub highlights_at_once: usize = "2",
        /// How much of what is read often stays in memory.
        pub cache: service::config::ByteSize = "64MiB",
        /// How often what is over is swept away.
        pub sweep_every: Duration = "30s",
        /// Proxies whose `X-Forwarded-For` is believed (`10.0.0.0/8`).
        pub trusted_proxies: Vec<service::web::Cidr>,
    }
}

/// What the site is wired to.
pub struct Deps {
    /// Gatekeeper.
    pub accounts: Arc<dyn Accounts>,
    /// The plans, for what those without an account may.
    pub plans: Arc<Table>,
    /// The addresses of every site.
    pub sites: Sites,
    /// Seals sessions, and makes places out of addresses.
    pub keyring: Keyring,
    /// Its own folder.
    pub folder: ServiceDir,
    /// How the issuer is asked.
    pub http: HttpClient,
    /// The site as the issuer's client.
    pub login: auth::Settings,
    /// The figures of the process.
    pub metrics: Metrics,
    /// Whether the process may be asked.
    pub readiness: Readiness,
    /// The end of the process.
    pub shutdown: Shutdown,
}

/// Why the site cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its database.
    #[error("the database of pastes cannot be opened")]
    Database(#[from] service::db::DbError),
    /// The relying party.
    #[error("signing in to the pastes cannot be set up")]
    Login(#[from] auth::AuthError),
    /// What passwords are worked with.
    #[error("paste.password_memory_kib is nothing argon2id can work with")]
    Passwords,
}

/// The service.
#[derive(Clone, Debug)]
pub struct Paste {
    app: Arc<App>,
    metrics: Metrics,
    trusted_proxies: Vec<service::web::Cidr>,
}

impl Paste {
    /// Opens the database, follows the accounts, and sweeps until the end begins.
    pub async fn open(config: Config, deps: Deps) -> Result<Self, OpenError> {
        let url = match &config.database {
            Some(url) => url.expose_secret().to_owned(),
            None => deps.folder.sqlite_url("paste.db"),
        };
        let db = Database::open(&url).await?;
        let store = Store::open(db.clone(), &deps.shutdown).await?;
        let abuse = Abuse::open(db.clone()).await?;
        let party = auth::RelyingParty::open(
            deps.login,
            db.clone(),
            deps.keyring.clone(),
            deps.http,
            Arc::clone(&deps.accounts),
            &deps.shutdown,
        )
        .await?;
        let metrics = PasteMetrics::default();
        deps.metrics.register(|registry| metrics.register(registry));
        let anonymous = Plan(config.anonymous_plan);
        let app = Arc::new(App {
            store,
            abuse,
            cache: app::cache(&db, config.cache.as_usize()),
            painter: Painter::new(config.highlights_at_once),
            locks: Locks::new(config.passwords_at_once, config.password_memory_kib)
                .map_err(|_| OpenError::Passwords)?,
            accounts: deps.accounts,
            anonymous: deps.plans.limits(&anonymous, &Default::default(), &Override::default()),
            sites: deps.sites,
            keyring: deps.keyring,
            party,
            puts: Pace::new(Rate::a_minute(config.puts_per_account), Rate::a_minute(config.puts_per_address)),
            reports: Pace::new(app::REPORTS, app::REPORTS),
            guesses: Buckets::per(config.guesses_per_address, Duration::from_secs(60), REMEMBERED),
            metrics,
            shutdown: deps.shutdown.clone(),
        });
        sweeper::start(&app, config.sweep_every, deps.readiness.part("paste"));
        let (folder, shutdown) = (deps.folder, deps.shutdown.clone());
        // The folder's lock is held as long as its database is used.
        deps.shutdown.spawn("paste folder", async move {
            shutdown.cancelled().await;
            drop(folder);
        });
        Ok(Self { app, metrics: deps.metrics, trusted_proxies: config.trusted_proxies })
    }

    /// txt.irc.now.
    pub fn site(&self) -> Router {
        let pages = routes::site().with_state(Arc::clone(&self.app));
        let pages = pages.merge(self.app.party.router()).merge(service::assets::router());
        self.edge("txt").wrap(self.app.party.layer(pages))
    }

    /// raw.txt.irc.now: texts as they are, on an origin without cookies.
    pub fn raw(&self) -> Router {
        self.edge("raw_txt").wrap(routes::raw().with_state(Arc::clone(&self.app)))
    }

    /// What other services ask: to export and delete an account's pastes.
    pub fn internal(&self) -> Router {
        contracts::http::account_data_router(self.data())
    }

    /// Everything kept for an account.
    pub fn data(&self) -> Arc<dyn AccountData> {
        Arc::new(data::PasteData(Arc::clone(&self.app)))
    }

    /// Seals the tokens of every browser session under the newest key of the keyring.
    pub async fn reseal(&self) -> Result<(), auth::AuthError> {
        self.app.party.reseal().await
    }

    /// The relying party behind the pages.
    pub fn login(&self) -> &auth::RelyingParty {
        &self.app.party
    }

    fn edge(&self, site: &'static str) -> Edge {
        Edge::new(site, self.app.sites.clone(), self.metrics.clone())
            .body_limit(MOST_BODY)
            .trusted_proxies(self.trusted_proxies.clone())
    }
}
