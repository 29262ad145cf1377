//! One open connection to an upstream, as lines: TCP or TLS or WebSocket below.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use irc::limits::Lines;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message as WsMessage, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::client::Environment;
use crate::config::{ClientConfig, Tls, Transport};
use crate::error::ClientError;
use crate::tls::{self, Seen};
use crate::words;

/// The longest line an upstream may send; some send more than the 8191 and 512 bytes they should.
const LONGEST: usize = 16 * 1024;
const READ: usize = 16 * 1024;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

type BoxStream = Box<dyn Stream>;

thread_local! {
    /// One read buffer a thread: a connection at rest holds none.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// An open connection.
pub(crate) struct Link {
    kind: Kind,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// SHA-256 of the upstream's certificate.
    pub fingerprint: Option<String>,
    /// Why nothing can be sent any more.
    cut: Option<io::Error>,
}

enum Kind {
    Lines { stream: BoxStream, lines: Lines },
    WebSocket { stream: Box<WebSocketStream<BoxStream>>, text: bool },
}

/// Opens a connection. STS may have changed `port` and `tls` from what the config says.
pub(crate) async fn open(
    config: &ClientConfig,
    environment: &Environment,
    port: u16,
    tls: Tls,
) -> Result<Link, ClientError> {
    let dialing = environment.dialer.dial(&config.host, port);
    let socket = dialing.await.map_err(|error| words::dial(config, port, &error))?;
    // A lost option costs delay, nothing else.
    let _ = socket.set_nodelay(true);
    let encrypted = tls != Tls::Off;
    let (stream, fingerprint): (BoxStream, _) = if encrypted {
        let (config_tls, seen) = tls::client_config(tls, &environment.roots, config.certificate.as_deref())
            .map_err(|error| words::tls(config, port, &io::Error::other(error), None))?;
        let failed =
            |error: io::Error, seen: &Seen| words::tls(config, port, &error, seen.fingerprint().as_deref());
        let host = config.host.trim_end_matches('.').to_owned();
        let name = ServerName::try_from(host).map_err(|error| failed(io::Error::other(error), &seen))?;
        let connecting = TlsConnector::from(Arc::new(config_tls)).connect(name, socket);
        let stream = connecting.await.map_err(|error| failed(error, &seen))?;
        (Box::new(stream), seen.fingerprint())
    } else {
        (Box::new(socket), None)
    };
    let kind = match &config.transport {
        Transport::Lines => Kind::Lines { stream, lines: Lines::new(LONGEST) },
        Transport::WebSocket { path } => {
            let (stream, text) = upgrade(config, port, encrypted, path, stream)
                .await
                .map_err(|error| words::websocket(config, port, &error))?;
            Kind::WebSocket { stream: Box::new(stream), text }
        }
    };
    Ok(Link { kind, encrypted, fingerprint, cut: None })
}

async fn upgrade(
    config: &ClientConfig,
    port: u16,
    encrypted: bool,
    path: &str,
    stream: BoxStream,
) -> Result<(WebSocketStream<BoxStream>, bool), WsError> {
    let scheme = if encrypted { "wss" } else { "ws" };
    let host = &config.host;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let mut request =
        format!("{scheme}://{host}:{port}/{}", path.trim_start_matches('/')).into_client_request()?;
    let wanted = HeaderValue::from_static("binary.ircv3.net, text.ircv3.net");
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, wanted);
    let buffers = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST));
    let (stream, response) = client_async_with_config(request, stream, Some(buffers)).await?;
    let chosen = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    Ok((stream, chosen.is_some_and(|name| name == "text.ircv3.net")))
}

/// NUL has no place in a line; the rest of the line is not lost for it.
fn without_nul(line: &[u8]) -> Bytes {
    if line.contains(&0) {
        return line.iter().copied().filter(|byte| *byte != 0).collect();
    }
    Bytes::copy_from_slice(line)
}

impl Link {
    /// Reads once and puts what lines there are into `into`. `false` at the end. May be dropped while it waits.
    ///
    /// After a send that failed this goes on with what the upstream said before, and ends with the error of that send.
    pub async fn read(&mut self, into: &mut Vec<Bytes>) -> io::Result<bool> {
        let read = self.read_once(into).await;
        match self.cut.take_if(|_| !matches!(read, Ok(true))) {
            Some(error) => Err(error),
            None => read,
        }
    }

