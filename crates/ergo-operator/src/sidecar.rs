//! What runs beside Ergo in its Pod: `ircnow ergo-sidecar --config FILE`.
//!
//! It has Ergo read its configuration anew when the files changed ([`reload`]), asks Ergo how it is ([`door`]), answers
//! Ergo's questions about addresses and passwords ([`answers`]), and serves figures and state ([`serve`]). It holds no
//! credentials for the API server.

pub mod answers;
pub mod config;
pub mod door;
pub mod install;
pub(crate) mod oper;
pub mod reload;
pub mod serve;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

pub use config::{Door, Introspection, Rehash, SidecarConfig, SidecarState, config_hash};
use door::Server;
use service::shutdown::Shutdown;

/// Why the sidecar cannot run.
#[derive(Debug, thiserror::Error)]
pub enum SidecarError {
    /// The configuration cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration says nothing.
    #[error("{path} is no configuration of this sidecar (is the operator newer?): {source}")]
    Invalid {
        /// Which file.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
    /// Nothing can be served.
    #[error("{what} cannot be opened: {source}")]
    Listen {
        /// What.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// The way to Ergo or to the issuer.
    #[error("no HTTP client: {0}")]
    Http(#[from] service::http::HttpError),
}

/// What is known, shared by everything that asks.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<RwLock<SidecarState>>);

impl Shared {
    /// What is known now.
    pub fn get(&self) -> SidecarState {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes it.
    pub fn change(&self, change: impl FnOnce(&mut SidecarState)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// How often Ergo is asked, and files are looked at.
const PERIOD: Duration = Duration::from_secs(2);

/// In how many of those looks an operator's connection is made, or accounts are counted, once.
const SELDOM: u64 = 15;

/// Runs until the process ends.
pub async fn run(path: &std::path::Path, shutdown: Shutdown) -> Result<(), SidecarError> {
    let config = config::read(path)?;
    // What Ergo beside us was started with: a later file with another mark is for the next Pod.
    let mark = config.restart_mark.clone();
    let shared = Shared::default();
    shared.change(|state| state.restart_mark = mark.clone());
    let listener = tokio::net::TcpListener::bind(config.listen).await;
    let listener =
        listener.map_err(|source| SidecarError::Listen { what: config.listen.to_string(), source })?;
    let live = answers::Live::new(config.clone(), shared.clone())?;
    answers::start(&live, &shutdown)?;
    {
        let (shared, shutdown) = (shared.clone(), shutdown.clone());
        let serving = serve::run(listener, shared, shutdown.clone());
        shutdown.spawn_until("sidecar figures", serving);
    }
    let mut watch = reload::Watch::new(path.to_owned(), mark);
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut turned_away = 0;
    for look in 0_u64.. {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = tick.tick() => {}
        }
        let config = watch.config(&live);
        let server = Server::of(&config.door)?;
        let seldom = look.is_multiple_of(SELDOM);
        let state = shared.get();
        // Somebody was turned away by what may be an old count.
        let refused = state.turned_away != turned_away;
        turned_away = state.turned_away;
        if seldom || refused || matches!(server, Server::Api { .. }) || !state.answering {
            observe(&server, &shared, &config, seldom).await;
        }
        watch.reload(&server, &shared).await;
    }
    Ok(())
}

/// Asks Ergo how it is.
async fn observe(server: &Server, shared: &Shared, config: &SidecarConfig, seldom: bool) {
    let status = server.status(seldom).await;
    let bytes = reload::folder_bytes(&config.data_dir);
    shared.change(|state| {
        state.clients = config.clients;
        state.storage_bytes = Some(bytes);
        match status {
            Ok(status) => {
                state.answering = true;
                state.version = status.version.or(state.version.take());
                state.started_at = status.started_at.or(state.started_at);
                state.users = status.users;
                state.max_users = status.max_users;
                state.channels = status.channels;
                state.accounts = status.accounts.or(state.accounts);
                state.admitted = 0;
            }
            Err(error) => {
                tracing::debug!(%error, "ergo does not answer");
                state.answering = false;
            }
        }
        state.full = config.clients.is_some_and(|most| state.users >= most);
    });
}
