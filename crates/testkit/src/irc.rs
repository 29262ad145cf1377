//! A small IRC client for tests: it sends lines and waits for lines, and does nothing by itself but answer PING.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::net::TcpStream;

use crate::wait::PATIENCE;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn over_tls(address: SocketAddr) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.context("connecting")?;
    let name = ServerName::try_from("localhost")?;
    Ok(tokio_rustls::TlsConnector::from(Arc::new(any_certificate()?)).connect(name, stream).await?)
}

/// The certificate (DER) that a server on this machine shows.
pub async fn served_certificate(port: u16) -> Result<Vec<u8>> {
    let stream = over_tls(crate::net::loopback(port)).await?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(chain.first().context("the server showed no certificate")?.to_vec())
}

/// A connection to an IRC server.
pub struct Client {
    reader: BufReader<ReadHalf<Box<dyn Stream>>>,
    writer: WriteHalf<Box<dyn Stream>>,
    /// Every line received so far, without its end.
    pub seen: Vec<String>,
    answers_pings: bool,
}

impl Client {
    /// Connects in the clear.
    pub async fn connect(port: u16) -> Result<Self> {
        Self::connect_to(crate::net::loopback(port)).await
    }

    /// Connects in the clear, to any address.
    pub async fn connect_to(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("connecting")?;
        Ok(Self::over(Box::new(stream)))
    }

    /// Connects over TLS and takes any certificate.
    pub async fn connect_tls(port: u16) -> Result<Self> {
        Self::connect_tls_to(crate::net::loopback(port)).await
    }

    /// Connects over TLS, to any address, and takes any certificate.
    pub async fn connect_tls_to(address: SocketAddr) -> Result<Self> {
        Ok(Self::over(Box::new(over_tls(address).await?)))
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader: BufReader::new(reader), writer, seen: Vec::new(), answers_pings: true }
    }

    /// From now on PINGs are left unanswered.
    pub fn ignore_pings(&mut self) {
        self.answers_pings = false;
    }

    /// Registers as `nick` without SASL and waits for 001.
    pub async fn register(&mut self, nick: &str) -> Result<()> {
        self.send(&format!("NICK {nick}")).await?;
        self.send(&format!("USER {nick} 0 * :{nick}")).await?;
        self.wait_for(" 001 ").await.map(drop)
    }

    /// Registers with SASL PLAIN, asking for `caps` besides, and waits for 001.
    pub async fn register_sasl(&mut self, login: &str, password: &str, caps: &str) -> Result<()> {
        let nick = login.split(['/', '@']).next().unwrap_or(login).to_owned();
        self.send("CAP LS 302").await?;
        self.send(&format!("NICK {nick}")).await?;
        self.send(&format!("USER {nick} 0 * :{nick}")).await?;
        self.send(&format!("CAP REQ :sasl {caps}")).await?;
        self.wait_for(" ACK ").await?;
        self.send("AUTHENTICATE PLAIN").await?;
        self.wait_for("AUTHENTICATE +").await?;
        self.send(&format!("AUTHENTICATE {}", base64(format!("\0{login}\0{password}").as_bytes()))).await?;
        let answers = [" 903 ", " 902 ", " 904 ", " 905 ", " 908 "];
        let answer = self
            .wait_where("an answer to AUTHENTICATE", |line| {
                answers.iter().any(|answer| line.contains(answer))
            })
            .await?;
        if !answer.contains(" 903 ") {
            bail!("the login is refused: {answer}");
        }
        self.send("CAP END").await?;
        self.wait_for(" 001 ").await.map(drop)
    }

    /// Sends one line.
    pub async fn send(&mut self, line: &str) -> Result<()> {
        self.send_bytes(format!("{line}\r\n").as_bytes()).await
    }

    /// Sends bytes as they are.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes).await.context("sending")
    }

    /// The next line; `None` at the end of the connection.
    pub async fn next(&mut self) -> Result<Option<String>> {
        let mut raw = Vec::new();
        if self.reader.read_until(b'\n', &mut raw).await.unwrap_or(0) == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&raw).trim_end_matches(['\r', '\n']).to_owned();
        if self.answers_pings && line.split(' ').find(|word| !word.starts_with([':', '@'])) == Some("PING") {
            let token = line.split_once("PING ").map_or("", |(_, token)| token).to_owned();
            self.send(&format!("PONG {token}")).await?;
        }
        self.seen.push(line.clone());
        Ok(Some(line))
    }

    /// The next line that contains `text`; an error after [`PATIENCE`] or at the end of the connection.
    pub async fn wait_for(&mut self, text: &str) -> Result<String> {
        self.wait_where(text, |line| line.contains(text)).await
    }

    /// The next line that `wanted` takes.
    pub async fn wait_where(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let start = self.seen.len();
        let found = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.next().await? {
                if wanted(&line) {
                    return Ok(line);
                }
            }
            bail!("the connection ended")
        });
        match found.await {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(error)) => Err(error.context(self.waited_for(what, start))),
            Err(_) => bail!(self.waited_for(what, start)),
        }
    }

    fn waited_for(&self, what: &str, start: usize) -> String {
        format!("waited for {what:?}, got:\n{}", self.seen[start..].join("\n"))
    }

    /// Everything that comes until nothing came for `quiet`.
    pub async fn drain(&mut self, quiet: Duration) -> Result<Vec<String>> {
        let start = self.seen.len();
        while let Ok(Ok(Some(_))) = tokio::time::timeout(quiet, self.next()).await {}
        Ok(self.seen[start..].to_vec())
    }

    /// Sends bytes and reads at the same time, until the server closes the connection. Gives every line that came.
    pub async fn shout(self, bytes: &[u8]) -> Result<Vec<String>> {
        let Self { mut reader, mut writer, .. } = self;
        let mut heard = Vec::new();
        let hear = tokio::time::timeout(PATIENCE, async {
            let mut line = Vec::new();
            // A connection that is reset has ended too.
            while reader.read_until(b'\n', &mut line).await.unwrap_or(0) > 0 {
                heard.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                line.clear();
            }
        });
        let say = async {
            // The server stops listening before we have said all; that is what we wait for.
            let _ = writer.write_all(bytes).await;
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = hear => ended,
            () = say => Ok(()),
        };
        ended.with_context(|| format!("the connection is still open, got {heard:?}"))?;
        Ok(heard)
    }

    /// Waits until the server closes the connection.
    pub async fn wait_for_end(&mut self) -> Result<()> {
        let ended =
            tokio::time::timeout(PATIENCE, async { while let Ok(Some(_)) = self.next().await {} }).await;
        ended.context("the connection is still open")
    }
}

/// Standard base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = usize::try_from(word >> (18 - 6 * place) & 63).unwrap_or(0);
            text.push(if place <= chunk.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}

/// TLS for tests: any certificate is taken.
pub(crate) fn any_certificate() -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth())
}

/// Takes any certificate.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