    async fn read_once(&mut self, into: &mut Vec<Bytes>) -> io::Result<bool> {
        match &mut self.kind {
            Kind::Lines { stream, lines } => {
                poll_fn(|cx| {
                    SCRATCH.with_borrow_mut(|scratch| {
                        let mut buf = ReadBuf::new(scratch);
                        ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf))?;
                        let bytes = buf.filled();
                        lines.push(bytes);
                        while let Some(line) = lines.next_line() {
                            // What is longer than any line may be is left out; the rest of the stream is sound.
                            into.extend(line.ok().map(without_nul));
                        }
                        if bytes.ends_with(b"\n") {
                            // Nothing is pending: let go of the buffer.
                            *lines = Lines::new(LONGEST);
                        }
                        Poll::Ready(Ok(!bytes.is_empty()))
                    })
                })
                .await
            }
            Kind::WebSocket { stream, .. } => {
                let bytes = match stream.next().await {
                    Some(Ok(WsMessage::Text(text))) => Bytes::from(text),
                    Some(Ok(WsMessage::Binary(bytes))) => bytes,
                    Some(Ok(_)) => return Ok(true),
                    Some(Err(WsError::Io(error))) => return Err(error),
                    Some(Err(WsError::ConnectionClosed | WsError::AlreadyClosed)) | None => return Ok(false),
                    Some(Err(error)) => return Err(io::Error::other(error)),
                };
                let whole = bytes.split(|byte| *byte == b'\n').map(irc::message::strip_line_ending);
                into.extend(whole.filter(|line| !line.is_empty()).map(|line| bytes.slice_ref(line)));
                Ok(true)
            }
        }
    }

    /// Sends one line; CR LF is added or taken away as the transport wants it.
    ///
    /// An upstream that turns a guest away says why and closes at once, before it has read what was sent to it. So a
    /// connection that is cut here is no error yet: its reason may wait to be read.
    pub async fn send(&mut self, line: &Bytes) -> io::Result<()> {
        if self.cut.is_some() {
            return Ok(());
        }
        match self.send_once(line).await {
            Err(error) if is_cut(&error) => {
                self.cut = Some(error);
                Ok(())
            }
            sent => sent,
        }
    }

    async fn send_once(&mut self, line: &Bytes) -> io::Result<()> {
        let bare = irc::message::strip_line_ending(line);
        match &mut self.kind {
            Kind::Lines { stream, .. } => {
                if bare.len() + 2 == line.len() {
                    stream.write_all(line).await?;
                } else {
                    stream.write_all(&[bare, b"\r\n"].concat()).await?;
                }
                stream.flush().await
            }
            Kind::WebSocket { stream, text } => {
                let bare = line.slice_ref(bare);
                let message = if *text {
                    let lossy = || String::from_utf8_lossy(&bare).into_owned().into();
                    WsMessage::Text(Utf8Bytes::try_from(bare.clone()).unwrap_or_else(|_| lossy()))
                } else {
                    WsMessage::Binary(bare)
                };
                stream.send(message).await.map_err(|error| match error {
                    WsError::Io(error) => error,
                    other => io::Error::other(other),
                })
            }
        }
    }

    /// Says goodbye to the layers below.
    pub async fn close(&mut self) {
        // The other side may be gone already; then there is nobody to say it to.
        match &mut self.kind {
            Kind::Lines { stream, .. } => _ = stream.shutdown().await,
            Kind::WebSocket { stream, .. } => _ = stream.close().await,
        }
    }
}

fn is_cut(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn the_last_words_of_an_upstream_that_does_not_listen_are_read() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let socket = TcpStream::connect(listener.local_addr()?).await?;
        let kind = Kind::Lines { stream: Box::new(socket), lines: Lines::new(LONGEST) };
        let mut link = Link { kind, encrypted: false, fingerprint: None, cut: None };
        let (mut upstream, _) = listener.accept().await?;
        let line = Bytes::from_static(b"CAP LS 302\r\n");
        link.send(&line).await?;
        upstream.read_exact(&mut [0]).await?;
        upstream.write_all(b"ERROR :Throttled\r\n").await?;
        // The rest of the line was not read, so this resets the connection.
        drop(upstream);
        while link.cut.is_none() {
            link.send(&line).await?;
            tokio::task::yield_now().await;
        }
        let mut lines = Vec::new();
        assert!(link.read(&mut lines).await?);
        assert_eq!(lines, ["ERROR :Throttled"]);
        assert!(link.read(&mut lines).await.is_err_and(|error| is_cut(&error)));
        Ok(())
    }
}
