//! SCRAM-SHA-256 (RFC 5802, RFC 7677), both ends, without channel binding. Randomness is handed in.
//!
//! The client is [`Client`]. The server reads a [`ClientFirst`], looks the salt up by its name, makes an [`Exchange`] of it
//! (which can be stored between the steps) and tries the [`Proof`] of the final message against one or more [`Verifier`]s.

mod client;
mod server;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use zeroize::{Zeroize, Zeroizing};

use crate::sasl::SaslError;

pub use client::Client;
pub use server::{ClientFirst, Exchange, Proof};

/// Iterations a server may ask for at least (RFC 7677 §4).
pub const MIN_ITERATIONS: u32 = 4096;
/// Iterations a client will do at most, so that a server cannot keep it busy for ever.
pub const MAX_ITERATIONS: u32 = 1_000_000;
/// Random bytes of a nonce, on either side.
pub const NONCE_LEN: usize = 18;

/// Why an exchange cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// A message that is none of SCRAM's.
    #[error("the SCRAM message is malformed")]
    Malformed,
    /// Channel binding or an extension nobody here speaks.
    #[error("the SCRAM message asks for something that is not supported")]
    Unsupported,
    /// The nonce is not the one that was agreed.
    #[error("the SCRAM nonce is not the expected one")]
    WrongNonce,
    /// Fewer or more iterations than are sane.
    #[error("{0} SCRAM iterations are out of bounds")]
    Iterations(u32),
    /// The server did not know the password either.
    #[error("the server could not prove that it knows the password")]
    ServerNotProven,
    /// The server said no, in its own words.
    #[error("the server refused: {0}")]
    Refused(String),
    /// A step out of turn.
    #[error("a SCRAM message came out of turn")]
    OutOfTurn,
}

impl From<SaslError> for ScramError {
    fn from(_: SaslError) -> Self {
        ScramError::Malformed
    }
}

type Key = [u8; 32];

/// What a server keeps of a password: enough to check a proof, not enough to make one.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// `H(ClientKey)`
    pub stored_key: [u8; 32],
    /// The key the server proves itself with.
    pub server_key: [u8; 32],
}

impl Verifier {
    /// Makes the verifier of a password. Slow by intent: `iterations` rounds of HMAC.
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let keys = Keys::derive(password, salt, iterations);
        Self { stored_key: sha256(&*keys.client), server_key: *keys.server }
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.stored_key.zeroize();
        self.server_key.zeroize();
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

struct Keys {
    client: Zeroizing<Key>,
    server: Zeroizing<Key>,
}

impl Keys {
    fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let password = normalize(password);
        let mut salted = Zeroizing::new([0; 32]);
        let iterations = std::num::NonZeroU32::new(iterations).unwrap_or(std::num::NonZeroU32::MIN);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.as_bytes(), &mut *salted);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*salted);
        Self {
            client: Zeroizing::new(tag(&key, b"Client Key")),
            server: Zeroizing::new(tag(&key, b"Server Key")),
        }
    }
}

/// SASLprep (RFC 4013) as RFC 5802 §2.2 asks; a password it refuses is taken as it is, since other servers have hashed it so.
fn normalize(password: &str) -> Zeroizing<String> {
    Zeroizing::new(stringprep::saslprep(password).map_or_else(|_| password.to_owned(), Into::into))
}

fn sha256(bytes: &[u8]) -> Key {
    to_key(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn tag(key: &hmac::Key, message: &[u8]) -> Key {
    to_key(hmac::sign(key, message).as_ref())
}

fn mac(key: &Key, message: &[u8]) -> Key {
    tag(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

fn to_key(bytes: &[u8]) -> Key {
    let mut key = [0; 32];
    key.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    key
}

fn xor(a: &Key, b: &Key) -> Key {
    let mut out = *a;
    out.iter_mut().zip(b).for_each(|(to, from)| *to ^= from);
    out
}

fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn decode(text: &str) -> Result<Vec<u8>, ScramError> {
    STANDARD.decode(text).map_err(|_| ScramError::Malformed)
}

fn text(payload: &[u8]) -> Result<&str, ScramError> {
    str::from_utf8(payload).ok().filter(|text| !text.contains('\0')).ok_or(ScramError::Malformed)
}

/// The value of `name=value`, if the attribute is that one.
fn attribute<'a>(part: Option<&'a str>, name: &str) -> Result<&'a str, ScramError> {
    let value = part.and_then(|part| part.strip_prefix(name)).and_then(|rest| rest.strip_prefix('='));
    match (value, part) {
        (Some(value), _) => Ok(value),
        // Mandatory extensions have to be refused (RFC 5802 §5.1).
        (None, Some(part)) if part.starts_with("m=") => Err(ScramError::Unsupported),
        _ => Err(ScramError::Malformed),
    }
}

/// A nonce: printable, without a comma, not empty.
fn nonce(value: &str) -> Result<&str, ScramError> {
    let printable = |b: u8| b.is_ascii_graphic() && b != b',';
    if !value.is_empty() && value.len() <= 512 && value.bytes().all(printable) {
        Ok(value)
    } else {
        Err(ScramError::Malformed)
    }
}

#[cfg(test)]
mod tests;
