//! What a bouncer proves itself with to gatekeeper: one client a bouncer, derived, so that nothing has to be stored.
//!
//! Gatekeeper derives the same from the same secret. That the client names one bouncer lets it answer for the owner of
//! that bouncer alone.

use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

/// The client id of a bouncer.
pub fn client_id(uid: &str) -> String {
    format!("bouncer-{uid}")
}

/// The client secret that belongs to a client id: `HMAC-SHA-256(secret, "ircnow bouncer client " || id)` in hexadecimal
/// digits.
pub fn client_secret(secret: &SecretString, client_id: &str) -> SecretString {
    derived(secret, &format!("ircnow bouncer client {client_id}"))
}

/// What the operator shows a sidecar to be told how its bouncer is.
pub fn state_token(secret: &SecretString, uid: &str) -> SecretString {
    derived(secret, &format!("ircnow bouncer state {uid}"))
}

fn derived(secret: &SecretString, purpose: &str) -> SecretString {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let tag = hmac::sign(&key, purpose.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// A new password of 128 random bits, in hexadecimal digits.
pub fn password() -> Result<String, ring::error::Unspecified> {
    let mut bytes = [0_u8; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bouncer_has_a_secret_of_its_own() {
        let secret = SecretString::from("s");
        let of = |uid| client_secret(&secret, &client_id(uid)).expose_secret().to_owned();
        assert_ne!(of("a"), of("b"));
        assert_eq!(of("a"), of("a"));
    }
}
