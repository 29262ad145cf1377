//! The contract between the operator and the sidecar beside soju: `ircnow soju-sidecar --config FILE`.
//!
//! The operator renders [`SidecarConfig`] as JSON into the bouncer's Secret, which is mounted as a folder; the sidecar
//! reads the file at start and again whenever it changes (the kubelet swaps the folder's symbolic link). The sidecar
//!
//! - connects to the admin socket (same user id; it waits for it to appear, and every question has a deadline),
//! - makes [`SidecarConfig::users`] by [`SidecarConfig::seed_policy`],
//! - creates [`RELOAD_FILE`] when [`SidecarConfig::soju_config`] or the certificate changed: soju's entrypoint removes
//!   it and sends soju SIGHUP, so the Pod's containers need not share their processes (a change that needs a restart
//!   comes as a new Pod),
//! - deletes what is older than [`SidecarConfig::retention_days`] where soju cannot do it itself
//!   ([`SidecarConfig::prune`]),
//! - serves on [`SidecarConfig::listen`]: `/metrics` (its own figures and soju's from [`SidecarConfig::soju_metrics`]),
//!   `/healthz`, `/readyz` (the admin socket answers), and `/state`: a [`SidecarState`] as JSON, which the operator asks
//!   for with the bearer token in [`STATE_TOKEN_FILE`].
//!
//! It never writes to soju's tables except to prune, and holds no credentials for the API server. Before soju's first start
//! an account may move in, and while soju stands still it may move out: [`MovesConfig`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use crate::soju::SeedPolicy;

/// Where the operator mounts the Secret.
pub const CONFIG_DIR: &str = "/etc/ircnow";
/// The sidecar's configuration in it.
pub const SIDECAR_FILE: &str = "sidecar.json";
/// soju's configuration in it.
pub const SOJU_FILE: &str = "soju.conf";
/// The bearer token for `/state` in it, beside [`SIDECAR_FILE`]. Where there is no such file, everybody who reaches the
/// sidecar may ask.
pub const STATE_TOKEN_FILE: &str = "state-token";
/// The message of the day in it.
pub const MOTD_FILE: &str = "motd";
/// The configuration of a move in it, while there is one.
pub const MOVES_FILE: &str = "moves.json";
/// What `app.kubernetes.io/name` of the Pods says that move an account.
pub const MOVES_APP: &str = "soju-bouncer-move";
/// What soju's own tool reads to make its tables, while an account is to move in.
pub const TABLES_FILE: &str = "tables.conf";
/// Where soju listens for its administrator.
pub const ADMIN_SOCKET: &str = "/run/soju/admin";
/// What the sidecar creates to have soju read its configuration anew. It is gone when soju was told.
pub const RELOAD_FILE: &str = "/run/soju/reload";
/// Where the certificate is mounted: `tls.crt` and `tls.key`.
pub const TLS_DIR: &str = "/etc/ircnow-tls";
/// Where soju serves its own figures, inside the Pod.
pub const SOJU_METRICS_PORT: u16 = 9180;
/// Where the sidecar serves figures, health and state.
pub const SIDECAR_PORT: u16 = 9181;

/// What the sidecar does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarConfig {
    /// The admin socket.
    pub admin_socket: PathBuf,
    /// Where the sidecar serves.
    pub listen: SocketAddr,
    /// Where soju's own figures are: `http://localhost:9180/metrics`.
    pub soju_metrics: Option<String>,
    /// soju's configuration, which is watched.
    pub soju_config: PathBuf,
    /// soju's version, as the operator knows it: `0.11.1`.
    pub version: String,
    /// Whether users are only made, or kept as they stand here.
    pub seed_policy: SeedPolicy,
    /// Users.
    pub users: Vec<SidecarUser>,
    /// How many days messages are kept; `None` for ever, or if soju deletes them itself (`message-expiry`).
    pub retention_days: Option<u32>,
    /// Where messages are measured and, with [`SidecarConfig::retention_days`], deleted. It also is where the sidecar
    /// reads what has drifted: without it `Enforce` sees less.
    pub prune: Option<PruneTarget>,
    /// How many bytes messages may take, for [`SidecarState::over_quota`].
    pub storage_bytes: Option<u64>,
}

/// The database messages are deleted from, and whose size is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PruneTarget {
    /// soju's SQLite file.
    Sqlite(PathBuf),
    /// `postgres://…`, with the password.
    Postgres(Sealed),
}

