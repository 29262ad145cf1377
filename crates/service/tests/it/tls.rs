use std::fs;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use service::tls::{LocalTls, local_certificate, server_config};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A handshake with `tls`'s server by a client that trusts `authority` only. What certificate it saw.
async fn shake(tls: &LocalTls, authority: &str, name: &str) -> Result<Vec<u8>, std::io::Error> {
    let config = server_config(tls.certificate.clone(), &[b"http/1.1"], None).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(config).accept(stream).await.map(drop)
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
    server.await.unwrap().ok();
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

#[tokio::test]
async fn the_certificate_is_made_once_and_trusted_by_who_trusts_the_authority() {
    let folder = tempfile::tempdir().unwrap();
    let all = names(&["localhost", "my.localhost", "127.0.0.1"]);
    let first = local_certificate(folder.path(), &all).unwrap();
    for name in ["localhost", "my.localhost", "127.0.0.1"] {
        let seen = shake(&first, &first.authority_pem, name).await.unwrap();
        assert_eq!(service::tls::fingerprint(&seen), first.certificate.fingerprint());
    }
    assert!(shake(&first, &first.authority_pem, "other.localhost").await.is_err());
    let second = local_certificate(folder.path(), &all).unwrap();
    assert_eq!(second.certificate.fingerprint(), first.certificate.fingerprint());
    assert_eq!(second.authority_fingerprint, first.authority_fingerprint);
}

#[test]
fn those_that_start_at_once_share_one_authority_and_one_certificate() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let made: Vec<LocalTls> = std::thread::scope(|scope| {
            let start = || local_certificate(folder.path(), &names(&["localhost"])).unwrap();
            let starters: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
            starters.into_iter().map(|starter| starter.join().unwrap()).collect()
        });
        for tls in &made {
            assert_eq!(tls.authority_fingerprint, made[0].authority_fingerprint);
            assert_eq!(tls.certificate.fingerprint(), made[0].certificate.fingerprint());
        }
    }
}

#[tokio::test]
async fn it_is_renewed_under_the_same_authority_and_reloaded_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let first = local_certificate(folder.path(), &names(&["localhost"])).unwrap();
    let before = first.certificate.fingerprint();
    // A certificate that ends soon: its date says so.
    fs::write(
        folder.path().join("server.about"),
        format!("{}\nlocalhost\n", service::clock::now_s() + 86_400),
    )
    .unwrap();
    let renewed = local_certificate(folder.path(), &names(&["localhost"])).unwrap();
    assert_ne!(renewed.certificate.fingerprint(), before);
    assert_eq!(renewed.authority_pem, first.authority_pem);
    first.certificate.reload().unwrap();
    assert_eq!(first.certificate.fingerprint(), renewed.certificate.fingerprint());
    shake(&first, &first.authority_pem, "localhost").await.unwrap();
    let wider = local_certificate(folder.path(), &names(&["localhost", "irc.localhost"])).unwrap();
    shake(&wider, &first.authority_pem, "irc.localhost").await.unwrap();
}

#[test]
fn a_broken_file_leaves_the_old_certificate_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let tls = local_certificate(folder.path(), &names(&["localhost"])).unwrap();
    let before = tls.certificate.fingerprint();
    let other = tempfile::tempdir().unwrap();
    local_certificate(other.path(), &names(&["localhost"])).unwrap();
    // The chain of one pair beside the key of another.
    fs::copy(other.path().join("server.pem"), folder.path().join("server.pem")).unwrap();
    assert!(tls.certificate.reload().is_err());
    fs::write(folder.path().join("server.pem"), "").unwrap();
    assert!(tls.certificate.reload().is_err());
    assert_eq!(tls.certificate.fingerprint(), before);
}
