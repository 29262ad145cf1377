//! What a door and its listeners are told.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::server::ResolvesServerCert;

/// What holds for all connections of a door.
#[derive(Clone, Debug)]
pub struct DoorConfig {
    /// The source of the door's own lines, such as `irc.now`.
    pub server_name: String,
    /// Whether a client has to log in (SASL, or PASS) before the backend sees it.
    pub login_required: bool,
    /// What a client that did not log in is told to do, after "You have to log in".
    pub login_hint: String,
    /// How long a client may take to register, TLS and WebSocket handshakes included.
    pub registration_timeout: Duration,
    /// After this much silence of the client the door sends PING.
    pub ping_after: Duration,
    /// How long the answer to that may take.
    pub ping_timeout: Duration,
    /// Bytes in the outbox from which on a connection is LAGGING.
    pub soft_limit: usize,
    /// A connection that takes no byte for this long while some wait is closed.
    pub stall_timeout: Duration,
    /// How long the last lines of a connection that ends may take.
    pub linger: Duration,
    /// How much a client may send.
    pub flood: FloodLimits,
    /// Connections at once, over all listeners.
    pub max_connections: usize,
    /// Connections at once from one IPv4 address or IPv6 /64 (loopback is not counted).
    pub max_per_address: usize,
    /// Which browsers' pages may open a WebSocket.
    pub origins: Origins,
}

impl Default for DoorConfig {
    fn default() -> Self {
        Self {
            server_name: "irc.now".into(),
            login_required: true,
            login_hint: "Set SASL in your client with your user name and an app password.".into(),
            registration_timeout: Duration::from_secs(30),
            ping_after: Duration::from_secs(90),
            ping_timeout: Duration::from_secs(60),
            soft_limit: 64 * 1024,
            stall_timeout: Duration::from_secs(30),
            linger: Duration::from_secs(5),
            flood: FloodLimits::default(),
            max_connections: 100_000,
            max_per_address: 200,
            origins: Origins::default(),
        }
    }
}

/// A token bucket for what one client sends. An empty one delays the client; PONG costs nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloodLimits {
    /// Lines it may send at once.
    pub burst: u32,
    /// Lines a second it may send for ever.
    pub per_second: f64,
    /// A client that is delayed without a break for this long is closed with "Excess flood".
    pub patience: Duration,
}

impl Default for FloodLimits {
    fn default() -> Self {
        Self { burst: 60, per_second: 20.0, patience: Duration::from_secs(120) }
    }
}

/// Decides whether a page of that `Origin` may open a WebSocket. Clients that are no browsers send none and pass.
#[derive(Clone)]
pub struct Origins(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl Origins {
    /// Asks `allowed` about every origin.
    pub fn by(allowed: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(allowed))
    }

    /// Only these, such as `https://chat.irc.now`.
    pub fn only(origins: impl IntoIterator<Item = String>) -> Self {
        let origins: Vec<String> = origins.into_iter().collect();
        Self::by(move |origin| origins.iter().any(|known| known.eq_ignore_ascii_case(origin)))
    }

    pub(crate) fn allow(&self, origin: &str) -> bool {
        (self.0)(origin)
    }
}

impl Default for Origins {
    /// No page at all.
    fn default() -> Self {
        Self::by(|_| false)
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origins(..)")
    }
}

/// One port of a door.
#[derive(Clone, Debug)]
pub struct ListenerSpec {
    /// Its name in metrics and logs, such as `irc`, `ircs`.
    pub name: String,
    /// Where it listens; port 0 takes any.
    pub address: SocketAddr,
    /// Whether it is encrypted.
    pub tls: ListenerTls,
    /// Whether WebSocket clients are taken beside the others (they are told apart by their first bytes).
    pub websocket: bool,
    /// Proxies that send a PROXY header (v1 or v2) first. Those must; anybody else who does is refused.
    pub proxies: Vec<Network>,
}

impl ListenerSpec {
    /// A port in the clear that takes WebSocket clients too.
    pub fn plain(name: impl Into<String>, address: SocketAddr) -> Self {
        Self { name: name.into(), address, tls: ListenerTls::Off, websocket: true, proxies: Vec::new() }
    }

    /// An encrypted port that takes WebSocket clients too.
    pub fn tls(
        name: impl Into<String>,
        address: SocketAddr,
        certificate: Arc<dyn ResolvesServerCert>,
    ) -> Self {
        Self { tls: ListenerTls::On(certificate), ..Self::plain(name, address) }
    }
}

/// Whether a listener is encrypted.
#[derive(Clone, Debug)]
pub enum ListenerTls {
    /// In the clear. SASL and PASS work from loopback only.
    Off,
    /// TLS 1.2 and 1.3. The resolver is asked at every handshake, so a new certificate needs no restart.
    On(Arc<dyn ResolvesServerCert>),
    /// In the clear here, but a proxy before us has the encryption: all its clients count as encrypted.
    Terminated,
}

/// An address range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `192.0.2.0/24`, `2001:db8::/32` or a single address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        (prefix <= longest).then_some(Self { address, prefix })
    }

    /// Whether the address lies within. IPv4-mapped addresses count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(host)) => {
                let keep = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                u32::from(net) & keep == u32::from(host) & keep
            }
            (IpAddr::V6(net), IpAddr::V6(host)) => {
                let keep = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                u128::from(net) & keep == u128::from(host) & keep
            }
            _ => false,
        }
    }
}
