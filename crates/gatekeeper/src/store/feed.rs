//! The change feed: one durable order of everything others must hear of.

use contracts::Sub;

use super::{Columns as _, Result, Store, StoreError, Tx, key};

/// What a row of the feed says. The account itself is read when the row is, so that a reader gets its present state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedKind {
    Account,
    CredentialRevoked,
    SessionEnded,
    Deleted,
}

/// One row of the feed.
#[derive(Clone, Debug)]
pub struct FeedRow {
    pub cursor: i64,
    pub kind: FeedKind,
    pub sub: Sub,
    /// The credential's id or the session's `sid`.
    pub detail: String,
}

// The head is one row: who writes holds it until the commit, so cursors become visible in their order on every engine.
const NEXT: &str = "UPDATE feed_head SET cursor = cursor + 1 WHERE id = 1 RETURNING cursor";
const INSERT: &str = "INSERT INTO feed (cursor, at, kind, sub, detail) VALUES ($1, $2, $3, $4, $5)";
const HEAD: &str = "SELECT cursor FROM feed_head WHERE id = 1";
const AFTER: &str = "SELECT cursor, kind, sub, detail FROM feed WHERE cursor > $1 ORDER BY cursor LIMIT 256";
const OF_AFTER: &str =
    "SELECT cursor, kind, sub, detail FROM feed WHERE sub = $1 AND cursor > $2 ORDER BY cursor LIMIT 256";
const HEAD_OF: &str = "SELECT COALESCE(MAX(cursor), 0) AS cursor FROM feed WHERE sub = $1";
const AT: &str = "SELECT cursor, kind, sub, detail FROM feed ORDER BY cursor DESC LIMIT 1";
const FORGOTTEN: &str = "SELECT forgotten FROM feed_head WHERE id = 1";
const NOTE_FORGOTTEN: &str = "UPDATE feed_head SET forgotten = COALESCE(
    (SELECT MAX(cursor) FROM feed WHERE at < $1), forgotten) WHERE id = 1";
const PRUNE: &str = "DELETE FROM feed WHERE at < $1 OR (kind = 'deleted' AND at < $2)";

const KEEP_SECONDS: i64 = 7 * 24 * 3600;
/// A deleted account's id goes at once: every service has confirmed by itself before it is published, and readers that
/// wait have read it.
pub const KEEP_DELETED_SECONDS: i64 = 5;

impl Store {
    /// Adds to the feed within the transaction that makes it true.
    pub async fn publish(&self, tx: &mut Tx, kind: FeedKind, sub: Sub, detail: &str, now: i64) -> Result<()> {
        let cursor = sqlx::query(NEXT).fetch_one(&mut **tx).await?.int("cursor")?;
        sqlx::query(INSERT)
            .bind(cursor)
            .bind(now)
            .bind(kind.text().to_owned())
            .bind(key(sub))
            .bind(detail.to_owned())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Where the feed stands.
    pub async fn feed_head(&self) -> Result<i64> {
        sqlx::query(HEAD).fetch_one(self.pool()).await?.int("cursor")
    }

    /// The next rows after a cursor.
    pub async fn feed_after(&self, cursor: i64) -> Result<Vec<FeedRow>> {
        let rows = sqlx::query(AFTER).bind(cursor).fetch_all(self.pool()).await?;
        rows.iter().map(row_of).collect()
    }

    /// The next rows of one account after a cursor.
    pub async fn feed_of_after(&self, sub: Sub, cursor: i64) -> Result<Vec<FeedRow>> {
        let rows = sqlx::query(OF_AFTER).bind(key(sub)).bind(cursor).fetch_all(self.pool()).await?;
        rows.iter().map(row_of).collect()
    }

    /// The cursor of an account's newest row; 0 where none is kept.
    pub async fn feed_head_of(&self, sub: Sub) -> Result<i64> {
        sqlx::query(HEAD_OF).bind(key(sub)).fetch_one(self.pool()).await?.int("cursor")
    }

    /// The newest row.
    pub async fn feed_latest(&self) -> Result<Option<FeedRow>> {
        sqlx::query(AT).fetch_optional(self.pool()).await?.as_ref().map(row_of).transpose()
    }

    /// The last cursor whose row was forgotten by its age.
    pub async fn feed_kept_after(&self) -> Result<i64> {
        sqlx::query(FORGOTTEN).fetch_one(self.pool()).await?.int("forgotten")
    }

    /// Forgets what every reader has long read.
    pub async fn prune_feed(&self, now: i64) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(NOTE_FORGOTTEN).bind(now - KEEP_SECONDS).execute(&mut *tx).await?;
        sqlx::query(PRUNE)
            .bind(now - KEEP_SECONDS)
            .bind(now - KEEP_DELETED_SECONDS)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }
}

fn row_of(row: &sqlx::any::AnyRow) -> Result<FeedRow> {
    Ok(FeedRow {
        cursor: row.int("cursor")?,
        kind: FeedKind::parse(&row.text("kind")?)?,
        sub: row.sub("sub")?,
        detail: row.text("detail")?,
    })
}

impl FeedKind {
    fn text(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::CredentialRevoked => "credential",
            Self::SessionEnded => "session",
            Self::Deleted => "deleted",
        }
    }

    fn parse(text: &str) -> Result<Self> {
        match text {
            "account" => Ok(Self::Account),
            "credential" => Ok(Self::CredentialRevoked),
            "session" => Ok(Self::SessionEnded),
            "deleted" => Ok(Self::Deleted),
            _ => Err(StoreError::Damaged("a change of an unknown kind")),
        }
    }
}
