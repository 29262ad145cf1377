//! A PostgreSQL cluster a test run, a database a test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::process::Process;
use crate::wait::PATIENCE;
use crate::{net, parts, watch};

/// A running cluster on a loopback port, trusting its local user `postgres`.
pub struct Cluster {
    process: Process,
    binaries: PathBuf,
    folder: TempDir,
    port: u16,
    databases: AtomicU32,
}

impl Cluster {
    /// Makes and starts a cluster of its own, for tests that stop and start it.
    pub fn start() -> Result<Self> {
        let binaries = parts::postgres_binaries().context("PostgreSQL is missing: run tools/parts test")?;
        let folder = tempfile::Builder::new().prefix("pg-").tempdir()?;
        watch::folder(folder.path());
        let data = folder.path().join("data");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()))?;
        }
        run(as_postgres(&binaries.join("initdb"))
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data))?;
        let port = net::free_port()?;
        let process = launch(&binaries, folder.path(), port)?;
        Ok(Self { process, binaries, folder, port, databases: AtomicU32::new(0) })
    }

    /// The URL of a new, empty database.
    pub fn database(&self) -> Result<String> {
        let name = format!("test_{}_{}", std::process::id(), self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        run(as_postgres(&self.binaries.join("createdb")).args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "postgres",
            &name,
        ]))?;
        Ok(format!("postgres://postgres@127.0.0.1:{port}/{name}"))
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server and starts it again on the same port with the same data.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        let _ = std::fs::remove_file(self.folder.path().join("data/postmaster.pid"));
        self.process = launch(&self.binaries, self.folder.path(), self.port)?;
        Ok(())
    }
}

/// The URL of a new, empty database in the cluster every test of this process shares.
pub fn database() -> Result<String> {
    static SHARED: OnceLock<Mutex<Option<Cluster>>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| Mutex::new(None));
    let mut cluster = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if cluster.is_none() {
        *cluster = Some(Cluster::start()?);
    }
    cluster.as_ref().context("no cluster")?.database()
}

/// Everything in a database as text: what its tables hold, binary columns in hexadecimal.
pub fn dump(url: &str) -> Result<String> {
    let binaries = parts::postgres_binaries().context("PostgreSQL is missing: run tools/parts test")?;
    let mut command = as_postgres(&binaries.join("pg_dump"));
    let output = command.args(["--data-only", "--inserts"]).arg(url).current_dir("/").output()?;
    ensure!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn launch(binaries: &Path, folder: &Path, port: u16) -> Result<Process> {
    let mut command = as_postgres(&binaries.join("postgres"));
    command
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .arg("-k")
        .arg(folder);
    command.args(["-c", "shared_buffers=32MB", "-c", "max_connections=200"]);
    let process = Process::spawn(&mut command, &folder.join(format!("log-{port}")))?;
    net::wait_for_port(port, PATIENCE).with_context(|| process.output())?;
    wait_until_ready(binaries, port).with_context(|| process.output())?;
    Ok(process)
}

fn wait_until_ready(binaries: &Path, port: u16) -> Result<()> {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let mut ready = Command::new(binaries.join("pg_isready"));
        if ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).status()?.success() {
            return Ok(());
        }
        ensure!(std::time::Instant::now() < end, "PostgreSQL takes no connections");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.current_dir("/").output().with_context(|| format!("running {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
