//! The three programs of the control plane, and the files they need.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;
use tempfile::TempDir;

use super::pki::{Authority, Leaf};
use crate::process::Process;
use crate::{net, parts, watch};

/// How long a control plane may take to become ready on a busy machine.
const START: Duration = Duration::from_secs(90);

/// How long it may take to stop: it waits a minute for requests under way.
const STOP: Duration = Duration::from_secs(70);

/// Nothing of the control plane's own; one line a request of everybody else, once it is answered.
const AUDIT_POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted, Panic]
rules:
  - level: None
    users: ['system:apiserver', 'system:kube-controller-manager']
  - level: Metadata
";

/// The controllers that run: what the operators' objects need to come to life and to go away.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,deployment-controller,\
replicaset-controller,statefulset-controller,serviceaccount-controller,disruption-controller,job-controller,\
cronjob-controller,ttl-after-finished-controller,endpointslice-controller";

/// A running control plane. It ends with its handle.
pub struct Plane {
    // The order is the order of their end: a server before the store it writes to.
    manager: Mutex<Option<Process>>,
    api: Option<Process>,
    etcd: Option<Process>,
    authority: Authority,
    ports: Ports,
    folder: TempDir,
}

#[derive(Clone, Copy)]
struct Ports {
    etcd: u16,
    peer: u16,
    api: u16,
}

