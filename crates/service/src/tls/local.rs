//! The local authority: made once, and a server certificate under it that is renewed before it ends or when its names change.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::{ReloadingCert, TlsError};
use crate::paths::write_private;

const AUTHORITY_YEARS: i64 = 20;
/// What browsers accept at most is 398 days.
const SERVER_DAYS: i64 = 397;
const RENEW_DAYS: i64 = 30;

/// A local authority and the certificate under it.
#[derive(Clone, Debug)]
pub struct LocalTls {
    /// The server's certificate, for listeners.
    pub certificate: Arc<ReloadingCert>,
    /// The authority's certificate (PEM), for whoever is to trust it.
    pub authority_pem: String,
    /// SHA-256 of the authority's certificate in lower-case hex.
    pub authority_fingerprint: String,
    /// Where the authority's certificate is.
    pub authority_file: PathBuf,
}

/// The authority and a certificate for `names` (host names and addresses) in `folder`: made where they are missing,
/// renewed under the same authority and the same key when less than 30 days are left or the names are others. Call it
/// again once a day to renew in time. Processes that share the folder take turns.
pub fn local_certificate(folder: &Path, names: &[String]) -> Result<LocalTls, TlsError> {
    super::install_provider();
    crate::paths::private_folder(folder)
        .map_err(|error| TlsError::File { path: folder.to_owned(), source: std::io::Error::other(error) })?;
    let _turn = turn(&folder.join("lock"))?;
    let authority_file = folder.join("authority.pem");
    let server_file = folder.join("server.pem");
    let server_key_file = folder.join("server.key");
    let about_file = folder.join("server.about");

    let authority_key = key(&folder.join("authority.key"))?;
    let params = authority_params();
    if !authority_file.exists() {
        let mut dated = params.clone();
        dated.not_before = OffsetDateTime::now_utc() - Duration::days(1);
        dated.not_after = dated.not_before + Duration::days(365 * AUTHORITY_YEARS);
        write(&authority_file, dated.self_signed(&authority_key)?.pem().as_bytes())?;
    }
    // Name and key are all an issuer needs: what it signs chains to the certificate made on the first day.
    let issuer = Issuer::new(params, authority_key);

    let mut names: Vec<String> = names.to_vec();
    names.sort();
    names.dedup();
    let server_key = key(&server_key_file)?;
    if !server_file.exists() || is_due(&about_file, &names) {
        let mut params = CertificateParams::new(names.clone())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "irc.now on this machine");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
        params.not_after = params.not_before + Duration::days(SERVER_DAYS);
        let until = params.not_after.unix_timestamp();
        write(&server_file, params.signed_by(&server_key, &issuer)?.pem().as_bytes())?;
        write(&about_file, format!("{until}\n{}\n", names.join("\n")).as_bytes())?;
        tracing::info!(folder = %folder.display(), "made a certificate for this machine");
    }

    let authority_pem = String::from_utf8_lossy(&read(&authority_file)?).into_owned();
    let authority_der = {
        use rustls::pki_types::pem::PemObject as _;
        rustls::pki_types::CertificateDer::from_pem_slice(authority_pem.as_bytes()).map_err(|error| {
            TlsError::Content {
                path: authority_file.clone(),
                what: "certificate",
                message: error.to_string(),
            }
        })?
    };
    Ok(LocalTls {
        certificate: ReloadingCert::open(server_file, server_key_file)?,
        authority_fingerprint: super::fingerprint(&authority_der),
        authority_pem,
        authority_file,
    })
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "irc.now local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Whether the certificate described by `about` ends soon or is for other names.
fn is_due(about: &Path, names: &[String]) -> bool {
    let Ok(text) = std::fs::read_to_string(about) else { return true };
    let mut lines = text.lines();
    let until = lines.next().and_then(|line| line.parse::<i64>().ok()).unwrap_or(0);
    until - RENEW_DAYS * 86_400 < crate::clock::now_s() || !lines.eq(names.iter().map(String::as_str))
}

/// The key in a file, made where it is missing.
fn key(path: &Path) -> Result<KeyPair, TlsError> {
    match std::fs::read_to_string(path) {
        Ok(pem) => Ok(KeyPair::from_pem(&Zeroizing::new(pem))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = KeyPair::generate()?;
            write(path, Zeroizing::new(key.serialize_pem()).as_bytes())?;
            Ok(key)
        }
        Err(source) => Err(TlsError::File { path: path.to_owned(), source }),
    }
}

/// Waits for the folder: of two processes that start at once, the second finds what the first has made. Let go when what
/// is returned is dropped.
fn turn(path: &Path) -> Result<File, TlsError> {
    let open = || {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|source| TlsError::File { path: path.to_owned(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), TlsError> {
    write_private(path, bytes).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}
