//! From a fresh socket to a [`Wire`]: the PROXY header, TLS, and telling WebSocket clients and strangers apart by
//! their first bytes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use crate::backend::Transport;
use crate::config::{Network, Origins};
use crate::framing::MAX_LINE;
use crate::proxy::{self, Parsed};
use crate::reply;
use crate::stream::{BoxStream, Corked, Rewound};
use crate::tls;
use crate::wire::Wire;

/// Bytes looked at before it is clear who speaks.
const LOOK: usize = 2048 + 64;

/// What a listener's sockets go through.
#[derive(Clone)]
pub(crate) struct Entrance {
    pub name: Arc<str>,
    pub tls: Encryption,
    pub websocket: bool,
    pub proxies: Arc<[Network]>,
    pub origins: Origins,
}

#[derive(Clone)]
pub(crate) enum Encryption {
    Off,
    On(Arc<ServerConfig>),
    Terminated,
}

/// A client that has come in.
pub(crate) struct Entered {
    pub wire: Wire,
    pub address: SocketAddr,
    pub tls: bool,
    pub certificate: Option<String>,
    pub transport: Transport,
}

/// Why a client has not come in. Each has a fixed word for the metrics.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it sent a PROXY header but is not one of the configured proxies")]
    StrangeProxy,
    #[error("the configured proxy sent no PROXY header")]
    MissingProxy,
    #[error("it spoke TLS to a port without")]
    UnexpectedTls,
    #[error("it spoke no TLS to a port with")]
    ExpectedTls,
    #[error("the page {0:?} may not open a WebSocket")]
    Origin(String),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("WebSocket: {0}")]
    WebSocket(Box<WsError>),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Refused {
    pub fn word(&self) -> &'static str {
        match self {
            Self::StrangeProxy => "strange_proxy",
            Self::MissingProxy => "missing_proxy",
            Self::UnexpectedTls => "unexpected_tls",
            Self::ExpectedTls => "expected_tls",
            Self::Origin(_) => "origin",
            Self::Tls(_) => "tls",
            Self::WebSocket(_) => "websocket",
            Self::Io(_) => "io",
        }
    }
}

/// Takes a socket in.
pub(crate) async fn enter(
    mut socket: TcpStream,
    from: SocketAddr,
    entrance: &Entrance,
) -> Result<Entered, Refused> {
    // One write a batch is ours already; waiting for more would only add delay.
    socket.set_nodelay(true)?;
    let mut first = BytesMut::new();
    let mut address = from;
    let mut proxied_tls = false;
    let trusted = entrance.proxies.iter().any(|network| network.contains(from.ip()));
    if trusted {
        let header = read_proxy_header(&mut socket, &mut first).await?;
        address = header.source.unwrap_or(from);
        proxied_tls = header.tls;
    }
    match &entrance.tls {
        Encryption::On(config) => {
            more(&mut socket, &mut first).await?;
            if first.first() != Some(&0x16) {
                let strange = !trusted && looks_like_proxy(&first);
                let text = if strange {
                    STRANGE_PROXY
                } else {
                    "This port takes TLS only. Turn on TLS in your client."
                };
                say(&mut socket, text).await;
                return Err(if strange { Refused::StrangeProxy } else { Refused::ExpectedTls });
            }
            let stream = Rewound::new(first.freeze(), socket);
            let stream = TlsAcceptor::from(config.clone()).accept(stream).await.map_err(Refused::Tls)?;
            let certificate =
                stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|c| tls::fingerprint(c));
            let mut stream: BoxStream = Box::new(stream);
            let mut first = BytesMut::new();
            if entrance.websocket {
                sniff(&mut stream, &mut first).await?;
            }
            open(stream, first, entrance, Known { address, tls: true, certificate }).await
        }
        encryption => {
            sniff(&mut socket, &mut first).await?;
            if first.first() == Some(&0x16) {
                say(&mut socket, "This port takes no TLS. Turn TLS off in your client, or use the TLS port.")
                    .await;
                return Err(Refused::UnexpectedTls);
            }
            if looks_like_proxy(&first) {
                say(&mut socket, STRANGE_PROXY).await;
                return Err(Refused::StrangeProxy);
            }
            let tls = proxied_tls || matches!(encryption, Encryption::Terminated);
            open(Box::new(socket), first, entrance, Known { address, tls, certificate: None }).await
        }
    }
}

const STRANGE_PROXY: &str = "PROXY headers are taken from configured proxies only.";

struct Known {
    address: SocketAddr,
    tls: bool,
    certificate: Option<String>,
}

