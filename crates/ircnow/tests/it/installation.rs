//! A running installation of the binary, in one process or in several.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use testkit::{Process, net};

/// How long a process may take until it answers, on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Which way the services run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `ircnow up`.
    OneProcess,
    /// `ircnow gatekeeper`, `ircnow bouncer`, `ircnow portal`, and `ircnow hosting` and `ircnow paste` where
    /// `IRCNOW_ROLE_HOSTING` and `IRCNOW_ROLE_PASTE` say so.
    ThreeProcesses,
}

/// The roles, in the order of their processes.
const ROLES: [&str; 5] = ["gatekeeper", "bouncer", "portal", "hosting", "paste"];

/// A running installation.
pub struct Installation {
    processes: Vec<Process>,
    layout: Layout,
    pub data: TempDir,
    environment: BTreeMap<String, String>,
    /// Where the pages are.
    pub http: u16,
    /// The door in the clear.
    pub irc: u16,
    /// The door with TLS.
    pub irc_tls: u16,
    /// The local network, where it runs.
    pub local_network: u16,
    gatekeeper_http: u16,
    paste_http: u16,
    https: bool,
    domain: String,
}

impl Installation {
    /// One process on SQLite, as the README starts it.
    pub fn up() -> Result<Self> {
        Self::start(Layout::OneProcess, &[])
    }

    /// Starts an installation with further variables.
    pub fn start(layout: Layout, environment: &[(&str, &str)]) -> Result<Self> {
        let mut this = Self::prepared(layout, environment)?;
        this.launch()?;
        Ok(this)
    }

    fn prepared(layout: Layout, extra: &[(&str, &str)]) -> Result<Self> {
        let port = || net::free_port();
        let (http, irc, irc_tls, local_network, gatekeeper_http) =
            (port()?, port()?, port()?, port()?, port()?);
        let asked = |name: &str| extra.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        // Who has to know the address beforehand chooses the port.
        let http = asked("TEST_HTTP_PORT").map_or(Ok(http), str::parse)?;
        let gatekeeper_http = asked("TEST_GATEKEEPER_PORT").map_or(Ok(gatekeeper_http), str::parse)?;
        let paste_http = asked("TEST_PASTE_PORT").map_or(Ok(0), str::parse)?;
        let https = asked("TEST_HTTPS").is_some();
        let domain = asked("TEST_DOMAIN").unwrap_or("localhost");
        let mut environment = BTreeMap::new();
        let mut set = |key: &str, value: String| environment.insert(key.to_owned(), value);
        let scheme = if https { "https" } else { "http" };
        set("IRCNOW_SITES_BASE", format!("{scheme}://{domain}:{http}"));
        set("IRCNOW_SITES_IRC_PORT", irc.to_string());
        set("IRCNOW_SITES_IRC_TLS_PORT", irc_tls.to_string());
        set("IRCNOW_BOUNCER_LISTEN", format!("127.0.0.1:{irc}"));
        set("IRCNOW_BOUNCER_LISTEN_TLS", format!("127.0.0.1:{irc_tls}"));
        match layout {
            Layout::OneProcess => {
                set("IRCNOW_UP_LISTEN", format!("127.0.0.1:{http}"));
                set("IRCNOW_UP_ADMIN_LISTEN", format!("127.0.0.1:{}", port()?));
                set("IRCNOW_UP_LOCAL_NETWORK_PORT", local_network.to_string());
            }
            Layout::ThreeProcesses => {
                set("IRCNOW_SITES_AUTH", format!("http://auth.localhost:{gatekeeper_http}"));
                set("IRCNOW_ROLE_GATEKEEPER_SITE", format!("127.0.0.1:{gatekeeper_http}"));
                set("IRCNOW_ROLE_PORTAL_SITE", format!("127.0.0.1:{http}"));
                for role in ["GATEKEEPER", "BOUNCER", "PORTAL"] {
                    set(&format!("IRCNOW_ROLE_{role}"), format!("http://127.0.0.1:{}", port()?));
                }
            }
        }
        for (key, value) in extra.iter().filter(|(key, _)| !key.starts_with("TEST_")) {
            set(key, (*value).to_owned());
        }
        let data = tempfile::tempdir()?;
        Ok(Self {
            processes: Vec::new(),
            layout,
            data,
            environment,
            http,
            irc,
            irc_tls,
            local_network,
            gatekeeper_http,
            paste_http,
            https,
            domain: domain.to_owned(),
        })
    }

    /// Starts the processes (again, on the same data and the same ports).
    pub fn launch(&mut self) -> Result<()> {
        self.processes = match self.layout {
            Layout::OneProcess => {
                let mut up = self.command(&["up"]);
                if self.https {
                    up.arg("--https");
                }
                vec![Process::spawn(&mut up, &self.data.path().join("up.log"))?]
            }
            Layout::ThreeProcesses => {
                let roles = ROLES.iter().filter(|role| self.has(role));
                roles.map(|role| self.role(role)).collect::<Result<_>>()?
            }
        };
        self.wait_until_up()
    }

