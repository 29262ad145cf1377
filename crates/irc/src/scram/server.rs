//! The server's end of SCRAM.

use std::fmt;

use super::{
    MAX_ITERATIONS, MIN_ITERATIONS, NONCE_LEN, ScramError, Verifier, attribute, decode, encode, mac, nonce,
    sha256, text, to_key, xor,
};
use crate::sasl::{gs2_header, unescape_name};

/// The client's first payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFirst {
    /// Whom to act as, if somebody else.
    pub authzid: Option<String>,
    /// The name to look the salt up by.
    pub username: String,
    header: String,
    bare: String,
    nonce: String,
}

impl ClientFirst {
    /// Reads the payload. Channel binding is refused as [`ScramError::Unsupported`].
    pub fn parse(payload: &[u8]) -> Result<Self, ScramError> {
        let text = text(payload)?;
        if text.starts_with("p=") {
            return Err(ScramError::Unsupported);
        }
        // The header ends behind the second comma.
        let end = text.match_indices(',').nth(1).map(|(at, _)| at + 1).ok_or(ScramError::Malformed)?;
        let (header, bare) = text.split_at(end);
        let authzid = gs2_header(header)?;
        let mut parts = bare.split(',');
        let username = unescape_name(attribute(parts.next(), "n")?)?;
        let nonce = nonce(attribute(parts.next(), "r")?)?.to_owned();
        Ok(Self { authzid, username, header: header.to_owned(), bare: bare.to_owned(), nonce })
    }

    /// Answers with salt and iterations; [`Exchange::challenge`] is the payload. `random` must be fresh.
    ///
    /// Names nobody has need a salt as well, always the same one for the same name, or the answer tells who exists.
    pub fn challenge(self, random: &[u8; NONCE_LEN], salt: &[u8], iterations: u32) -> Exchange {
        self.challenge_with(&encode(random), salt, iterations)
    }

    pub(super) fn challenge_with(self, nonce: &str, salt: &[u8], iterations: u32) -> Exchange {
        let server_first = format!("r={}{nonce},s={},i={iterations}", self.nonce, encode(salt));
        Exchange { first: self, server_first }
    }
}

/// An exchange between the server's first payload and the client's last. [`Exchange::to_bytes`] lets another process carry on;
/// seal those bytes before they leave this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    first: ClientFirst,
    server_first: String,
}

impl Exchange {
    /// The payload to send to the client.
    pub fn challenge(&self) -> &[u8] {
        self.server_first.as_bytes()
    }

    /// The name the client gave.
    pub fn username(&self) -> &str {
        &self.first.username
    }

    /// Whom it wants to act as, if somebody else.
    pub fn authzid(&self) -> Option<&str> {
        self.first.authzid.as_deref()
    }

    /// What has been said so far. No secret, but whoever can change it can choose the salt.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Neither half can contain NUL, which parsing refuses.
        format!("{}{}\0{}", self.first.header, self.first.bare, self.server_first).into_bytes()
    }

    /// Takes up an exchange again.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ScramError> {
        let at = memchr::memchr(0, bytes).ok_or(ScramError::Malformed)?;
        let first = ClientFirst::parse(&bytes[..at])?;
        let server_first = text(&bytes[at + 1..])?.to_owned();
        let mut parts = server_first.split(',');
        let joined = nonce(attribute(parts.next(), "r")?)?;
        decode(attribute(parts.next(), "s")?)?;
        let iterations: u32 = attribute(parts.next(), "i")?.parse().map_err(|_| ScramError::Malformed)?;
        if joined.len() <= first.nonce.len() || !joined.starts_with(&first.nonce) {
            return Err(ScramError::WrongNonce);
        }
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
            return Err(ScramError::Iterations(iterations));
        }
        Ok(Self { first, server_first })
    }

    /// Reads the client's last payload. Whether the proof is good is for [`Proof::check`] to say.
    pub fn finish(self, client_final: &[u8]) -> Result<Proof, ScramError> {
        let client_final = text(client_final)?;
        let (without_proof, proof) = client_final.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let mut parts = without_proof.split(',');
        let binding = decode(attribute(parts.next(), "c")?)?;
        let joined = attribute(parts.next(), "r")?;
        if binding != self.first.header.as_bytes() {
            return Err(ScramError::Unsupported);
        }
        let agreed = self.server_first.strip_prefix("r=").and_then(|rest| rest.split(',').next());
        if Some(joined) != agreed {
            return Err(ScramError::WrongNonce);
        }
        let proof = decode(proof)?;
        if proof.len() != 32 {
            return Err(ScramError::Malformed);
        }
        let auth_message = format!("{},{},{without_proof}", self.first.bare, self.server_first);
        Ok(Proof { proof: to_key(&proof), auth_message })
    }
}

/// A client's proof, to be tried against every verifier the name may have.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    proof: [u8; 32],
    auth_message: String,
}

impl Proof {
    /// The payload for the client if this verifier's password was proven. The time it takes tells nothing of how
    /// near the proof was.
    pub fn check(&self, verifier: &Verifier) -> Option<Vec<u8>> {
        let signature = mac(&verifier.stored_key, self.auth_message.as_bytes());
        let client_key = xor(&self.proof, &signature);
        let difference = xor(&sha256(&client_key), &verifier.stored_key);
        let any = std::hint::black_box(difference).iter().fold(0, |any, byte| any | byte);
        if any != 0 {
            return None;
        }
        let server_signature = mac(&verifier.server_key, self.auth_message.as_bytes());
        Some(format!("v={}", encode(&server_signature)).into_bytes())
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(..)")
    }
}
