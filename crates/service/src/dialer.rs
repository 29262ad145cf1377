//! Outbound connections made because a user wished them: one guard in front of all.
//!
//! The name is resolved once, every address is checked, and the connection goes to a checked address: a name that
//! answers differently the second time (DNS rebinding) gains nothing. One address that is not public spoils the name.
//! Exceptions are exact `host:port` pairs set by the operator, and the sockets of servers this process runs itself.

mod ranges;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::config::ConfigValue;

pub use ranges::is_public;
pub(crate) use ranges::parse_address;

/// A host and a port, as an exception names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an address, in lower case, without a final dot.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// The pair in the one form that is compared.
    pub fn new(host: &str, port: u16) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches([']', '.']).to_ascii_lowercase();
        Self { host, port }
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').ok_or("it has no port")?;
        let port = port.parse().map_err(|_| format!("`{port}` is no port"))?;
        let pair = Self::new(host, port);
        if pair.host.is_empty() {
            return Err("it has no host".to_owned());
        }
        if pair.host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("a host has no spaces in it".to_owned());
        }
        Ok(pair)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl ConfigValue for HostPort {
    fn kind() -> String {
        "a host and a port (irc.example.org:6697)".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse()
    }
}

crate::config! {
    /// Outbound connections made for users.
    pub struct DialConfig in "dial" {
        /// Exact `host:port` pairs that may be reached although they are not public.
        pub allow: Vec<HostPort>,
        /// How long a connection may take, over all addresses of the name.
        pub timeout: Duration = "15s",
    }
}

/// Why there is no connection. The words are for the user.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name leads to an address that is not on the public internet.
    #[error("{host} is not on the public internet, so it cannot be reached from here")]
    NotPublic {
        /// The name as asked for.
        host: String,
        /// The address that spoiled it; for the log.
        address: IpAddr,
    },
    /// The name is not known.
    #[error("{host} was not found: check the name")]
    NotFound {
        /// The name as asked for.
        host: String,
    },
    /// The name cannot be looked up just now.
    #[error("{host} could not be looked up: {source}")]
    Lookup {
        /// The name as asked for.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody listens there.
    #[error("{target} refused the connection: check the port, or the server is down")]
    Refused {
        /// Where to.
        target: String,
    },
    /// No answer in time.
    #[error("{target} did not answer within {} s", .after.as_secs())]
    TimedOut {
        /// Where to.
        target: String,
        /// After how long.
        after: Duration,
    },
    /// Anything else.
    #[error("{target} cannot be reached: {source}")]
    Unreachable {
        /// Where to.
        target: String,
        /// Why.
        source: io::Error,
    },
}

/// Looks names up. The system's resolver, or a table in tests.
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of `host`.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// The guarded dialer. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Guarded {
    resolver: Arc<dyn Resolve>,
    allow: Arc<RwLock<HashSet<HostPort>>>,
    own: Arc<RwLock<HashSet<SocketAddr>>>,
    timeout: Duration,
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Guarded {
    /// The dialer as configured.
    pub fn new(config: &DialConfig) -> Self {
        Self::with_resolver(config, Arc::new(SystemResolver))
    }

    /// The same with another resolver.
    pub fn with_resolver(config: &DialConfig, resolver: Arc<dyn Resolve>) -> Self {
        Self {
            resolver,
            allow: Arc::new(RwLock::new(config.allow.iter().cloned().collect())),
            own: Arc::default(),
            timeout: config.timeout,
        }
    }

    /// Lets one exact pair through from now on: the local network `ircnow up` runs.
    pub fn allow(&self, pair: HostPort) {
        self.allow.write().unwrap_or_else(PoisonError::into_inner).insert(pair);
    }

    /// Lets this very socket through, under whatever name leads there: a server of ours listens on it.
    pub fn allow_own(&self, socket: SocketAddr) {
        self.own.write().unwrap_or_else(PoisonError::into_inner).insert(socket);
    }

    /// The server is gone: whoever listens on its socket next is none of ours.
    pub fn forget_own(&self, socket: SocketAddr) {
        self.own.write().unwrap_or_else(PoisonError::into_inner).remove(&socket);
    }

    /// Whether the operator let this exact pair through.
    pub fn allows(&self, host: &str, port: u16) -> bool {
        self.allow.read().unwrap_or_else(PoisonError::into_inner).contains(&HostPort::new(host, port))
    }

    /// The addresses `host` may be reached at, all checked.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
        let pair = HostPort::new(host, port);
        let literal = ranges::parse_address(&pair.host);
        let addresses = match literal {
            Some(address) => vec![address],
            None => self.look_up(&pair.host).await?,
        };
        let sockets = |address: IpAddr| SocketAddr::new(address, port);
        if self.allow.read().unwrap_or_else(PoisonError::into_inner).contains(&pair) {
            return Ok(addresses.into_iter().map(sockets).collect());
        }
        let own: Vec<SocketAddr> = {
            let known = self.own.read().unwrap_or_else(PoisonError::into_inner);
            addresses.iter().copied().map(sockets).filter(|socket| known.contains(socket)).collect()
        };
        if !own.is_empty() {
            // Not to the name's other addresses: somebody else may listen on the same port there.
            return Ok(own);
        }
        if let Some(address) = addresses.iter().find(|address| !is_public(**address)) {
            tracing::info!(host, %address, "refused to connect to an address that is not public");
            return Err(DialError::NotPublic { host: host.to_owned(), address: *address });
        }
        Ok(addresses.into_iter().map(sockets).collect())
    }

    /// Connects to `host`, trying its addresses one after the other, within the configured time.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let target = HostPort::new(host, port).to_string();
        let end = Instant::now() + self.timeout;
        let timed_out = || DialError::TimedOut { target: target.clone(), after: self.timeout };
        let addresses = timeout_at(end, self.resolve(host, port)).await.map_err(|_| timed_out())??;
        let mut last = None;
        for (tried, address) in addresses.iter().enumerate() {
            // Each address gets its share of the time that is left, so that a dead first one leaves some for the next.
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = Instant::now() + end.saturating_duration_since(Instant::now()) / left;
            match timeout_at(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).ok();
                    return Ok(stream);
                }
                Ok(Err(error)) => last = Some(error),
                Err(_) => {}
            }
        }
        Err(match last {
            None => timed_out(),
            Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => DialError::Refused { target },
            Some(error) if error.kind() == io::ErrorKind::TimedOut => timed_out(),
            Some(source) => DialError::Unreachable { target, source },
        })
    }

    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, DialError> {
        let not_found = || DialError::NotFound { host: host.to_owned() };
        if host.is_empty() || host.len() > 253 || host.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return Err(not_found());
        }
        match self.resolver.resolve(host).await {
            Ok(addresses) if addresses.is_empty() => Err(not_found()),
            Ok(addresses) => Ok(addresses),
            // getaddrinfo's errors come without a code: they all say that the name led nowhere.
            Err(error) if error.raw_os_error().is_none() => Err(not_found()),
            Err(source) => Err(DialError::Lookup { host: host.to_owned(), source }),
        }
    }
}
