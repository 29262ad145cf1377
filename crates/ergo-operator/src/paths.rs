//! Where things are inside a network's Pod: the one place the configuration, the Pod and the sidecar agree on. A server
//! that runs elsewhere is rendered for other [`Places`].

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

/// Where a server finds everything, and where it listens. [`Places::pod`] is a network's Pod; a server beside other
/// processes has places of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The message of the day.
    pub motd: String,
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// Accounts, channels, bans.
    pub store: String,
    /// History in SQLite.
    pub history: String,
    /// The lock on the data.
    pub lock: String,
    /// Where it is answered whether an address may connect.
    pub address_socket: String,
    /// Where it is answered whether a password is right.
    pub password_socket: String,
    /// The program that asks a socket, for releases that cannot.
    pub ask: String,
    /// Listens for IRC with TLS.
    pub irc: String,
    /// Listens for IRC without TLS, where that is wanted.
    pub plain: String,
    /// Listens for the WebSocket.
    pub web: String,
    /// Listens for the HTTP API.
    pub api: String,
    /// Listens for the sidecar's operator connection, for releases without the HTTP API.
    pub loopback: String,
    /// Whether what comes from loopback is let in without an account. True in a Pod, where only the sidecar is there.
    pub loopback_is_trusted: bool,
}

impl Places {
    /// The places of a network's Pod.
    pub fn pod() -> Self {
        Self {
            motd: MOTD.to_owned(),
            certificate: CERTIFICATE.to_owned(),
            key: KEY.to_owned(),
            store: STORE.to_owned(),
            history: HISTORY.to_owned(),
            lock: LOCK.to_owned(),
            address_socket: ADDRESS_SOCKET.to_owned(),
            password_socket: PASSWORD_SOCKET.to_owned(),
            ask: ASK.to_owned(),
            irc: format!(":{IRC_PORT}"),
            plain: format!(":{PLAIN_PORT}"),
            web: format!(":{WEB_PORT}"),
            api: format!("127.0.0.1:{API_PORT}"),
            loopback: format!("127.0.0.1:{LOOPBACK_PORT}"),
            loopback_is_trusted: true,
        }
    }
}
