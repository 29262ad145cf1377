//! The keys that sign our tokens: Ed25519, made and retired by themselves.
//!
//! A key signs for thirty days. The next one is shown in the JWKS two days before it signs, and each stays shown for a
//! week after it has signed its last, so that no relying party ever meets a key it could not have known.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use auth::jwt::{self, Expect, SigningKey};
use auth::{AuthError, KeySource};
use openidconnect::core::CoreJsonWebKeySet;
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::clock::now_s;
use service::secrets::Keyring;

use crate::Gatekeeper;
use crate::error::{Error, Result};
use crate::store::{SigningKeyRow, Store};

const DAY: i64 = 24 * 3600;
const SIGNS_FOR: i64 = 30 * DAY;
const SHOWN_BEFORE: i64 = 2 * DAY;
const SHOWN_AFTER: i64 = 7 * DAY;

fn context(kid: &str) -> String {
    format!("gatekeeper:signing-key:{kid}")
}

struct Key {
    signing: SigningKey,
    signs_from: i64,
}

struct Known {
    keys: Vec<Key>,
    set: CoreJsonWebKeySet,
}

/// The keys in use, read from the store. Clones share them.
#[derive(Clone)]
pub struct Keys {
    store: Store,
    keyring: Keyring,
    known: Arc<RwLock<Arc<Known>>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("known", &self.known().keys.len()).finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys of this installation, with a first one if there is none.
    pub async fn open(store: Store, keyring: Keyring, now: i64) -> Result<Self> {
        let none = Known { keys: Vec::new(), set: CoreJsonWebKeySet::new(Vec::new()) };
        let keys = Self { store, keyring, known: Arc::new(RwLock::new(Arc::new(none))) };
        keys.renew(now).await?;
        Ok(keys)
    }

    /// Makes the next key if its time has come, and reads what other replicas have made.
    pub async fn renew(&self, now: i64) -> Result<()> {
        let mut tx = self.store.begin().await?;
        let mut rows = self.store.signing_keys(&mut tx, now).await?;
        let last = rows.iter().map(|row| row.signs_until).max().unwrap_or(i64::MIN);
        if last < now + SHOWN_BEFORE {
            let fresh = self.fresh(last.max(now))?;
            self.store.insert_signing_key(&mut tx, &fresh).await?;
            rows.push(fresh);
        }
        self.store.commit(tx).await?;
        let keys = rows.iter().map(|row| self.unsealed(row)).collect::<Result<Vec<Key>>>()?;
        let set = jwt::key_set(keys.iter().map(|key| &key.signing));
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Known { keys, set });
        Ok(())
    }

    fn fresh(&self, signs_from: i64) -> Result<SigningKeyRow> {
        let (key, seed) = SigningKey::generate().map_err(broken)?;
        Ok(SigningKeyRow {
            sealed: self.keyring.seal(&context(key.kid()), &seed[..])?,
            kid: key.kid().to_owned(),
            signs_from,
            signs_until: signs_from + SIGNS_FOR,
            gone_at: signs_from + SIGNS_FOR + SHOWN_AFTER,
        })
    }

    fn unsealed(&self, row: &SigningKeyRow) -> Result<Key> {
        let seed = self.keyring.unseal(&context(&row.kid), &row.sealed)?;
        let seed: &[u8; 32] =
            seed.as_slice().try_into().map_err(|_| Error::Internal("a signing key is damaged".to_owned()))?;
        Ok(Key { signing: SigningKey::from_seed(seed).map_err(broken)?, signs_from: row.signs_from })
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The public halves, for who checks tokens in this process.
    pub fn set(&self) -> CoreJsonWebKeySet {
        self.known().set.clone()
    }

    /// The public halves, as they are shown.
    pub fn jwks(&self) -> serde_json::Value {
        serde_json::to_value(&self.known().set).unwrap_or_default()
    }

    /// A token of the type `typ`.
    pub fn sign(&self, typ: &str, claims: &impl Serialize, now: i64) -> Result<String> {
        let known = self.known();
        let key = known.keys.iter().rev().find(|key| key.signs_from <= now);
        let key = key.ok_or_else(|| Error::Internal("there is no signing key".to_owned()))?;
        key.signing.sign(typ, claims).map_err(broken)
    }

    /// The claims of a token that keeps every promise.
    pub fn verify<T: DeserializeOwned>(&self, token: &str, expect: &Expect<'_>) -> Option<T> {
        jwt::verify(token, &self.known().set, expect).ok()
    }

    /// The claims of a token we signed, however old.
    pub fn verify_old<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        jwt::verify_signature_only(token, &self.known().set).ok()
    }

    /// Seals every key under the newest key of the keyring.
    pub async fn reseal(&self, now: i64) -> Result<()> {
        let mut tx = self.store.begin().await?;
        for row in self.store.signing_keys(&mut tx, now).await? {
            if let Some(anew) = self.keyring.reseal(&context(&row.kid), &row.sealed)? {
                self.store.reseal_signing_key(&mut tx, &row.kid, &anew).await?;
            }
        }
        self.store.commit(tx).await?;
        Ok(())
    }
}

fn broken(error: jwt::JwtError) -> Error {
    Error::Internal(error.to_string())
}

/// The issuer checks its own tokens with the keys it signs them with.
#[async_trait]
impl KeySource for Gatekeeper {
    async fn keys(&self) -> std::result::Result<CoreJsonWebKeySet, AuthError> {
        Ok(self.0.keys.set())
    }

    async fn newer_keys(&self) -> std::result::Result<CoreJsonWebKeySet, AuthError> {
        self.0.keys.renew(now_s()).await.map_err(|error| AuthError::Issuer(error.to_string()))?;
        Ok(self.0.keys.set())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::{Value, json};
    use service::db::Database;

    use super::*;
    use crate::text::unbase64url;

    /// The key a token names.
    fn kid(token: &str) -> String {
        let header = unbase64url(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
    }

    fn shown(keys: &Keys) -> Vec<String> {
        let set = keys.jwks();
        let all = set["keys"].as_array().unwrap().iter();
        all.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn the_next_key_is_shown_before_it_signs_and_the_last_one_after_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("keys.db").display());
        let store = Store::open(Database::open(&url).await.unwrap()).await.unwrap();
        let start = 1_800_000_000;
        let keys = Keys::open(store, Keyring::ephemeral().unwrap(), start).await.unwrap();
        let sign =
            |day: i64| keys.sign(auth::jwt::ID_TOKEN, &json!({ "day": day }), start + day * DAY).unwrap();
        let token = sign(0);
        let first = kid(&token);

        keys.renew(start + 27 * DAY).await.unwrap();
        assert_eq!(shown(&keys), [first.as_str()]);
        keys.renew(start + 29 * DAY).await.unwrap();
        let both = shown(&keys);
        assert!(both.len() == 2 && both.contains(&first), "{both:?}");
        assert_eq!(kid(&sign(29)), first, "it is shown, and does not sign yet");
        let second = kid(&sign(30));
        assert!(second != first && both.contains(&second));

        keys.renew(start + 36 * DAY).await.unwrap();
        assert!(keys.verify_old::<Value>(&token).is_some(), "who was signed in stays so");
        keys.renew(start + 38 * DAY).await.unwrap();
        assert_eq!(shown(&keys), [second.as_str()]);
        assert!(keys.verify_old::<Value>(&token).is_none());
    }
}
