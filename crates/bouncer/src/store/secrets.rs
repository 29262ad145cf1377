//! What a network's row must give back but nobody may read in the file: passwords, the client certificate's key, and
//! the lines sent on connect, which often hold a password too. Sealed as one.

use contracts::NetworkId;
pub use contracts::parcel::{ClientCertificate, Private};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Store, StoreError, StoreResult};

const TABLE: &str = "network";

/// A new client certificate, signed by itself and named after nobody: networks know it by its fingerprint.
pub(super) fn new_certificate() -> StoreResult<ClientCertificate> {
    let key = rcgen::KeyPair::generate().map_err(|error| secret(&error))?;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "irc.now device");
    params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.self_signed(&key).map_err(|error| secret(&error))?.der().to_vec();
    let fingerprint = hex(ring::digest::digest(&ring::digest::SHA256, &certificate).as_ref());
    Ok(ClientCertificate { certificate, key: key.serialize_der(), fingerprint })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Store {
    pub(super) fn seal_private(&self, id: NetworkId, private: &Private) -> StoreResult<Vec<u8>> {
        let plain = serde_json::to_vec(private).map(Zeroizing::new).map_err(|error| secret(&error))?;
        self.keys.seal(&context(id.0), &plain).map_err(|error| secret(&error))
    }

    pub(super) fn unseal_private(&self, id: NetworkId, sealed: &[u8]) -> StoreResult<Private> {
        let plain = self.keys.unseal(&context(id.0), sealed).map_err(|error| secret(&error))?;
        serde_json::from_slice(&plain).map_err(|error| secret(&error))
    }

    pub(super) fn seal_channel_key(&self, id: NetworkId, key: &str) -> StoreResult<Vec<u8>> {
        self.keys.seal(&channel_context(id.0), key.as_bytes()).map_err(|error| secret(&error))
    }

    pub(super) fn unseal_channel_key(&self, id: NetworkId, sealed: &[u8]) -> StoreResult<String> {
        let plain = self.keys.unseal(&channel_context(id.0), sealed).map_err(|error| secret(&error))?;
        String::from_utf8(plain.to_vec()).map_err(|error| secret(&error))
    }
}

pub(super) fn context(id: Uuid) -> String {
    format!("bouncer network {id}")
}

pub(super) fn channel_context(id: Uuid) -> String {
    format!("bouncer channel key {id}")
}

fn secret(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Secret { table: TABLE, reason: error.to_string() }
}
