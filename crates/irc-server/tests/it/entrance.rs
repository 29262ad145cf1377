//! TLS, certificates and the PROXY protocol.

use std::net::SocketAddr;
use std::sync::Arc;

use irc_server::{DoorConfig, ListenerSpec, ListenerTls, Network};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Changeable, Raw, any_port, certificate, door};

/// Takes any certificate; the tests look at it themselves.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

async fn tls(address: SocketAddr, with_certificate: bool) -> TlsStream<TcpStream> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything));
    let config = if with_certificate {
        let (certificate, key) = certificate();
        builder.with_client_auth_cert(vec![certificate], key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let socket = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn a_new_certificate_drops_nobody() {
    let (door, _hall) = door(DoorConfig::default());
    let resolver = Changeable::new();
    let address = door.listen(ListenerSpec::tls("ircs", any_port(), resolver.clone())).await.unwrap();
    let first = tls(address, false).await;
    let old = shown(&first);
    let mut first = Raw::over(first);
    assert!(first.register("a").await.contains("tls=true cert=none"));
    resolver.change();
    let second = tls(address, false).await;
    assert_eq!(shown(&second), resolver.present());
    assert_ne!(shown(&second), old);
    first.answers("still-here").await;
}

#[tokio::test]
async fn a_client_certificate_opens_external() {
    let (door, _hall) = door(DoorConfig::default());
    let address = door.listen(ListenerSpec::tls("ircs", any_port(), Changeable::new())).await.unwrap();
    let mut with = Raw::over(tls(address, true).await);
    with.send("CAP LS 302").await;
    assert!(with.line().await.unwrap().contains("sasl=EXTERNAL,"));
    with.send(
        "NICK a\r\nUSER a 0 * :a\r\nCAP REQ sasl\r\nAUTHENTICATE EXTERNAL\r\nAUTHENTICATE +\r\nCAP END",
    )
    .await;
    let welcome = with.wait_for(" 001 ").await;
    let fingerprint = welcome.split("cert=").nth(1).unwrap();
    assert!(fingerprint.len() == 64 && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()), "{welcome}");
    let mut without = Raw::over(tls(address, false).await);
    without.send("CAP LS 302").await;
    assert!(!without.line().await.unwrap().contains("EXTERNAL"));
}

#[tokio::test]
async fn tls_and_cleartext_ports_name_their_mistakes() {
    let (door, _hall) = door(DoorConfig::default());
    let tls_port = door.listen(ListenerSpec::tls("ircs", any_port(), Changeable::new())).await.unwrap();
    let port = door.listen(ListenerSpec::plain("irc", any_port())).await.unwrap();
    let mut clear = Raw::connect(tls_port).await;
    clear.send("NICK a").await;
    assert_eq!(clear.rest().await, ["ERROR :This port takes TLS only. Turn on TLS in your client."]);
    let mut hello = Raw::connect(port).await;
    hello.send_bytes(b"\x16\x03\x01\x02\x00\x01\x00").await;
    assert!(hello.rest().await[0].starts_with("ERROR :This port takes no TLS."));
}

#[tokio::test]
async fn a_proxy_header_from_a_stranger_is_refused() {
    let (door, _hall) = door(DoorConfig::default());
    let address = door.listen(ListenerSpec::plain("irc", any_port())).await.unwrap();
    for header in [
        &b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nNICK a\r\n"[..],
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x7f\0\0\x01\x7f\0\0\x01\0\x01\0\x02",
    ] {
        let mut client = Raw::connect(address).await;
        client.send_bytes(header).await;
        assert_eq!(client.rest().await, ["ERROR :PROXY headers are taken from configured proxies only."]);
    }
    let encrypted = door.listen(ListenerSpec::tls("ircs", any_port(), Changeable::new())).await.unwrap();
    let mut client = Raw::connect(encrypted).await;
    client.send_bytes(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n").await;
    assert_eq!(client.rest().await, ["ERROR :PROXY headers are taken from configured proxies only."]);
}

fn proxied(tls: ListenerTls) -> ListenerSpec {
    let proxies = vec![Network::parse("127.0.0.0/8").unwrap()];
    ListenerSpec { tls, proxies, ..ListenerSpec::plain("proxied", any_port()) }
}

#[tokio::test]
async fn a_configured_proxy_names_the_client() {
    let (door, _hall) = door(DoorConfig::default());
    let address = door.listen(proxied(ListenerTls::Terminated)).await.unwrap();
    let mut client = Raw::connect(address).await;
    // Cut in the middle: a header is read however it comes.
    client.send_bytes(b"PROXY TCP4 192.0.2").await;
    client.send_bytes(b".7 198.51.100.1 5555 6697\r\nPASS alice:secret\r\nNICK a\r\n").await;
    client.send("USER a 0 * :a").await;
    assert!(client.wait_for(" 001 ").await.contains("alice from 192.0.2.7 tls=true"));

    let mut headless = Raw::connect(address).await;
    headless.send("NICK a").await;
    assert_eq!(headless.rest().await, ["ERROR :A PROXY header has to come first."]);

    let encrypted = door.listen(proxied(ListenerTls::On(Changeable::new()))).await.unwrap();
    let mut socket = TcpStream::connect(encrypted).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut socket, b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n").await.unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    assert!(Raw::over(stream).register("a").await.contains("alice from 2001:db8::1 tls=true"));
}

#[tokio::test]
async fn a_proxied_client_in_the_clear_may_not_log_in() {
    let (door, _hall) = door(DoorConfig::default());
    let address = door.listen(proxied(ListenerTls::Off)).await.unwrap();
    let mut client = Raw::connect(address).await;
    client.send("PROXY TCP4 192.0.2.7 198.51.100.1 5555 6667\r\nCAP LS 302").await;
    assert_eq!(client.line().await.unwrap(), ":irc.now CAP * LS :batch cap-notify server-time");
    client.send("PASS alice:secret\r\nNICK a\r\nUSER a 0 * :a\r\nCAP END").await;
    assert!(client.rest().await.last().unwrap().contains("over TLS only"));
}

#[tokio::test]
async fn one_address_gets_only_so_many_places() {
    let (door, _hall) = door(DoorConfig { max_per_address: 2, ..DoorConfig::default() });
    let address = door.listen(proxied(ListenerTls::Terminated)).await.unwrap();
    let mut clients = Vec::new();
    for (host, fits) in [("192.0.2.7", true), ("192.0.2.7", true), ("192.0.2.7", false), ("192.0.2.8", true)]
    {
        let mut client = Raw::connect(address).await;
        client.send(&format!("PROXY TCP4 {host} 198.51.100.1 5555 6667\r\nCAP LS")).await;
        assert_eq!(client.line().await.is_some_and(|line| line.contains("CAP")), fits, "{host}");
        clients.push(client);
    }
}
