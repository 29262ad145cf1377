//! The client's end of SCRAM.

use std::fmt;

use ring::hmac;
use zeroize::Zeroizing;

use super::{
    Keys, MAX_ITERATIONS, MIN_ITERATIONS, NONCE_LEN, ScramError, attribute, decode, encode, mac, nonce,
    sha256, text, xor,
};
use crate::sasl::escape_name;

/// A login by name and password: [`Client::first`], [`Client::answer`], [`Client::verify`], in this order.
pub struct Client {
    password: Zeroizing<String>,
    header: String,
    first_bare: String,
    nonce: String,
    expected: Option<(Zeroizing<[u8; 32]>, String)>,
    verified: bool,
}

impl Client {
    /// Starts a login. `random` must be fresh for each. `authzid` is whom to act as, empty for oneself.
    pub fn new(username: &str, password: &str, authzid: &str, random: &[u8; NONCE_LEN]) -> Self {
        Self::with_nonce(username, password, authzid, encode(random))
    }

    pub(super) fn with_nonce(username: &str, password: &str, authzid: &str, nonce: String) -> Self {
        let authzid = match authzid {
            "" => String::new(),
            name => format!("a={}", escape_name(name)),
        };
        Self {
            password: Zeroizing::new(password.to_owned()),
            header: format!("n,{authzid},"),
            first_bare: format!("n={},r={nonce}", escape_name(username)),
            nonce,
            expected: None,
            verified: false,
        }
    }

    /// The first payload.
    pub fn first(&self) -> Vec<u8> {
        format!("{}{}", self.header, self.first_bare).into_bytes()
    }

    /// The second payload, which answers the server's first. Slow: it derives the keys.
    pub fn answer(&mut self, server_first: &[u8]) -> Result<Vec<u8>, ScramError> {
        if self.expected.is_some() {
            return Err(ScramError::OutOfTurn);
        }
        let server_first = text(server_first)?;
        let mut parts = server_first.split(',');
        let joined = nonce(attribute(parts.next(), "r")?)?;
        let salt = decode(attribute(parts.next(), "s")?)?;
        let iterations: u32 = attribute(parts.next(), "i")?.parse().map_err(|_| ScramError::Malformed)?;
        if joined.len() <= self.nonce.len() || !joined.starts_with(&self.nonce) {
            return Err(ScramError::WrongNonce);
        }
        if salt.is_empty() {
            return Err(ScramError::Malformed);
        }
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
            return Err(ScramError::Iterations(iterations));
        }
        let without_proof = format!("c={},r={joined}", encode(self.header.as_bytes()));
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare);
        let keys = Keys::derive(&self.password, &salt, iterations);
        let signature = mac(&sha256(&*keys.client), auth_message.as_bytes());
        let proof = xor(&keys.client, &signature);
        self.expected = Some((keys.server, auth_message));
        Ok(format!("{without_proof},p={}", encode(&proof)).into_bytes())
    }

    /// Checks that the server knows the password too. Only then is the login good, whatever else the server says.
    pub fn verify(&mut self, server_final: &[u8]) -> Result<(), ScramError> {
        let (server_key, auth_message) = self.expected.take().ok_or(ScramError::OutOfTurn)?;
        let server_final = text(server_final)?;
        let first = server_final.split(',').next();
        if let Some(error) = first.and_then(|part| part.strip_prefix("e=")) {
            return Err(ScramError::Refused(error.chars().take(100).collect()));
        }
        let signature = decode(attribute(first, "v")?)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*server_key);
        hmac::verify(&key, auth_message.as_bytes(), &signature).map_err(|_| ScramError::ServerNotProven)?;
        self.verified = true;
        Ok(())
    }

    /// Whether the server has proven itself. A `903` before that must not be believed.
    pub fn is_verified(&self) -> bool {
        self.verified
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("verified", &self.verified).finish_non_exhaustive()
    }
}
