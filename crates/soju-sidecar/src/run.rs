//! The sidecar itself: a loop that looks and acts, a task that prunes, a listener that answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crds::sidecar::{STATE_TOKEN_FILE, SidecarConfig, SidecarState};
use service::db::sqlx;
use service::health::{Part, Readiness};
use service::http::{HttpClient, HttpError};
use service::metrics::Metrics;
use service::shutdown::Shutdown;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::admin::{Admin, AdminError, Command, status};
use crate::metrics::Figures;
use crate::reload::{Reload, ReloadState};
use crate::rows::{Rows, cutoff};
use crate::seed::{self, Memory, Rules};
use crate::serve::{self, Answers};

/// Why the sidecar cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file is not there.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what the operator writes. Never quotes the file: it holds passwords.
    #[error("{} is no sidecar configuration: line {line}, column {column}", .path.display())]
    Invalid {
        /// Which.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// The address is taken.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// No HTTP client.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// How often what is done.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The files are looked at.
    pub tick: Duration,
    /// soju is asked how it stands.
    pub status: Duration,
    /// What drifted is looked for.
    pub pass: Duration,
    /// A pass that failed is tried again.
    pub retry: Duration,
    /// Old messages are looked for.
    pub prune: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            tick: seconds(2),
            status: seconds(15),
            pass: seconds(300),
            retry: seconds(20),
            prune: seconds(3600),
        }
    }
}

/// Reads the configuration.
pub fn read_config(path: &Path) -> Result<SidecarConfig, RunError> {
    read(path)
}

/// Reads a file the operator wrote.
pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, RunError> {
    let text =
        std::fs::read(path).map_err(|source| RunError::Unreadable { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|error| RunError::Invalid {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    })
}

/// Runs until the end begins.
pub async fn run(path: &Path, shutdown: Shutdown) -> Result<(), RunError> {
    let address = read_config(path)?.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| RunError::Listen { address, source })?;
    run_at(path, listener, Pace::default(), shutdown).await
}

/// Runs on a listener of the caller's, at a pace of the caller's.
pub async fn run_at(
    path: &Path,
    listener: TcpListener,
    pace: Pace,
    shutdown: Shutdown,
) -> Result<(), RunError> {
    let config = read_config(path)?;
    let metrics = Metrics::new();
    let figures = Figures::new(&metrics);
    let readiness = Readiness::new();
    let state = Arc::new(Mutex::new(SidecarState::default()));
    let soju_metrics = Arc::new(Mutex::new(config.soju_metrics.clone()));
    let answers = Answers {
        state: Arc::clone(&state),
        metrics,
        readiness: readiness.clone(),
        soju_metrics: Arc::clone(&soju_metrics),
        http: HttpClient::new()?,
        token_file: path.with_file_name(STATE_TOKEN_FILE),
    };
    let config = Arc::new(Mutex::new(config));
    let shared = Shared { config, state, figures, pace };
    let mut sidecar = Sidecar {
        reload: shared.reload(),
        rows: None,
        rows_for: None,
        ready: readiness.part("soju"),
        path: path.to_owned(),
        memory: Memory::default(),
        next_pass: Instant::now(),
        next_status: Instant::now(),
        soju_metrics,
        shared: shared.clone(),
    };
    shutdown.spawn_until("soju", async move { sidecar.forever().await });
    shutdown.spawn_until("prune", prune_forever(shared));
    if let Err(error) = service::serve::serve(listener, serve::router(answers), None, shutdown.clone()).await
    {
        tracing::error!(%error, "the listener ended");
        shutdown.trigger();
    }
    Ok(())
}

/// What the loop and the pruner share.
#[derive(Clone)]
struct Shared {
    config: Arc<Mutex<SidecarConfig>>,
    state: Arc<Mutex<SidecarState>>,
    figures: Figures,
    pace: Pace,
}

