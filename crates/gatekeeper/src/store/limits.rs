//! Failed attempts, kept in rows so that every replica counts them and a restart forgets none.

use super::{Columns as _, Result, Store};

/// How often somebody failed of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    pub failures: i64,
    pub last_at: i64,
    /// Nothing is tried before this moment.
    pub blocked_until: i64,
}

const GET: &str = "SELECT failures, last_at, blocked_until FROM attempts WHERE key = $1";
const PUT: &str = "INSERT INTO attempts (key, failures, last_at, blocked_until) VALUES ($1, $2, $3, $4)
    ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at,
    blocked_until = excluded.blocked_until";
const CLEAR: &str = "DELETE FROM attempts WHERE key = $1";
const PRUNE: &str = "DELETE FROM attempts WHERE last_at < $1 AND blocked_until < $1";

impl Store {
    pub async fn attempts(&self, key: &[u8]) -> Result<Attempts> {
        let row = sqlx::query(GET).bind(key.to_vec()).fetch_optional(self.pool()).await?;
        let Some(row) = row else { return Ok(Attempts::default()) };
        Ok(Attempts {
            failures: row.int("failures")?,
            last_at: row.int("last_at")?,
            blocked_until: row.int("blocked_until")?,
        })
    }

    /// Changes the count under the write lock, so that no failure is lost.
    pub async fn count_attempt(
        &self,
        key: &[u8],
        next: impl FnOnce(Attempts) -> Attempts,
    ) -> Result<Attempts> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(GET).bind(key.to_vec()).fetch_optional(&mut *tx).await?;
        let before = match row {
            None => Attempts::default(),
            Some(row) => Attempts {
                failures: row.int("failures")?,
                last_at: row.int("last_at")?,
                blocked_until: row.int("blocked_until")?,
            },
        };
        let after = next(before);
        sqlx::query(PUT)
            .bind(key.to_vec())
            .bind(after.failures)
            .bind(after.last_at)
            .bind(after.blocked_until)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(after)
    }

    pub async fn clear_attempts(&self, key: &[u8]) -> Result<()> {
        sqlx::query(CLEAR).bind(key.to_vec()).execute(self.pool()).await?;
        Ok(())
    }

    pub async fn prune_attempts(&self, before: i64) -> Result<()> {
        sqlx::query(PRUNE).bind(before).execute(self.pool()).await?;
        Ok(())
    }
}