/// Starts with what was read ahead, as lines or as WebSocket.
async fn open(
    stream: BoxStream,
    first: BytesMut,
    entrance: &Entrance,
    known: Known,
) -> Result<Entered, Refused> {
    let wants_websocket = entrance.websocket && first.starts_with(b"GET ");
    let stream: BoxStream =
        if first.is_empty() { stream } else { Box::new(Rewound::new(first.freeze(), stream)) };
    let Known { address, tls, certificate } = known;
    let (wire, transport) = if wants_websocket {
        (upgrade(stream, &entrance.origins).await?, Transport::WebSocket)
    } else {
        (Wire::lines(stream), Transport::Lines)
    };
    Ok(Entered { wire, address, tls, certificate, transport })
}

/// Buffers fit for many connections: the defaults would take 140 KiB each.
fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(Some(2 * MAX_LINE))
        .max_frame_size(Some(2 * MAX_LINE))
}

/// A WebSocket whose upgrade was answered elsewhere.
pub(crate) async fn upgraded(stream: BoxStream, text: bool) -> Wire {
    let stream =
        WebSocketStream::from_raw_socket(Corked::new(stream), Role::Server, Some(websocket_config())).await;
    Wire::websocket(stream, text)
}

async fn upgrade(stream: BoxStream, origins: &Origins) -> Result<Wire, Refused> {
    let mut text = true;
    let mut refused = None;
    #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
    let answer = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let of = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if let Some(origin) = of(header::ORIGIN)
            && !origins.allow(origin)
        {
            refused = Some(origin.to_owned());
            let mut response = ErrorResponse::new(Some("This page may not connect here.".into()));
            *response.status_mut() = StatusCode::FORBIDDEN;
            return Err(response);
        }
        if let Some(chosen) = of(header::SEC_WEBSOCKET_PROTOCOL).and_then(subprotocol) {
            text = chosen == TEXT;
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(chosen));
        }
        Ok(response)
    };
    let accepted = accept_hdr_async_with_config(Corked::new(stream), answer, Some(websocket_config())).await;
    match (accepted, refused) {
        (_, Some(origin)) => Err(Refused::Origin(origin)),
        (Err(error), None) => Err(Refused::WebSocket(Box::new(error))),
        (Ok(stream), None) => Ok(Wire::websocket(stream, text)),
    }
}

const TEXT: &str = "text.ircv3.net";
const BINARY: &str = "binary.ircv3.net";

/// The first subprotocol of the client's list that is known here.
pub(crate) fn subprotocol(offered: &str) -> Option<&'static str> {
    offered.split(',').find_map(|name| match name.trim() {
        TEXT => Some(TEXT),
        BINARY => Some(BINARY),
        _ => None,
    })
}

async fn read_proxy_header(socket: &mut TcpStream, first: &mut BytesMut) -> Result<proxy::Header, Refused> {
    loop {
        match proxy::parse(first) {
            Parsed::Header(header) => {
                let _ = first.split_to(header.length);
                return Ok(header);
            }
            Parsed::Invalid => {
                say(socket, "A PROXY header has to come first.").await;
                return Err(Refused::MissingProxy);
            }
            Parsed::Incomplete => read_some(socket, first).await?,
        }
    }
}

/// Reads until it is clear whether it is HTTP, PROXY, TLS or lines.
async fn sniff<S: tokio::io::AsyncRead + Unpin>(stream: &mut S, first: &mut BytesMut) -> io::Result<()> {
    more(stream, first).await?;
    let undecided = |bytes: &[u8], sign: &[u8]| bytes.len() < sign.len() && sign.starts_with(bytes);
    while undecided(first, b"GET ") || undecided(first, b"PROXY ") || undecided(first, proxy::V2_SIGNATURE) {
        read_some(stream, first).await?;
    }
    Ok(())
}

/// Reads something if there is nothing yet.
async fn more<S: tokio::io::AsyncRead + Unpin>(stream: &mut S, first: &mut BytesMut) -> io::Result<()> {
    if first.is_empty() { read_some(stream, first).await } else { Ok(()) }
}

async fn read_some<S: tokio::io::AsyncRead + Unpin>(stream: &mut S, first: &mut BytesMut) -> io::Result<()> {
    let mut some = vec![0; LOOK];
    let length = stream.read(&mut some).await?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    first.extend_from_slice(&some[..length]);
    Ok(())
}

fn looks_like_proxy(first: &[u8]) -> bool {
    !matches!(proxy::parse(first), Parsed::Invalid)
}

/// A last word in the clear. Whether it arrives is the client's business.
async fn say(socket: &mut TcpStream, text: &str) {
    let line: Bytes = reply::error(text);
    let _ = socket.write_all(&line).await;
    let _ = socket.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_order_of_subprotocols_counts() {
        assert_eq!(subprotocol("binary.ircv3.net, text.ircv3.net"), Some(BINARY));
        assert_eq!(subprotocol("soap, text.ircv3.net"), Some(TEXT));
        assert_eq!(subprotocol("soap"), None);
    }
}
