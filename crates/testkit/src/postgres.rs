//! A PostgreSQL cluster a test run, a database a test.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::process::Process;
use crate::wait::PATIENCE;
use crate::{net, parts, watch};

/// A running cluster, trusting its local user `postgres`.
pub struct Cluster {
    process: Process,
    binaries: PathBuf,
    folder: TempDir,
    options: Options,
    databases: AtomicU32,
}

/// How a cluster of one's own listens.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens.
    pub address: Ipv4Addr,
    /// The port; 0 is a free one.
    pub port: u16,
    /// Whether connections over TCP must give a password (SCRAM).
    pub passwords: bool,
    /// Certificate and key (PEM), if it is to speak TLS.
    pub tls: Option<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { address: Ipv4Addr::LOCALHOST, port: 0, passwords: false, tls: None }
    }
}

impl Cluster {
    /// Makes and starts a cluster of its own, for tests that stop and start it.
    pub fn start() -> Result<Self> {
        Self::start_with(Options::default())
    }

    /// Makes and starts a cluster that listens as told.
    pub fn start_with(mut options: Options) -> Result<Self> {
        let binaries = parts::postgres_binaries().context("PostgreSQL is missing: run tools/parts test")?;
        let folder = tempfile::Builder::new().prefix("pg-").tempdir()?;
        watch::folder(folder.path());
        give_to_postgres(folder.path())?;
        let data = folder.path().join("data");
        let over_tcp = if options.passwords { "--auth-host=scram-sha-256" } else { "--auth-host=trust" };
        run(as_postgres(&binaries.join("initdb"))
            .args(["--auth-local=trust", over_tcp, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"])
            .args(["--no-sync", "-D"])
            .arg(&data))?;
        if options.passwords {
            let rules = "local all all trust\nhost all all all scram-sha-256\n";
            std::fs::write(data.join("pg_hba.conf"), rules)?;
        }
        if let Some((certificate, key)) = &options.tls {
            for (name, text) in [("server.crt", certificate), ("server.key", key)] {
                let file = data.join(name);
                std::fs::write(&file, text)?;
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
                give_to_postgres(&file)?;
            }
        }
        if options.port == 0 {
            options.port = net::free_port()?;
        }
        let process = launch(&binaries, folder.path(), &options)?;
        Ok(Self { process, binaries, folder, options, databases: AtomicU32::new(0) })
    }

    /// The URL of a new, empty database.
    pub fn database(&self) -> Result<String> {
        let name = format!("test_{}_{}", std::process::id(), self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.options.port.to_string();
        run(as_postgres(&self.binaries.join("createdb")).args([
            "-h",
            &self.socket(),
            "-p",
            &port,
            "-U",
            "postgres",
            &name,
        ]))?;
        Ok(format!("postgres://postgres@{}:{port}/{name}", self.options.address))
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.options.port
    }

    /// Runs SQL as the superuser in one of its databases and gives what `psql` printed: a line a row, columns between
    /// `|`. The SQL is in no argument: it may hold passwords.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let mut command = Command::new(self.binaries.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-f", "-"]);
        command.args(["-h", &self.socket(), "-p", &self.options.port.to_string(), "-d", database]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("starting psql")?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(sql.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", said.trim().trim_start_matches("psql:<stdin>:"));
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The folder of its socket, where nobody needs a password.
    fn socket(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// Kills the server and starts it again on the same port with the same data.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        let _ = std::fs::remove_file(self.folder.path().join("data/postmaster.pid"));
        self.process = launch(&self.binaries, self.folder.path(), &self.options)?;
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

fn launch(binaries: &Path, folder: &Path, options: &Options) -> Result<Process> {
    let port = options.port.to_string();
    let mut command = as_postgres(&binaries.join("postgres"));
    command
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-h", &options.address.to_string(), "-p", &port])
        .arg("-k")
        .arg(folder);
    command.args(["-c", "shared_buffers=32MB", "-c", "max_connections=200"]);
    if options.tls.is_some() {
        command.args(["-c", "ssl=on"]);
    }
    let mut process = Process::spawn(&mut command, &folder.join(format!("log-{port}")))?;
    wait_until_ready(&mut process, binaries, folder, &port).with_context(|| process.output())?;
    Ok(process)
}

fn wait_until_ready(process: &mut Process, binaries: &Path, folder: &Path, port: &str) -> Result<()> {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let mut ready = Command::new(binaries.join("pg_isready"));
        if ready.args(["-q", "-p", port, "-h"]).arg(folder).status()?.success() {
            return Ok(());
        }
        ensure!(process.is_running(), "PostgreSQL ended before it took connections");
        ensure!(std::time::Instant::now() < end, "PostgreSQL takes no connections");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn give_to_postgres(path: &Path) -> Result<()> {
    if is_root() { run(Command::new("chown").arg("postgres").arg(path)) } else { Ok(()) }
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
