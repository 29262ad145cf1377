//! A node for tests: it takes Pods as a kubelet does and runs them with runc, on this machine, for root alone.
//!
//! ```ignore
//! let Some(node) = Node::start_or_skip(cluster, Options::default()).await? else { return Ok(()) };
//! // a Deployment of image "shell", "soju:0.11.1" or "ergo:2.18" now becomes ready
//! let address = node.pod_address("seeds", "web-0").await?;        // this process reaches it
//! let said = node.exec("seeds", "web-0", "main", &["cat", "/etc/hosts"]).await?;
//! let log = node.logs("seeds", "web-0", "main");
//! ```
//!
//! **Names.** There is neither DNS nor a proxy. Each Pod's hosts file names the Services of its namespace and of
//! [`Options::named_namespaces`] (`svc.ns.svc.cluster.local`, `svc.ns.svc`, `svc.ns`, and `svc` in its own namespace) by
//! the address of a ready Pod, so a client connects to that Pod itself: a Service's `port` must be its `targetPort`.
//! A Service without a selector is named by its EndpointSlices, which is how a test names a server of its own.
//!
//! **The host.** Pods reach this machine at [`Node::host`], by the name `host.testkit` and those of
//! [`Options::host_names`]. A server that listens on loopback only is shown to Pods by [`Node::expose`]. Pods reach
//! each other and the host, nothing else: no address of another machine, whatever a NetworkPolicy says.
//!
//! **The API server** is `https://kubernetes.default.svc` (`KUBERNETES_SERVICE_HOST` and `_PORT` say so), with token,
//! authority and namespace in `/var/run/secrets/kubernetes.io/serviceaccount` unless the Pod or its ServiceAccount says
//! `automountServiceAccountToken: false`: what a cluster's admission plugin would add to the Pod, the node does.
//!
//! **Images** are a table ([`Images`]): the host's tools and libraries, read-only, and a program.
//!
//! **What it does not do** it refuses, by an allow-list of every field ([`known`]): the Pod fails and an Event
//! `NotImplemented` names the field. Where it differs from a kubelet: containers that end wait shorter
//! ([`Options::back_off`]); no environment is made from Services (`enableServiceLinks`); a claim is a folder that goes with the node; an
//! `emptyDir` with a `sizeLimit` is a file system of that size; `RuntimeDefault` refuses a list of system calls;
//! tokens are renewed when a container starts.
//!
//! The pure parts: [`known`] (what is refused), [`plan`] (a Pod, read), [`machine`] (the life of its containers),
//! [`mod@env`] and [`volumes`] (what they see), [`hosts`] (whom they know), [`bundle`] (what runc is told), [`status`]
//! (what is told of them).

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod bundle;
mod claims;
pub mod env;
pub mod hosts;
pub mod images;
pub mod known;
pub mod machine;
mod network;
pub mod plan;
mod pod;
mod probe;
mod quantity;
mod runc;
mod scheduler;
mod shared;
mod slot;
pub mod status;
mod tree;
pub mod volumes;
mod world;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Output;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use k8s_openapi::api::core::v1::{Node as NodeObject, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub use images::{Image, Images};
pub use machine::BackOff;

use network::Network;
use runc::Runc;
use shared::{ContainerIndex, Shared};
use slot::Slot;
use world::World;

use super::Cluster;

/// How a node is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which namespaces' Pods and claims it takes; `None` is every one. Two nodes in one cluster must not share one.
    pub namespaces: Option<Vec<String>>,
    /// Namespaces whose Services stand in every Pod's hosts file, beside the Pod's own: where the databases are.
    pub named_namespaces: Vec<String>,
    /// More names for this machine in every hosts file.
    pub host_names: Vec<String>,
    /// What an image's name stands for.
    pub images: Images,
    /// How long containers that end wait: shorter than the kubelet's 10 s, so that tests see several restarts.
    pub back_off: BackOff,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespaces: None,
            named_namespaces: Vec::new(),
            host_names: Vec::new(),
            images: Images::standard(),
            back_off: BackOff { first: Duration::from_millis(500), most: Duration::from_secs(10) },
        }
    }
}

/// Where Pods find the API server, by the name `kubernetes.default.svc`.
const API_PORT: u16 = 443;

