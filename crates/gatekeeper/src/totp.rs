//! Time-based one-time passwords (RFC 6238): SHA-1, six digits, thirty seconds, as every authenticator app takes them.

use fast_qr::QRBuilder;
use fast_qr::convert::{Builder as _, svg::SvgBuilder};
use ring::hmac;
use service::secrets::{SecretError, random_bytes, same};
use zeroize::Zeroizing;

const STEP_SECONDS: i64 = 30;
const DIGITS: u32 = 6;
/// Steps before and after the present one that are taken, because clocks differ.
const DRIFT: i64 = 1;

/// The shared secret of one account: 160 bits.
pub struct Seed(Zeroizing<Vec<u8>>);

impl Seed {
    /// A new one.
    pub fn random() -> Result<Self, SecretError> {
        Ok(Self(Zeroizing::new(random_bytes::<20>()?.to_vec())))
    }

    /// One that was kept.
    pub fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// For sealing.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// For typing into an app by hand.
    pub fn base32(&self) -> Zeroizing<String> {
        base32(&self.0)
    }

    /// What the QR code says.
    pub fn uri(&self, issuer: &str, username: &str) -> Zeroizing<String> {
        let issuer: String = url::form_urlencoded::byte_serialize(issuer.as_bytes()).collect();
        let issuer = issuer.replace('+', "%20");
        let secret = self.base32();
        Zeroizing::new(format!("otpauth://totp/{issuer}:{username}?secret={}&issuer={issuer}", *secret))
    }

    /// The QR code as SVG; `None` only if the text is too long for one.
    pub fn qr_svg(&self, issuer: &str, username: &str) -> Option<String> {
        let code = QRBuilder::new(self.uri(issuer, username).as_str()).build().ok()?;
        Some(SvgBuilder::default().margin(2).to_str(&code))
    }

    /// The step whose code this is, if it is one of the present ones and later than `last_used`: a code is for one use.
    pub fn verify(&self, code: &str, now_s: i64, last_used: i64) -> Option<i64> {
        let typed: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        if typed.len() != DIGITS as usize || !typed.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let present = now_s.div_euclid(STEP_SECONDS);
        let mut found = None;
        for step in present - DRIFT..=present + DRIFT {
            if same(self.code(step).as_bytes(), typed.as_bytes()) && step > last_used {
                found = Some(step);
            }
        }
        found
    }

    /// The code of a step.
    pub fn code(&self, step: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let bytes = tag.as_ref();
        let offset = usize::from(bytes[bytes.len() - 1] & 0x0f);
        let word = bytes[offset..offset + 4].iter().fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
        format!("{:06}", (word & 0x7fff_ffff) % 10u32.pow(DIGITS))
    }
}

fn base32(bytes: &[u8]) -> Zeroizing<String> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 8 / 5 + 1));
    let (mut buffer, mut bits) = (0u32, 0u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(buffer >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(buffer << (5 - bits)) as usize & 31]));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn rfc() -> Seed {
        Seed::from_bytes(Zeroizing::new(b"12345678901234567890".to_vec()))
    }

    #[test]
    fn the_codes_are_those_of_rfc_6238_appendix_b() {
        for (time, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (2_000_000_000, "279037")]
        {
            assert_eq!(rfc().code(time / 30), code);
            assert_eq!(rfc().verify(code, time, 0), Some(time / 30));
        }
    }

    #[test]
    fn a_code_is_taken_once_and_only_around_its_time() {
        let code = rfc().code(100);
        assert_eq!(rfc().verify(&code, 100 * 30 + 29, 0), Some(100));
        assert_eq!(rfc().verify(&code, 101 * 30, 0), Some(100), "a clock a little behind");
        assert_eq!(rfc().verify(&code, 100 * 30, 100), None, "used already");
        assert_eq!(rfc().verify(&code, 103 * 30, 0), None, "too old");
        assert_eq!(rfc().verify("12345", 0, 0), None);
        assert_eq!(rfc().verify("１２３４５６", 0, 0), None);
    }

    #[test]
    fn the_seed_is_written_in_base_32() {
        assert_eq!(*rfc().base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(rfc().qr_svg("irc.now", "alice").unwrap().starts_with("<svg"));
        assert!(rfc().uri("irc now", "alice").contains("issuer=irc%20now"));
    }
}
