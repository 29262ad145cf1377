//! Configs, certificates, and a reader of events.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use irc_client::{
    Client, ClientConfig, ClientError, DirectDial, Environment, Event, HostLimiter, MemorySts, Registered,
    Sasl, Tls, connect,
};
use irc_server::{Door, DoorConfig, DoorMetrics};
use rcgen::CertifiedKey;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::hall::Hall;

pub const DEADLINE: Duration = Duration::from_secs(20);

pub fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub fn door() -> (Door<Hall>, Hall) {
    let hall = Hall::default();
    (Door::new(Arc::new(hall.clone()), DoorConfig::default(), DoorMetrics::default()), hall)
}

/// A self-signed certificate for `localhost`.
pub struct Certificate {
    pub der: CertificateDer<'static>,
    pub key: PrivateKeyDer<'static>,
}

impl Certificate {
    pub fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self { der: cert.der().clone(), key: PrivateKeyDer::Pkcs8(signing_key.serialize_der().into()) }
    }

    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        let key = ring::sign::any_supported_type(&self.key).unwrap();
        Arc::new(Fixed(Arc::new(rustls::sign::CertifiedKey::new(vec![self.der.clone()], key))))
    }

    pub fn sha256(&self) -> [u8; 32] {
        ::ring::digest::digest(&::ring::digest::SHA256, &self.der).as_ref().try_into().unwrap()
    }
}

#[derive(Debug)]
struct Fixed(Arc<rustls::sign::CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// An environment that trusts these certificates and nothing else.
pub fn environment(trusted: &[&Certificate]) -> Environment {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.der.clone()).unwrap();
    }
    if trusted.is_empty() {
        roots.add(Certificate::new().der).unwrap();
    }
    Environment {
        dialer: Arc::new(DirectDial),
        limiter: Arc::new(HostLimiter::new(100, Duration::from_millis(1))),
        sts: Arc::new(MemorySts::default()),
        roots: Arc::new(roots),
    }
}

/// In the clear to that port, as `nick`, logged in as alice.
pub fn config(port: u16, nick: &str) -> ClientConfig {
    let sasl = Sasl::Password { account: "alice".into(), password: "secret".to_owned().into() };
    ClientConfig { tls: Tls::Off, sasl, ..ClientConfig::new("TestNet", "localhost", port, nick) }
}

/// Waits until `ready` says so.
pub async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let waiting = async {
        while !ready() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("{what} never happened"));
}

/// A client and its events.
pub struct Running {
    pub client: Client,
    events: mpsc::Receiver<Event>,
    lines: std::collections::VecDeque<String>,
}

impl Running {
    pub fn start(config: ClientConfig, environment: Environment) -> Self {
        let (sender, events) = mpsc::channel(16);
        Self { client: connect(config, environment, sender), events, lines: Default::default() }
    }

    pub async fn event(&mut self) -> Event {
        timeout(DEADLINE, self.events.recv()).await.expect("nothing happened").expect("the client is gone")
    }

    /// Skips to the registration.
    pub async fn registered(&mut self) -> Registered {
        loop {
            match self.event().await {
                Event::Registered(registered) => return registered,
                Event::Connecting { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Skips to the next failure.
    pub async fn down(&mut self) -> (ClientError, Option<Duration>) {
        loop {
            match self.event().await {
                Event::Down { error, retry_in } => return (error, retry_in),
                Event::Ended => panic!("it ended"),
                _ => {}
            }
        }
    }

    /// Skips to the line with `part` in it.
    pub async fn wait_for(&mut self, part: &str) -> String {
        loop {
            while let Some(line) = self.lines.pop_front() {
                if line.contains(part) {
                    return line;
                }
            }
            match self.event().await {
                Event::Lines(lines) => self.take(&lines),
                Event::Lag(_) => {}
                other => panic!("waiting for {part:?}: {other:?}"),
            }
        }
    }

    /// Skips to the measured lag.
    pub async fn lag(&mut self) -> Duration {
        loop {
            match self.event().await {
                Event::Lag(lag) => return lag,
                Event::Lines(_) | Event::Connecting { .. } | Event::Registered(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub async fn ended(&mut self) {
        while !matches!(self.event().await, Event::Ended) {}
    }

    pub fn say(&self, line: &str) {
        self.client.send(Bytes::copy_from_slice(line.as_bytes())).unwrap();
    }

    fn take(&mut self, lines: &[Bytes]) {
        self.lines.extend(lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()));
    }
}
