//! Real IRC networks: InspIRCd and Ergo.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::parts::Part;
use crate::process::Process;
use crate::{net, wait::PATIENCE};

/// A running IRC network of one server.
pub struct Network {
    process: Process,
    port: u16,
    folder: TempDir,
    kind: Part,
}

/// InspIRCd without services: the newest capabilities its modules have, no history, `/oper root root`.
pub fn inspircd() -> Result<Network> {
    Network::start(Part::InspIrcd)
}

/// Ergo with accounts (SASL), history and no flood control.
pub fn ergo() -> Result<Network> {
    Network::start(Part::Ergo)
}

impl Network {
    fn start(kind: Part) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = net::free_port()?;
        let process = launch(kind, &folder, port)?;
        Ok(Self { process, port, folder, kind })
    }

    /// The cleartext port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server; every client's connection breaks.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again on the same port with the same data.
    pub fn restart(&mut self) -> Result<()> {
        self.process = launch(self.kind, &self.folder, self.port)?;
        Ok(())
    }

    /// What the server printed.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

fn launch(kind: Part, folder: &TempDir, port: u16) -> Result<Process> {
    let program = kind.find().with_context(|| format!("{kind:?} is missing: run tools/parts test"))?;
    let config = folder.path().join("config");
    let mut command = Command::new(&program);
    command.current_dir(folder.path());
    match kind {
        Part::InspIrcd => {
            let pid = folder.path().join("pid");
            let text =
                INSPIRCD.replace("@PORT@", &port.to_string()).replace("@PID@", &pid.display().to_string());
            std::fs::write(&config, text)?;
            command.args(["--nofork", "--runasroot"]).arg(format!("--config={}", config.display()));
        }
        _ => {
            std::fs::write(&config, ERGO.replace("@PORT@", &port.to_string()))?;
            if !folder.path().join("ircd.db").exists() {
                let mut initdb = Command::new(&program);
                initdb.args(["initdb", "--quiet", "--conf"]).arg(&config).current_dir(folder.path());
                let output = initdb.output().context("running ergo initdb")?;
                anyhow::ensure!(
                    output.status.success(),
                    "ergo initdb: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
            command.args(["run", "--quiet", "--conf"]).arg(&config);
        }
    }
    let process = Process::spawn(&mut command, &folder.path().join("log"))?;
    net::wait_for_irc(port, PATIENCE.max(Duration::from_secs(10))).with_context(|| process.output())?;
    Ok(process)
}

const INSPIRCD: &str = include_str!("networks/inspircd.conf");
const ERGO: &str = include_str!("networks/ergo.yaml");
