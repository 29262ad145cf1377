//! Hosted networks of `ircnow up`: each an Ergo process of its own, in a folder of its own, on ports of its own.

mod config;
mod doorkeeper;
mod members;
mod network;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use contracts::{Accounts, HostedId, HostedState};
use futures_util::stream::BoxStream;
use hosting::{Host, HostError, States, Wanted};
use service::dialer::Guarded;
use service::shutdown::Shutdown;
use service::tls::ReloadingCert;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::network::{Network, Order};
use crate::server;

const NO_ERGO: &str = "There is no Ergo on this machine to run networks with. Install it (apt-get install ergochat, or https://ergo.chat) and start irc.now again.";

/// What every network of this machine needs.
pub struct Machine {
    /// Where the folders of all networks are.
    pub folder: PathBuf,
    /// What clients are told to connect to.
    pub host: String,
    /// The certificate of this machine: the files of its chain and its key.
    pub files: (PathBuf, PathBuf),
    /// The same, as it was read last.
    pub certificate: Arc<ReloadingCert>,
    /// Takes bouncers of this machine to its networks.
    pub dialer: Guarded,
    /// Who knows the members.
    pub accounts: Arc<dyn Accounts>,
    /// The end of the process.
    pub shutdown: Shutdown,
}

/// The networks of this machine.
pub struct Processes {
    machine: Arc<Machine>,
    program: Option<config::Program>,
    states: States<HostedId, HostedState>,
    running: Mutex<BTreeMap<HostedId, Running>>,
}

struct Running {
    orders: watch::Sender<Order>,
    task: JoinHandle<()>,
}

impl Processes {
    /// Looks for Ergo. Nothing runs yet.
    pub fn new(machine: Machine) -> Self {
        let program = server::ergo().and_then(|path| {
            config::Program::at(path, &machine)
                .inspect_err(|error| {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "the Ergo of this machine cannot run networks"
                    );
                })
                .ok()
        });
        Self { machine: Arc::new(machine), program, states: States::default(), running: Mutex::default() }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<HostedId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, id: HostedId) -> PathBuf {
        self.machine.folder.join(id.0.simple().to_string())
    }
}

#[async_trait]
impl Host for Processes {
    async fn refuses(&self) -> Option<String> {
        self.program.is_none().then(|| NO_ERGO.to_owned())
    }

    async fn keep(&self, wanted: Wanted) -> Result<(), HostError> {
        let Some(program) = self.program.clone() else {
            return if wanted.stopped { Ok(()) } else { Err(HostError(NO_ERGO.to_owned())) };
        };
        let mut running = self.running();
        if let Some(running) = running.get(&wanted.id).filter(|running| !running.task.is_finished()) {
            // The same wish again starts nothing anew.
            running.orders.send_if_modified(|order| {
                let wish = Order::Keep(Box::new(wanted));
                let other = *order != wish;
                *order = wish;
                other
            });
            return Ok(());
        }
        let id = wanted.id;
        let (orders, taken) = watch::channel(Order::Keep(Box::new(wanted)));
        let network =
            Network::new(id, Arc::clone(&self.machine), program, self.folder(id), self.states.clone());
        let task = self.machine.shutdown.spawn("hosted network", network.run(taken));
        running.insert(id, Running { orders, task });
        Ok(())
    }

    async fn remove(&self, id: HostedId) -> Result<(), HostError> {
        let running = self.running().remove(&id);
        if let Some(Running { orders, task }) = running {
            orders.send_replace(Order::Stop);
            let _ = task.await;
        }
        let folder = self.folder(id);
        let removed = tokio::task::spawn_blocking(move || {
            // One that outlived a killed `up` and was never kept since.
            if let Some((mut left, _)) = server::ServerProcess::adopt(&folder) {
                left.stop();
            }
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        })
        .await;
        self.states.forget(id);
        match removed.map_err(std::io::Error::other).and_then(|removed| removed) {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::warn!(network = %id, %error, "the folder of a hosted network cannot be deleted");
                Err(HostError(
                    "What the network kept cannot be deleted right now. It is tried again.".to_owned(),
                ))
            }
        }
    }

    fn states(&self) -> BoxStream<'static, (HostedId, HostedState)> {
        self.states.changes()
    }
}