/// What `ircnow soju-sidecar import` and `export` do: they move an account into a soju that was never started, or out of one
/// that stands still, as the trait `Moves` of the services on [`MovesConfig::listen`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MovesConfig {
    /// Where they serve: the moves, and `/healthz` and `/readyz`.
    pub listen: SocketAddr,
    /// soju's database.
    pub database: PruneTarget,
    /// The account that may be moved.
    pub account: String,
    /// What soju calls its user.
    pub username: String,
    /// The bouncer's UID. Tokens are to be made for `bouncer-` and this.
    pub bouncer: String,
    /// Whose tokens are good.
    pub issuer: String,
}

/// A user to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarUser {
    /// The name.
    pub username: String,
    /// Whether they may administer the bouncer.
    pub admin: bool,
    /// Whether their networks are connected. The operator sets this to `false` for nobody: suspension is gatekeeper's.
    pub enabled: bool,
    /// The password; `None` makes a user who can only log in through the issuer.
    pub password: Option<Sealed>,
    /// The nickname where a network names none.
    pub nick: Option<String>,
    /// The real name where a network names none.
    pub realname: Option<String>,
    /// Networks the user may have; `None` for the bouncer's own limit.
    pub max_networks: Option<u32>,
    /// Networks.
    pub networks: Vec<SidecarNetwork>,
}

/// A network to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarNetwork {
    /// What the user calls it.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// The nickname there.
    pub nick: Option<String>,
    /// The user name there.
    pub username: Option<String>,
    /// The real name there.
    pub realname: Option<String>,
    /// The server's password.
    pub server_password: Option<Sealed>,
    /// The login at the network's services.
    pub sasl: Option<SidecarSasl>,
    /// The fingerprint of the server's certificate.
    pub fingerprint: Option<String>,
    /// Lines sent after connecting.
    pub connect_commands: Vec<String>,
    /// Whether the user is shown as away while no client is there.
    pub auto_away: bool,
    /// Whether the network is connected.
    pub enabled: bool,
    /// Channels that are joined, and whether they are detached.
    pub channels: BTreeMap<String, bool>,
}

/// A login at a network's services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarSasl {
    /// The account there.
    pub username: String,
    /// Its password.
    pub password: Sealed,
}

/// What the sidecar answers at `/state`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SidecarState {
    /// Whether the admin socket answered the last question.
    pub answering: bool,
    /// soju's version, where it says one.
    pub version: Option<String>,
    /// [`hash`] of the soju configuration that soju has read (at its start or at the last SIGHUP).
    pub config_hash: Option<String>,
    /// Why soju has not read its configuration, in a sentence.
    pub config_error: Option<String>,
    /// Directives whose change soju takes only at its next start: `listen`, `db`, `message-store`.
    pub restart_required: Vec<String>,
    /// Whether every user and network of the configuration is made.
    pub seeded: bool,
    /// What could not be made, one sentence each.
    pub seed_errors: Vec<String>,
    /// Users.
    pub users: u64,
    /// Connected clients.
    pub downstreams: u64,
    /// Connected networks.
    pub upstreams: u64,
    /// Networks.
    pub networks: u64,
    /// Bytes of messages, where they can be measured.
    pub storage_bytes: Option<u64>,
    /// When the oldest message was said, in seconds since 1970.
    pub oldest_message: Option<i64>,
    /// Whether the messages take more than [`SidecarConfig::storage_bytes`].
    pub over_quota: bool,
    /// Messages deleted because of their age since the sidecar started.
    pub pruned: u64,
    /// Why the last deleting did not come to its end, in a sentence.
    pub prune_error: Option<String>,
}

/// A secret that may stand in a Secret, and nowhere else: its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// The hash both sides name a configuration by: FNV-1a of 64 bits, in hexadecimal digits. It tells texts apart; it
/// protects nothing.
pub fn hash(text: &[u8]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text {
        hash ^= u64::from(*byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_configuration_survives_its_file_and_its_debug_shows_no_secret() {
        let config = SidecarConfig {
            admin_socket: ADMIN_SOCKET.into(),
            listen: ([0, 0, 0, 0], SIDECAR_PORT).into(),
            soju_metrics: None,
            soju_config: "/etc/ircnow/soju.conf".into(),
            version: "0.11.1".into(),
            seed_policy: SeedPolicy::Enforce,
            users: vec![SidecarUser {
                username: "alice".into(),
                admin: false,
                enabled: true,
                password: Some(Sealed::new("hunter2")),
                nick: None,
                realname: None,
                max_networks: Some(3),
                networks: Vec::new(),
            }],
            retention_days: Some(30),
            prune: Some(PruneTarget::Postgres(Sealed::new("postgres://soju:hunter2@db/soju"))),
            storage_bytes: None,
        };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<SidecarConfig>(&text).unwrap(), config);
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
