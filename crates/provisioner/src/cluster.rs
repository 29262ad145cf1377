//! The cluster: found, followed, handed out as what hosting knows.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contracts::{Call, CallError, IrcServer, IrcServers, ServerAccess, ServerId, ServerKind, Sub};
use hosting::Host;
use hosting::HostError;
use hosting::dedicated::host::BouncerHost;
use kube::Client;
use service::health::Readiness;
use service::shutdown::Shutdown;
use uuid::Uuid;

use crate::bouncers::Bouncers;
use crate::config::Installation;
use crate::networks::Networks;

/// Why no cluster is found.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no configuration for one.
    #[error("no API server is found: run this in a Pod with a ServiceAccount, or set KUBECONFIG")]
    NoCluster(#[source] kube::Error),
}

/// The cluster.
pub struct Cluster {
    networks: Arc<Networks>,
    bouncers: Arc<Bouncers>,
}

impl Cluster {
    /// Finds the API server (by the Pod's ServiceAccount or `KUBECONFIG`), and follows what is there until the end.
    pub async fn connect(
        installation: Installation,
        gatekeeper: Arc<dyn IrcServers>,
        readiness: &Readiness,
        shutdown: &Shutdown,
    ) -> Result<Self, StartError> {
        let client = Client::try_default().await.map_err(StartError::NoCluster)?;
        let installation = Arc::new(installation);
        let doors = Doors::new(gatekeeper);
        let networks = Arc::new(Networks::new(&client, Arc::clone(&installation), doors.clone()));
        let bouncers = Arc::new(Bouncers::new(&client, installation, doors));
        let (of_networks, of_bouncers) = (readiness.part("networks"), readiness.part("bouncers"));
        shutdown.spawn_until("networks of the cluster", Arc::clone(&networks).follow(of_networks));
        shutdown.spawn_until("bouncers of the cluster", Arc::clone(&bouncers).follow(of_bouncers));
        Ok(Self { networks, bouncers })
    }

    /// What runs hosted networks.
    pub fn networks(&self) -> Arc<dyn Host> {
        Arc::clone(&self.networks) as Arc<dyn Host>
    }

    /// What runs dedicated bouncers.
    pub fn bouncers(&self) -> Arc<dyn BouncerHost> {
        Arc::clone(&self.bouncers) as Arc<dyn BouncerHost>
    }
}

/// Gatekeeper, as far as it has to know of servers.
#[derive(Clone)]
pub struct Doors {
    gatekeeper: Arc<dyn IrcServers>,
    /// Servers gatekeeper was told of by this process.
    told: Arc<Mutex<BTreeSet<Uuid>>>,
}

impl Doors {
    fn new(gatekeeper: Arc<dyn IrcServers>) -> Self {
        Self { gatekeeper, told: Arc::default() }
    }

    fn told(&self) -> MutexGuard<'_, BTreeSet<Uuid>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gatekeeper is to answer a server about these people. For who is suspended it takes nothing new; then nobody is to
    /// come in.
    pub async fn open(
        &self,
        owner: Sub,
        kind: ServerKind,
        uid: &str,
        access: ServerAccess,
        stopped: bool,
    ) -> Result<(), HostError> {
        let Ok(uid) = Uuid::try_parse(uid) else {
            return Err(HostError("The cluster gave no UID. It is tried again.".to_owned()));
        };
        if self.told().contains(&uid) {
            return Ok(());
        }
        let server = IrcServer { id: ServerId { kind, uid }, access, members: Vec::new() };
        match self.gatekeeper.put_irc_server(&Call::new(owner, "hosting"), server).await {
            Ok(()) => {
                self.told().insert(uid);
                Ok(())
            }
            Err(CallError::Forbidden { .. }) if stopped => Ok(()),
            Err(error) => Err(HostError(error.to_string())),
        }
    }

    /// Gatekeeper is to forget a server.
    pub async fn close(&self, owner: Sub, kind: ServerKind, uid: &str) -> Result<(), HostError> {
        let Ok(uid) = Uuid::try_parse(uid) else { return Ok(()) };
        self.told().remove(&uid);
        match self.gatekeeper.drop_irc_server(&Call::new(owner, "hosting"), ServerId { kind, uid }).await {
            // With the account its servers are forgotten too.
            Ok(()) | Err(CallError::NotFound { .. }) => Ok(()),
            Err(error) => Err(HostError(error.to_string())),
        }
    }
}
