//! A real soju, and a PostgreSQL database or a SQLite file for it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crds::sidecar::{PruneTarget, Sealed, SidecarConfig};
use crds::soju::SeedPolicy;
use soju_sidecar::admin::Admin;
use testkit::wait::PATIENCE;
use testkit::{Part, Process, eventually, net};

/// Both versions that must work, those that are there.
pub fn versions() -> Vec<Part> {
    [Part::Soju, Part::SojuTrixie].into_iter().filter(|part| part.find_or_skip().is_some()).collect()
}

pub struct Soju {
    pub folder: tempfile::TempDir,
    pub port: u16,
    pub metrics_port: u16,
    part: Part,
    database: Option<String>,
    process: Process,
    /// How long its log was when it served.
    served: AtomicUsize,
}

impl Soju {
    /// With a SQLite file.
    pub async fn start(part: Part) -> Self {
        Self::start_on(part, None).await
    }

    /// With this PostgreSQL database.
    pub async fn start_on(part: Part, database: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, metrics_port) = (net::free_port().unwrap(), net::free_port().unwrap());
        write_config(folder.path(), port, metrics_port, database.as_deref(), "");
        let process = launch(part, folder.path());
        let soju = Self { folder, port, metrics_port, part, database, process, served: AtomicUsize::new(0) };
        soju.wait().await;
        soju
    }

    /// One that was never started: its own tool makes the tables and alice, then `work` is done to them, then it starts.
    pub async fn start_after<F: Future>(
        part: Part,
        database: Option<String>,
        work: impl FnOnce(PruneTarget) -> F,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, metrics_port) = (net::free_port().unwrap(), net::free_port().unwrap());
        write_config(folder.path(), port, metrics_port, database.as_deref(), "");
        let tool = part.find().unwrap().with_file_name("sojudb");
        let mut made = Command::new(tool)
            .arg("-config")
            .arg(folder.path().join("conf"))
            .args(["create-user", "alice"])
            .stdin(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut made.stdin.take().unwrap(), b"nobody knows").unwrap();
        assert!(made.wait().unwrap().success());
        work(target(folder.path(), database.as_deref())).await;
        let process = launch(part, folder.path());
        let soju = Self { folder, port, metrics_port, part, database, process, served: AtomicUsize::new(0) };
        soju.wait().await;
        soju
    }

    /// Ends it; its rows stay.
    pub fn stop(&mut self) {
        self.process.stop(PATIENCE).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn wait(&self) {
        net::wait_for_irc(self.port, PATIENCE).unwrap();
        self.served.store(self.process.output().len(), Ordering::Relaxed);
        eventually("soju listens", || async { Admin::connect(&self.path("admin")).await.ok() }).await;
    }

    pub async fn admin(&self) -> Admin {
        Admin::connect(&self.path("admin")).await.unwrap()
    }

    pub fn target(&self) -> PruneTarget {
        target(self.folder.path(), self.database.as_deref())
    }

    /// What the operator would write for it.
    pub fn sidecar(&self, seed_policy: SeedPolicy) -> SidecarConfig {
        SidecarConfig {
            admin_socket: self.path("admin"),
            listen: net::loopback(0),
            soju_metrics: Some(format!("http://localhost:{}/metrics", self.metrics_port)),
            soju_config: self.path("conf"),
            version: String::new(),
            seed_policy,
            users: Vec::new(),
            retention_days: None,
            prune: Some(self.target()),
            storage_bytes: None,
        }
    }

    /// Another line in its configuration.
    pub fn configure(&self, more: &str) {
        write_config(self.folder.path(), self.port, self.metrics_port, self.database.as_deref(), more);
    }

    /// What the entrypoint does: takes the request, if there is one, and sends the signal.
    pub fn take_reload(&self) -> bool {
        let taken = std::fs::remove_file(self.path("reload")).is_ok();
        if taken {
            let pid = self.process.id().to_string();
            assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
        }
        taken
    }

    pub async fn restart(&mut self) {
        self.process.stop(PATIENCE).unwrap();
        let _ = std::fs::remove_file(self.path("admin"));
        self.process = launch(self.part, self.folder.path());
        self.wait().await;
    }

    /// What it wrote since it serves. Before, it may fall over whoever looks whether it does.
    pub fn log(&self) -> String {
        self.process.output().split_off(self.served.load(Ordering::Relaxed))
    }
}

fn target(folder: &Path, database: Option<&str>) -> PruneTarget {
    match database {
        Some(url) => PruneTarget::Postgres(Sealed::new(url)),
        None => PruneTarget::Sqlite(folder.join("soju.db")),
    }
}

fn launch(part: Part, folder: &Path) -> Process {
    let mut command = Command::new(part.find().unwrap());
    command.arg("-config").arg(folder.join("conf"));
    Process::spawn(&mut command, &folder.join("log")).unwrap()
}

fn write_config(folder: &Path, port: u16, metrics_port: u16, database: Option<&str>, more: &str) {
    let at = |name: &str| folder.join(name).display().to_string();
    let database = match database {
        Some(url) => format!("postgres \"{url}?sslmode=disable\""),
        None => format!("sqlite3 {}", at("soju.db")),
    };
    let text = format!(
        "listen unix+admin://{}\nlisten http+prometheus://localhost:{metrics_port}\n\
         listen irc+insecure://127.0.0.1:{port}\nhostname bnc.test\ndb {database}\nmessage-store db\n{more}\n",
        at("admin")
    );
    std::fs::write(at("conf"), text).unwrap();
}