impl Shared {
    fn config(&self) -> SidecarConfig {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut SidecarState)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        self.figures.show(&state);
    }

    fn reload(&self) -> Reload {
        let config = self.config();
        // `RELOAD_FILE`, wherever the socket is.
        let request = config.admin_socket.with_file_name("reload");
        Reload::new(&config.soju_config, &config.admin_socket, request)
    }
}

struct Sidecar {
    shared: Shared,
    path: PathBuf,
    reload: Reload,
    rows: Option<Rows>,
    rows_for: Option<crds::sidecar::PruneTarget>,
    memory: Memory,
    ready: Part,
    next_pass: Instant,
    next_status: Instant,
    soju_metrics: Arc<Mutex<Option<String>>>,
}

impl Sidecar {
    async fn forever(&mut self) {
        loop {
            self.look_at_files();
            let now = Instant::now();
            if now >= self.next_status || now >= self.next_pass {
                self.talk().await;
            }
            tokio::time::sleep(self.shared.pace.tick).await;
        }
    }

    fn look_at_files(&mut self) {
        match read_config(&self.path) {
            Ok(config) => {
                let old = self.shared.config();
                if config != old {
                    tracing::info!("the configuration has changed");
                    *self.soju_metrics.lock().unwrap_or_else(PoisonError::into_inner) =
                        config.soju_metrics.clone();
                    let moved =
                        (&config.soju_config, &config.admin_socket) != (&old.soju_config, &old.admin_socket);
                    *self.shared.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
                    if moved {
                        self.reload = self.shared.reload();
                    }
                    self.next_pass = Instant::now();
                }
            }
            // The kubelet swaps the whole folder: what cannot be read now can be read soon.
            Err(error) => tracing::warn!(%error, "the configuration stays as it was"),
        }
        let ReloadState { hash, error, restart_required, restarted } = self.reload.look(SystemTime::now());
        if restarted {
            self.shared.figures.restarts_seen.inc();
            self.next_pass = Instant::now();
        }
        self.shared.change(|state| {
            state.config_hash = hash;
            state.config_error = error;
            state.restart_required = restart_required;
        });
    }

