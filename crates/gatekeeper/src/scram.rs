//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) over several verifiers that share one salt.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{hmac, pbkdf2};
use serde::{Deserialize, Serialize};
use service::secrets::{same, sha256};
use zeroize::Zeroizing;

/// The count RFC 7677 asks for at least. The passwords behind it have 140 random bits: more would only cost time.
pub const ITERATIONS: u32 = 4096;
/// Bytes of a salt.
pub const SALT_LENGTH: usize = 16;

/// What is kept of a password: (StoredKey, ServerKey).
pub struct Verifier {
    pub stored_key: Vec<u8>,
    pub server_key: Vec<u8>,
}

impl Verifier {
    /// The verifier of a password.
    pub fn of(password: &str, salt: &[u8], iterations: u32) -> Self {
        let mut salted = Zeroizing::new([0u8; 32]);
        let count = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, count, salt, password.as_bytes(), &mut salted[..]);
        let client_key = Zeroizing::new(mac(&salted[..], b"Client Key"));
        Self { stored_key: sha256(&client_key).to_vec(), server_key: mac(&salted[..], b"Server Key") }
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

/// Why a message is no SCRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The SCRAM message is not well-formed.")]
pub struct Malformed;

/// The client's first message, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFirst {
    /// The name, unescaped.
    pub username: String,
    /// The other name it asks to act as, if any.
    pub authzid: Option<String>,
    gs2: String,
    bare: String,
    nonce: String,
}

impl ClientFirst {
    /// `n,[a=authzid],n=username,r=nonce`.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(payload).map_err(|_| Malformed)?;
        let mut parts = text.splitn(3, ',');
        let (binding, authzid, bare) =
            (parts.next().ok_or(Malformed)?, parts.next().ok_or(Malformed)?, parts.next().ok_or(Malformed)?);
        // "p=" wants a channel binding, which is SCRAM-SHA-256-PLUS: not offered.
        if binding != "n" && binding != "y" {
            return Err(Malformed);
        }
        let gs2 = text[..text.len() - bare.len()].to_owned();
        let authzid = match authzid {
            "" => None,
            given => Some(unescape(given.strip_prefix("a=").ok_or(Malformed)?)?),
        };
        let mut fields = bare.split(',');
        let username = unescape(fields.next().and_then(|f| f.strip_prefix("n=")).ok_or(Malformed)?)?;
        let nonce = fields.next().and_then(|f| f.strip_prefix("r=")).ok_or(Malformed)?.to_owned();
        if username.is_empty() || nonce.is_empty() || !nonce.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Malformed);
        }
        Ok(Self { username, authzid, gs2, bare: bare.to_owned(), nonce })
    }

    /// The server's answer, and what must be remembered until the client's last message.
    pub fn answer(&self, server_nonce: &str, salt: &[u8], iterations: u32) -> (String, Exchange) {
        let nonce = format!("{}{server_nonce}", self.nonce);
        let first = format!("r={nonce},s={},i={iterations}", STANDARD.encode(salt));
        let begun = format!("{},{first}", self.bare);
        (first, Exchange { gs2: self.gs2.clone(), nonce, begun })
    }
}

/// An exchange between its two halves. It holds no secret, but must come back unchanged: it travels sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    gs2: String,
    nonce: String,
    begun: String,
}

/// The client's last message, ready to be held against verifiers.
pub struct Proof {
    proof: Vec<u8>,
    auth_message: Vec<u8>,
}

impl Exchange {
    /// `c=…,r=nonce,p=proof`.
    pub fn finish(&self, payload: &[u8]) -> Result<Proof, Malformed> {
        let text = std::str::from_utf8(payload).map_err(|_| Malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Malformed)?;
        let mut fields = without_proof.split(',');
        let binding = fields.next().and_then(|f| f.strip_prefix("c=")).ok_or(Malformed)?;
        let nonce = fields.next().and_then(|f| f.strip_prefix("r=")).ok_or(Malformed)?;
        if binding != STANDARD.encode(&self.gs2) || !same(nonce.as_bytes(), self.nonce.as_bytes()) {
            return Err(Malformed);
        }
        let proof = STANDARD.decode(proof).map_err(|_| Malformed)?;
        if proof.len() != 32 {
            return Err(Malformed);
        }
        Ok(Proof { proof, auth_message: format!("{},{without_proof}", self.begun).into_bytes() })
    }
}

impl Proof {
    /// Whether it proves the password of this verifier.
    pub fn proves(&self, stored_key: &[u8]) -> bool {
        let signature = mac(stored_key, &self.auth_message);
        let client_key: Zeroizing<Vec<u8>> =
            Zeroizing::new(self.proof.iter().zip(&signature).map(|(p, s)| p ^ s).collect());
        same(&sha256(&client_key), stored_key)
    }

    /// The server's own proof, its last message.
    pub fn server_final(&self, server_key: &[u8]) -> String {
        format!("v={}", STANDARD.encode(mac(server_key, &self.auth_message)))
    }
}

/// `=2C` is a comma, `=3D` an equals sign, any other `=` is wrong.
fn unescape(text: &str) -> Result<String, Malformed> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        out.push(if tail.starts_with("=2C") {
            ','
        } else if tail.starts_with("=3D") {
            '='
        } else {
            return Err(Malformed);
        });
        rest = &tail[3..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    /// The exchange of RFC 7677 §3.
    #[test]
    fn the_example_of_rfc_7677_is_accepted_and_answered() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let first = ClientFirst::parse(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!(first.username, "user");
        let (server_first, exchange) = first.answer("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", &salt, 4096);
        assert_eq!(
            server_first,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let proof = exchange
            .finish(b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
            .unwrap();
        let right = Verifier::of("pencil", &salt, 4096);
        assert!(proof.proves(&right.stored_key));
        assert_eq!(proof.server_final(&right.server_key), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert!(!proof.proves(&Verifier::of("pencil2", &salt, 4096).stored_key));
    }

    #[test]
    fn a_nonce_or_binding_of_another_exchange_is_refused() {
        let first = ClientFirst::parse(b"n,,n=user,r=abc").unwrap();
        let (_, exchange) = first.answer("def", b"salt", 4096);
        let proof = STANDARD.encode([0; 32]);
        assert!(exchange.finish(format!("c=biws,r=abcdef,p={proof}").as_bytes()).is_ok());
        assert!(exchange.finish(format!("c=biws,r=abcdeg,p={proof}").as_bytes()).is_err());
        assert!(exchange.finish(format!("c=eSws,r=abcdef,p={proof}").as_bytes()).is_err());
    }

    #[test]
    fn names_are_unescaped_and_bindings_we_do_not_have_refused() {
        assert_eq!(ClientFirst::parse(b"y,a=x,n=a=2Cb=3Dc,r=1").unwrap().username, "a,b=c");
        for wrong in
            ["p=tls-unique,,n=a,r=1", "n,,m=x,n=a,r=1", "n,,n=a=2,r=1", "n,,n=,r=1", "n,,n=a,r=", "n"]
        {
            assert!(ClientFirst::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parsers(first: Vec<u8>, last: Vec<u8>) {
            let _ = ClientFirst::parse(&first);
            let known = ClientFirst::parse(b"n,,n=a,r=b").unwrap();
            prop_assert!(known.answer("c", b"d", 1).1.finish(&last).is_err());
        }
    }
}
