//! Security events, invitations, and the answers that were given under an idempotency key.

use contracts::{SecurityEvent, Sub};
use uuid::Uuid;

use super::{Columns as _, Result, Store, Tx, bytes, key};

const ADD: &str =
    "INSERT INTO security_events (id, sub, at, kind, text, address) VALUES ($1, $2, $3, $4, $5, $6)";
const NEWEST: &str =
    "SELECT at, kind, text, address FROM security_events WHERE sub = $1 ORDER BY id DESC LIMIT $2";
const PRUNE: &str = "DELETE FROM security_events WHERE at < $1";
const INVITE: &str =
    "INSERT INTO invitations (hash, created_at, expires_at, uses_left) VALUES ($1, $2, $3, $4)";
const IS_INVITED: &str =
    "SELECT COUNT(*) AS n FROM invitations WHERE hash = $1 AND expires_at > $2 AND uses_left > 0";
const ACCEPT: &str = "UPDATE invitations SET uses_left = uses_left - 1
    WHERE hash = $1 AND expires_at > $2 AND uses_left > 0";
const PRUNE_INVITATIONS: &str = "DELETE FROM invitations WHERE expires_at < $1 OR uses_left = 0";
const ANSWER: &str = "SELECT method, sealed FROM answers WHERE sub = $1 AND key = $2";
const KEEP_ANSWER: &str = "INSERT INTO answers (sub, key, method, sealed, at) VALUES ($1, $2, $3, $4, $5)";
const PRUNE_ANSWERS: &str = "DELETE FROM answers WHERE at < $1";

const KEEP_EVENTS_SECONDS: i64 = 180 * 24 * 3600;
/// A repeat comes at once or not at all, and some of these answers hold a secret.
const KEEP_ANSWERS_SECONDS: i64 = 600;

impl Store {
    pub async fn add_event(&self, tx: &mut Tx, sub: Sub, event: &SecurityEvent) -> Result<()> {
        sqlx::query(ADD)
            .bind(bytes(Uuid::now_v7()))
            .bind(key(sub))
            .bind(event.at)
            .bind(event.kind.clone())
            .bind(event.text.clone())
            .bind(event.address.clone())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The newest events, newest first.
    pub async fn events(&self, sub: Sub, limit: u32) -> Result<Vec<SecurityEvent>> {
        let rows = sqlx::query(NEWEST).bind(key(sub)).bind(i64::from(limit)).fetch_all(self.pool()).await?;
        rows.iter()
            .map(|row| {
                Ok(SecurityEvent {
                    at: row.int("at")?,
                    kind: row.text("kind")?,
                    text: row.text("text")?,
                    address: row.maybe_text("address")?,
                })
            })
            .collect()
    }

    pub async fn add_invitation(&self, hash: &[u8], now: i64, expires_at: i64, uses: u32) -> Result<()> {
        sqlx::query(INVITE)
            .bind(hash.to_vec())
            .bind(now)
            .bind(expires_at)
            .bind(i64::from(uses))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    pub async fn is_invited(&self, hash: &[u8], now: i64) -> Result<bool> {
        Ok(sqlx::query(IS_INVITED).bind(hash.to_vec()).bind(now).fetch_one(self.pool()).await?.int("n")? > 0)
    }

    /// Spends one use of an invitation; `false` if there is none left.
    pub async fn accept_invitation(&self, tx: &mut Tx, hash: &[u8], now: i64) -> Result<bool> {
        let done = sqlx::query(ACCEPT).bind(hash.to_vec()).bind(now).execute(&mut **tx).await?;
        Ok(done.rows_affected() == 1)
    }

    /// What was answered under this key: the method and the sealed answer.
    pub async fn answer(&self, tx: &mut Tx, sub: Sub, name: &str) -> Result<Option<(String, Vec<u8>)>> {
        let row = sqlx::query(ANSWER).bind(key(sub)).bind(name.to_owned()).fetch_optional(&mut **tx).await?;
        row.map(|row| Ok((row.text("method")?, row.blob("sealed")?))).transpose()
    }

    pub async fn keep_answer(
        &self,
        tx: &mut Tx,
        sub: Sub,
        name: &str,
        method: &str,
        sealed: &[u8],
        now: i64,
    ) -> Result<()> {
        sqlx::query(KEEP_ANSWER)
            .bind(key(sub))
            .bind(name.to_owned())
            .bind(method.to_owned())
            .bind(sealed.to_vec())
            .bind(now)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Forgets what is old.
    pub async fn prune_events(&self, now: i64) -> Result<()> {
        sqlx::query(PRUNE).bind(now - KEEP_EVENTS_SECONDS).execute(self.pool()).await?;
        sqlx::query(PRUNE_INVITATIONS).bind(now).execute(self.pool()).await?;
        sqlx::query(PRUNE_ANSWERS).bind(now - KEEP_ANSWERS_SECONDS).execute(self.pool()).await?;
        Ok(())
    }
}
