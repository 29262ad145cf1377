//! How the services are built, whatever process they are in: what every process has ([`Base`]), and one function a
//! service. What differs between one process and several is only which adapters are handed in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use auth::{Settings, TokenVerifier};
use axum::Router;
use contracts::http::NetworksClient;
use contracts::{AccountData, Accounts, Bouncers, DedicatedBouncers, Networks, WellKnownNetwork};
use entitlements::Table;
use gatekeeper::{Client, Gatekeeper};
use hosting::{Host, Hosting};
use paste::Paste;
use pics::Pics;
use pics::worker::pool::WorkerCommand;
use portal::{IrcDoor, Portal};
use secrecy::SecretString;
use service::config::Source;
use service::dialer::{DialConfig, Guarded, HostPort};
use service::health::Readiness;
use service::http::HttpClient;
use service::metrics::Metrics;
use service::paths::DataDir;
use service::secrets::{Keyring, is_service_secret, service_secret};
use service::shutdown::Shutdown;
use service::sites::{IrcAddress, Sites, SitesConfig};
use service::telemetry::LogConfig;
use service::tls::rustls::pki_types::CertificateDer;
use service::tls::rustls::pki_types::pem::PemObject as _;
use service::tls::{LocalTls, ReloadingCert};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cli::Common;
use crate::settings::{PlansConfig, ServiceConfig};

/// How long the end may take before what still runs is stopped.
pub const GRACE: Duration = Duration::from_secs(20);

/// What every process has, before any service.
pub struct Base {
    pub source: Source,
    service: ServiceConfig,
    pub data: DataDir,
    pub keyring: Keyring,
    pub sites: Sites,
    pub plans: Arc<Table>,
    pub metrics: Metrics,
    pub readiness: Readiness,
    pub shutdown: Shutdown,
}

impl Base {
    /// Reads the configuration, starts logging, opens the data folder and its keys.
    pub fn open(common: &Common) -> Result<Self> {
        let source = common.source()?;
        service::telemetry::init(&LogConfig::load(&source)?);
        let data = DataDir::open(common.data_dir()?)?;
        let shutdown = Shutdown::new();
        shutdown.on_signals()?;
        Ok(Self {
            keyring: Keyring::open(&source, data.path())?,
            sites: Sites::new(&SitesConfig::load(&source)?)?,
            plans: Arc::new(plans(&source)?),
            service: ServiceConfig::load(&source)?,
            metrics: Metrics::new(),
            readiness: Readiness::new(),
            source,
            data,
            shutdown,
        })
    }

    /// What the service `name` proves itself with at gatekeeper.
    pub fn secret_of(&self, name: &str) -> SecretString {
        service_secret(&self.keyring, self.service.secret.as_ref(), name)
    }

    /// Serves pages or the admin listener until the end.
    pub fn serve(
        &self,
        name: &'static str,
        listener: TcpListener,
        router: Router,
        tls: Option<Arc<service::tls::rustls::ServerConfig>>,
    ) {
        let shutdown = self.shutdown.clone();
        self.shutdown.spawn(name, async move {
            if let Err(error) = service::serve::serve(listener, router, tls, shutdown).await {
                tracing::error!(%error, listener = name, "a listener ended");
            }
        });
    }

    /// Waits for the end, and for everything that runs to finish what it holds.
    pub async fn until_the_end(self) -> Result<()> {
        self.shutdown.cancelled().await;
        if let Err(late) = self.shutdown.finished(GRACE).await {
            tracing::warn!(?late, "stopped what did not end in time");
        }
        Ok(())
    }
}

/// How often a process looks whether another has rotated the keys.
const LOOK_FOR_KEYS: Duration = Duration::from_secs(2);

