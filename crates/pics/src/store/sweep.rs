//! What the sweeper and the end of an account ask of the rows.

use contracts::Sub;
use share::ShortId;
use sqlx::Row as _;
use uuid::Uuid;

use super::{Store, StoreResult, bytes, take_out, uuid};

const EXPIRED: &str = "SELECT id FROM picture WHERE expires_at <= $1 ORDER BY expires_at LIMIT 100";
const OF_SUB: &str = "SELECT id FROM picture WHERE sub = $1 LIMIT 100";
const OF_HASH: &str =
    "SELECT p.id FROM picture p JOIN content c ON c.id = p.content WHERE c.hash = $1 LIMIT 100";
const OF_CONTENT: &str = "SELECT id FROM picture WHERE content = $1 LIMIT 100";
const HASH: &str = "SELECT c.hash FROM picture p JOIN content c ON c.id = p.content WHERE p.id = $1";
const STALE: &str = "DELETE FROM reservation WHERE made_at < $1";
const CONTENTS: &str = "SELECT id FROM content WHERE id > $1 AND made_at < $2 ORDER BY id LIMIT 1000";
const IS_KNOWN: &str = "SELECT id FROM content WHERE id = $1";

/// A picture that was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The objects to delete: nobody else has them.
    pub key: Option<Uuid>,
}

impl Store {
    /// Takes away pictures whose time is over, some at once. Empty: there are no more.
    pub async fn delete_expired(&self, now_us: i64) -> StoreResult<Vec<Gone>> {
        self.delete_all(sqlx::query(EXPIRED).bind(now_us)).await
    }

    /// Takes away an account's pictures, some at once. Empty: there are no more, and nothing else of it either.
    pub async fn delete_of(&self, sub: Sub) -> StoreResult<Vec<Gone>> {
        let gone = self.delete_all(sqlx::query(OF_SUB).bind(bytes(sub.0))).await?;
        if gone.is_empty() {
            for query in [
                "DELETE FROM album WHERE sub = $1",
                "DELETE FROM reservation WHERE sub = $1",
                "DELETE FROM pics_account WHERE sub = $1",
            ] {
                sqlx::query(query).bind(bytes(sub.0)).execute(self.db.pool()).await?;
            }
        }
        Ok(gone)
    }

    /// Takes away every picture of a content by its SHA-256, whoever has it, some at once.
    pub async fn delete_hash(&self, hash: &[u8]) -> StoreResult<Vec<Gone>> {
        self.delete_all(sqlx::query(OF_HASH).bind(hash.to_vec())).await
    }

    /// Takes away every picture of a content whose objects are lost, some at once.
    pub async fn delete_lost(&self, key: Uuid) -> StoreResult<Vec<Gone>> {
        self.delete_all(sqlx::query(OF_CONTENT).bind(bytes(key))).await
    }

    /// The SHA-256 of a picture.
    pub async fn hash_of(&self, id: ShortId) -> StoreResult<Option<Vec<u8>>> {
        let row = sqlx::query(HASH).bind(id.to_string()).fetch_optional(self.db.pool()).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Gives back room that was taken before `before_us`: its uploads are dead.
    pub async fn release_stale(&self, before_us: i64) -> StoreResult<u64> {
        Ok(sqlx::query(STALE).bind(before_us).execute(self.db.pool()).await?.rows_affected())
    }

    /// Contents after `after` that were there before `before_us`, in order, at most a thousand.
    pub async fn contents(&self, after: Uuid, before_us: i64) -> StoreResult<Vec<Uuid>> {
        let rows = sqlx::query(CONTENTS).bind(bytes(after)).bind(before_us).fetch_all(self.db.pool()).await?;
        rows.iter().map(|row| uuid(row, 0)).collect()
    }

    /// Whether a content has a row.
    pub async fn knows(&self, key: Uuid) -> StoreResult<bool> {
        Ok(sqlx::query(IS_KNOWN).bind(bytes(key)).fetch_optional(self.db.pool()).await?.is_some())
    }

    async fn delete_all(
        &self,
        which: sqlx::query::Query<'_, sqlx::Any, sqlx::any::AnyArguments>,
    ) -> StoreResult<Vec<Gone>> {
        let mut tx = self.db.begin().await?;
        let ids = which.fetch_all(&mut *tx).await?;
        let mut all = Vec::with_capacity(ids.len());
        for row in ids {
            all.extend(take_out(&mut tx, &row.try_get::<String, _>(0)?).await?);
        }
        tx.commit().await?;
        Ok(all)
    }
}
