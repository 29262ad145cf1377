//! irc.pics: pictures put up from pages, curl and IRC clients, looked at in a process of their own, served from an origin
//! of their own.
//!
//! Start with [`routes`]: everything that can be asked, in tables. What a picture is and what of its file is kept is decided
//! in `pics_core` (pure); decoding happens in the process behind [`worker`]; `upload` leads one upload from its first byte
//! to its row in `store`; `objects` keeps the bytes; `bytes` serves them.

mod app;
mod bytes;
mod data;
mod objects;
mod pages;
pub mod routes;
mod store;
mod sweeper;
mod upload;
pub mod worker;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use contracts::{AccountData, Accounts};
use service::config::ByteSize;
use service::db::{Database, Engine};
use service::health::Readiness;
use service::http::HttpClient;
use service::metrics::Metrics;
use service::paths::ServiceDir;
use service::secrecy::ExposeSecret as _;
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use service::sites::Sites;
use service::web::Edge;
use share::{Abuse, Pace, Rate};

use crate::app::App;
use crate::objects::Objects;
use crate::store::Store;
use crate::worker::pool::{WorkerCommand, Workers};

/// How long an upload may take, from a phone on a bad line.
const UPLOAD_TIME: Duration = Duration::from_secs(600);
/// What stands around a picture in a form.
const FORM_AROUND: u64 = 1 << 20;

service::config! {
    /// Pictures.
    pub struct Config in "pics" {
        /// The database (`sqlite:/path/file.db` or `postgres://…`); a file in the data folder where none is named.
        pub database: Option<service::secrecy::SecretString>,
        /// Where the bytes are kept: `s3://bucket/prefix`; a folder in the data folder where none is named.
        pub objects: Option<String>,
        /// The address of the S3 service, where it is not Amazon's.
        pub s3_endpoint: Option<url::Url>,
        /// The region of the bucket.
        pub s3_region: String = "us-east-1",
        /// The access key of the bucket.
        pub s3_access_key: Option<service::secrecy::SecretString>,
        /// The secret that belongs to `s3_access_key`.
        pub s3_secret_key: Option<service::secrecy::SecretString>,
        /// The longest file that is taken.
        pub largest: service::config::ByteSize = "32MiB",
        /// How many processes decode pictures at once. Each takes a core.
        pub workers: usize = "2",
        /// What each of them may take of memory.
        pub worker_memory: service::config::ByteSize = "384MiB",
        /// How long one picture may take.
        pub worker_time: Duration = "20s",
        /// How many pictures an account may put up in a minute.
        pub uploads_per_account: u32 = "120",
        /// How often what is over is swept away, and rows are compared with objects.
        pub sweep_every: Duration = "60s",
        /// Proxies whose `X-Forwarded-For` is believed (`10.0.0.0/8`).
        pub trusted_proxies: Vec<service::web::Cidr>,
    }
}