/// Follows `secret.key`: once another process has put a key in front, this one has it too, and `reseal` seals what it keeps
/// under it. Keys from the environment come with a restart.
pub fn follow_keys<F>(base: &Base, reseal: impl Fn() -> F + Send + Sync + 'static)
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (path, keyring) = (base.data.path().join("secret.key"), base.keyring.clone());
    if base.source.variable(service::secrets::KEY_VARIABLE).ok().flatten().is_some() {
        return;
    }
    let changed = |path: &PathBuf| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let mut known = changed(&path);
    base.shutdown.spawn_until("keys", async move {
        loop {
            tokio::time::sleep(LOOK_FOR_KEYS).await;
            let now = changed(&path);
            if now.is_none() || now == known {
                continue;
            }
            let done = match keyring.reload(&path) {
                Ok(()) => reseal().await,
                Err(error) => Err(error.into()),
            };
            match done {
                Ok(()) => {
                    known = now;
                    tracing::info!("the keys were rotated: what is kept here is sealed under the new one");
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "the rotated keys cannot be used yet");
                }
            }
        }
    });
}

/// The compiled-in plans, with the operator's file over them.
pub fn plans(source: &Source) -> Result<Table> {
    let Some(path) = PlansConfig::load(source)?.path else { return Ok(Table::compiled_in()?) };
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Table::with_file(&text)?)
}

/// Binds a listener, or says whose fault it is.
pub async fn bind(address: std::net::SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("nothing can listen on {address}: is another irc.now running? Set another address, or port 0")
    })
}

/// Gatekeeper. `new_account_plan` is the plan new accounts get where the configuration does not say.
pub async fn gatekeeper(
    base: &Base,
    http: &HttpClient,
    new_account_plan: Option<&str>,
) -> Result<Gatekeeper> {
    let mut config = gatekeeper::Config::load(&base.source)?;
    let said = base.source.variable("IRCNOW_GATEKEEPER_NEW_ACCOUNT_PLAN")?.is_some();
    if let Some(plan) = new_account_plan.filter(|_| !said && config.new_account_plan == "free") {
        plan.clone_into(&mut config.new_account_plan);
    }
    let folder = base.data.service("gatekeeper")?;
    let deps = gatekeeper::Deps {
        data: folder.path().to_owned(),
        keyring: base.keyring.clone(),
        sites: base.sites.clone(),
        http: http.clone(),
        plans: Arc::clone(&base.plans),
        clients: clients(base)?,
        metrics: base.metrics.clone(),
        shutdown: base.shutdown.clone(),
    };
    let gatekeeper = Gatekeeper::open(config, deps).await.context("opening gatekeeper")?;
    hold(&base.shutdown, folder);
    Ok(gatekeeper)
}

/// Who may ask gatekeeper for anything.
fn clients(base: &Base) -> Result<Vec<Client>> {
    let site = |login: Settings| -> Result<Client> {
        Ok(Client::site(
            login.client_id.as_str(),
            base.secret_of(&login.client_id),
            login.redirect_uri().parse()?,
            login.after_logout.parse()?,
            login.backchannel_logout_uri().parse()?,
        ))
    };
    let (portal, paste) = (site(portal_login(base))?, site(paste_login(base))?);
    let pics = site(pics_login(base))?;
    let all = [
        portal.calling(["gatekeeper", "bouncer", "hosting", "paste", "pics"]),
        paste.calling(["gatekeeper"]),
        pics.calling(["gatekeeper"]),
        Client::new("bouncer", Some(base.secret_of("bouncer"))).calling(["gatekeeper"]).introspecting(),
        Client::new("hosting", Some(base.secret_of("hosting"))).calling(["gatekeeper", "bouncer"]),
        Client::new("gatekeeper", Some(base.secret_of("gatekeeper")))
            .calling(["bouncer", "hosting", "portal", "paste", "pics"]),
    ];
    // Keys may be rotated while processes of before run: each is known by the key it began with.
    let proven = |client: Client| {
        let (keyring, shared, id) = (base.keyring.clone(), base.service.secret.clone(), client.id.clone());
        client.proven_by(move |given| is_service_secret(&keyring, shared.as_ref(), &id, given))
    };
    Ok(all.into_iter().map(proven).collect())
}

