//! What a connection at rest costs. Not run by default, and one at a time, because freed memory is used again:
//! `cargo test -p irc-server --test it -- --ignored --nocapture lines_at_rest`. Unoptimised, clients in the same process; docs/benchmarks.md
//! has the figures.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use irc_server::{DoorConfig, ListenerSpec};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};

use crate::support::{Changeable, any_port, door, until};

const CONNECTIONS: usize = 1000;

fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[derive(Clone)]
enum Way {
    Lines,
    WebSocket,
    Tls(Arc<ClientConfig>),
}

/// A client at rest; the TLS session is dropped, so that only the door's half is counted.
fn connect(address: SocketAddr, way: &Way) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    match way {
        Way::Lines => introduce(&mut socket),
        Way::WebSocket => upgrade(&mut socket),
        Way::Tls(config) => {
            let name = ServerName::try_from("localhost").unwrap();
            let mut session = ClientConnection::new(config.clone(), name).unwrap();
            introduce(&mut Stream::new(&mut session, &mut socket));
        }
    }
    socket
}

fn introduce(stream: &mut (impl Read + Write)) {
    stream.write_all(b"PASS alice:secret\r\nNICK a\r\nUSER a 0 * :a\r\n").unwrap();
    let mut line = String::new();
    BufReader::with_capacity(256, stream).read_line(&mut line).unwrap();
    assert!(line.contains(" 001 "), "{line}");
}

fn upgrade(socket: &mut TcpStream) {
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    socket.write_all(request.as_bytes()).unwrap();
    let mut reply = BufReader::with_capacity(256, &mut *socket);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        reply.read_line(&mut line).unwrap();
    }
    // A masked frame with a mask of zeroes.
    for line in ["PASS alice:secret", "NICK a", "USER a 0 * :a"] {
        let mut frame = vec![0x81, 0x80 | line.len() as u8, 0, 0, 0, 0];
        frame.extend(line.as_bytes());
        socket.write_all(&frame).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a promise"]
async fn lines_at_rest() {
    measure("lines", |_| (ListenerSpec::plain("irc", any_port()), Way::Lines)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a promise"]
async fn websockets_at_rest() {
    measure("WebSocket", |_| (ListenerSpec::plain("irc", any_port()), Way::WebSocket)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a promise"]
async fn tls_at_rest() {
    measure("TLS", |certificate| {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.present()).unwrap();
        let client = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (ListenerSpec::tls("ircs", any_port(), certificate), Way::Tls(client.into()))
    })
    .await;
}

#[expect(clippy::print_stdout, reason = "the figure is the point")]
async fn measure(name: &str, open: impl FnOnce(Arc<Changeable>) -> (ListenerSpec, Way)) {
    let (door, hall) = door(DoorConfig::default());
    let (listener, way) = open(Changeable::new());
    let address = door.listen(listener).await.unwrap();
    let first = way.clone();
    let mut sockets = vec![tokio::task::spawn_blocking(move || connect(address, &first)).await.unwrap()];
    until("the first is in", || hall.guests.lock().unwrap().len() == 1).await;
    let before = resident_kib();
    let more = tokio::task::spawn_blocking(move || {
        (1..CONNECTIONS).map(|_| connect(address, &way)).collect::<Vec<_>>()
    });
    sockets.extend(more.await.unwrap());
    until("all are in", || hall.guests.lock().unwrap().len() == CONNECTIONS).await;
    let each = (resident_kib() - before) as f64 / CONNECTIONS as f64;
    println!("{name}: {each:.1} KiB for each of {CONNECTIONS} connections at rest");
}
