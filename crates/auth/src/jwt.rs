//! Compact JWS over `openidconnect`'s key types: how every token of the platform is signed and checked.
//!
//! Signed with Ed25519 (`EdDSA`) only; checked also with ES256, RS256 and PS256, because an issuer of the operator's may
//! use them. `none` and shared secrets (`HS…`) are never taken. RFC 7515, RFC 8037; the checks are those of RFC 8725.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openidconnect::core::{
    CoreEdDsaPrivateSigningKey, CoreJsonWebKey, CoreJsonWebKeySet, CoreJwsSigningAlgorithm,
};
use openidconnect::{JsonWebKey as _, JsonWebKeyId, PrivateSigningKey as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The type of an access token (RFC 9068).
pub const ACCESS_TOKEN: &str = "at+jwt";
/// The type of a logout token (OpenID Connect Back-Channel Logout 1.0).
pub const LOGOUT_TOKEN: &str = "logout+jwt";
/// The type of an ID token.
pub const ID_TOKEN: &str = "JWT";

/// The longest token that is looked at.
const LONGEST: usize = 16 * 1024;
/// How far two clocks may differ, seconds.
const LEEWAY: i64 = 60;

/// Why a token is not good. Holds nothing of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// It is no compact JWS of JSON.
    #[error("the token is malformed")]
    Malformed,
    /// Its header names an algorithm nobody here takes.
    #[error("the token is signed with an algorithm that is not taken")]
    Algorithm,
    /// No key has its id. The keys may have been rotated since they were read.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// The signature is not that key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// It is a token of another kind.
    #[error("the token is of another kind")]
    Type,
    /// It was issued by somebody else.
    #[error("the token comes from another issuer")]
    Issuer,
    /// It is meant for somebody else.
    #[error("the token is meant for somebody else")]
    Audience,
    /// It is too old, or not valid yet.
    #[error("the token has expired or is not valid yet")]
    Time,
    /// The signing key cannot be used.
    #[error("the signing key cannot be used")]
    Key,
}

/// An Ed25519 key that signs. Cheap to clone; never printed.
#[derive(Clone)]
pub struct SigningKey {
    inner: Arc<CoreEdDsaPrivateSigningKey>,
    kid: String,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// The key that grows from 32 random bytes (RFC 8032's secret key). Its id follows from its public half.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, JwtError> {
        use ring::signature::{Ed25519KeyPair, KeyPair as _};
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| JwtError::Key)?;
        let kid = URL_SAFE_NO_PAD.encode(&service::secrets::sha256(pair.public_key().as_ref())[..12]);
        // PKCS#8 version 1 of an Ed25519 key is this prefix and the seed (RFC 8410 §7).
        let prefix = [0x30, 0x2e, 0x02, 0x01, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let der = Zeroizing::new([&prefix[..], seed].concat());
        let pem = Zeroizing::new(format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(&der[..])
        ));
        let inner = CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new(kid.clone())))
            .map_err(|_| JwtError::Key)?;
        Ok(Self { inner: Arc::new(inner), kid })
    }

    /// A fresh key and its seed, to be sealed and kept.
    pub fn generate() -> Result<(Self, Zeroizing<[u8; 32]>), JwtError> {
        let seed = Zeroizing::new(service::secrets::random_bytes::<32>().map_err(|_| JwtError::Key)?);
        Ok((Self::from_seed(&seed)?, seed))
    }

    /// The id in the header of what it signs.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half, for a key set.
    pub fn public(&self) -> CoreJsonWebKey {
        self.inner.as_verification_key()
    }

    /// Signs `claims` as a token of type `typ` ([`ACCESS_TOKEN`], [`ID_TOKEN`], [`LOGOUT_TOKEN`]).
    pub fn sign<T: Serialize>(&self, typ: &str, claims: &T) -> Result<String, JwtError> {
        let header = serde_json::json!({ "alg": "EdDSA", "typ": typ, "kid": self.kid });
        let claims = serde_json::to_vec(claims).map_err(|_| JwtError::Malformed)?;
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(claims));
        let signature =
            self.inner.sign(&CoreJwsSigningAlgorithm::EdDsa, token.as_bytes()).map_err(|_| JwtError::Key)?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(token)
    }
}

/// A key set for `jwks_uri` from the public halves of `keys`: the one that signs first, then those that did lately and
/// the one that will soon. Serialize it with serde.
pub fn key_set<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> CoreJsonWebKeySet {
    CoreJsonWebKeySet::new(keys.into_iter().map(SigningKey::public).collect())
}

