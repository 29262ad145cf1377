//! Doors, certificates and a client of few words.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use irc_server::{Door, DoorConfig, DoorMetrics, ListenerSpec};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::hall::Hall;

pub const DEADLINE: Duration = Duration::from_secs(20);

pub fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A door before a new hall.
pub fn door(config: DoorConfig) -> (Door<Hall>, Hall) {
    let hall = Hall::default();
    (Door::new(Arc::new(hall.clone()), config, DoorMetrics::default()), hall)
}

/// A door with one port in the clear.
pub async fn plain(config: DoorConfig) -> (Door<Hall>, Hall, SocketAddr) {
    let (door, hall) = door(config);
    let address = door.listen(ListenerSpec::plain("irc", any_port())).await.unwrap();
    (door, hall, address)
}

/// A self-signed certificate for `localhost`, with its key.
pub fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.der().clone(), PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into()))
}

/// A resolver whose certificate can be changed.
#[derive(Debug)]
pub struct Changeable(Mutex<Arc<CertifiedKey>>);

impl Changeable {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Self::fresh())))
    }

    fn fresh() -> Arc<CertifiedKey> {
        let (certificate, key) = certificate();
        let key = ring::sign::any_supported_type(&key).unwrap();
        Arc::new(CertifiedKey::new(vec![certificate], key))
    }

    pub fn change(&self) {
        *self.0.lock().unwrap() = Self::fresh();
    }

    pub fn present(&self) -> CertificateDer<'static> {
        self.0.lock().unwrap().cert[0].clone()
    }
}

impl ResolvesServerCert for Changeable {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.lock().unwrap().clone())
    }
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

/// A client that says what it is told to, over any stream.
pub struct Raw<S> {
    stream: S,
    unread: Vec<u8>,
}

impl Raw<TcpStream> {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// Connected and registered.
    pub async fn registered(address: SocketAddr, nick: &str) -> Self {
        let mut raw = Self::connect(address).await;
        raw.register(nick).await;
        raw
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn over(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub async fn send(&mut self, text: &str) {
        self.send_bytes(format!("{text}\r\n").as_bytes()).await;
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Like [`Raw::send_bytes`], to a door that may have closed already.
    pub async fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    pub async fn register(&mut self, nick: &str) -> String {
        self.send(&format!("PASS alice:secret\r\nNICK {nick}\r\nUSER {nick} 0 * :{nick}")).await;
        self.wait_for(" 001 ").await
    }

    /// The next line; `None` at the end.
    pub async fn line(&mut self) -> Option<String> {
        let reading = async {
            loop {
                if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.unread.drain(..=end).collect();
                    return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
                }
                let mut some = [0; 4096];
                match self.stream.read(&mut some).await {
                    Ok(0) | Err(_) => return None,
                    Ok(length) => self.unread.extend_from_slice(&some[..length]),
                }
            }
        };
        timeout(DEADLINE, reading).await.expect("no line came")
    }

    /// Reads up to the line with `part` in it.
    pub async fn wait_for(&mut self, part: &str) -> String {
        let mut before = Vec::new();
        while let Some(line) = self.line().await {
            if line.contains(part) {
                return line;
            }
            before.push(line);
        }
        panic!("the connection ended before {part:?}: {before:?}")
    }

    /// Everything up to the end.
    pub async fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            lines.push(line);
        }
        lines
    }

    /// Whether the other side is there.
    pub async fn answers(&mut self, token: &str) {
        self.send(&format!("PING {token}")).await;
        self.wait_for(&format!("PONG irc.test :{token}")).await;
    }
}
