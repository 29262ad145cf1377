//! The local network of `ircnow up`: an Ergo or InspIRCd binary, if one is found, run as "localnet", so that a first
//! message needs nobody else. One that outlived a killed `up` is found by its pid file and adopted. One that dies while
//! `up` runs is started again (`supervisor`).

mod supervisor;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

pub use supervisor::Supervised;

const ERGO: &str = include_str!("localnet/ergo.yaml");
const INSPIRCD: &str = include_str!("localnet/inspircd.conf");

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(10);

/// Which server software was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Software {
    Ergo,
    InspIrcd,
}

/// The running local network.
pub struct LocalNetwork {
    /// Where it listens, in the clear, on loopback.
    pub address: SocketAddr,
    /// What runs it.
    pub software: &'static str,
    server: Server,
    folder: PathBuf,
}

/// The server's process: one that we started, or one that was there.
enum Server {
    Ours(Child),
    Adopted(Pid),
}

/// Finds a server, adopts a running one or starts it. `None` if there is no binary.
pub fn start(folder: &Path, port: u16) -> Result<Option<LocalNetwork>> {
    service::paths::private_folder(folder)?;
    if let Some(adopted) = adopt(folder) {
        tracing::info!(address = %adopted.address, "adopted the local network that outlived us");
        return Ok(Some(adopted));
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, if port == 0 { free_port()? } else { port }));
    start_at(folder, address)
}

/// Starts a server at this very address. `None` if there is no binary.
fn start_at(folder: &Path, address: SocketAddr) -> Result<Option<LocalNetwork>> {
    let Some((software, program)) = find() else { return Ok(None) };
    ensure!(
        TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err(),
        "something else listens on {address}: stop it, or set IRCNOW_UP_LOCAL_NETWORK_PORT to another port"
    );
    let child = launch(software, &program, folder, address)?;
    fs::write(folder.join("pid"), format!("{} {address}\n", child.id()))?;
    let server = Server::Ours(child);
    let mut network = LocalNetwork { address, software: software.name(), server, folder: folder.to_owned() };
    network.wait_until_it_listens()?;
    Ok(Some(network))
}

impl Software {
    const fn name(self) -> &'static str {
        match self {
            Self::Ergo => "Ergo",
            Self::InspIrcd => "InspIRCd",
        }
    }
}

impl Server {
    fn pid(&self) -> Option<Pid> {
        match self {
            Self::Ours(child) => Pid::from_raw(child.id().cast_signed()),
            Self::Adopted(pid) => Some(*pid),
        }
    }

    fn is_alive(&mut self) -> bool {
        match self {
            // A child that ended stays a zombie until it is waited for, which this does.
            Self::Ours(child) => matches!(child.try_wait(), Ok(None)),
            Self::Adopted(pid) => {
                let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
                stat.unwrap_or_default().rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
            }
        }
    }
}

impl LocalNetwork {
    /// Whether its server still runs.
    fn is_alive(&mut self) -> bool {
        self.server.is_alive()
    }

    /// Asks the server to stop and waits for it a moment.
    fn stop(&mut self) {
        if let Some(pid) = self.server.pid().filter(|_| self.server.is_alive()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + Duration::from_secs(3);
        while self.is_alive() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = fs::remove_file(self.folder.join("pid"));
    }

    fn wait_until_it_listens(&mut self) -> Result<()> {
        let end = Instant::now() + START;
        while TcpStream::connect_timeout(&self.address, Duration::from_millis(200)).is_err() {
            if Instant::now() > end || !self.is_alive() {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                let last = log.lines().last().unwrap_or("it said nothing").to_owned();
                self.stop();
                bail!("{} does not listen on {}: {last}", self.software, self.address);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn adopt(folder: &Path) -> Option<LocalNetwork> {
    let text = fs::read_to_string(folder.join("pid")).ok()?;
    let (pid, address) = text.trim().split_once(' ')?;
    let pid = Pid::from_raw(pid.parse().ok()?)?;
    // A pid is used again sooner or later: only a process that was started with our folder's configuration is ours.
    let command = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).ok()?;
    let command = String::from_utf8_lossy(&command).into_owned();
    let ours = command.contains(&folder.join("config").display().to_string());
    let address: SocketAddr = address.parse().ok()?;
    let listens = TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok();
    let software = if command.contains("inspircd") { Software::InspIrcd } else { Software::Ergo };
    (ours && listens).then(|| LocalNetwork {
        address,
        software: software.name(),
        server: Server::Adopted(pid),
        folder: folder.to_owned(),
    })
}

fn find() -> Option<(Software, PathBuf)> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    let fetched = cache.map(|cache| cache.join("ircnow/parts/ergochat/usr/bin/ergochat"));
    let in_path = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<_> = std::env::split_paths(&path).collect();
        folders.push("/usr/sbin".into());
        folders.into_iter().map(|folder| folder.join(name)).find(|program| program.is_file())
    };
    let ergo = in_path("ergo")
        .or_else(|| in_path("ergochat"))
        .or_else(|| fetched.filter(|program| program.is_file()));
    ergo.map(|program| (Software::Ergo, program))
        .or_else(|| in_path("inspircd").map(|p| (Software::InspIrcd, p)))
}

fn launch(software: Software, program: &Path, folder: &Path, address: SocketAddr) -> Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let config = folder.join("config");
    let template = match software {
        Software::Ergo => ERGO,
        Software::InspIrcd => INSPIRCD,
    };
    let text = template
        .replace("@PORT@", &address.port().to_string())
        .replace("@FOLDER@", &folder.display().to_string());
    fs::write(&config, text)?;
    let mut command = Command::new(program);
    match software {
        Software::Ergo => {
            if !folder.join("ircd.db").exists() {
                let made = Command::new(program)
                    .args(["initdb", "--quiet", "--conf"])
                    .arg(&config)
                    .current_dir(folder)
                    .output()
                    .context("starting Ergo")?;
                ensure!(made.status.success(), "Ergo: {}", String::from_utf8_lossy(&made.stderr));
            }
            command.args(["run", "--quiet", "--conf"]).arg(&config);
        }
        Software::InspIrcd => {
            command.arg("--nofork").arg(format!("--config={}", config.display()));
            if rustix::process::geteuid().is_root() {
                command.arg("--runasroot");
            }
        }
    }
    let log = fs::File::create(folder.join("log"))?;
    // A process group of its own: Ctrl+C in the terminal is ours to pass on, after the bouncer said goodbye.
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
