//! The local network of `ircnow up`: an Ergo or InspIRCd binary, if one is found, run as "localnet", so that a first
//! message needs nobody else. One that outlived a killed `up` is found by its pid file and adopted. One that dies while
//! `up` runs is started again (`supervisor`).

mod supervisor;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
pub use supervisor::{Pauses, Supervised};

use crate::server::{self, ServerProcess, free_port, in_path};

const ERGO: &str = include_str!("localnet/ergo.yaml");
const INSPIRCD: &str = include_str!("localnet/inspircd.conf");

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
    server: ServerProcess,
    folder: PathBuf,
}

/// Finds a server, adopts a running one or starts it. `None` if there is no binary.
pub fn start(folder: &Path, port: u16) -> Result<Option<LocalNetwork>> {
    service::paths::private_folder(folder)?;
    if let Some((server, command)) = ServerProcess::adopt(folder) {
        tracing::info!(address = %server.address, "adopted the local network that outlived us");
        let software = if command.contains("inspircd") { Software::InspIrcd } else { Software::Ergo };
        return Ok(Some(LocalNetwork::of(software, server, folder)));
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, if port == 0 { free_port()? } else { port }));
    start_at(folder, address)
}

/// Starts a server at this very address. `None` if there is no binary.
fn start_at(folder: &Path, address: SocketAddr) -> Result<Option<LocalNetwork>> {
    let Some((software, program)) = find() else { return Ok(None) };
    ensure!(
        !server::listens(address),
        "something else listens on {address}: stop it, or set IRCNOW_UP_LOCAL_NETWORK_PORT to another port"
    );
    let server = ServerProcess::start(folder, address, &mut command(software, &program, folder, address)?)?;
    let mut network = LocalNetwork::of(software, server, folder);
    network.server.wait_until_it_listens(software.name())?;
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

impl LocalNetwork {
    fn of(software: Software, server: ServerProcess, folder: &Path) -> Self {
        Self { address: server.address, software: software.name(), server, folder: folder.to_owned() }
    }

    /// Whether its server still runs.
    fn is_alive(&mut self) -> bool {
        self.server.is_alive()
    }

    /// Asks the server to stop and waits for it a moment.
    fn stop(&mut self) {
        self.server.stop();
    }
}

fn find() -> Option<(Software, PathBuf)> {
    server::ergo()
        .map(|program| (Software::Ergo, program))
        .or_else(|| in_path("inspircd").map(|program| (Software::InspIrcd, program)))
}

/// What starts the server, its configuration written.
fn command(software: Software, program: &Path, folder: &Path, address: SocketAddr) -> Result<Command> {
    let config = folder.join("config");
    let template = match software {
        Software::Ergo => ERGO,
        Software::InspIrcd => INSPIRCD,
    };
    let text = template
        .replace("@PORT@", &address.port().to_string())
        .replace("@FOLDER@", &folder.display().to_string());
    fs::write(&config, text)?;
    match software {
        Software::Ergo => server::ergo_command(program, folder),
        Software::InspIrcd => {
            let mut command = Command::new(program);
            command.arg("--nofork").arg(format!("--config={}", config.display()));
            if rustix::process::geteuid().is_root() {
                command.arg("--runasroot");
            }
            Ok(command)
        }
    }
}
