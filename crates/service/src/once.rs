//! Once, in effect: a call that comes again under its idempotency key gets its first answer again.
//!
//! The service's own schema makes the table: `answered (sub, idempotency_key, request, answer, at)`, its primary key the
//! first two. An answer is written in the transaction of the change it answers.
//!
//! ```no_run
//! # use service::{db::Tx, once::{Answers, OnceError}};
//! # async fn f(answers: Answers, mut tx: Tx, sub: uuid::Uuid, key: Option<&str>) -> Result<u64, OnceError> {
//! let asked = answers.asked(sub, key, &("add", "a thing"))?;
//! if let Some(before) = asked.again(&mut tx).await? {
//!     return Ok(before);
//! }
//! // … the change …
//! asked.answered(&mut tx, &7).await?;
//! tx.commit().await?;
//! # Ok(7) }
//! ```

use ring::hmac;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use uuid::Uuid;

use crate::clock::now_us;
use crate::db::{Database, DbError, Tx};
use crate::secrets::Keyring;

/// How long an answer is kept for a repeat.
const KEPT_US: i64 = 24 * 60 * 60 * 1_000_000;

const LOOK_UP: &str = "SELECT request, answer FROM answered WHERE sub = $1 AND idempotency_key = $2";
const KEEP: &str =
    "INSERT INTO answered (sub, idempotency_key, request, answer, at) VALUES ($1, $2, $3, $4, $5)";
const PRUNE: &str = "DELETE FROM answered WHERE at < $1";

/// Why an answer was not found or kept.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// The key stands for another request. The words are for the user.
    #[error("This request was sent before with another content. Reload the page and send it again.")]
    Another,
    /// The database.
    #[error(transparent)]
    Database(#[from] DbError),
    /// A request or an answer cannot be written as JSON, or an answer of another version cannot be read.
    #[error("an answer that is kept for repeats cannot be read or written: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<sqlx::Error> for OnceError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// The answers a service has given.
#[derive(Clone, Debug)]
pub struct Answers {
    db: Database,
    keys: Keyring,
    purpose: &'static str,
}

impl Answers {
    /// The answers in `db`. `purpose` ("bouncer idempotency") makes digests of the same request differ between services.
    pub fn new(db: Database, keys: Keyring, purpose: &'static str) -> Self {
        Self { db, keys, purpose }
    }

    /// What a call for the account `sub` asks for under `key`. `request` is all of it; only a keyed digest is kept,
    /// because it may hold a password. Without a key nothing is kept.
    pub fn asked(&self, sub: Uuid, key: Option<&str>, request: &impl Serialize) -> Result<Asked, OnceError> {
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(request)?);
        let digest =
            |key: &[u8; 32]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &plain).as_ref().to_vec();
        // Under every key, the newest first: a repeat may come after a rotation.
        let digests = self.keys.derive_all(self.purpose).iter().map(digest).collect();
        Ok(Asked { sub, key: key.map(str::to_owned), digests })
    }

    /// Forgets answers older than a day.
    pub async fn prune(&self) -> Result<(), DbError> {
        sqlx::query(PRUNE).bind(now_us() - KEPT_US).execute(self.db.pool()).await?;
        Ok(())
    }
}

/// A call that is being carried out.
#[derive(Clone)]
pub struct Asked {
    sub: Uuid,
    key: Option<String>,
    digests: Vec<Vec<u8>>,
}

impl Asked {
    /// What the call was answered with before, if it was. The same key with another request is [`OnceError::Another`].
    pub async fn again<T: DeserializeOwned>(&self, tx: &mut Tx) -> Result<Option<T>, OnceError> {
        let Some(key) = &self.key else { return Ok(None) };
        let row = sqlx::query(LOOK_UP).bind(self.sub()).bind(key.clone()).fetch_optional(&mut **tx).await?;
        let Some(row) = row else { return Ok(None) };
        if !self.digests.contains(&row.try_get::<Vec<u8>, _>(0)?) {
            return Err(OnceError::Another);
        }
        Ok(Some(serde_json::from_str(row.try_get(1)?)?))
    }

    /// Keeps the answer with the change, so that a repeat gets it again.
    pub async fn answered(&self, tx: &mut Tx, answer: &impl Serialize) -> Result<(), OnceError> {
        let (Some(key), Some(digest)) = (&self.key, self.digests.first()) else { return Ok(()) };
        sqlx::query(KEEP)
            .bind(self.sub())
            .bind(key.clone())
            .bind(digest.clone())
            .bind(serde_json::to_string(answer)?)
            .bind(now_us())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    fn sub(&self) -> Vec<u8> {
        self.sub.as_bytes().to_vec()
    }
}
