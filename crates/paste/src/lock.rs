//! Pastes behind a password: encrypted under a key of argon2id with a salt of each paste's own.
//!
//! A key takes memory and a core for a while, and everybody may ask: so many at once and no more, whoever they are. The
//! memory is kept for the next one: allocators do not give so much back for each thread that had it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use secrecy::{ExposeSecret as _, SecretString};
use service::secrets::random_bytes;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

const SALT: usize = 16;
const NONCE: usize = 12;
/// How long one waits for its turn before the answer is "busy".
const PATIENCE: Duration = Duration::from_secs(10);

/// Why something is not locked or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// It is another password.
    #[error("That is not its password.")]
    Wrong,
    /// Too many ask at once.
    #[error("Many people are opening pastes right now. Try again in a few seconds.")]
    Busy,
    /// The key could not be made; the log says why.
    #[error("The password could not be worked with.")]
    Failed,
}

/// A text under a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    pub salt: Vec<u8>,
    pub body: Bytes,
}

/// Locks and opens, so many at once and no more. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Locks {
    turns: Arc<Semaphore>,
    params: Params,
    memory: Arc<Memory>,
}

/// Memory for keys, as much as turns have needed at once so far.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    fn take(&self) -> Option<Vec<Block>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, blocks: Vec<Block>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(blocks);
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl Locks {
    /// `at_once` keys at once, of `memory_kib` each.
    pub fn new(at_once: usize, memory_kib: u32) -> Result<Self, LockError> {
        let params = Params::new(memory_kib.max(64), 2, 1, Some(32)).map_err(|_| LockError::Failed)?;
        Ok(Self { turns: Arc::new(Semaphore::new(at_once.max(1))), params, memory: Arc::default() })
    }

    /// Encrypts a text under a password.
    pub async fn lock(&self, password: &SecretString, text: Bytes) -> Result<Locked, LockError> {
        let salt = random_bytes::<SALT>().map_err(|_| LockError::Failed)?;
        self.with_key(password, salt.to_vec(), move |key| {
            let nonce = random_bytes::<NONCE>().map_err(|_| LockError::Failed)?;
            let mut body = text.to_vec();
            key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut body)
                .map_err(|_| LockError::Failed)?;
            let body = [&nonce[..], &body].concat().into();
            Ok(Locked { salt: salt.to_vec(), body })
        })
        .await
    }

    /// Decrypts it again.
    pub async fn open(&self, password: &SecretString, locked: Locked) -> Result<Bytes, LockError> {
        self.with_key(password, locked.salt, move |key| {
            let (nonce, sealed) = locked.body.split_at_checked(NONCE).ok_or(LockError::Wrong)?;
            let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| LockError::Wrong)?;
            let mut body = sealed.to_vec();
            let text = key.open_in_place(nonce, Aad::empty(), &mut body).map_err(|_| LockError::Wrong)?.len();
            body.truncate(text);
            Ok(body.into())
        })
        .await
    }

    async fn with_key<T: Send + 'static>(
        &self,
        password: &SecretString,
        salt: Vec<u8>,
        work: impl FnOnce(&LessSafeKey) -> Result<T, LockError> + Send + 'static,
    ) -> Result<T, LockError> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned());
        let Ok(Ok(turn)) = turn.await else { return Err(LockError::Busy) };
        let (params, password, memory) = (self.params.clone(), password.clone(), Arc::clone(&self.memory));
        let worked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut blocks = memory.take().unwrap_or_else(|| vec![Block::default(); params.block_count()]);
            let mut key = Zeroizing::new([0; 32]);
            let password = password.expose_secret().as_bytes();
            let derived = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into_with_memory(password, &salt, key.as_mut(), &mut blocks);
            memory.keep(blocks);
            derived.map_err(|error| {
                tracing::error!(%error, "a key could not be derived");
                LockError::Failed
            })?;
            let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| LockError::Failed)?;
            work(&LessSafeKey::new(key))
        });
        worked.await.unwrap_or(Err(LockError::Failed))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn word(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[tokio::test]
    async fn what_is_locked_opens_with_its_password_and_no_other() {
        let locks = Locks::new(2, 64).unwrap();
        let text = Bytes::from("the text itself");
        let locked = locks.lock(&word("one"), text.clone()).await.unwrap();
        assert!(!locked.body.windows(8).any(|part| part == b"the text"));
        assert_eq!(locks.open(&word("one"), locked.clone()).await, Ok(text.clone()));
        assert_eq!(locks.open(&word("two"), locked.clone()).await, Err(LockError::Wrong));
        let bent = Locked { body: locked.body[..locked.body.len() - 1].to_vec().into(), ..locked.clone() };
        assert_eq!(locks.open(&word("one"), bent).await, Err(LockError::Wrong));
        let again = locks.lock(&word("one"), text).await.unwrap();
        assert_ne!(locked.salt, again.salt, "each has a salt of its own");
        assert_ne!(locked.body, again.body);
        let empty = Locked { salt: locked.salt, body: Bytes::new() };
        assert_eq!(locks.open(&word("one"), empty).await, Err(LockError::Wrong));
    }

    #[tokio::test]
    async fn so_many_keys_at_once_and_no_more() {
        let locks = Locks::new(2, 64).unwrap();
        let turns: Vec<_> =
            [locks.turns.clone().acquire_owned().await, locks.turns.clone().acquire_owned().await].into();
        tokio::time::pause();
        let refused = locks.lock(&word("one"), Bytes::from("x")).await;
        assert_eq!(refused, Err(LockError::Busy));
        drop(turns);
    }
}
