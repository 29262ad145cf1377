//! An IRC server as a process beside us: started in a folder of its own, adopted by its pid file where it outlived a
//! killed `up`, stopped with it otherwise.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to listen.
pub const START: Duration = Duration::from_secs(10);
/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(3);

/// A running server.
pub struct ServerProcess {
    process: Process,
    folder: PathBuf,
    /// Where it listens, in the clear, on loopback.
    pub address: SocketAddr,
}

/// One that we started, or one that was there.
enum Process {
    Ours(Child),
    Adopted(Pid),
}

impl ServerProcess {
    /// Starts `command` in `folder`, its words in the file `log`.
    pub fn start(folder: &Path, address: SocketAddr, command: &mut Command) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let log = fs::File::create(folder.join("log"))?;
        // A process group of its own: Ctrl+C in the terminal is ours to pass on, after the bouncer said goodbye.
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        fs::write(folder.join("pid"), format!("{} {address}\n", child.id()))?;
        Ok(Self { process: Process::Ours(child), folder: folder.to_owned(), address })
    }

    /// The server that was started in `folder` before and still runs, with its command line. One that was just being
    /// started is waited for; one that does not come to listen is stopped, so that it holds nothing another needs.
    pub fn adopt(folder: &Path) -> Option<(Self, String)> {
        let text = fs::read_to_string(folder.join("pid")).ok()?;
        let (pid, address) = text.trim().split_once(' ')?;
        let pid = Pid::from_raw(pid.parse().ok()?)?;
        // A pid is used again sooner or later: only a process that was started with our folder's configuration is ours.
        let command = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).ok()?;
        let command = String::from_utf8_lossy(&command).into_owned();
        if !command.contains(&folder.join("config").display().to_string()) {
            return None;
        }
        let address: SocketAddr = address.parse().ok()?;
        let mut adopted = Self { process: Process::Adopted(pid), folder: folder.to_owned(), address };
        adopted.wait_until_it_listens("what was started before").ok()?;
        Some((adopted, command))
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        match &mut self.process {
            // A child that ended stays a zombie until it is waited for, which this does.
            Process::Ours(child) => matches!(child.try_wait(), Ok(None)),
            Process::Adopted(pid) => {
                let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
                stat.unwrap_or_default().rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
            }
        }
    }

    /// Waits until it listens. If it does not, it is stopped, and its last words are the error.
    pub fn wait_until_it_listens(&mut self, name: &str) -> Result<()> {
        let end = Instant::now() + START;
        while !listens(self.address) {
            if Instant::now() > end || !self.is_alive() {
                let last = self.last_words();
                self.stop();
                anyhow::bail!("{name} does not listen on {}: {last}", self.address);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The last line it wrote.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        log.lines().last().unwrap_or("it said nothing").to_owned()
    }

    /// Asks it to stop and waits for it a moment; one that does not listen to that is killed.
    pub fn stop(&mut self) {
        for signal in [Signal::TERM, Signal::KILL] {
            if let Some(pid) = self.pid().filter(|_| self.is_alive()) {
                let _ = kill_process(pid, signal);
            }
            let end = Instant::now() + STOP;
            while self.is_alive() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = fs::remove_file(self.folder.join("pid"));
    }

    fn pid(&self) -> Option<Pid> {
        match &self.process {
            Process::Ours(child) => Pid::from_raw(child.id().cast_signed()),
            Process::Adopted(pid) => Some(*pid),
        }
    }
}

/// Whether somebody listens there.
pub fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

/// A program in the search path, or where distributions put servers.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    folders.into_iter().map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// The program of Ergo, if there is one.
pub fn ergo() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    let fetched = cache.map(|cache| cache.join("ircnow/parts/ergochat/usr/bin/ergochat"));
    in_path("ergo").or_else(|| in_path("ergochat")).or_else(|| fetched.filter(|program| program.is_file()))
}

/// What starts Ergo with the file `config` of `folder`; its store is made where there is none.
pub fn ergo_command(program: &Path, folder: &Path) -> Result<Command> {
    let config = folder.join("config");
    if !folder.join("ircd.db").exists() {
        let made = Command::new(program)
            .args(["initdb", "--quiet", "--conf"])
            .arg(&config)
            .current_dir(folder)
            .output()
            .context("starting Ergo")?;
        ensure!(made.status.success(), "Ergo: {}", String::from_utf8_lossy(&made.stderr));
    }
    let mut command = Command::new(program);
    command.args(["run", "--quiet", "--conf"]).arg(&config);
    // Debian builds Ergo with the routing of an older Go, under which its HTTP API answers nothing but 404.
    command.env("GODEBUG", "httpmuxgo121=0");
    Ok(command)
}

/// A port nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
