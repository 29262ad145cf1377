//! The service as a whole: what it is made of, how it is opened, and what runs behind it.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use contracts::{Account, AccountData, Accounts, IrcServers, Role, SecurityEvent, Sub};
use entitlements::{Plan, Table};
use secrecy::ExposeSecret as _;
use service::clock::now_s;
use service::db::Database;
use service::http::HttpClient;
use service::metrics::Metrics;
use service::rate::{Buckets, Neighbourhood};
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use service::sites::Sites;
use tokio::sync::Notify;

use crate::clients::Client;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::figures::Figures;
use crate::keys::Keys;
use crate::mail::Mailer;
use crate::password::Hasher;
use crate::pepper::Pepper;
use crate::store::{AccountRow, Store, Tx};
use crate::throttle::Throttle;
use crate::upstream::Upstream;

/// What gatekeeper is given.
pub struct Deps {
    /// Its own folder, for its database where none is configured.
    pub data: PathBuf,
    /// Seals what must be read back.
    pub keyring: Keyring,
    /// The public addresses.
    pub sites: Sites,
    /// For logout notices and the upstream provider.
    pub http: HttpClient,
    /// What plans allow.
    pub plans: Arc<Table>,
    /// Who may ask the provider for anything.
    pub clients: Vec<Client>,
    /// The figures of the process.
    pub metrics: Metrics,
    /// Ends the tasks behind it.
    pub shutdown: Shutdown,
}

/// Identity and tokens. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Gatekeeper(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub config: Config,
    pub store: Store,
    pub keyring: Keyring,
    pub pepper: Pepper,
    pub throttle: Throttle,
    pub hasher: Hasher,
    pub keys: Keys,
    pub mailer: Mailer,
    pub sites: Sites,
    pub http: HttpClient,
    pub plans: Arc<Table>,
    pub clients: Vec<Client>,
    pub metrics: Metrics,
    pub figures: Figures,
    pub upstream: Option<Upstream>,
    pub sign_ups: Buckets<Neighbourhood>,
    pub mails: Buckets<Neighbourhood>,
    pub polls: bool,
    /// The services that keep rows of accounts; none until they are registered, and no deletion ends before.
    pub data: RwLock<Option<Vec<Arc<dyn AccountData>>>>,
    pub work: Notify,
}

impl std::fmt::Debug for Gatekeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gatekeeper").finish_non_exhaustive()
    }
}

impl Gatekeeper {
    /// Opens the database, brings it up to date, makes what is missing, and starts the tasks behind it.
    pub async fn open(config: Config, deps: Deps) -> Result<Self> {
        let plan = Plan(config.new_account_plan.clone());
        if deps.plans.plan(&plan).is_none() {
            return Err(Error::Config(format!("gatekeeper.new_account_plan: there is no plan {plan}.")));
        }
        if config.client_secret.as_ref().is_some_and(|secret| secret.expose_secret().trim().is_empty()) {
            let message =
                "gatekeeper.client_secret is empty: set what the operators derive from, or leave it out.";
            return Err(Error::Config(message.to_owned()));
        }
        let url = match &config.database {
            Some(url) => url.expose_secret().to_owned(),
            None => format!("sqlite:{}", deps.data.join("gatekeeper.db").display()),
        };
        let db = Database::open(&url).await?;
        let polls = db.engine() == service::db::Engine::Postgres;
        let store = Store::open(db).await?;
        let pepper = Pepper::open(&store, &deps.keyring).await?;
        let keys = Keys::open(store.clone(), deps.keyring.clone(), now_s()).await?;
        let mut clients = deps.clients;
        if let Some(secret) = &config.introspection_secret {
            clients.push(Client::new("irc-server", Some(secret.clone())).introspecting());
        }
        let upstream = Upstream::new(&config, &deps.sites, deps.http.clone())?;
        let inner = Inner {
            throttle: Throttle::new(store.clone(), pepper.clone()),
            hasher: Hasher::new(config.hashes_at_once, config.hash_memory_kib)?,
            mailer: Mailer::new(&config)?,
            sign_ups: Buckets::per(config.sign_ups_per_day.max(1), Duration::from_secs(24 * 3600), 100_000),
            mails: Buckets::per(10, Duration::from_secs(3600), 100_000),
            keyring: deps.keyring,
            sites: deps.sites,
            http: deps.http,
            plans: deps.plans,
            clients,
            figures: Figures::new(&deps.metrics),
            metrics: deps.metrics,
            data: RwLock::new(None),
            work: Notify::new(),
            upstream,
            config,
            store,
            pepper,
            keys,
            polls,
        };
        let this = Self(Arc::new(inner));
        // A key may have been put before the others while nothing ran here.
        this.admin().reseal().await?;
        this.start(&deps.shutdown);
        Ok(this)
    }

