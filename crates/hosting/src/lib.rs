//! Hosted IRC networks of accounts: their rows and rules, and what keeps each as its row says.
//!
//! [`Hosting`] owns the rows: whose a network is, what its owner said, whether the plan allows it. A [`Host`] makes it so:
//! processes on this machine or resources in a cluster. The keeper (`keeper`) compares both for as long as the service
//! runs, so that nothing depends on a single call having arrived. Start with [`host`], then `keeper`, then `calls`.
//! [`dedicated`] does the same for bouncers of an account's own.

mod board;
mod calls;
pub mod dedicated;
#[cfg(test)]
mod engines;
pub mod host;
mod keeper;
mod metrics;
mod rules;
mod states;
mod store;

use std::sync::Arc;
use std::time::Duration;

use auth::AccountCache;
use axum::Router;
use contracts::{AccountData, Accounts, DedicatedBouncers, Networks};
pub use host::{Host, HostError, KeptOperator, Wanted};
use secrecy::ExposeSecret as _;
use service::db::Database;
use service::metrics::Metrics;
use service::paths::ServiceDir;
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use service::sites::Sites;
pub use states::States;

use crate::calls::HostingCalls;
use crate::dedicated::DedicatedCalls;
use crate::keeper::Keeper;
use crate::store::Store;

service::config! {
    /// Hosted networks.
    pub struct Config in "hosting" {
        /// The database (`sqlite:/path/file.db` or `postgres://…`); a file in the data folder where none is named.
        pub database: Option<secrecy::SecretString>,
        /// Hosted networks get host names below this domain; `net.` before the base's host where none is named.
        pub domain: Option<String>,
        /// Dedicated bouncers get host names below this domain; the base's host where none is named.
        pub bouncers_domain: Option<String>,
        /// How long the deletion of a hosted network can be undone.
        pub undo: Duration = "10m",
    }
}

/// What hosting is wired to.
pub struct Deps {
    /// Gatekeeper.
    pub accounts: Arc<dyn Accounts>,
    /// What runs networks.
    pub host: Arc<dyn Host>,
    /// What runs dedicated bouncers, and the bouncer people move from.
    pub dedicated: dedicated::Parts,
    /// Tells a repeat from another wish without keeping what was asked.
    pub keyring: Keyring,
    /// The addresses of the installation.
    pub sites: Sites,
    /// Its own folder.
    pub folder: ServiceDir,
    /// The figures of the process.
    pub metrics: Metrics,
    /// The end of the process.
    pub shutdown: Shutdown,
}

/// Why hosting cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its database.
    #[error("the database of hosted networks cannot be opened")]
    Database(#[from] service::db::DbError),
    /// Its rows.
    #[error("the hosted networks cannot be read: {0}")]
    Rows(String),
}

/// The service.
#[derive(Clone)]
pub struct Hosting {
    calls: Arc<HostingCalls>,
    dedicated: Arc<DedicatedCalls>,
}

impl Hosting {
    /// Opens the rows, and keeps every network as its row says until the end begins.
    pub async fn open(config: Config, deps: Deps) -> Result<Self, OpenError> {
        let url = match &config.database {
            Some(url) => url.expose_secret().to_owned(),
            None => deps.folder.sqlite_url("hosting.db"),
        };
        let database = Database::open(&url).await?;
        let store = Store::open(database.clone(), deps.keyring).await?;
        let accounts = AccountCache::new(deps.accounts);
        accounts.follow(None, &deps.shutdown);
        let bouncers = config.bouncers_domain.unwrap_or_else(|| deps.sites.root.host().to_owned());
        let dedicated =
            dedicated::Keeper::open(database, accounts.clone(), &bouncers, deps.dedicated, &deps.shutdown)
                .await?;
        deps.metrics.register(|registry| dedicated.metrics.register(registry));
        dedicated.start().await.map_err(|error| OpenError::Rows(error.to_string()))?;
        let domain = config.domain.unwrap_or_else(|| format!("net.{}", deps.sites.root.host()));
        let keeper = Keeper::new(store, accounts, deps.host, domain, config.undo);
        keeper.load().await.map_err(|error| OpenError::Rows(error.to_string()))?;
        keeper.start(&deps.shutdown);
        let (folder, shutdown) = (deps.folder, deps.shutdown.clone());
        // The folder's lock is held as long as its database is used.
        deps.shutdown.spawn("hosting folder", async move {
            shutdown.cancelled().await;
            drop(folder);
        });
        let dedicated = Arc::new(DedicatedCalls { keeper: dedicated });
        Ok(Self { calls: Arc::new(HostingCalls { keeper, dedicated: Arc::clone(&dedicated) }), dedicated })
    }

    /// Hosting, as other services see it.
    pub fn calls(&self) -> Arc<dyn Networks> {
        Arc::clone(&self.calls) as Arc<dyn Networks>
    }

    /// Dedicated bouncers, as other services see them.
    pub fn dedicated(&self) -> Arc<dyn DedicatedBouncers> {
        Arc::clone(&self.dedicated) as Arc<dyn DedicatedBouncers>
    }

    /// Everything kept for an account, to export and delete.
    pub fn data(&self) -> Arc<dyn AccountData> {
        Arc::clone(&self.calls) as Arc<dyn AccountData>
    }

    /// The same over HTTP, for other processes.
    pub fn internal(&self) -> Router {
        contracts::http::networks_router(self.calls())
            .merge(contracts::http::dedicated_router(self.dedicated()))
    }
}
