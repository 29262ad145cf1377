//! What a connection to an upstream is told.

use std::sync::Arc;
use std::time::Duration;

use irc::cap::CapSet;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;

/// Everything about one upstream connection.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// What the user calls it, for the texts: `Libera.Chat`.
    pub label: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Lines over TCP, or WebSocket.
    pub transport: Transport,
    /// Whether and how TLS is used.
    pub tls: Tls,
    /// The client certificate to show, for EXTERNAL and CertFP.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The nick wanted. If it is taken: `nick_`, `nick__`, and so on.
    pub nick: String,
    /// The user name for USER: the same for ever for one account, so that a network can ban that one alone.
    pub ident: String,
    /// The real name for USER.
    pub realname: String,
    /// The server password, for PASS.
    pub server_password: Option<SecretString>,
    /// How to log in.
    pub sasl: Sasl,
    /// Whether to stay without having logged in, where `sasl` wants to and the upstream cannot or will not.
    pub sasl_optional: bool,
    /// The capabilities to ask for, those it has. `sasl` and `cap-notify` are asked for as needed.
    pub wanted: CapSet,
    /// Time limits and manners.
    pub manners: Manners,
}

impl ClientConfig {
    /// A verified TLS connection to `host:port` with the usual manners and no login.
    pub fn new(
        label: impl Into<String>,
        host: impl Into<String>,
        port: u16,
        nick: impl Into<String>,
    ) -> Self {
        let nick = nick.into();
        Self {
            label: label.into(),
            host: host.into(),
            port,
            transport: Transport::Lines,
            tls: Tls::Verified,
            certificate: None,
            ident: nick.clone(),
            realname: nick.clone(),
            nick,
            server_password: None,
            sasl: Sasl::None,
            sasl_optional: false,
            wanted: CapSet::default(),
            manners: Manners::default(),
        }
    }
}

/// How lines travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Over TCP or TLS.
    Lines,
    /// One a WebSocket message; the path begins with a slash.
    WebSocket {
        /// Such as `/`.
        path: String,
    },
}

/// How the upstream proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// By a certificate the system's authorities signed for its name.
    Verified,
    /// By this one certificate (SHA-256 of its DER), whoever signed it.
    Pinned([u8; 32]),
    /// Not at all, but encrypted.
    Unverified,
    /// In the clear.
    Off,
}

/// A client certificate with its key.
pub struct ClientCertificate {
    /// The certificate and what leads to its authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificate").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

/// How to log in upstream.
#[derive(Clone, Debug)]
pub enum Sasl {
    /// Not at all.
    None,
    /// With a name and a password: SCRAM-SHA-256 where the upstream has it, else PLAIN, and that over TLS only.
    Password {
        /// The account's name there.
        account: String,
        /// Its password.
        password: SecretString,
    },
    /// With the client certificate.
    External,
    /// With a bearer token, over TLS only.
    OauthBearer {
        /// The account's name there; may be empty.
        account: String,
        /// The token.
        token: SecretString,
    },
}

/// Time limits, and how much is sent how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct Manners {
    /// How long name, TCP, TLS and WebSocket may take together.
    pub connect_timeout: Duration,
    /// How long registration may take.
    pub registration_timeout: Duration,
    /// So often a PING goes out; it measures the lag too.
    pub ping_every: Duration,
    /// How long the answer may take.
    pub ping_timeout: Duration,
    /// Lines that may be sent at once.
    pub burst: u32,
    /// After that, one line each.
    pub interval: Duration,
    /// Lines that may wait to be sent; more are refused.
    pub queue: usize,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            registration_timeout: Duration::from_secs(60),
            ping_every: Duration::from_secs(60),
            ping_timeout: Duration::from_secs(60),
            burst: 10,
            interval: Duration::from_millis(1000),
            queue: 512,
        }
    }
}