impl Plane {
    /// Starts etcd, kube-apiserver and kube-controller-manager; the API server answers when this returns.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("kube-").tempdir()?;
        watch::folder(folder.path());
        let files = folder.path();
        let authority = Authority::new("cluster-ca", files)?;
        let tokens = rcgen::KeyPair::generate()?;
        std::fs::write(files.join("tokens.key"), tokens.serialize_pem())?;
        std::fs::write(files.join("tokens.pub"), tokens.public_key_pem())?;
        std::fs::write(files.join("audit-policy.yaml"), AUDIT_POLICY)?;
        let names = ["localhost", "127.0.0.1", "10.96.0.1", "kubernetes.default.svc"].map(str::to_owned);
        authority.server("kube-apiserver", &names)?.write(files, "server")?;
        let ports = Ports { etcd: net::free_port()?, peer: net::free_port()?, api: net::free_port()? };
        let mut plane = Self { manager: Mutex::new(None), api: None, etcd: None, authority, ports, folder };
        plane.start_etcd()?;
        plane.start_api().await?;
        plane.start_manager()?;
        Ok(plane)
    }

    /// Where the API server listens.
    pub fn address(&self) -> SocketAddr {
        net::loopback(self.ports.api)
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process ids of what runs now.
    pub fn processes(&self) -> Vec<u32> {
        let manager = self.manager();
        [&self.etcd, &self.api, &*manager].into_iter().flatten().map(Process::id).collect()
    }

    /// The authority that the API server's certificate and the clients' are under.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What the API server printed so far.
    pub fn api_output(&self) -> String {
        self.api.as_ref().map(Process::output).unwrap_or_default()
    }

    /// A kubeconfig for a client with a certificate.
    pub fn certificate_config(&self, leaf: &Leaf) -> serde_json::Value {
        let user = json!({
            "client-certificate-data": base64(leaf.certificate.as_bytes()),
            "client-key-data": base64(leaf.key.as_bytes()),
        });
        self.config(&user, self.address())
    }

    /// A kubeconfig for a client with a bearer token, which finds the API server at `server`.
    pub fn token_config(&self, token: &str, server: SocketAddr) -> serde_json::Value {
        self.config(&json!({ "token": token }), server)
    }

    fn config(&self, user: &serde_json::Value, server: SocketAddr) -> serde_json::Value {
        let server = format!("https://{server}");
        let authority = base64(self.authority.pem().as_bytes());
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": { "server": server, "certificate-authority-data": authority } }],
            "users": [{ "name": "test", "user": user }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
            "current-context": "test",
        })
    }

    /// Stops the API server, gently or not; what it stored stays.
    pub fn stop_api(&mut self, kill: bool) -> Result<()> {
        if let Some(mut api) = self.api.take() {
            if kill {
                api.kill()?;
            } else {
                api.stop(STOP)?;
            }
        }
        Ok(())
    }

    fn manager(&self) -> MutexGuard<'_, Option<Process>> {
        self.manager.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the controllers with SIGKILL.
    pub fn stop_manager(&self) -> Result<()> {
        self.manager().take().map_or(Ok(()), |mut manager| manager.kill())
    }

    /// Stops the controllers, if they run, and starts them again: they look for new kinds when they start, and then only
    /// every 30 seconds. Until then nothing is collected whose owner is of a new kind.
    pub fn restart_manager(&self) -> Result<()> {
        if self.manager().is_none() {
            return Ok(());
        }
        self.stop_manager()?;
        self.start_manager()
    }

    fn start_etcd(&mut self) -> Result<()> {
        let Ports { etcd, peer, .. } = self.ports;
        let (client, peer) = (format!("http://127.0.0.1:{etcd}"), format!("http://127.0.0.1:{peer}"));
        let mut command = Command::new(program("etcd")?);
        // Nothing here outlives the machine: no need to wait for its disk.
        command.args(["--unsafe-no-fsync", "--log-level=warn", "--snapshot-count=10000", "--data-dir"]);
        command.arg(self.folder().join("etcd"));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("default={peer}"), "--quota-backend-bytes=8589934592"]);
        let process = Process::spawn(&mut command, &self.folder().join("etcd.log"))?;
        net::wait_for_port(etcd, START).with_context(|| process.output())?;
        self.etcd = Some(process);
        Ok(())
    }

    /// Starts the API server, where it was before, and waits until it is ready.
    pub async fn start_api(&mut self) -> Result<()> {
        if self.api.is_some() {
            return Ok(());
        }
        let Ports { etcd, api, .. } = self.ports;
        let file = |name: &str| self.folder().join(name).display().to_string();
        let mut command = Command::new(program("kube-apiserver")?);
        command.args([
            format!("--etcd-servers=http://127.0.0.1:{etcd}"),
            format!("--secure-port={api}"),
            "--bind-address=127.0.0.1".into(),
            format!("--cert-dir={}", file("")),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--client-ca-file={}", self.authority.file().display()),
            "--authorization-mode=RBAC".into(),
            "--allow-privileged=true".into(),
            // A Pod gets no token it did not ask for, so that its fields are those that were written.
            "--disable-admission-plugins=ServiceAccount".into(),
            "--endpoint-reconciler-type=none".into(),
            // There is no proxy for Services: webhooks are asked at their Pods.
            "--enable-aggregator-routing=true".into(),
            "--service-cluster-ip-range=10.96.0.0/12".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-key-file={}", file("tokens.pub")),
            format!("--service-account-signing-key-file={}", file("tokens.key")),
            format!("--audit-policy-file={}", file("audit-policy.yaml")),
            format!("--audit-log-path={}", file("audit.log")),
            // A line is there before its answer is, and the file is never rotated away under a test.
            "--audit-log-mode=blocking".into(),
            "--audit-log-maxsize=100000".into(),
            "--shutdown-delay-duration=0s".into(),
        ]);
        let count = std::fs::read_dir(self.folder())?.count();
        self.api =
            Some(Process::spawn(&mut command, &self.folder().join(format!("kube-apiserver-{count}.log")))?);
        let ready = self.wait_until_ready().await;
        ready.with_context(|| self.api_output())
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let client = super::access::client(self.admin_config()?).await?;
        let end = tokio::time::Instant::now() + START;
        loop {
            let request = http_get("/readyz")?;
            if let Ok(Ok(_)) =
                tokio::time::timeout(Duration::from_secs(5), client.request_text(request)).await
            {
                return Ok(());
            }
            if !self.api.as_mut().is_some_and(Process::is_running) {
                bail!("kube-apiserver ended before it was ready");
            }
            if tokio::time::Instant::now() > end {
                bail!("kube-apiserver was not ready within {START:?}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Starts the controllers.
    pub fn start_manager(&self) -> Result<()> {
        let mut manager = self.manager();
        if manager.is_some() {
            return Ok(());
        }
        let leaf = self.authority.client("system:kube-controller-manager", &["system:masters"])?;
        let config = self.folder().join("manager.json");
        std::fs::write(&config, self.certificate_config(&leaf).to_string())?;
        let mut command = Command::new(program("kube-controller-manager")?);
        command.arg("--kubeconfig").arg(&config);
        command.args([
            &format!("--controllers={CONTROLLERS}"),
            "--leader-elect=false",
            // No door of its own: nobody asks it for anything.
            "--secure-port=0",
            "--concurrent-namespace-syncs=20",
            // It is one client of a server that serves nobody else.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]);
        *manager = Some(Process::spawn(&mut command, &self.folder().join("kube-controller-manager.log"))?);
        Ok(())
    }

    /// A kubeconfig of the administrator.
    pub fn admin_config(&self) -> Result<serde_json::Value> {
        Ok(self.certificate_config(&self.authority.client("admin", &["system:masters"])?))
    }
}

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>> {
    Ok(http::Request::get(path).body(Vec::new())?)
}

fn program(name: &str) -> Result<PathBuf> {
    let folder = parts::kubernetes_binaries()
        .context("the Kubernetes control plane is missing: run tools/parts test")?;
    Ok(folder.join(name))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