/// What the site is wired to.
pub struct Deps {
    /// Gatekeeper.
    pub accounts: Arc<dyn Accounts>,
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
    /// How a worker is started, but for its memory.
    pub worker: WorkerCommand,
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
    #[error("the database of pictures cannot be opened")]
    Database(#[from] service::db::DbError),
    /// Its rows.
    #[error("the rows of pictures cannot be read: {0}")]
    Rows(String),
    /// The relying party.
    #[error("signing in to the pictures cannot be set up")]
    Login(#[from] auth::AuthError),
    /// Where the bytes are.
    #[error("the place of the pictures' bytes cannot be used: {0}")]
    Objects(String),
    /// Its own folder.
    #[error("the folder for uploads under way cannot be used")]
    Spool(#[from] std::io::Error),
}

/// The service.
#[derive(Clone)]
pub struct Pics {
    app: Arc<App>,
    metrics: Metrics,
    trusted_proxies: Vec<service::web::Cidr>,
}

impl Pics {
    /// Opens database and objects, follows the accounts, and sweeps until the end begins.
    pub async fn open(config: Config, deps: Deps) -> Result<Self, OpenError> {
        let url = match &config.database {
            Some(url) => url.expose_secret().to_owned(),
            None => deps.folder.sqlite_url("pics.db"),
        };
        let db = Database::open(&url).await?;
        let store = Store::open(db.clone()).await?;
        let objects = Objects::open(&config, &deps.folder.file("objects"))
            .map_err(|error| OpenError::Objects(error.to_string()))?;
        let spool = deps.folder.file("uploads");
        empty(&spool)?;
        if db.engine() == Engine::Sqlite {
            // The folder is ours alone: whoever took this room is dead.
            store.release_stale(i64::MAX).await.map_err(|error| OpenError::Rows(error.to_string()))?;
        }
        let abuse = Abuse::open(db.clone()).await?;
        let party = auth::RelyingParty::open(
            deps.login,
            db,
            deps.keyring.clone(),
            deps.http,
            Arc::clone(&deps.accounts),
            &deps.shutdown,
        )
        .await?;
        let figures = app::Figures::default();
        deps.metrics.register(|registry| figures.register(registry));
        let uploads = Rate::a_minute(config.uploads_per_account);
        let app = Arc::new(App {
            store,
            objects,
            workers: Workers::new(
                deps.worker.with_memory(config.worker_memory),
                config.workers,
                app::PATIENCE,
                config.worker_time,
            ),
            abuse,
            spool,
            largest: config.largest.0,
            accounts: deps.accounts,
            sites: deps.sites,
            keyring: deps.keyring,
            party,
            uploads: Pace::new(uploads, uploads),
            reports: Pace::new(app::REPORTS, app::REPORTS),
            figures,
        });
        sweeper::start(&app, config.sweep_every, deps.readiness.part("pics"), &deps.shutdown);
        let (folder, shutdown) = (deps.folder, deps.shutdown.clone());
        // The folder's lock is held as long as its database is used.
        deps.shutdown.spawn("pics folder", async move {
            shutdown.cancelled().await;
            drop(folder);
        });
        Ok(Self { app, metrics: deps.metrics, trusted_proxies: config.trusted_proxies })
    }

    /// irc.pics: pages, and where pictures are sent to.
    pub fn site(&self) -> Router {
        let pages = routes::site().with_state(Arc::clone(&self.app));
        let pages = pages.merge(self.app.party.router()).merge(service::assets::router());
        self.edge("pics").wrap(self.app.party.layer(pages)).merge(self.takes())
    }

    /// Where pictures are sent to, in more time than pages have.
    fn takes(&self) -> Router {
        let uploads = routes::uploads().with_state(Arc::clone(&self.app));
        let longest = usize::try_from(self.app.largest.saturating_add(FORM_AROUND)).unwrap_or(usize::MAX);
        let slow = self.edge("pics").timeout(UPLOAD_TIME).body_limit(longest);
        slow.wrap(self.app.party.layer(uploads))
    }

    /// i.pics.: the bytes, on an origin without cookies.
    pub fn bytes(&self) -> Router {
        self.edge("i_pics").wrap(routes::bytes().with_state(Arc::clone(&self.app)))
    }

    /// Beside irc.now's own pages: where IRC clients on this machine send pictures to and get them from. They resolve no name
    /// below `localhost` (`soju.im/FILEHOST`), and are answered with addresses of the host they asked.
    pub fn on_root(&self) -> Router {
        let bytes = self.edge("i_pics").wrap(routes::root().with_state(Arc::clone(&self.app)));
        bytes.merge(self.takes())
    }

    /// What other services ask: to export and delete an account's pictures.
    pub fn internal(&self) -> Router {
        contracts::http::account_data_router(self.data())
    }

    /// Everything kept for an account.
    pub fn data(&self) -> Arc<dyn AccountData> {
        Arc::new(data::PicsData(Arc::clone(&self.app)))
    }

    /// Seals the tokens of every browser session under the newest key of the keyring.
    pub async fn reseal(&self) -> Result<(), auth::AuthError> {
        self.app.party.reseal().await
    }

    /// The relying party behind the site.
    pub fn login(&self) -> &auth::RelyingParty {
        &self.app.party
    }

    /// The processes of workers that wait for work: for tests that kill them.
    #[doc(hidden)]
    pub fn idle_workers(&self) -> Vec<u32> {
        self.app.workers.idle_processes()
    }

    /// Sweeps now: for tests that do not want to wait. Objects and rows of any age count as settled.
    #[doc(hidden)]
    pub async fn sweep_for_tests(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(sweeper::sweep(&self.app, service::clock::now_us() + 1).await?)
    }

    fn edge(&self, site: &'static str) -> Edge {
        Edge::new(site, self.app.sites.clone(), self.metrics.clone())
            .trusted_proxies(self.trusted_proxies.clone())
    }
}

impl WorkerCommand {
    /// The same with a limit of memory.
    fn with_memory(mut self, most: ByteSize) -> Self {
        self.args.push(most.0.to_string().into());
        self
    }
}

/// Makes the folder of uploads under way anew: whatever lies there was left by a process that was killed.
fn empty(spool: &std::path::Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(spool) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => std::fs::create_dir_all(spool),
    }
}
