//! What the client needs from around it: a way out, memory for STS policies, and manners towards hosts.

use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::net::TcpStream;

/// Opens TCP connections. The bouncer's guarded dialer stands behind it: it resolves once, refuses what users must not
/// reach, and connects to the checked address.
pub trait Dial: Send + Sync + 'static {
    /// Connects to `host:port`.
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = Result<TcpStream, DialError>> + Send + 'a>>;
}

/// Why there is no TCP connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("the name does not resolve")]
    NoSuchHost,
    /// The guard does not let users connect there.
    #[error("{0}")]
    Forbidden(String),
    /// The connection could not be made.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Connects wherever it is told: for tests, and for tools that act for their own user.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirectDial;

impl Dial for DirectDial {
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = Result<TcpStream, DialError>> + Send + 'a>> {
        Box::pin(async move {
            let mut last = DialError::NoSuchHost;
            let addresses = tokio::net::lookup_host((host, port)).await.map_err(|_| DialError::NoSuchHost)?;
            for address in addresses {
                match TcpStream::connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error.into(),
                }
            }
            Err(last)
        })
    }
}
