//! irc.now and my.irc.now: landing pages, account, networks, connection pages, app passwords, export and deletion.
//!
//! Start with [`routes`]: every page of both sites in two tables. A page's handler asks the services through their
//! traits in `contracts` (with the account of whoever is signed in, so that nothing else can be named), and renders a
//! template of `templates/` with the components of `design/`. What changes by itself is a part (`parts`), which a page
//! holds as it was and the event stream (`live`) sends again.

mod app;
pub mod clients;
mod dedicated_words;
mod export;
mod fresh;
#[doc(hidden)]
pub mod fuzz;
mod hosted_form;
mod hosted_words;
mod live;
mod network_form;
mod pages;
mod parts;
pub mod routes;
mod words;

use std::sync::Arc;

use axum::Router;
use contracts::{AccountData, Accounts, Bouncers, DedicatedBouncers, Networks};
use entitlements::Table;
use service::db::Database;
use service::http::HttpClient;
use service::metrics::Metrics;
use service::paths::ServiceDir;
use service::secrecy::ExposeSecret as _;
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use service::sites::Sites;
use service::tls::ReloadingCert;
use service::web::Edge;
use tokio::sync::watch;

use crate::app::App;

service::config! {
    /// The portal.
    pub struct Config in "portal" {
        /// The database of browser sessions (`sqlite:/path/file.db` or `postgres://…`); a file in the data folder where none is named.
        pub database: Option<service::secrecy::SecretString>,
        /// A browser session nobody used for this long is over.
        pub session_idle: std::time::Duration = "14d",
        /// A browser session is over after this at the latest.
        pub session_longest: std::time::Duration = "60d",
    }
}

/// The bouncer's door, as connection pages describe it. Host and ports are in [`Sites`].
#[derive(Clone, Default)]
pub struct IrcDoor {
    /// The door's certificate, for its fingerprint.
    pub certificate: Option<Arc<ReloadingCert>>,
    /// The certificate of the installation's own authority (PEM); set if clients do not trust the door by themselves.
    pub authority_pem: Option<String>,
    /// Where browsers connect (`wss://…`), if there is such a door.
    pub websocket: Option<String>,
}

/// What the portal is wired to.
pub struct Deps {
    /// The bouncer.
    pub bouncers: Arc<dyn Bouncers>,
    /// Hosting, where this installation hosts networks.
    pub hosting: Option<Arc<dyn Networks>>,
    /// Dedicated bouncers, where this installation has them.
    pub dedicated: Option<Arc<dyn DedicatedBouncers>>,
    /// Gatekeeper.
    pub accounts: Arc<dyn Accounts>,
    /// Every service that keeps rows of an account: what an export holds.
    pub data: Vec<Arc<dyn AccountData>>,
    /// The plans, for prices and limits.
    pub plans: Arc<Table>,
    /// The addresses of every site.
    pub sites: Sites,
    /// Seals what travels through the browser.
    pub keyring: Keyring,
    /// The bouncer's door.
    pub irc: IrcDoor,
    /// What everybody must know of this machine right now, where something watches it: a sentence, while there is one.
    pub notice: Option<watch::Receiver<Option<String>>>,
    /// The portal's own folder, for its database where no other is named.
    pub folder: ServiceDir,
    /// How the issuer is asked.
    pub http: HttpClient,
    /// The portal as the issuer's client.
    pub login: auth::Settings,
    /// The figures of the process.
    pub metrics: Metrics,
    /// The end of the process.
    pub shutdown: Shutdown,
}

/// Why the portal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its database.
    #[error("the portal's database cannot be opened")]
    Database(#[from] service::db::DbError),
    /// The relying party.
    #[error("signing in cannot be set up")]
    Login(#[from] auth::AuthError),
}

/// Both sites.
#[derive(Clone)]
pub struct Portal {
    app: Arc<App>,
    metrics: Metrics,
    own: Arc<dyn AccountData>,
}

impl Portal {
    /// Opens the database of sessions, and follows the accounts until the end begins.
    pub async fn open(config: Config, deps: Deps) -> Result<Self, OpenError> {
        let url = match &config.database {
            Some(url) => url.expose_secret().to_owned(),
            None => deps.folder.sqlite_url("portal.db"),
        };
        let settings = auth::Settings {
            idle: config.session_idle,
            absolute: config.session_longest,
            ..deps.login.clone()
        };
        let party = auth::RelyingParty::open(
            settings,
            Database::open(&url).await?,
            deps.keyring.clone(),
            deps.http.clone(),
            Arc::clone(&deps.accounts),
            &deps.shutdown,
        )
        .await?;
        let own = party.data("portal");
        let mut data = deps.data.clone();
        data.push(Arc::clone(&own));
        let (metrics, folder, shutdown) = (deps.metrics.clone(), deps.folder.clone(), deps.shutdown.clone());
        // The folder's lock is held as long as its database is used.
        deps.shutdown.spawn("portal folder", async move {
            shutdown.cancelled().await;
            drop(folder);
        });
        Ok(Self { app: Arc::new(App::new(deps, party, data)), metrics, own })
    }

    /// irc.now: what everybody may see.
    pub fn site(&self) -> Router {
        self.edge("root")
            .wrap(routes::site().with_state(Arc::clone(&self.app)).merge(service::assets::router()))
    }

    /// my.irc.now: for whoever is signed in.
    pub fn my(&self) -> Router {
        let pages = routes::my().with_state(Arc::clone(&self.app));
        let pages = pages.merge(self.app.party.router()).merge(service::assets::router());
        self.edge("my").wrap(self.app.party.layer(pages))
    }

    /// What other services ask of the portal: to export and delete its own rows of an account.
    pub fn internal(&self) -> Router {
        contracts::http::account_data_router(self.data())
    }

    /// The portal's own rows of an account: its browser sessions.
    pub fn data(&self) -> Arc<dyn AccountData> {
        Arc::clone(&self.own)
    }

    /// Seals the tokens of every browser session under the newest key of the keyring. It is done at every start, too.
    pub async fn reseal(&self) -> Result<(), auth::AuthError> {
        self.app.party.reseal().await
    }

    /// The relying party behind my.irc.now.
    pub fn login(&self) -> &auth::RelyingParty {
        &self.app.party
    }

    fn edge(&self, site: &'static str) -> Edge {
        Edge::new(site, self.app.sites.clone(), self.metrics.clone())
    }
}
