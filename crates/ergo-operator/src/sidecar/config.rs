//! The contract between the operator and the sidecar: what it is told, and what it says.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crds::sidecar::Sealed;
use serde::{Deserialize, Serialize};

use super::SidecarError;

/// What the sidecar does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarConfig {
    /// Where it serves figures, health and state.
    pub listen: SocketAddr,
    /// The folder with Ergo's configuration, which is watched.
    pub config_dir: PathBuf,
    /// The folder with the certificate, which is watched.
    pub tls_dir: PathBuf,
    /// The volume, which is measured.
    pub data_dir: PathBuf,
    /// The way to Ergo.
    pub door: Door,
    /// Clients that may be connected at once; `None` for as many as there are.
    pub clients: Option<u64>,
    /// Where Ergo asks whether an address may connect.
    pub address_socket: PathBuf,
    /// Where Ergo asks whether a password is right.
    pub password_socket: PathBuf,
    /// Who knows whether a password is right.
    pub introspection: Option<Introspection>,
    /// The name of everything in Ergo's configuration that needs a restart.
    pub restart_mark: String,
}

/// The way to Ergo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Door {
    /// The HTTP API.
    Api {
        /// Where.
        url: String,
        /// The bearer token.
        token: Sealed,
    },
    /// An operator's connection, for releases without the API.
    Operator {
        /// The port on loopback.
        port: u16,
        /// The operator's name.
        name: String,
        /// The operator's password.
        password: Sealed,
    },
}

/// Who knows whether an app password is right (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Introspection {
    /// Where.
    pub url: String,
    /// Who asks.
    pub client_id: String,
    /// What proves it.
    pub client_secret: Sealed,
}

/// What the sidecar answers at `/state`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SidecarState {
    /// Whether Ergo answered the last question.
    pub answering: bool,
    /// Ergo's version, in its own words.
    pub version: Option<String>,
    /// When it started, in seconds since 1970.
    pub started_at: Option<i64>,
    /// Clients now.
    pub users: u64,
    /// The most clients there were at once.
    pub max_users: u64,
    /// Channels now.
    pub channels: u64,
    /// Accounts, where Ergo says it.
    pub accounts: Option<u64>,
    /// Clients that were let in since Ergo last said how many there are.
    #[serde(skip)]
    pub admitted: u64,
    /// Clients that may be connected at once.
    pub clients: Option<u64>,
    /// Whether as many are.
    pub full: bool,
    /// Clients that were turned away because of that, since the sidecar started.
    pub turned_away: u64,
    /// Bytes on the volume.
    pub storage_bytes: Option<u64>,
    /// [`config_hash`] of what Ergo has read.
    pub config_hash: Option<String>,
    /// The last time Ergo was told to read it anew.
    pub rehash: Option<Rehash>,
    /// What Ergo was started with: another mark in the configuration is for the next Pod.
    pub restart_mark: String,
}

/// The last time Ergo was told to read its configuration anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rehash {
    /// [`config_hash`] of it.
    pub hash: String,
    /// When, in seconds since 1970.
    pub at: i64,
    /// What Ergo said against it.
    pub error: Option<String>,
}

/// The name of what Ergo reads: its configuration and the message of the day.
pub fn config_hash(ergo: &[u8], motd: &[u8]) -> String {
    let mut all = ergo.to_vec();
    all.push(0);
    all.extend_from_slice(motd);
    crds::sidecar::hash(&all)
}

/// Reads the configuration.
pub fn read(path: &Path) -> Result<SidecarConfig, SidecarError> {
    let name = || path.display().to_string();
    let text = std::fs::read(path).map_err(|source| SidecarError::Unreadable { path: name(), source })?;
    serde_json::from_slice(&text).map_err(|source| SidecarError::Invalid { path: name(), source })
}
