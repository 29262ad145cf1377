//! One random key that outlives every rotation of the keyring: for what is kept as a keyed hash for ever (the names of
//! deleted accounts), and for what must look the same tomorrow (the salt of a user who does not exist).

use ring::hmac;
use service::secrets::{Keyring, random_bytes};
use zeroize::Zeroizing;

use crate::error::Result;
use crate::store::Store;

const NAME: &str = "pepper";
/// What it is sealed for.
pub const CONTEXT: &str = "gatekeeper:kept-key:pepper";

/// The key. Never printed.
#[derive(Clone)]
pub struct Pepper(hmac::Key);

impl std::fmt::Debug for Pepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pepper")
    }
}

impl Pepper {
    /// The installation's key, made at its first start.
    pub async fn open(store: &Store, keyring: &Keyring) -> Result<Self> {
        let mut tx = store.begin().await?;
        let key = match store.kept_key(&mut tx, NAME).await? {
            Some(sealed) => keyring.unseal(CONTEXT, &sealed)?,
            None => {
                let fresh = Zeroizing::new(random_bytes::<32>()?.to_vec());
                store.keep_key(&mut tx, NAME, &keyring.seal(CONTEXT, &fresh)?).await?;
                fresh
            }
        };
        store.commit(tx).await?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// Seals it under the newest key.
    pub async fn reseal(store: &Store, keyring: &Keyring) -> Result<()> {
        let mut tx = store.begin().await?;
        if let Some(sealed) = store.kept_key(&mut tx, NAME).await?
            && let Some(anew) = keyring.reseal(CONTEXT, &sealed)?
        {
            store.keep_key(&mut tx, NAME, &anew).await?;
        }
        store.commit(tx).await?;
        Ok(())
    }

    /// The keyed hash of `text` for one purpose.
    pub fn hash(&self, purpose: &str, text: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose.as_bytes());
        context.update(&[0]);
        context.update(text.as_bytes());
        context.sign().as_ref().to_vec()
    }
}
