//! What Ergo is told: the same as in a cluster, with the places of this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use contracts::{HostedAccess, HostedId, Sub};
use crds::ErgoNetworkSpec;
use ergo_operator::ergo::{Checks, Release, Secrets, Wanted as Rendered, render};
use ergo_operator::paths::Places;
use hosting::Wanted;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Machine;
use super::doorkeeper::{self, Key};
use crate::server::{ergo_command, free_port};

/// The Ergo of this machine.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// Which release it is.
    pub release: Release,
    /// Whether it can keep history in a file. Many are built without a database, Debian's among them.
    pub keeps_history: bool,
}

impl Program {
    /// Asks the program at `path` for its version, and what it was built with.
    pub fn at(path: PathBuf, machine: &Machine) -> Result<Self> {
        let output = Command::new(&path).arg("--version").output().context("starting Ergo")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version: String = text
            .trim()
            .trim_start_matches("ergo-")
            .trim_start_matches('v')
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        let release = Release::parse(&version.as_str().into()).filter(|release| release.is_known());
        let release = release.with_context(|| format!("{} is no known version of Ergo", text.trim()))?;
        ensure!(release.has_api(), "Ergo {release} is too old: networks need 2.16 or newer");
        let mut program = Self { path, release, keeps_history: release.has_sql_history() };
        if program.keeps_history {
            program.keeps_history = program.takes_history(machine)?;
        }
        Ok(program)
    }

    /// Whether Ergo takes a configuration with history in a file. One that was built without says so as soon as it reads it.
    fn takes_history(&self, machine: &Machine) -> Result<bool> {
        let folder = machine.folder.join("probe");
        let _ = std::fs::remove_dir_all(&folder);
        let wanted = Wanted {
            id: HostedId(uuid::Uuid::nil()),
            owner: Sub(uuid::Uuid::nil()),
            username: String::new(),
            plan: String::new(),
            name: "probe".to_owned(),
            label: "probe".to_owned(),
            hostname: "probe.invalid".to_owned(),
            access: HostedAccess::Open,
            motd: String::new(),
            operators: Vec::new(),
            clients: None,
            stopped: false,
        };
        let config = rendered(machine, self, &folder, &Place::of(&folder)?, &wanted)?;
        super::network::write(&folder, &config, "")?;
        let taken = ergo_command(&self.path, &folder);
        std::fs::remove_dir_all(&folder)?;
        if let Err(error) = &taken {
            tracing::info!(error = format!("{error:#}"), "hosted networks keep history in memory");
        }
        Ok(taken.is_ok())
    }
}

/// What is chosen once for a network and stays.
#[derive(Clone, Serialize)]
pub struct Place {
    /// IRC without TLS.
    pub plain: u16,
    /// IRC with TLS.
    pub tls: u16,
    /// The WebSocket, with TLS.
    pub web: u16,
    /// The HTTP API.
    pub api: u16,
    /// The token of the HTTP API.
    pub token: String,
    /// What the doorkeeper proves itself with.
    pub door: Key,
}

/// A [`Place`] as its file holds it: an earlier version chose less.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Chosen {
    plain: Option<u16>,
    tls: Option<u16>,
    web: Option<u16>,
    api: Option<u16>,
    token: Option<String>,
    door: Option<Key>,
}

impl Chosen {
    fn is_whole(&self) -> bool {
        self.web.is_some() && self.door.is_some()
    }

    /// What is missing is chosen now.
    fn whole(self) -> Result<Place> {
        let port = |chosen: Option<u16>| chosen.map_or_else(free_port, Ok);
        Ok(Place {
            plain: port(self.plain)?,
            tls: port(self.tls)?,
            web: port(self.web)?,
            api: port(self.api)?,
            token: self.token.map_or_else(service::secrets::random_token, Ok)?,
            door: self.door.map_or_else(Key::new, Ok)?,
        })
    }
}

impl Place {
    /// The place of the network in `folder`, chosen now if it has none.
    pub fn of(folder: &Path) -> Result<Self> {
        service::paths::private_folder(folder)?;
        let file = folder.join("place.json");
        let chosen: Chosen = match std::fs::read(&file) {
            Ok(text) => {
                serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))?
            }
            Err(_) => Chosen::default(),
        };
        let stays = chosen.is_whole();
        let place = chosen.whole()?;
        if !stays {
            service::paths::write_private(&file, &serde_json::to_vec(&place)?)?;
        }
        Ok(place)
    }

    /// Where people come in by IRC.
    pub fn doors(&self) -> [SocketAddr; 2] {
        [self.plain, self.tls].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }
}

/// The socket Ergo asks about addresses.
pub fn address_socket(folder: &Path) -> PathBuf {
    folder.join("address.sock")
}

/// The socket Ergo asks about passwords.
pub fn password_socket(folder: &Path) -> PathBuf {
    folder.join("password.sock")
}

/// The file with the message of the day.
pub fn motd(folder: &Path) -> PathBuf {
    folder.join("motd")
}

/// The resource a network would be in a cluster.
pub fn spec(wanted: &Wanted, program: &Program) -> Result<ErgoNetworkSpec> {
    let mut spec = provisioner::spec::network(wanted, "operators");
    // Ergo is often built without a database for history; memory works with every build.
    spec["history"] = json!({ "backend": if program.keeps_history { "Sqlite" } else { "Memory" } });
    spec["plaintextInCluster"] = json!(true);
    // Everybody comes from this machine.
    spec["limits"] = json!({ "connectionsPerAddress": 10_000 });
    Ok(provisioner::spec::network_spec(spec)?)
}

/// Ergo's configuration.
pub fn rendered(
    machine: &Machine,
    program: &Program,
    folder: &Path,
    place: &Place,
    wanted: &Wanted,
) -> Result<Value> {
    let text = |path: PathBuf| path.display().to_string();
    let local = |port: u16| format!("127.0.0.1:{port}");
    let places = Places {
        motd: text(motd(folder)),
        certificate: text(machine.files.0.clone()),
        key: text(machine.files.1.clone()),
        store: text(folder.join("ircd.db")),
        history: text(folder.join("history.db")),
        lock: text(folder.join("ircd.lock")),
        address_socket: text(address_socket(folder)),
        password_socket: text(password_socket(folder)),
        ask: text(std::env::current_exe()?),
        irc: local(place.tls),
        plain: local(place.plain),
        web: local(place.web),
        api: local(place.api),
        loopback: String::new(),
        loopback_is_trusted: false,
    };
    let operators = wanted.operators.iter().map(|operator| Some(SecretString::from(operator.hash.clone())));
    let mut config = render(&Rendered {
        spec: &spec(wanted, program)?,
        release: program.release,
        secrets: &Secrets { operators: operators.collect(), ..Secrets::default() },
        database: None,
        api_token: &place.token.clone().into(),
        operator_hash: "",
        checks: Checks { addresses: wanted.clients.is_some(), passwords: true },
        websocket: true,
        places: &places,
    });
    // Nothing stands before it that speaks TLS.
    config["server"]["listeners"][&places.web]["tls"] =
        json!({ "cert": places.certificate, "key": places.key });
    if wanted.clients.is_some() {
        doorkeeper::appoint(&mut config, &place.door);
    }
    Ok(config)
}