/// What the portal tells the issuer about itself, in both their processes.
fn portal_login(base: &Base) -> Settings {
    let settings = Settings::new(&base.sites.my, &base.sites.auth, "portal", base.secret_of("portal"));
    Settings { after_logout: base.sites.root.url("/"), ..settings }
}

/// What the pastes tell the issuer about themselves.
fn paste_login(base: &Base) -> Settings {
    Settings::new(&base.sites.txt, &base.sites.auth, "paste", base.secret_of("paste"))
}

/// What the pictures tell the issuer about themselves.
fn pics_login(base: &Base) -> Settings {
    Settings::new(&base.sites.pics, &base.sites.auth, "pics", base.secret_of("pics"))
}

/// The guard in front of connections that are made for users.
pub fn dialer(base: &Base) -> Result<Guarded> {
    Ok(Guarded::new(&DialConfig::load(&base.source)?))
}

/// The bouncer, its door listening. Networks are believed who they are by the authorities of this system, and by
/// `authority` (PEM) where this machine has one of its own.
pub async fn bouncer(
    base: &Base,
    accounts: Arc<dyn Accounts>,
    certificate: Arc<ReloadingCert>,
    dialer: Guarded,
    authority: Option<&str>,
    local: Option<WellKnownNetwork>,
) -> Result<bouncer::Bouncer> {
    if let Some(local) = &local {
        dialer.allow(HostPort::new(&local.host, local.port));
    }
    let config = bouncer::Config::load(&base.source)?;
    let ours = [&base.sites.root, &base.sites.my, &base.sites.chat].map(ToString::to_string);
    let further = config.websocket_origins.as_deref().unwrap_or_default().split(',').map(str::trim);
    let further: Vec<String> = further.filter(|origin| !origin.is_empty()).map(str::to_owned).collect();
    let deps = bouncer::Deps {
        accounts,
        keys: Arc::new(base.keyring.clone()),
        folder: base.data.service("bouncer")?,
        dialer,
        certificate,
        roots: Arc::new(roots(authority)),
        local,
        origins: irc_server::Origins::only(ours.into_iter().chain(further)),
        metrics: base.metrics.clone(),
        readiness: base.readiness.clone(),
        shutdown: base.shutdown.clone(),
    };
    bouncer::Bouncer::open(config, deps).await.context("opening the bouncer")
}

/// The authorities of this system, and one more.
fn roots(further: Option<&str>) -> service::tls::rustls::RootCertStore {
    let mut roots = service::tls::rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(
            "this system has no certificate authorities: networks with TLS will not be trusted. Install ca-certificates."
        );
    }
    let further = further.map(|pem| CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok));
    roots.add_parsable_certificates(further.into_iter().flatten());
    roots
}

/// Hosting, with what runs its networks and dedicated bouncers.
pub async fn hosting(
    base: &Base,
    accounts: Arc<dyn Accounts>,
    host: Arc<dyn Host>,
    dedicated: hosting::dedicated::Parts,
) -> Result<Hosting> {
    let deps = hosting::Deps {
        accounts,
        host,
        dedicated,
        keyring: base.keyring.clone(),
        sites: base.sites.clone(),
        folder: base.data.service("hosting")?,
        metrics: base.metrics.clone(),
        shutdown: base.shutdown.clone(),
    };
    Hosting::open(hosting::Config::load(&base.source)?, deps).await.context("opening hosting")
}

/// Hosting, as the portal sees it.
pub struct HostingSide {
    /// Hosted networks.
    pub networks: Arc<dyn Networks>,
    /// Dedicated bouncers.
    pub dedicated: Arc<dyn DedicatedBouncers>,
}

impl HostingSide {
    /// Another process's.
    pub fn of(client: NetworksClient) -> Self {
        Self { networks: Arc::new(client.clone()), dedicated: Arc::new(client) }
    }
}

