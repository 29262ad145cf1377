//! TLS for listeners: certificates that are reloaded without dropping anyone, and a local authority for one machine.

mod local;
mod reload;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;

pub use local::{LocalTls, local_certificate};
pub use reload::ReloadingCert;
pub use rustls;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{path} cannot be used: {source}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not hold what it must.
    #[error("{path} holds no usable {what}: {message}")]
    Content {
        /// Which.
        path: std::path::PathBuf,
        /// "certificate" or "private key".
        what: &'static str,
        /// Why.
        message: String,
    },
    /// A certificate cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// The settings contradict each other.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// Makes ring the process's provider of cryptography. Called by everything here; a second call changes nothing.
pub fn install_provider() {
    // An error means that one is installed.
    rustls::crypto::ring::default_provider().install_default().ok();
}

/// SHA-256 of a certificate's DER in lower-case hex: what users pin and compare.
pub fn fingerprint(der: &[u8]) -> String {
    crate::secrets::sha256(der).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A server's settings around a certificate: TLS 1.2 and 1.3. `alpn` in order of preference (`[b"http/1.1"]`; empty for
/// IRC). `clients` asks for a client certificate where it is given.
pub fn server_config(
    certificate: Arc<ReloadingCert>,
    alpn: &[&[u8]],
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Arc<ServerConfig>, TlsError> {
    install_provider();
    let builder = ServerConfig::builder();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_cert_resolver(certificate);
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}