/// What a token must be to be taken.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// `iss`, to the letter.
    pub issuer: &'a str,
    /// One of `aud`.
    pub audience: &'a str,
    /// `typ` of the header, one of these, without regard to case or a leading `application/`. Empty takes any.
    pub types: &'a [&'a str],
    /// The time it is checked at, seconds since 1970.
    pub now_s: i64,
}

#[derive(Deserialize)]
struct Header {
    alg: CoreJwsSigningAlgorithm,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    // RFC 7515 §4.1.11: what must be understood and is not makes the token bad. We understand none.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Standard {
    iss: String,
    aud: OneOrMany,
    #[serde(default)]
    exp: Option<serde_json::Number>,
    #[serde(default)]
    nbf: Option<serde_json::Number>,
    #[serde(default)]
    iat: Option<serde_json::Number>,
}

/// A claim that may be one text or several (`aud`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// Whether `text` is among them.
    pub fn contains(&self, text: &str) -> bool {
        match self {
            Self::One(one) => one == text,
            Self::Many(many) => many.iter().any(|one| one == text),
        }
    }
}

/// Checks signature, type, issuer, audience and time of `token`, then reads its claims as `T`. `exp` must be there.
pub fn verify<T: DeserializeOwned>(
    token: &str,
    keys: &CoreJsonWebKeySet,
    expect: &Expect<'_>,
) -> Result<T, JwtError> {
    let (header, claims) = open(token, keys)?;
    check_type(&header, expect.types)?;
    let standard: Standard = serde_json::from_slice(&claims).map_err(|_| JwtError::Malformed)?;
    if standard.iss != expect.issuer {
        return Err(JwtError::Issuer);
    }
    if !standard.aud.contains(expect.audience) {
        return Err(JwtError::Audience);
    }
    let until = seconds(standard.exp.as_ref()).ok_or(JwtError::Time)?;
    let begins = seconds(standard.nbf.as_ref());
    let issued = seconds(standard.iat.as_ref());
    if until.saturating_add(LEEWAY) <= expect.now_s
        || begins.into_iter().chain(issued).any(|at| at > expect.now_s.saturating_add(LEEWAY))
    {
        return Err(JwtError::Time);
    }
    serde_json::from_slice(&claims).map_err(|_| JwtError::Malformed)
}

/// Checks only that one of `keys` signed `token`, and gives its claims: for `id_token_hint`, which may be long expired.
pub fn verify_signature_only<T: DeserializeOwned>(
    token: &str,
    keys: &CoreJsonWebKeySet,
) -> Result<T, JwtError> {
    let (_, claims) = open(token, keys)?;
    serde_json::from_slice(&claims).map_err(|_| JwtError::Malformed)
}

fn open(token: &str, keys: &CoreJsonWebKeySet) -> Result<(Header, Vec<u8>), JwtError> {
    if token.len() > LONGEST {
        return Err(JwtError::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(JwtError::Malformed)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Malformed);
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| JwtError::Malformed)?;
    let (claims, signature) = (decode(claims)?, decode(signature)?);
    if header.crit.is_some() {
        return Err(JwtError::Malformed);
    }
    if !matches!(
        header.alg,
        CoreJwsSigningAlgorithm::EdDsa
            | CoreJwsSigningAlgorithm::EcdsaP256Sha256
            | CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256
            | CoreJwsSigningAlgorithm::RsaSsaPssSha256
    ) {
        return Err(JwtError::Algorithm);
    }
    let mut tried = false;
    for key in keys.keys() {
        // A token without an id is tried with every key; one with an id only with that key.
        if header.kid.as_ref().is_some_and(|kid| key.key_id().is_none_or(|other| other.as_str() != kid)) {
            continue;
        }
        tried = true;
        if key.verify_signature(&header.alg, signed.as_bytes(), &signature).is_ok() {
            return Ok((header, claims));
        }
    }
    Err(if tried { JwtError::Signature } else { JwtError::UnknownKey })
}

fn check_type(header: &Header, types: &[&str]) -> Result<(), JwtError> {
    let typ = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    if types.is_empty() || types.iter().any(|wanted| wanted.eq_ignore_ascii_case(typ)) {
        Ok(())
    } else {
        Err(JwtError::Type)
    }
}

/// NumericDate may have a fraction (RFC 7519 §2).
fn seconds(number: Option<&serde_json::Number>) -> Option<i64> {
    let number = number?;
    number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        // Beyond these bounds no clock of ours goes, and the conversion is exact enough within.
        (float.is_finite() && float.abs() < 1e15).then(|| {
            #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
            let whole = float as i64;
            whole
        })
    })
}
