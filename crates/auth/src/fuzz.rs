//! The body of the fuzz target in `/fuzz`; this crate's tests replay its corpus.

use serde_json::Value;

use crate::cookies;
use crate::jwt::{ACCESS_TOKEN, Expect, SigningKey, key_set, verify, verify_signature_only};
use crate::login::checked_path;

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[("auth_token", token)];

/// Any bytes as a token, as the claims of a token that is truly signed, and as what a browser brings back.
pub fn token(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(key) = SigningKey::from_seed(&[7; 32]) else { return };
    let keys = key_set([&key]);
    let expect = |audience| Expect {
        issuer: "https://auth.test",
        audience,
        types: &[ACCESS_TOKEN],
        now_s: 1_800_000_000,
    };
    assert!(verify::<Value>(&text, &keys, &expect("bouncer")).is_err(), "nobody signed it");
    if let Ok(claims) = serde_json::from_slice::<Value>(data)
        && let Ok(token) = key.sign(ACCESS_TOKEN, &claims)
    {
        let verified = verify::<Value>(&token, &keys, &expect("bouncer"));
        assert!(verified.is_err() || claims.get("iss").is_some() && claims.get("exp").is_some());
        let _ = verify_signature_only::<Value>(&token, &keys);
        let halved = token.get(..token.len() / 2).unwrap_or_default();
        assert!(verify_signature_only::<Value>(halved, &keys).is_err());
    }
    let name = cookies::login_name(&text);
    assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
    assert!(!checked_path(Some(&text)).starts_with("//"));
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
