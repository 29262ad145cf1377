//! What a network proves itself with: derived from the installation's secret, so that nothing has to be stored and every
//! look at a network comes to the same words.

use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

/// The client id of a network at gatekeeper.
pub fn client_id(uid: &str) -> String {
    format!("network-{uid}")
}

/// What one secret of one network is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The client secret at gatekeeper, which derives the same.
    Client,
    /// The token of the HTTP API.
    Api,
    /// The password of the sidecar's operator connection.
    Operator,
    /// The salt of that password's hash.
    Salt,
    /// The password of the history's database role.
    Database,
}

impl Purpose {
    fn words(self) -> &'static str {
        match self {
            Self::Client => "ircnow network client",
            Self::Api => "ircnow network api",
            Self::Operator => "ircnow network operator",
            Self::Salt => "ircnow network salt",
            Self::Database => "ircnow network database",
        }
    }
}

/// `HMAC-SHA-256(secret, purpose || " " || client id)` in hexadecimal digits.
pub fn derive(secret: &SecretString, uid: &str, purpose: Purpose) -> SecretString {
    hex(&tag(secret, uid, purpose)).into()
}

/// The bcrypt hash of the operator connection's password. The salt is derived too: the same words hash to the same text,
/// so the configuration does not change by itself.
pub fn operator_hash(secret: &SecretString, uid: &str) -> Result<String, bcrypt::BcryptError> {
    let mut salt = [0_u8; 16];
    for (to, from) in salt.iter_mut().zip(tag(secret, uid, Purpose::Salt)) {
        *to = from;
    }
    let password = derive(secret, uid, Purpose::Operator);
    // 256 random bits need no slow hash.
    let parts = bcrypt::hash_with_salt(password.expose_secret(), 4, salt)?;
    Ok(parts.format_for_version(bcrypt::Version::TwoA))
}

fn tag(secret: &SecretString, uid: &str, purpose: Purpose) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    hmac::sign(&key, format!("{} {}", purpose.words(), client_id(uid)).as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_network_and_every_purpose_has_a_secret_of_its_own() {
        let secret = SecretString::from("s");
        let of = |uid, purpose| derive(&secret, uid, purpose).expose_secret().to_owned();
        assert_eq!(of("a", Purpose::Api), of("a", Purpose::Api));
        assert_ne!(of("a", Purpose::Api), of("b", Purpose::Api));
        assert_ne!(of("a", Purpose::Api), of("a", Purpose::Database));
    }

    #[test]
    fn the_operators_password_hashes_to_the_same_text_each_time_and_fits() {
        let secret = SecretString::from("s");
        let hash = operator_hash(&secret, "a").unwrap();
        assert_eq!(hash, operator_hash(&secret, "a").unwrap());
        let password = derive(&secret, "a", Purpose::Operator);
        assert!(bcrypt::verify(password.expose_secret(), &hash).unwrap());
    }
}
