//! Stands for the controllers of cert-manager and CloudNativePG, which a test has no room for.
//!
//! It serves the namespaces it is told, with a user of its own, from a thread of its own, until it is dropped. Each of
//! the two controllers works, is slow, fails, pretends or is missing, as the test says ([`Mood`]); a change of mood makes it
//! look at every object again.
//!
//! **cert-manager**: a Certificate whose Issuer (or ClusterIssuer) exists gets its Secret, signed by the stand-in's
//! authority ([`Standin::authority_pem`]), and the condition Ready. A Secret that is deleted or no longer fits is issued
//! anew; [`Standin::renew`] issues anew in place. As in the real one, a Secret outlives its Certificate.
//!
//! **CloudNativePG**: a Cluster becomes a real PostgreSQL on this machine with TLS and passwords on port 5432 of an
//! address of its own, the Services `<name>-rw`, `-ro` and `-r` (with an EndpointSlice, so that Pods of the test's node
//! reach it), the Secrets `<name>-app`, `<name>-ca` and, if `enableSuperuserAccess` says so, `<name>-superuser`. A
//! Database and a DatabaseRole are made in it, and taken away with their objects if their reclaim policy is `delete`.
//! What names a Cluster that is not in its own namespace is never looked at: no status, only an Event of the stand-in's.
//! A role that owns something stays Terminating until it owns nothing, and a database somebody is connected to likewise.

mod addresses;
mod certificates;
mod databases;
mod objects;
mod postgres;
mod roles;

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::Client;
use kube::runtime::events::Recorder;
use tempfile::TempDir;
use tokio::sync::{Mutex, watch};

use super::pki::Authority;
use super::{Cluster, access};
use objects::Kind;
use postgres::Instance;

/// How a controller is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// It does its work at once.
    #[default]
    Working,
    /// It waits this long before each look at an object.
    Slow(Duration),
    /// It says in each object's status that it cannot, with this message.
    Failing(String),
    /// Nobody looks at the objects.
    Missing,
    /// It says that everything is done and does nothing: for thousands of databases that nobody will use. Certificates
    /// are issued all the same, that is quick.
    Pretending,
}

/// How both controllers are.
#[derive(Clone, Debug, Default)]
struct Moods {
    cert_manager: Mood,
    cloudnative_pg: Mood,
}

/// The controllers' stand-in for some namespaces. It stops, with every PostgreSQL it started, when it is dropped.
pub struct Standin {
    state: Arc<State>,
    config: serde_json::Value,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// What the reconcilers share.
struct State {
    client: Client,
    events: Recorder,
    moods: watch::Receiver<Moods>,
    change: watch::Sender<Moods>,
    authority: Authority,
    instances: Mutex<HashMap<(String, String), Arc<Instance>>>,
    _folder: TempDir,
}

impl Standin {
    /// Starts the controllers for the objects in these namespaces. Kinds that are not served yet are looked for until
    /// they are.
    pub async fn start(cluster: &Cluster, namespaces: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("standin-").tempdir()?;
        crate::watch::folder(folder.path());
        let authority = Authority::new("standin-ca", folder.path())?;
        let leaf = cluster.plane.authority().client("standin", &["system:masters"])?;
        let config = cluster.plane.certificate_config(&leaf);
        let its_config = config.clone();
        let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        let (change, moods) = watch::channel(Moods::default());
        let (stop, stopped) = watch::channel(false);
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        // Not the test's runtime: it may be busy, or paused, or waiting in a blocking call for what is done here.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let thread = std::thread::Builder::new().name("standin".into()).spawn(move || {
            runtime.block_on(async move {
                let state = match access::client(its_config).await {
                    Ok(client) => Arc::new(State {
                        events: Recorder::new(client.clone(), "standin".into()),
                        client,
                        moods,
                        change,
                        authority,
                        instances: Mutex::default(),
                        _folder: folder,
                    }),
                    Err(error) => return drop(ready.send(Err(error))),
                };
                let _ = ready.send(Ok(Arc::clone(&state)));
                serve(&state, &namespaces, stopped).await;
                state.instances.lock().await.clear();
            });
        })?;
        let state = is_ready.await.context("the stand-in's thread ended")??;
        Ok(Self { state, config, stop, thread: Some(thread) })
    }

    /// How the controller of Certificates is from now on.
    pub fn cert_manager(&self, mood: Mood) {
        self.state.change.send_modify(|moods| moods.cert_manager = mood);
    }

    /// How the controllers of Clusters, Databases and DatabaseRoles are from now on.
    pub fn cloudnative_pg(&self, mood: Mood) {
        self.state.change.send_modify(|moods| moods.cloudnative_pg = mood);
    }

    /// The certificate of the authority every Certificate and every PostgreSQL is under (PEM).
    pub fn authority_pem(&self) -> &str {
        self.state.authority.pem()
    }

    /// Issues a Certificate anew in place, as `cmctl renew` does.
    pub async fn renew(&self, namespace: &str, name: &str) -> Result<()> {
        certificates::renew(access::client(self.config.clone()).await?, namespace, name).await
    }

    /// Runs SQL as the superuser in a database of a Cluster that is ready; what `psql -At` prints.
    pub async fn sql(&self, namespace: &str, cluster: &str, database: &str, sql: &str) -> Result<String> {
        let instance = self.state.instance(namespace, cluster).await;
        instance
            .with_context(|| format!("no PostgreSQL runs for {namespace}/{cluster}"))?
            .sql(database, sql)
            .await
    }

    /// The databases of a Cluster that is ready, without PostgreSQL's own.
    pub async fn databases(&self, namespace: &str, cluster: &str) -> Result<Vec<String>> {
        let sql =
            "select datname from pg_database where not datistemplate and datname <> 'postgres' order by 1";
        Ok(self.sql(namespace, cluster, "postgres", sql).await?.lines().map(str::to_owned).collect())
    }

    /// The roles of a Cluster that is ready, without PostgreSQL's own.
    pub async fn roles(&self, namespace: &str, cluster: &str) -> Result<Vec<String>> {
        let sql = "select rolname from pg_roles where rolname !~ '^pg_' and rolname <> 'postgres' order by 1";
        Ok(self.sql(namespace, cluster, "postgres", sql).await?.lines().map(str::to_owned).collect())
    }

    /// Where the PostgreSQL of a Cluster that is ready listens.
    pub async fn address(&self, namespace: &str, cluster: &str) -> Option<std::net::SocketAddr> {
        Some(self.state.instance(namespace, cluster).await?.address())
    }

    /// The process ids of every PostgreSQL that runs.
    pub async fn processes(&self) -> Vec<u32> {
        self.state.instances.lock().await.values().map(|instance| instance.id()).collect()
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(state: &Arc<State>, namespaces: &[String], stopped: watch::Receiver<bool>) {
    let mut controllers = tokio::task::JoinSet::new();
    for namespace in namespaces {
        for kind in Kind::ALL {
            controllers.spawn(objects::control(kind, Arc::clone(state), namespace.clone(), stopped.clone()));
        }
        controllers.spawn(postgres::end_with_clusters(Arc::clone(state), namespace.clone()));
    }
    let mut stopped = stopped;
    let _ = stopped.wait_for(|stop| *stop).await;
    // What is under way is cut off, as a killed controller is.
    controllers.shutdown().await;
}

impl State {
    async fn instance(&self, namespace: &str, cluster: &str) -> Option<Arc<Instance>> {
        self.instances.lock().await.get(&(namespace.to_owned(), cluster.to_owned())).cloned()
    }
}