    async fn talk(&mut self) {
        let config = self.shared.config();
        self.open_rows(&config);
        let pass = Instant::now() >= self.next_pass;
        let talked = match Admin::connect(&config.admin_socket).await {
            Ok(mut admin) => {
                let seeded = if pass { self.seed(&mut admin, &config).await } else { Ok(()) };
                match seeded {
                    Ok(()) => self.ask_status(&mut admin).await,
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        self.next_status = Instant::now() + self.shared.pace.status;
        match talked {
            Ok(()) => self.ready.ready(),
            Err(error) => {
                tracing::warn!(%error, "soju does not answer");
                self.ready.not_ready(error.to_string());
                self.shared.change(|state| state.answering = false);
                self.next_status = Instant::now() + self.shared.pace.tick;
                self.next_pass = self.next_pass.max(Instant::now() + self.shared.pace.tick);
            }
        }
        self.measure(&config).await;
    }

    fn open_rows(&mut self, config: &SidecarConfig) {
        if self.rows_for != config.prune {
            self.rows = open_rows(config);
            self.rows_for.clone_from(&config.prune);
        }
    }

    async fn seed(&mut self, admin: &mut Admin, config: &SidecarConfig) -> Result<(), AdminError> {
        self.shared.figures.passes.inc();
        // Until this pass has said otherwise, a new one is due.
        self.next_pass = Instant::now() + self.shared.pace.retry;
        let rows = match &self.rows {
            Some(rows) => match rows.users().await {
                Ok(users) => Some(users),
                Err(error) => {
                    tracing::warn!(%error, "soju's tables cannot be read: less is seen of what has drifted");
                    None
                }
            },
            None => None,
        };
        let seen = seed::look(admin, &config.users, rows.as_ref()).await?;
        self.memory.settle(&seen);
        let users_may_sleep = self.reload.users_may_sleep();
        let rules = Rules { policy: config.seed_policy, users_may_sleep };
        let plan = seed::plan(rules, &config.users, &seen, &self.memory);
        let report = seed::carry_out(admin, &plan, &mut self.memory).await?;
        for outcome in &report.outcomes {
            if outcome.done {
                tracing::info!("{}", outcome.words);
            } else {
                tracing::warn!("{}", outcome.words);
            }
        }
        let errors = report.errors();
        self.shared.figures.seed_failures.inc_by(u64::try_from(errors.len()).unwrap_or_default());
        if errors.is_empty() {
            self.next_pass = Instant::now() + self.shared.pace.pass;
        }
        self.shared.change(|state| {
            state.seeded = errors.is_empty();
            state.seed_errors = errors;
        });
        Ok(())
    }

    async fn ask_status(&mut self, admin: &mut Admin) -> Result<(), AdminError> {
        let lines = admin.run(&Command::new("server status")).await?;
        let Some(status) = lines.iter().find_map(|line| status::server(line)) else {
            return Err(AdminError::Strange("the status of the server has another form".to_owned()));
        };
        let mut counts = BTreeMap::new();
        for user in
            admin.run(&Command::new("user status")).await?.iter().filter_map(|line| status::user(line))
        {
            match admin.run(&Command::run_as(&user.username, "network status")?).await {
                Ok(lines) => {
                    for network in lines.iter().filter_map(|line| status::network(line)) {
                        *counts.entry(network.state).or_default() += 1;
                    }
                }
                // Deleted a moment ago.
                Err(AdminError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.shared.figures.show_networks(&counts);
        self.shared.change(|state| {
            state.answering = true;
            state.users = status.users;
            state.downstreams = status.downstreams;
            state.upstreams = status.upstreams;
            state.networks = status.networks;
        });
        Ok(())
    }

    async fn measure(&self, config: &SidecarConfig) {
        let Some(rows) = &self.rows else {
            self.shared.change(|state| {
                (state.storage_bytes, state.oldest_message, state.over_quota) = (None, None, false);
            });
            return;
        };
        match rows.measure().await {
            Ok(measure) => self.shared.change(|state| {
                state.storage_bytes = Some(measure.bytes);
                state.oldest_message = measure.oldest;
                state.over_quota = config.storage_bytes.is_some_and(|most| measure.bytes > most);
            }),
            Err(error) => tracing::warn!(%error, "messages cannot be measured"),
        }
    }
}

fn open_rows(config: &SidecarConfig) -> Option<Rows> {
    let opened = Rows::open(config.prune.as_ref()?);
    opened.inspect_err(|error| tracing::error!(%error, "soju's database cannot be opened")).ok()
}

async fn prune_forever(shared: Shared) {
    loop {
        let config = shared.config();
        let mut pause = shared.pace.prune;
        if let (Some(days), Some(rows)) = (config.retention_days, open_rows(&config)) {
            let outcome = prune(&shared, &rows, days).await;
            if outcome.is_err() {
                pause = shared.pace.retry;
                shared.figures.prune_failures.inc();
            }
            let words = outcome.err().map(|error| {
                tracing::warn!(%error, "old messages are not all deleted");
                "the database could not be asked to delete old messages; it is tried again".to_owned()
            });
            shared.change(|state| state.prune_error = words);
        }
        tokio::time::sleep(pause).await;
    }
}

async fn prune(shared: &Shared, rows: &Rows, days: u32) -> Result<(), sqlx::Error> {
    let cutoff = cutoff(OffsetDateTime::now_utc(), days);
    let all = rows
        .prune(&cutoff, |batch| {
            shared.figures.count_pruned(batch);
            shared.change(|state| state.pruned += batch.messages);
        })
        .await?;
    if all.messages > 0 {
        tracing::info!(messages = all.messages, batches = all.batches, "deleted old messages");
    }
    Ok(())
}
