//! Where things are inside a network's Pod: the one place the configuration, the Pod and the sidecar agree on.

/// The folder with the configuration, from the Secret and the ConfigMap.
pub const CONFIG_DIR: &str = "/etc/ergo";
/// Ergo's configuration, a key of the Secret.
pub const CONFIG_FILE: &str = "ircd.yaml";
/// The sidecar's configuration, a key of the Secret.
pub const SIDECAR_FILE: &str = "sidecar.json";
/// The message of the day, a key of the ConfigMap.
pub const MOTD_FILE: &str = "motd";
/// The message of the day.
pub const MOTD: &str = "/etc/ergo/motd";
/// The folder with the certificate.
pub const TLS_DIR: &str = "/etc/ergo-tls";
/// The certificate.
pub const CERTIFICATE: &str = "/etc/ergo-tls/tls.crt";
/// Its key.
pub const KEY: &str = "/etc/ergo-tls/tls.key";
/// The volume.
pub const DATA_DIR: &str = "/data";
/// Accounts, channels, bans.
pub const STORE: &str = "/data/ircd.db";
/// History in SQLite.
pub const HISTORY: &str = "/data/history.db";
/// Who holds this lock is the one process that uses the volume.
pub const LOCK: &str = "/data/ircd.lock";
/// What Ergo and its sidecar share.
pub const RUN_DIR: &str = "/run/ergo";
/// Where the sidecar says whether an address may connect.
pub const ADDRESS_SOCKET: &str = "/run/ergo/address.sock";
/// Where the sidecar says whether a password is right.
pub const PASSWORD_SOCKET: &str = "/run/ergo/password.sock";
/// The program that asks the sidecar, for releases that cannot ask a socket. The Pod puts it there before Ergo starts.
pub const ASK: &str = "/run/ergo/ircnow";
/// IRC with TLS.
pub const IRC_PORT: u16 = 6697;
/// IRC without TLS, inside the cluster.
pub const PLAIN_PORT: u16 = 6667;
/// IRC without TLS, inside the Pod.
pub const LOOPBACK_PORT: u16 = 6668;
/// The WebSocket.
pub const WEB_PORT: u16 = 8097;
/// The HTTP API, inside the Pod.
pub const API_PORT: u16 = 8089;
/// Figures, health and state of the sidecar.
pub const SIDECAR_PORT: u16 = 9182;