    /// As the other services know it.
    pub fn accounts(&self) -> Arc<dyn Accounts> {
        Arc::new(self.clone())
    }

    /// Which servers of customers may ask who comes in, as the provisioner says it.
    pub fn irc_servers(&self) -> Arc<dyn IrcServers> {
        Arc::new(self.clone())
    }

    /// Its own rows of an account, for the export.
    pub fn data(&self) -> Arc<dyn AccountData> {
        Arc::new(self.clone())
    }

    /// The services that keep rows of accounts: a deletion ends when every one of them has confirmed it. Until they are
    /// known no deletion ends. An empty list means there are none.
    pub fn register_data(&self, services: Vec<Arc<dyn AccountData>>) {
        *self.0.data.write().unwrap_or_else(PoisonError::into_inner) = Some(services);
        self.0.work.notify_one();
    }

    /// The issuer in every token.
    pub fn issuer(&self) -> &str {
        self.0.sites.auth.as_str()
    }

    /// A token with which the service `caller` calls the service `audience`, good for five minutes: for gatekeeper's own
    /// calls, and for services in the same process.
    pub fn service_token(&self, caller: &str, audience: &str) -> Result<String> {
        self.client_token(caller, audience, now_s())
    }

    pub(crate) fn client(&self, id: &str) -> Option<&Client> {
        self.0.clients.iter().find(|client| client.id == id)
    }

    /// The account as other services see it.
    pub(crate) fn shown(&self, row: &AccountRow) -> Account {
        let plan = Plan(row.plan.clone());
        Account {
            sub: row.sub,
            username: row.username.clone(),
            email: row.email.clone(),
            email_verified: row.email_verified,
            may_dial_out: row.email_verified || !self.0.mailer.really_sends(),
            status: row.status,
            limits: self.0.plans.limits(&plan, &std::collections::BTreeMap::new(), &row.overrides),
            plan,
            over_limit_until: row.over_limit_until,
            roles: if row.admin { vec![Role::Admin] } else { Vec::new() },
            version: row.version,
            created_at: row.created_at,
        }
    }

    /// Keeps a security event and nothing else.
    pub(crate) async fn note(
        &self,
        sub: Sub,
        kind: &str,
        text: &str,
        address: Option<String>,
        now: i64,
    ) -> Result<()> {
        let mut tx = self.0.store.begin().await?;
        self.note_in(&mut tx, sub, kind, text, address, now).await?;
        self.0.store.commit(tx).await?;
        Ok(())
    }

    /// Keeps a security event with what it tells of.
    pub(crate) async fn note_in(
        &self,
        tx: &mut Tx,
        sub: Sub,
        kind: &str,
        text: &str,
        address: Option<String>,
        now: i64,
    ) -> Result<()> {
        let event = SecurityEvent { at: now, kind: kind.to_owned(), text: text.to_owned(), address };
        Ok(self.0.store.add_event(tx, sub, &event).await?)
    }

    fn start(&self, shutdown: &Shutdown) {
        let this = self.clone();
        shutdown.spawn_until("gatekeeper-upkeep", async move {
            loop {
                if let Err(error) = this.upkeep(now_s()).await {
                    tracing::warn!(%error, "gatekeeper's upkeep did not finish");
                }
                tokio::time::sleep(Duration::from_secs(600)).await;
            }
        });
        let this = self.clone();
        shutdown.spawn_until("gatekeeper-logouts", async move { this.tell_logouts().await });
        let this = self.clone();
        shutdown.spawn_until("gatekeeper-deletions", async move { this.run_deletions().await });
    }

    /// What must happen now and then: keys renewed, sessions ended, what has run out forgotten.
    async fn upkeep(&self, now: i64) -> Result<()> {
        let Inner { store, keys, .. } = &*self.0;
        keys.renew(now).await?;
        for session in store.expired_sessions(now).await? {
            let mut tx = store.begin().await?;
            store.end_session(&mut tx, &session, now).await?;
            store.commit(tx).await?;
        }
        store.prune_tokens(now).await?;
        store.prune_events(now).await?;
        store.prune_attempts(now - 24 * 3600).await?;
        store.prune_feed(now).await?;
        Ok(())
    }
}
