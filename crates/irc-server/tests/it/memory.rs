//! What a connection at rest costs. Not run by default, and one at a time, because freed memory is used again:
//! `cargo test -p irc-server --test it -- --ignored --nocapture lines_at_rest`. Measured in November 2026, unoptimised,
//! clients in the same process: 5.0 KiB for lines, 9.6 KiB for a WebSocket.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use irc_server::{DoorConfig, ListenerSpec};

use crate::support::{any_port, door, until};

const CONNECTIONS: usize = 1000;

fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn connect(address: SocketAddr, websocket: bool) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    if websocket {
        let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
        socket.write_all(request.as_bytes()).unwrap();
        let mut reply = BufReader::with_capacity(256, &socket);
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
    } else {
        socket.write_all(b"PASS alice:secret\r\nNICK a\r\nUSER a 0 * :a\r\n").unwrap();
        let mut line = String::new();
        BufReader::with_capacity(256, &socket).read_line(&mut line).unwrap();
        assert!(line.contains(" 001 "), "{line}");
    }
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a promise"]
async fn lines_at_rest() {
    measure(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a promise"]
async fn websockets_at_rest() {
    measure(true).await;
}

#[expect(clippy::print_stdout, reason = "the figure is the point")]
async fn measure(websocket: bool) {
    let (door, hall) = door(DoorConfig::default());
    let address = door.listen(ListenerSpec::plain("irc", any_port())).await.unwrap();
    let mut sockets = vec![connect(address, websocket)];
    until("the first is in", || hall.guests.lock().unwrap().len() == 1).await;
    let before = resident_kib();
    let more = tokio::task::spawn_blocking(move || {
        (1..CONNECTIONS).map(|_| connect(address, websocket)).collect::<Vec<_>>()
    });
    sockets.extend(more.await.unwrap());
    until("all are in", || hall.guests.lock().unwrap().len() == CONNECTIONS).await;
    let each = (resident_kib() - before) as f64 / CONNECTIONS as f64;
    println!("websocket={websocket}: {each:.1} KiB for each of {CONNECTIONS} connections at rest");
}
