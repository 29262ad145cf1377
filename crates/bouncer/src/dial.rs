//! The way out for upstream connections: through the guarded dialer, with its words.

use std::future::Future;
use std::pin::Pin;

use irc_client::{Dial, DialError};
use service::dialer::Guarded;
use tokio::net::TcpStream;

/// Connects through the guard.
pub struct GuardedDial(pub Guarded);

impl Dial for GuardedDial {
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = Result<TcpStream, DialError>> + Send + 'a>> {
        Box::pin(async move { self.0.connect(host, port).await.map_err(in_its_words) })
    }
}

fn in_its_words(error: service::dialer::DialError) -> DialError {
    use service::dialer::DialError as Guard;
    match error {
        Guard::NotPublic { .. } => DialError::Forbidden(error.to_string()),
        Guard::NotFound { .. } => DialError::NoSuchHost,
        Guard::Lookup { source, .. } | Guard::Unreachable { source, .. } => DialError::Io(source),
        Guard::Refused { .. } => DialError::Io(std::io::ErrorKind::ConnectionRefused.into()),
        Guard::TimedOut { .. } => DialError::Io(std::io::ErrorKind::TimedOut.into()),
    }
}
