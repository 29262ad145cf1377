//! Account passwords: argon2id, with a cap on how many are hashed at once.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

/// Characters a password has at least.
pub const MIN_LENGTH: usize = 10;
/// Bytes it has at most, so that nobody makes us hash a book.
const MAX_BYTES: usize = 512;
/// How long a hash waits for its turn before the answer is "busy".
const PATIENCE: Duration = Duration::from_secs(5);

/// Long enough, and still everybody's first guess.
const COMMON: &[&str] = &[
    "1234567890",
    "12345678910",
    "0123456789",
    "qwertyuiop",
    "password12",
    "password123",
    "password1234",
    "passwordpassword",
    "iloveyou123",
    "1q2w3e4r5t",
    "qwerty12345",
    "qwerty123456",
    "letmein123",
    "administrator",
    "welcome123",
    "abcdefghij",
    "changeme123",
    "sunshine123",
    "football123",
    "princess123",
    "correcthorsebatterystaple",
];

/// Why a password cannot be hashed or is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The words are for the user.
    #[error("{0}")]
    Weak(&'static str),
    /// Too many people sign in at once.
    #[error("Many people are signing in right now. Try again in a few seconds.")]
    Busy,
    /// The hash function refused; the log says why.
    #[error("The password could not be hashed.")]
    Hash,
}

/// Says whether a new password will do.
pub fn check_new(password: &str, username: &str) -> Result<(), PasswordError> {
    let lower = password.to_lowercase();
    if password.chars().count() < MIN_LENGTH {
        return Err(PasswordError::Weak(
            "A password has at least 10 characters. A few words make a good one.",
        ));
    }
    if password.len() > MAX_BYTES {
        return Err(PasswordError::Weak("A password has at most 512 bytes."));
    }
    if COMMON.contains(&lower.as_str()) || all_the_same(&lower) {
        return Err(PasswordError::Weak(
            "Many people use this password, so it is guessed first. Choose another.",
        ));
    }
    if !username.is_empty()
        && (lower == username || lower.trim_end_matches(|c: char| c.is_ascii_digit()) == username)
    {
        return Err(PasswordError::Weak("The password is your username. Choose another."));
    }
    Ok(())
}

fn all_the_same(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| chars.all(|c| c == first))
}

/// Hashes and checks passwords, so many at once and no more.
#[derive(Clone)]
pub struct Hasher {
    gate: Arc<Semaphore>,
    patience: Duration,
    argon2: Argon2<'static>,
    /// A hash of nothing anybody knows, checked in place of an unknown user's, so that both take as long.
    decoy: Arc<str>,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").field("free", &self.gate.available_permits()).finish_non_exhaustive()
    }
}

impl Hasher {
    /// A hasher that runs `at_once` hashes of `memory_kib` each.
    pub fn new(at_once: usize, memory_kib: u32) -> Result<Self, PasswordError> {
        let params = Params::new(memory_kib.max(64), 2, 1, None).map_err(|_| PasswordError::Hash)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash(&argon2, &service::secrets::random_token().map_err(|_| PasswordError::Hash)?)?;
        let gate = Arc::new(Semaphore::new(at_once.max(1)));
        Ok(Self { gate, patience: PATIENCE, argon2, decoy: decoy.into() })
    }

    /// The hash of a new password, as a PHC string.
    pub async fn hash(&self, password: &SecretString) -> Result<String, PasswordError> {
        let (argon2, password) = (self.argon2.clone(), password.clone());
        self.run(move || hash(&argon2, password.expose_secret())).await?
    }

    /// Whether this is the password. Without a hash (no such user, or one without a password) it takes as long and says no.
    pub async fn verify(&self, password: &SecretString, kept: Option<&str>) -> Result<bool, PasswordError> {
        if password.expose_secret().len() > MAX_BYTES {
            return Ok(false);
        }
        let known = kept.is_some();
        let (argon2, password) = (self.argon2.clone(), password.clone());
        let kept = kept.unwrap_or(&self.decoy).to_owned();
        let same = self
            .run(move || {
                PasswordHash::new(&kept).is_ok_and(|kept| {
                    argon2.verify_password(password.expose_secret().as_bytes(), &kept).is_ok()
                })
            })
            .await?;
        Ok(same && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = tokio::time::timeout(self.patience, Arc::clone(&self.gate).acquire_owned());
        let Ok(Ok(permit)) = turn.await else { return Err(PasswordError::Busy) };
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|_| PasswordError::Hash)
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<String, PasswordError> {
    let salt = service::secrets::random_bytes::<16>().map_err(|_| PasswordError::Hash)?;
    argon2
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|_| PasswordError::Hash)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let hasher = Hasher::new(2, 64).unwrap();
        let kept = hasher.hash(&secret("correct horse")).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=64,t=2,p=1$"));
        assert!(hasher.verify(&secret("correct horse"), Some(&kept)).await.unwrap());
        assert!(!hasher.verify(&secret("correct horsf"), Some(&kept)).await.unwrap());
        assert!(!hasher.verify(&secret("correct horse"), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_that_gets_no_turn_is_told_so() {
        let hasher = Hasher { patience: Duration::from_millis(1), ..Hasher::new(1, 64).unwrap() };
        let _held = Arc::clone(&hasher.gate).acquire_owned().await.unwrap();
        assert!(matches!(hasher.verify(&secret("x"), None).await, Err(PasswordError::Busy)));
    }

    #[test]
    fn everybodys_first_guess_is_not_taken() {
        for password in ["short", "password123", "aaaaaaaaaaaaaa", "alicealice1", "alicealice"] {
            assert!(check_new(password, "alicealice").is_err(), "{password}");
        }
        assert!(check_new("green phosphor terminal", "alice").is_ok());
    }
}
