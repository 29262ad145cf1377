//! The first answer again: what a call that changes something answered under its idempotency key.

use contracts::{Call, CallError};
use ring::hmac;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;

use super::{Store, StoreError, StoreResult, Tx, bytes, now_us};

const TABLE: &str = "answered";
const KEPT_US: i64 = 24 * 60 * 60 * 1_000_000;

/// What a look-up under an idempotency key found.
pub enum Once<T> {
    /// It was answered before, with this.
    Again(T),
    /// It is new; hand this back to [`Store::answered`] in the same transaction.
    New(Pending),
}

/// A call that has not been answered yet.
pub struct Pending {
    key: Option<String>,
    request: Vec<u8>,
}

impl Store {
    /// Looks whether `call` was answered before. `request` is all of what it asks for; the same key with another
    /// request is a `Conflict`. Only a keyed digest of it is kept, because it may hold a password.
    pub(super) async fn once<T: DeserializeOwned>(
        &self,
        tx: &mut Tx,
        call: &Call,
        request: &impl Serialize,
    ) -> StoreResult<Once<T>> {
        let digests = self.digests(request)?;
        let digest = digests.first().cloned().unwrap_or_default();
        let Some(key) = &call.idempotency_key else {
            return Ok(Once::New(Pending { key: None, request: digest }));
        };
        let row = sqlx::query("SELECT request, answer FROM answered WHERE sub = $1 AND idempotency_key = $2")
            .bind(bytes(call.account.0))
            .bind(key.clone())
            .fetch_optional(&mut **tx)
            .await?;
        let Some(row) = row else {
            return Ok(Once::New(Pending { key: Some(key.clone()), request: digest }));
        };
        if !digests.contains(&row.try_get::<Vec<u8>, _>(0)?) {
            let message =
                "This request was sent before with another content. Reload the page and send it again.";
            return Err(CallError::Conflict { message: message.into() }.into());
        }
        let answer = serde_json::from_str(row.try_get(1)?)
            .map_err(|error| StoreError::Row { table: TABLE, reason: error.to_string() })?;
        Ok(Once::Again(answer))
    }

    /// Keeps the answer, so that a repeat gets it again.
    pub(super) async fn answered(
        &self,
        tx: &mut Tx,
        call: &Call,
        pending: Pending,
        answer: &impl Serialize,
    ) -> StoreResult<()> {
        let Some(key) = pending.key else { return Ok(()) };
        let json = serde_json::to_string(answer)
            .map_err(|error| StoreError::Row { table: TABLE, reason: error.to_string() })?;
        sqlx::query(
            "INSERT INTO answered (sub, idempotency_key, request, answer, at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(bytes(call.account.0))
        .bind(key)
        .bind(pending.request)
        .bind(json)
        .bind(now_us())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Forgets answers older than a day.
    pub async fn prune_answers(&self) -> StoreResult<()> {
        sqlx::query("DELETE FROM answered WHERE at < $1")
            .bind(now_us() - KEPT_US)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// Under every key, the newest first: a repeat may come after a rotation.
    fn digests(&self, request: &impl Serialize) -> StoreResult<Vec<Vec<u8>>> {
        let plain = serde_json::to_vec(request)
            .map_err(|error| StoreError::Row { table: TABLE, reason: error.to_string() })?;
        let keys = self.keys.derive_all("bouncer idempotency");
        let digest =
            |key: &[u8; 32]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &plain).as_ref().to_vec();
        Ok(keys.iter().map(digest).collect())
    }
}
