//! A Kubernetes control plane for tests: etcd, kube-apiserver and kube-controller-manager, with RBAC on.
//!
//! ```ignore
//! part!(Kubernetes);                                     // skips, or fails with CI set, where it is missing
//! let cluster = Cluster::shared().await?;                // one a test process, up in about four seconds
//! cluster.define(&[SojuBouncer::crd()]).await?;          // ours
//! cluster.install(Kinds::CERT_MANAGER | Kinds::CLOUDNATIVE_PG).await?;
//! let space = cluster.namespace("seeds").await?;         // enforces `restricted`, deleted with its handle
//! let admin = cluster.admin().await?;                    // a client that may do everything
//! cluster.apply(manifests, Some(space.name())).await?;   // the YAML of deploy/
//! let operator = cluster.as_service_account(space.name(), "soju-operator").await?;
//! let file = cluster.kubeconfig(space.name(), "soju-operator").await?;   // for a process: KUBECONFIG=file
//! let standin = Standin::start(cluster, &[space.name()]).await?;         // cert-manager and CloudNativePG
//! ```
//!
//! A test that stops the API server ([`Cluster::stop_api`]), kills it ([`Cluster::kill_api`]) or needs a kind to be
//! missing takes a cluster of its own with [`Cluster::start`]: those methods want `&mut`, and [`Cluster::shared`] gives
//! none.
//!
//! A test in which one client alone loses its watches or the API server puts a proxy between:
//! [`Cluster::as_service_account_through`], [`Cluster::kubeconfig_through`].
//!
//! A `kube::Client` belongs to the runtime it is made in, and each `#[tokio::test]` has one of its own: ask for a client
//! in each test, never keep one in a static.
//!
//! No Pod gets a token it did not ask for, there is no scheduler and no kubelet: the module `node` runs Pods. What
//! [`Cluster::audit`] gives back and [`audit::unused`] compares shows a ClusterRole that allows too much.

pub mod access;
mod apply;
pub mod audit;
pub mod deeds;
pub mod inventory;
pub mod killed;
pub mod kinds;
pub mod namespace;
pub mod node;
pub mod pki;
mod plane;
mod pretender;
pub mod stage;
pub mod standin;

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

pub use inventory::Inventory;
pub use kinds::Kinds;
pub use namespace::Namespace;
pub use pretender::Pretender;
pub use stage::Stage;
pub use standin::{Mood, Standin};

use plane::Plane;

/// A running control plane. Its programs end with it, and with the test process at the latest.
pub struct Cluster {
    plane: Plane,
    admin: Value,
    /// The kinds of others that are served. Definitions are installed one caller at a time: two would fight over nothing.
    installed: Mutex<Kinds>,
}

impl Cluster {
    /// The control plane all tests of this process share.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// A control plane of one's own: four seconds and 400 MB.
    pub async fn start() -> Result<Self> {
        let mut last = None;
        // A port that was free may be taken before a program binds it.
        for _ in 0..3 {
            match Plane::start().await {
                Ok(plane) => {
                    let admin = plane.admin_config()?;
                    return Ok(Self { plane, admin, installed: Mutex::new(Kinds::NONE) });
                }
                Err(error) if format!("{error:#}").contains("address already in use") => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.context("no attempt was made")?)
    }

    /// Where the API server listens, with TLS.
    pub fn address(&self) -> SocketAddr {
        self.plane.address()
    }

    /// The certificate of the authority the API server's certificate is under (PEM).
    pub fn authority_pem(&self) -> &str {
        self.plane.authority().pem()
    }

    /// The process ids of etcd, the API server and the controllers, as far as they run.
    pub fn processes(&self) -> Vec<u32> {
        self.plane.processes()
    }

    /// Stops the API server as an upgrade would: requests under way are answered, watches end.
    pub fn stop_api(&mut self) -> Result<()> {
        self.plane.stop_api(false)
    }

    /// Kills the API server with SIGKILL: connections break.
    pub fn kill_api(&mut self) -> Result<()> {
        self.plane.stop_api(true)
    }

    /// Starts the API server again, at the same address and with what it stored, and waits until it is ready.
    pub async fn start_api(&mut self) -> Result<()> {
        self.plane.start_api().await
    }

    /// Kills the controllers: nothing is garbage-collected and no Deployment makes Pods until they are started again.
    pub fn kill_controllers(&mut self) -> Result<()> {
        self.plane.stop_manager()
    }

    /// Starts the controllers again.
    pub fn start_controllers(&mut self) -> Result<()> {
        self.plane.start_manager()
    }
}
