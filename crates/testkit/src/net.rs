//! Ports on loopback.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Where ports are looked for: below those that the kernel gives to outgoing connections and to whoever asks for any port,
/// so that none of them takes a port between the moment it was found free and the moment a server listens on it.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// The locks on the ports this process was given. They go with the process.
static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port nobody listens on, and that no other caller is given while this process lives.
pub fn free_port() -> Result<u16> {
    let folder = std::env::temp_dir().join("ircnow-test-ports");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    // Every process begins somewhere else: they need not walk past each other's.
    let span = PORTS.end - PORTS.start;
    let begin = u16::try_from(std::process::id() % u32::from(span))?;
    for step in 0..span {
        let port = PORTS.start + (begin + step) % span;
        let path = folder.join(port.to_string());
        let lock = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        if lock.try_lock().is_ok() && TcpListener::bind(loopback(port)).is_ok() {
            taken.push(lock);
            return Ok(port);
        }
    }
    bail!("no port between {} and {} is free", PORTS.start, PORTS.end)
}

/// `127.0.0.1:port`.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Returns once somebody listens on `port`, at the latest after `limit`.
pub fn wait_for_port(port: u16, limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    loop {
        if TcpStream::connect_timeout(&loopback(port), Duration::from_millis(200)).is_ok() {
            return Ok(());
        }
        if Instant::now() > end {
            bail!("nobody listens on port {port} after {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns once an IRC server at `port` answers, at the latest after `limit`. soju listens before it serves, and hangs up
/// on whoever comes in between.
pub fn wait_for_irc(port: u16, limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    while let Err(error) = asked_for_capabilities(port) {
        if Instant::now() > end {
            return Err(error).with_context(|| format!("no IRC server on port {port} after {limit:?}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn asked_for_capabilities(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&loopback(port), Duration::from_millis(200))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"CAP LS 302\r\nQUIT\r\n")?;
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        end.and(Err(ErrorKind::UnexpectedEof.into())).context("it hung up without an answer")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{PORTS, free_port};

    #[test]
    fn no_port_is_given_twice() {
        let ports: HashSet<u16> = (0..50).flat_map(|_| free_port()).collect();
        assert_eq!(ports.len(), 50);
        assert!(ports.iter().all(|port| PORTS.contains(port)));
    }
}