/// The portal.
#[expect(clippy::too_many_arguments, reason = "it shows what every other service has")]
pub async fn portal(
    base: &Base,
    http: &HttpClient,
    accounts: Arc<dyn Accounts>,
    bouncers: Arc<dyn Bouncers>,
    hosting: Option<HostingSide>,
    data: Vec<Arc<dyn AccountData>>,
    door: IrcDoor,
    notice: Option<watch::Receiver<Option<String>>>,
) -> Result<Portal> {
    let folder = base.data.service("portal")?;
    let (hosting, dedicated) = match hosting {
        Some(HostingSide { networks, dedicated }) => (Some(networks), Some(dedicated)),
        None => (None, None),
    };
    let deps = portal::Deps {
        bouncers,
        hosting,
        dedicated,
        accounts,
        data,
        plans: Arc::clone(&base.plans),
        sites: base.sites.clone(),
        keyring: base.keyring.clone(),
        irc: door,
        notice,
        folder,
        http: http.clone(),
        login: portal_login(base),
        metrics: base.metrics.clone(),
        shutdown: base.shutdown.clone(),
    };
    Portal::open(portal::Config::load(&base.source)?, deps).await.context("opening the portal")
}

/// Pastes.
pub async fn paste(base: &Base, http: &HttpClient, accounts: Arc<dyn Accounts>) -> Result<Paste> {
    let deps = paste::Deps {
        accounts,
        plans: Arc::clone(&base.plans),
        sites: base.sites.clone(),
        keyring: base.keyring.clone(),
        folder: base.data.service("paste")?,
        http: http.clone(),
        login: paste_login(base),
        metrics: base.metrics.clone(),
        readiness: base.readiness.clone(),
        shutdown: base.shutdown.clone(),
    };
    Paste::open(paste::Config::load(&base.source)?, deps).await.context("opening the pastes")
}

/// Pictures. Their workers are this binary again.
pub async fn pics(base: &Base, http: &HttpClient, accounts: Arc<dyn Accounts>) -> Result<Pics> {
    let program = std::env::current_exe().context("finding this program, to start workers with")?;
    let deps = pics::Deps {
        accounts,
        sites: base.sites.clone(),
        keyring: base.keyring.clone(),
        folder: base.data.service("pics")?,
        http: http.clone(),
        login: pics_login(base),
        worker: WorkerCommand { program, args: vec!["pics-worker".into()] },
        metrics: base.metrics.clone(),
        readiness: base.readiness.clone(),
        shutdown: base.shutdown.clone(),
    };
    Pics::open(pics::Config::load(&base.source)?, deps).await.context("opening the pictures")
}

/// The door of this installation as connection pages describe it.
pub fn door(tls: &LocalTls, irc: &IrcAddress) -> IrcDoor {
    IrcDoor {
        certificate: Some(Arc::clone(&tls.certificate)),
        authority_pem: Some(tls.authority_pem.clone()),
        websocket: Some(websocket(irc)),
    }
}

/// The listener with TLS takes WebSockets on the same port.
pub fn websocket(irc: &IrcAddress) -> String {
    format!("wss://{}:{}", irc.host, irc.tls_port)
}

/// The admin listener's router: figures, health, and the calls of `callers`.
pub fn admin_router(base: &Base, internal: Router) -> Router {
    service::admin::router(base.metrics.clone(), base.readiness.clone(), internal)
}

/// Lets only `callers` call `internal`, with tokens of the issuer meant for `audience`.
pub fn guarded(
    verifier: &TokenVerifier,
    audience: &str,
    callers: &'static [&'static str],
    internal: Router,
) -> Router {
    verifier.guard(audience, callers, internal)
}

/// Keeps a folder's lock until the end.
fn hold(shutdown: &Shutdown, folder: service::paths::ServiceDir) {
    let ended = shutdown.clone();
    shutdown.spawn("folder", async move {
        ended.cancelled().await;
        drop(folder);
    });
}

/// A file of PEM certificates, for sites whose authority the system does not know.
pub fn authorities(path: Option<&PathBuf>) -> Result<Vec<String>> {
    let Some(path) = path else { return Ok(Vec::new()) };
    Ok(vec![std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?])
}
