use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use testkit::cluster::Mood;
use testkit::{eventually, part};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Stage, condition};

const ISSUER: &str =
    "{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: ours}, spec: {selfSigned: {}}}";
const CERTIFICATE: &str = "
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: web}
spec:
  secretName: web-tls
  dnsNames: [irc.example.test, '*.irc.example.test']
  issuerRef: {name: ours}
  secretTemplate: {labels: {kept: 'yes'}}
";

async fn field(stage: &Stage, key: &str) -> String {
    let secret = stage.until("Secret", "web-tls", |data| !data["data"]["tls.crt"].is_null()).await;
    let text = secret.data["data"][key].as_str().unwrap().to_owned();
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
}

/// A TLS server with the Secret's certificate, and a client that trusts the stand-in's authority and no other.
async fn is_trusted_for(stage: &Stage, host: &'static str) -> bool {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::pem_slice_iter(field(stage, "tls.crt").await.as_bytes())
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(field(stage, "tls.key").await.as_bytes()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(stage.standin.authority_pem().as_bytes()).unwrap()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (near, far) = tokio::io::duplex(16_384);
    let serving = tokio::spawn(async move {
        let mut stream = tokio_rustls::TlsAcceptor::from(Arc::new(server)).accept(far).await.ok()?;
        stream.write_all(b"hello").await.ok()?;
        stream.shutdown().await.ok()
    });
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let Ok(mut stream) = connector.connect(ServerName::try_from(host).unwrap(), near).await else {
        return false;
    };
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    serving.await.unwrap();
    text == "hello"
}

#[tokio::test]
async fn a_certificate_becomes_a_secret_that_a_tls_client_trusts() {
    part!(Kubernetes);
    let stage = Stage::new("tls").await;
    stage.apply(ISSUER).await;
    stage.apply(CERTIFICATE).await;
    let certificate = stage.until("Certificate", "web", |data| condition(data, "Ready", "True")).await;
    assert!(certificate.data["status"]["notAfter"].is_string());
    let secret = stage.until("Secret", "web-tls", |_| true).await;
    assert_eq!(secret.data["type"], "kubernetes.io/tls");
    assert_eq!(secret.metadata.labels.unwrap()["kept"], "yes");
    assert_eq!(secret.metadata.annotations.unwrap()["cert-manager.io/certificate-name"], "web");
    assert_eq!(field(&stage, "ca.crt").await, stage.standin.authority_pem());
    assert!(is_trusted_for(&stage, "irc.example.test").await);
    assert!(is_trusted_for(&stage, "seeds.irc.example.test").await);
    assert!(!is_trusted_for(&stage, "other.example.test").await);
}

#[tokio::test]
async fn a_certificate_waits_for_its_issuer() {
    part!(Kubernetes);
    let stage = Stage::new("issuer").await;
    stage.apply(CERTIFICATE).await;
    stage.until("Certificate", "web", |data| condition(data, "Ready", "False")).await;
    assert!(stage.api("Secret").await.get_opt("web-tls").await.unwrap().is_none());
    stage.apply(ISSUER).await;
    stage.until("Certificate", "web", |data| condition(data, "Ready", "True")).await;
}

#[tokio::test]
async fn a_certificate_is_issued_anew_when_its_names_change_or_its_secret_is_lost_or_somebody_asks() {
    part!(Kubernetes);
    let stage = Stage::new("anew").await;
    stage.apply(ISSUER).await;
    stage.apply(CERTIFICATE).await;
    let mut last = field(&stage, "tls.crt").await;
    stage.apply(&CERTIFICATE.replace("irc.example.test,", "chat.example.test,")).await;
    for step in ["names", "lost", "asked"] {
        match step {
            "lost" => stage.delete("Secret", "web-tls").await,
            "asked" => stage.standin.renew(stage.namespace(), "web").await.unwrap(),
            _ => {}
        }
        last = eventually(step, || async {
            let now = field(&stage, "tls.crt").await;
            (now != last).then_some(now)
        })
        .await;
    }
    assert!(is_trusted_for(&stage, "chat.example.test").await);
    let settled =
        |data: &serde_json::Value| condition(data, "Ready", "True") && !condition(data, "Issuing", "True");
    stage.until("Certificate", "web", settled).await;
}

#[tokio::test]
async fn a_secret_outlives_its_certificate() {
    part!(Kubernetes);
    let stage = Stage::new("outlives").await;
    stage.apply(ISSUER).await;
    stage.apply(CERTIFICATE).await;
    let secret = stage.until("Secret", "web-tls", |_| true).await;
    stage.delete("Certificate", "web").await;
    stage.gone("Certificate", "web").await;
    // Owned by nothing: no collector can come for it.
    assert_eq!(secret.metadata.owner_references, None);
}

#[tokio::test]
async fn cert_manager_is_missing_or_fails_or_is_slow_as_told_and_then_does_its_work() {
    part!(Kubernetes);
    let stage = Stage::new("moods").await;
    stage.standin.cert_manager(Mood::Missing);
    stage.apply(ISSUER).await;
    stage.apply(CERTIFICATE).await;
    stage.standin.cert_manager(Mood::Failing("the authority is on holiday".into()));
    let failed = stage.until("Certificate", "web", |data| condition(data, "Ready", "False")).await;
    assert_eq!(failed.data["status"]["conditions"][0]["message"], "the authority is on holiday");
    // Far longer than the test waits: only the change of mood can end it.
    stage.standin.cert_manager(Mood::Slow(Duration::from_secs(3600)));
    stage.until("Certificate", "web", |data| condition(data, "Ready", "False")).await;
    assert!(stage.api("Secret").await.get_opt("web-tls").await.unwrap().is_none());
    stage.standin.cert_manager(Mood::Slow(Duration::from_millis(100)));
    stage.until("Certificate", "web", |data| condition(data, "Ready", "True")).await;
}
