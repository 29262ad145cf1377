//! TLS towards an upstream: verified by the system's authorities, by one pinned certificate, or not at all.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::config::{ClientCertificate, Tls};

/// The authorities of this system. None is an empty set, and then nothing verifies.
pub fn system_roots() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, "loaded the system's authorities");
    Arc::new(roots)
}

/// A TLS config for one connection, and where the fingerprint of what the upstream shows will be.
pub(crate) fn client_config(
    tls: Tls,
    roots: &Arc<RootCertStore>,
    certificate: Option<&ClientCertificate>,
) -> Result<(rustls::ClientConfig, Seen), Error> {
    let provider = Arc::new(ring::default_provider());
    let by = match tls {
        Tls::Verified => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
                .build()
                .map_err(|error| Error::General(format!("this system has no authorities ({error})")))?;
            By::Authorities(verifier)
        }
        Tls::Pinned(pin) => By::Pin(pin),
        Tls::Unverified | Tls::Off => By::Nothing,
    };
    let seen = Seen::default();
    let verifier = Verifier { by, provider: provider.clone(), seen: seen.clone() };
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match certificate {
        Some(certificate) => {
            builder.with_client_auth_cert(certificate.chain.clone(), clone_key(&certificate.key))?
        }
        None => builder.with_no_client_auth(),
    };
    // A connection lives for weeks; remembering sessions would only cost memory.
    config.resumption = rustls::client::Resumption::disabled();
    Ok((config, seen))
}

fn clone_key(key: &PrivateKeyDer<'static>) -> PrivateKeyDer<'static> {
    key.clone_key()
}

/// The fingerprint of the certificate an upstream has shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Option<String>>>);

impl Seen {
    /// SHA-256, lower-case hex.
    pub fn fingerprint(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug)]
enum By {
    Authorities(Arc<WebPkiServerVerifier>),
    Pin([u8; 32]),
    Nothing,
}

#[derive(Debug)]
struct Verifier {
    by: By,
    provider: Arc<CryptoProvider>,
    seen: Seen,
}

impl Verifier {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let digest = ::ring::digest::digest(&::ring::digest::SHA256, end_entity);
        let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(hex);
        match &self.by {
            By::Authorities(verifier) => {
                verifier.verify_server_cert(end_entity, intermediates, name, ocsp, now)
            }
            By::Pin(pin) if digest.as_ref() == pin => Ok(ServerCertVerified::assertion()),
            By::Pin(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
            By::Nothing => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}
