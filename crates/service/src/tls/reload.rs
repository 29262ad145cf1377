//! A certificate that may be replaced while it serves.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::TlsError;
use crate::shutdown::Shutdown;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A chain and a key from two PEM files. New connections get what was read last; running ones keep what they have.
#[derive(Debug)]
pub struct ReloadingCert {
    chain_file: PathBuf,
    key_file: PathBuf,
    current: RwLock<Current>,
}

#[derive(Debug, Clone)]
struct Current {
    key: Arc<CertifiedKey>,
    stamp: (Option<SystemTime>, Option<SystemTime>),
}

impl ReloadingCert {
    /// Reads both files.
    pub fn open(chain_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Result<Arc<Self>, TlsError> {
        let (chain_file, key_file) = (chain_file.into(), key_file.into());
        let current = read(&chain_file, &key_file)?;
        Ok(Arc::new(Self { chain_file, key_file, current: RwLock::new(current) }))
    }

    /// Reads the files again. On an error the old certificate stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let current = read(&self.chain_file, &self.key_file)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(())
    }

    /// The server's own certificate (the chain's first), DER.
    pub fn certificate(&self) -> Vec<u8> {
        self.now().key.cert.first().map(|der| der.to_vec()).unwrap_or_default()
    }

    /// SHA-256 of the server's certificate in lower-case hex.
    pub fn fingerprint(&self) -> String {
        super::fingerprint(&self.certificate())
    }

    /// Looks every ten seconds whether the files have changed, and reads them then, until the end begins.
    pub fn watch(self: &Arc<Self>, shutdown: &Shutdown) {
        let this = Arc::clone(self);
        shutdown.spawn_until("certificate watch", async move {
            let mut every = tokio::time::interval(LOOK_EVERY);
            loop {
                every.tick().await;
                if stamp(&this.chain_file, &this.key_file) == this.now().stamp {
                    continue;
                }
                match this.reload() {
                    Ok(()) => tracing::info!(file = %this.chain_file.display(), "certificate reloaded"),
                    Err(error) => tracing::warn!(%error, "the new certificate is not used"),
                }
            }
        });
    }

    fn now(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for ReloadingCert {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now().key)
    }
}

fn stamp(chain: &Path, key: &Path) -> (Option<SystemTime>, Option<SystemTime>) {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    (modified(chain), modified(key))
}

fn read(chain_file: &Path, key_file: &Path) -> Result<Current, TlsError> {
    // Taken first: a change during the reading is seen by the next look.
    let stamp = stamp(chain_file, key_file);
    let bytes =
        |path: &Path| std::fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source });
    let content =
        |path: &Path, what, message: String| TlsError::Content { path: path.to_owned(), what, message };
    let chain = CertificateDer::pem_slice_iter(&bytes(chain_file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(chain_file, "certificate", error.to_string()))?;
    if chain.is_empty() {
        return Err(content(chain_file, "certificate", "there is none in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&zeroize::Zeroizing::new(bytes(key_file)?))
        .map_err(|error| content(key_file, "private key", error.to_string()))?;
    let key =
        any_supported_type(&key).map_err(|error| content(key_file, "private key", error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    // Both files are replaced one after the other: a pair that does not belong together is not taken.
    certified.keys_match().map_err(|error| content(key_file, "private key", error.to_string()))?;
    Ok(Current { key: Arc::new(certified), stamp })
}
