//! Short names for long texts.

use serde_json::Value;

/// The first 64 bits of a text's SHA-256.
pub fn of(bytes: &[u8]) -> u64 {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The hash of a JSON value. Objects are written with sorted keys, so equal values have equal hashes.
pub fn of_value(value: &Value) -> u64 {
    of(value.to_string().as_bytes())
}

/// How a hash is written down.
pub fn text(hash: u64) -> String {
    format!("{hash:016x}")
}

/// Reads a hash back; what is none reads as 0, which nothing hashes to in practice.
pub fn parse(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap_or_default()
}

/// The hexadecimal SHA-256 of a text, for names that must not collide.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