    fn has(&self, role: &str) -> bool {
        self.environment.contains_key(&format!("IRCNOW_ROLE_{}", role.to_uppercase()))
    }

    /// Stops one role's process in order and starts it again.
    pub fn restart(&mut self, role: &str) -> Result<()> {
        let index = ROLES.iter().position(|known| *known == role).context("a role")?;
        let status = self.processes[index].stop(START)?;
        anyhow::ensure!(status.success(), "{status}: {}", self.processes[index].output());
        self.processes[index] = self.role(role)?;
        self.wait_until_up()
    }

    fn role(&self, name: &str) -> Result<Process> {
        let listen = match name {
            "gatekeeper" => self.gatekeeper_http,
            "portal" => self.http,
            "paste" => self.paste_http,
            _ => 0,
        };
        let mut command = self.command(&[name]);
        command
            .env("IRCNOW_ROLE_LISTEN", format!("127.0.0.1:{listen}"))
            .env("IRCNOW_ROLE_ADMIN_LISTEN", self.admin_url(name).replace("http://", ""));
        Process::spawn(&mut command, &self.data.path().join(format!("{name}.log")))
    }

    fn wait_until_up(&self) -> Result<()> {
        if self.layout == Layout::ThreeProcesses {
            net::wait_for_port(self.gatekeeper_http, START).with_context(|| self.output())?;
        }
        if self.paste_http != 0 {
            net::wait_for_port(self.paste_http, START).with_context(|| self.output())?;
        }
        net::wait_for_port(self.http, START).with_context(|| self.output())?;
        net::wait_for_port(self.irc_tls, START).with_context(|| self.output())?;
        Ok(())
    }

    /// The binary with this installation's environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ircnow"));
        command.args(args).env("IRCNOW_DATA_DIR", self.data.path().join("data")).envs(&self.environment);
        command
    }

    /// Runs an administrator's command and gives what it printed.
    pub fn admin(&self, args: &[&str]) -> Result<String> {
        let output = self.command(&[&["admin"], args].concat()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        anyhow::ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        Ok(text)
    }

    /// `kill -9` of every process.
    pub fn kill(&mut self) -> Result<()> {
        self.processes.iter_mut().try_for_each(Process::kill)
    }

    /// Asks every process to stop and waits for it.
    pub fn stop(&mut self) -> Result<()> {
        for process in &mut self.processes {
            let status = process.stop(START)?;
            anyhow::ensure!(status.success(), "{status}: {}", process.output());
        }
        Ok(())
    }

    /// A page's address: `site` is `""`, `my`, `auth`, `txt` or `raw.txt`.
    pub fn url(&self, site: &str, path: &str) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let port = if site == "auth" && self.layout == Layout::ThreeProcesses {
            self.gatekeeper_http
        } else {
            self.http
        };
        let dot = if site.is_empty() { "" } else { "." };
        format!("{scheme}://{site}{dot}{}:{port}{path}", self.domain)
    }

    /// Where the admin listener of `ircnow up` is.
    pub fn up_admin_url(&self) -> String {
        format!("http://{}", self.environment["IRCNOW_UP_ADMIN_LISTEN"])
    }

    /// Where a role's admin listener is, in a process of its own.
    pub fn admin_url(&self, role: &str) -> &str {
        &self.environment[&format!("IRCNOW_ROLE_{}", role.to_uppercase())]
    }

    /// The id of the one process, or of the first.
    pub fn id(&self) -> u32 {
        self.processes[0].id()
    }

    /// What one role's process printed since it started.
    pub fn output_of(&self, role: &str) -> String {
        let index = ROLES.iter().position(|known| *known == role);
        index.and_then(|index| self.processes.get(index)).map(Process::output).unwrap_or_default()
    }

    /// The process id of the local network's server, as its pid file names it.
    pub fn local_network_server(&self) -> Result<String> {
        let file = std::fs::read_to_string(self.data.path().join("data/localnet/pid"))?;
        let pid = file.split(' ').next().filter(|pid| pid.parse::<u32>().is_ok());
        pid.map(str::to_owned).context("no process id in the pid file")
    }

    /// The process ids of the hosted networks' servers, as their pid files name them.
    pub fn hosted_servers(&self) -> Vec<String> {
        let folders = std::fs::read_dir(self.data.path().join("data/hosted")).into_iter().flatten().flatten();
        let files = folders.filter_map(|folder| std::fs::read_to_string(folder.path().join("pid")).ok());
        files.filter_map(|file| file.split(' ').next().map(str::to_owned)).collect()
    }

    /// What the processes printed.
    pub fn output(&self) -> String {
        self.processes.iter().map(Process::output).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Installation {
    /// The local network outlives a killed process on purpose; here nobody comes to adopt it.
    fn drop(&mut self) {
        let _ = self.kill();
        for pid in self.local_network_server().into_iter().chain(self.hosted_servers()) {
            let _ = Command::new("kill").args(["-9", &pid]).status();
        }
    }
}