/// A running node. With it go its Pods' processes, their network and their data.
pub struct Node {
    slot: Arc<Slot>,
    containers: ContainerIndex,
    client: Client,
    runtime: tokio::runtime::Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    /// A node for the cluster's Pods, or `None` after one loud line where there can be none; an error where `CI` is set.
    pub async fn start_or_skip(cluster: &Cluster, options: Options) -> Result<Option<Self>> {
        if let Err(error) = slot::able() {
            if std::env::var_os("CI").is_some() {
                return Err(error);
            }
            println!("SKIPPED: {error:#}");
            return Ok(None);
        }
        Self::start(cluster, options).await.map(Some)
    }

    /// A node for the cluster's Pods. It lives on a thread and a runtime of its own, so that one test's end does not
    /// touch what another one uses.
    pub async fn start(cluster: &Cluster, options: Options) -> Result<Self> {
        slot::able()?;
        let kubeconfig = cluster.admin.clone();
        let client = super::access::client(kubeconfig.clone()).await?;
        let containers = ContainerIndex::default();
        let (ready, is_ready) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let index = Arc::clone(&containers);
        let thread = std::thread::Builder::new().name("node".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(live(kubeconfig, options, index, ready, stopped)),
                Err(error) => {
                    // The one who waits has gone only if the test has.
                    let _ = ready.send(Err(error.into()));
                }
            }
        })?;
        let (slot, runtime) = is_ready.await.context("the node's thread ended")??;
        Ok(Self { slot, containers, client, runtime, stop: Some(stop), thread: Some(thread) })
    }

    /// The name it binds Pods to.
    pub fn name(&self) -> String {
        self.slot.name()
    }

    /// This machine's address as Pods see it. A server listens there, or on all addresses, to be reached by them.
    pub fn host(&self) -> Ipv4Addr {
        self.slot.host()
    }

    /// Shows Pods a server that listens on loopback: whoever connects to the address that is given back, reaches it.
    /// The port is the same one.
    pub async fn expose(&self, port: u16) -> Result<SocketAddr> {
        self.expose_as(port, port).await
    }

    /// The same, on a port of choice.
    pub async fn expose_as(&self, loopback: u16, port: u16) -> Result<SocketAddr> {
        let address = SocketAddr::from((self.host(), port));
        self.runtime.spawn(forward(address, loopback)).await?
    }

    /// A Pod's address, as soon as it has one.
    pub async fn pod_address(&self, namespace: &str, pod: &str) -> Result<IpAddr> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let end = tokio::time::Instant::now() + crate::wait::PATIENCE;
        loop {
            let found = api.get_opt(pod).await?;
            if let Some(address) = found.and_then(|pod| pod.status?.pod_ip) {
                return Ok(address.parse()?);
            }
            if tokio::time::Instant::now() > end {
                return Err(anyhow!(
                    "Pod {namespace}/{pod} got no address within {:?}",
                    crate::wait::PATIENCE
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Everything a container printed, all its runs one after the other; it stays when the Pod is gone.
    pub fn logs(&self, namespace: &str, pod: &str, container: &str) -> String {
        let folder = shared::log_folder(self.slot.folder(), namespace, pod, container);
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = files.collect();
        files.sort();
        let texts = files.iter().map(|file| std::fs::read(file).unwrap_or_default());
        texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }

    /// Runs a command in a container once it runs, as the container's user and with its environment.
    pub async fn exec(&self, namespace: &str, pod: &str, container: &str, words: &[&str]) -> Result<Output> {
        let place = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        let end = tokio::time::Instant::now() + crate::wait::PATIENCE;
        let id = loop {
            let id = self.containers.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
            if let Some(id) = id {
                break id;
            }
            if tokio::time::Instant::now() > end {
                return Err(anyhow!("container {container} of {namespace}/{pod} does not run"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Runc::new(self.slot.containers()).exec(&id, &words, crate::wait::PATIENCE).await
    }

    /// What the command printed in the container; an error unless it ended with 0.
    pub async fn output(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        words: &[&str],
    ) -> Result<String> {
        let output = self.exec(namespace, pod, container, words).await?;
        anyhow::ensure!(
            output.status.success(),
            "{words:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Its thread may be gone already; then there is nothing to tell.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Carries connections to `address` on to a port of loopback, for as long as the node lives.
async fn forward(address: SocketAddr, loopback: u16) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut to) = TcpStream::connect((Ipv4Addr::LOCALHOST, loopback)).await {
                    // Either side may break off at any time.
                    let _ = copy_bidirectional(&mut from, &mut to).await;
                }
            });
        }
    });
    Ok(address)
}

type Ready = oneshot::Sender<Result<(Arc<Slot>, tokio::runtime::Handle)>>;

/// The node's life on its own thread.
async fn live(
    kubeconfig: Value,
    options: Options,
    containers: ContainerIndex,
    ready: Ready,
    stopped: oneshot::Receiver<()>,
) {
    let mut tasks = JoinSet::new();
    match begin(kubeconfig, options, containers, &mut tasks).await {
        Ok((slot, client, name)) => {
            let _ = ready.send(Ok((slot, tokio::runtime::Handle::current())));
            // Told, or the handle was leaked with its thread: both are the end.
            let _ = stopped.await;
            let nodes: Api<NodeObject> = Api::all(client);
            let parameters = DeleteParams::default();
            let delete = nodes.delete(&name, &parameters);
            let _ = tokio::time::timeout(Duration::from_secs(1), delete).await;
        }
        Err(error) => {
            let _ = ready.send(Err(error));
        }
    }
    tasks.shutdown().await;
}

async fn begin(
    kubeconfig: Value,
    options: Options,
    containers: ContainerIndex,
    tasks: &mut JoinSet<()>,
) -> Result<(Arc<Slot>, Client, String)> {
    let Options { namespaces, named_namespaces, mut host_names, images, back_off } = options;
    let names = [
        "host.testkit",
        "kubernetes.default.svc.cluster.local",
        "kubernetes.default.svc",
        "kubernetes.default",
    ];
    host_names.splice(0..0, names.map(str::to_owned));
    let slot = Arc::new(Slot::take()?);
    let network = Network::new(Arc::clone(&slot))?;
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let api = config.cluster_url.port_u16().context("the API server's address has no port")?;
    forward(SocketAddr::from((slot.host(), API_PORT)), api).await?;
    let authority = config.root_cert.iter().flatten().map(|der| pem(der)).collect();
    let world = World::follow(config, namespaces, tasks).await?;
    let client = world.client.clone();
    let name = slot.name();
    let labels = labels(&name);
    register(&client, &name, &labels, slot.host()).await?;
    let shared = Shared::new(
        world,
        images,
        network,
        &slot,
        named_namespaces,
        host_names,
        back_off,
        containers,
        authority,
    );
    let shared = Arc::new(shared);
    tasks.spawn(scheduler::serve(Arc::clone(&shared), labels));
    tasks.spawn(claims::serve(shared));
    Ok((slot, client, name))
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn labels(name: &str) -> BTreeMap<String, String> {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let labels = [
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture),
    ];
    labels.into_iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
}

/// Makes the Node object, which says that the node is ready.
async fn register(
    client: &Client,
    name: &str,
    labels: &BTreeMap<String, String>,
    host: Ipv4Addr,
) -> Result<()> {
    let nodes: Api<NodeObject> = Api::all(client.clone());
    let apply = PatchParams::apply("testkit-node").force();
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
    nodes.patch(name, &apply, &Patch::Apply(&node)).await.context("registering the node")?;
    let room = json!({"cpu": "64", "memory": "64Gi", "pods": "250"});
    let status = json!({"status": {
        "capacity": room,
        "allocatable": room,
        "addresses": [{"type": "InternalIP", "address": host.to_string()}, {"type": "Hostname", "address": name}],
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the test node runs"}],
        "nodeInfo": {
            "architecture": labels.get("kubernetes.io/arch"), "operatingSystem": "linux", "osImage": "testkit",
            "bootID": "", "containerRuntimeVersion": "runc", "kernelVersion": "", "kubeProxyVersion": "",
            "kubeletVersion": "testkit", "machineID": "", "systemUUID": "",
        },
    }});
    nodes.patch_status(name, &PatchParams::default(), &Patch::Strategic(&status)).await?;
    Ok(())
}
