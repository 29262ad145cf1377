//! What a client does that encrypts a text before it sends it, and decrypts one it got: as the page does in a browser.
//!
//! The body is twelve bytes of nonce and AES-256-GCM; the key is 32 bytes, in base64url behind the # of the address.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use secrecy::{ExposeSecret as _, SecretString};
use service::secrets::random_bytes;
use share::ShortId;
use url::Url;

const KEY: usize = 32;
const NONCE: usize = 12;

/// Why a text is not encrypted or decrypted. The words are for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The key is none, or another one's.
    #[error("This key does not open it. Check whether the whole address was copied.")]
    Key,
    /// The address names no paste.
    #[error("This is no address of a paste.")]
    Address,
    /// There is no randomness.
    #[error("This system gives no random numbers.")]
    Random,
}

/// A text under a key of its own.
pub struct Encrypted {
    /// What is sent, in base64url.
    pub body: String,
    /// What goes behind the #.
    pub key: SecretString,
}

/// Encrypts a text under a fresh key.
pub fn encrypt(text: &[u8]) -> Result<Encrypted, ClientError> {
    let raw = random_bytes::<KEY>().map_err(|_| ClientError::Random)?;
    let nonce = random_bytes::<NONCE>().map_err(|_| ClientError::Random)?;
    let mut body = text.to_vec();
    aead(&raw)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut body)
        .map_err(|_| ClientError::Random)?;
    let body = URL_SAFE_NO_PAD.encode([&nonce[..], &body].concat());
    Ok(Encrypted { body, key: SecretString::from(URL_SAFE_NO_PAD.encode(raw)) })
}

/// Decrypts what [`encrypt`] or a browser made.
pub fn decrypt(body: &str, key: &SecretString) -> Result<Vec<u8>, ClientError> {
    let raw = URL_SAFE_NO_PAD.decode(key.expose_secret()).map_err(|_| ClientError::Key)?;
    let body = URL_SAFE_NO_PAD.decode(body).map_err(|_| ClientError::Key)?;
    let (nonce, sealed) = body.split_at_checked(NONCE).ok_or(ClientError::Key)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| ClientError::Key)?;
    let mut text = sealed.to_vec();
    let length =
        aead(&raw)?.open_in_place(nonce, Aad::empty(), &mut text).map_err(|_| ClientError::Key)?.len();
    text.truncate(length);
    Ok(text)
}

fn aead(raw: &[u8]) -> Result<LessSafeKey, ClientError> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, raw).map_err(|_| ClientError::Key)?))
}

/// The site, the id and the key of an address.
pub fn parse(address: &str) -> Result<(Url, ShortId, Option<SecretString>), ClientError> {
    let mut url: Url = address.trim().parse().map_err(|_| ClientError::Address)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ClientError::Address);
    }
    let id = url.path().trim_matches('/').parse().map_err(|_| ClientError::Address)?;
    let key = url.fragment().filter(|key| !key.is_empty()).map(SecretString::from);
    url.set_fragment(None);
    url.set_query(None);
    url.set_path("/");
    Ok((url, id, key))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_is_encrypted_opens_with_its_key_and_no_other() {
        let (one, two) = (encrypt(b"the text").unwrap(), encrypt(b"the text").unwrap());
        assert_eq!(decrypt(&one.body, &one.key).unwrap(), b"the text");
        assert_eq!(decrypt(&one.body, &two.key), Err(ClientError::Key));
        assert_eq!(decrypt("", &one.key), Err(ClientError::Key));
        assert_eq!(decrypt(&one.body, &SecretString::from("short")), Err(ClientError::Key));
    }

    #[test]
    fn an_address_is_a_site_an_id_and_maybe_a_key() {
        let (site, id, key) = parse("https://txt.irc.now/aaaaaaaaaaaaaaaaaaaa#KEY").unwrap();
        assert_eq!((site.as_str(), id.as_str()), ("https://txt.irc.now/", "aaaaaaaaaaaaaaaaaaaa"));
        assert_eq!(key.unwrap().expose_secret(), "KEY");
        for bad in
            ["", "txt.irc.now", "https://txt.irc.now/", "file:///aaaaaaaaaaaaaaaaaaaa", "https://x/a/b"]
        {
            assert_eq!(parse(bad).map(|_| ()), Err(ClientError::Address), "{bad}");
        }
    }
}
