//! What Ergo is told: the same as in a cluster, with the places of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use contracts::{HostedAccess, HostedRole};
use crds::ErgoNetworkSpec;
use ergo_operator::ergo::{Checks, Release, Secrets, Wanted as Rendered, render};
use ergo_operator::paths::Places;
use hosting::Wanted;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Machine;
use crate::server::free_port;

/// The Ergo of this machine.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// Which release it is.
    pub release: Release,
}

impl Program {
    /// Asks the program at `path` for its version.
    pub fn at(path: PathBuf) -> Result<Self> {
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
        Ok(Self { path, release })
    }
}

/// What is chosen once for a network and stays.
#[derive(Clone, Serialize, Deserialize)]
pub struct Place {
    /// IRC without TLS.
    pub plain: u16,
    /// IRC with TLS.
    pub tls: u16,
    /// The HTTP API.
    pub api: u16,
    /// The token of the HTTP API.
    pub token: String,
}

impl Place {
    /// The place of the network in `folder`, chosen now if it has none.
    pub fn of(folder: &Path) -> Result<Self> {
        service::paths::private_folder(folder)?;
        let file = folder.join("place.json");
        if let Ok(text) = std::fs::read(&file) {
            return serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()));
        }
        let place = Self {
            plain: free_port()?,
            tls: free_port()?,
            api: free_port()?,
            token: service::secrets::random_token()?,
        };
        service::paths::write_private(&file, &serde_json::to_vec(&place)?)?;
        Ok(place)
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
pub fn spec(wanted: &Wanted) -> Result<ErgoNetworkSpec> {
    let operators: Vec<_> = wanted
        .operators
        .iter()
        .map(|operator| {
            json!({
                "name": operator.name,
                "class": match operator.role {
                    HostedRole::Moderator => "Moderator",
                    HostedRole::Admin => "Admin",
                },
                "passwordHash": { "name": "operators", "key": operator.name },
            })
        })
        .collect();
    Ok(serde_json::from_value(json!({
        "networkName": wanted.name,
        "hostname": wanted.hostname,
        "access": match wanted.access {
            HostedAccess::Open => "Open",
            HostedAccess::AccountsOnly => "AccountsOnly",
            HostedAccess::MembersOnly => "MembersOnly",
        },
        "operators": operators,
        // Ergo is often built without a database for history; memory works with every build.
        "history": { "backend": "Memory" },
        "plaintextInCluster": true,
        // Everybody comes from this machine.
        "limits": { "connectionsPerAddress": 10_000 },
    }))?)
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
        certificate: text(machine.certificate.0.clone()),
        key: text(machine.certificate.1.clone()),
        store: text(folder.join("ircd.db")),
        history: text(folder.join("history.db")),
        lock: text(folder.join("ircd.lock")),
        address_socket: text(address_socket(folder)),
        password_socket: text(password_socket(folder)),
        ask: text(std::env::current_exe()?),
        irc: local(place.tls),
        plain: local(place.plain),
        web: String::new(),
        api: local(place.api),
        loopback: String::new(),
        loopback_is_trusted: false,
    };
    let operators = wanted.operators.iter().map(|operator| Some(SecretString::from(operator.hash.clone())));
    Ok(render(&Rendered {
        spec: &spec(wanted)?,
        release: program.release,
        secrets: &Secrets { operators: operators.collect(), ..Secrets::default() },
        database: None,
        api_token: &place.token.clone().into(),
        operator_hash: "",
        checks: Checks { addresses: wanted.clients.is_some(), passwords: true },
        websocket: false,
        places: &places,
    }))
}
