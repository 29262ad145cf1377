//! The accounts this bouncer has seen, as gatekeeper last said they are, and how far the account feed was read.

use contracts::{Account, FeedCursor, Sub};
use sqlx::Row;

use super::{Store, StoreError, StoreResult, bytes, now_us, uuid};

const TABLE: &str = "bouncer_user";

/// An account as this bouncer last knew it: what it goes on with while gatekeeper is away.
#[derive(Clone, Debug)]
pub struct UserRow {
    /// Whose.
    pub sub: Sub,
    /// The last known state.
    pub account: Account,
}

impl Store {
    /// Keeps `account` as the last known state, unless a newer one is kept already. Makes the row on first sight.
    pub async fn keep_account(&self, account: &Account) -> StoreResult<()> {
        let json = serde_json::to_string(account)
            .map_err(|error| StoreError::Row { table: TABLE, reason: error.to_string() })?;
        sqlx::query(
            "INSERT INTO bouncer_user (sub, account, account_version, first_seen) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (sub) DO UPDATE SET account = excluded.account, account_version = excluded.account_version \
             WHERE excluded.account_version >= bouncer_user.account_version",
        )
        .bind(bytes(account.sub.0))
        .bind(json)
        .bind(account.version)
        .bind(now_us())
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    /// The account of this identity, if it was ever seen.
    pub async fn user(&self, sub: Sub) -> StoreResult<Option<UserRow>> {
        sqlx::query("SELECT sub, account FROM bouncer_user WHERE sub = $1")
            .bind(bytes(sub.0))
            .fetch_optional(self.db.pool())
            .await?
            .map(|row| read(&row))
            .transpose()
    }

    /// At most `limit` accounts after `after`, in the order of their identity.
    pub async fn users_after(&self, after: Option<Sub>, limit: u32) -> StoreResult<Vec<UserRow>> {
        sqlx::query("SELECT sub, account FROM bouncer_user WHERE sub > $1 ORDER BY sub LIMIT $2")
            .bind(after.map_or_else(Vec::new, |sub| bytes(sub.0)))
            .bind(i64::from(limit))
            .fetch_all(self.db.pool())
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The same, only accounts that have networks.
    pub async fn users_with_networks_after(
        &self,
        after: Option<Sub>,
        limit: u32,
    ) -> StoreResult<Vec<UserRow>> {
        sqlx::query(
            "SELECT sub, account FROM bouncer_user WHERE sub > $1 \
             AND EXISTS (SELECT 1 FROM network WHERE network.sub = bouncer_user.sub AND network.deleted_at IS NULL) \
             ORDER BY sub LIMIT $2",
        )
        .bind(after.map_or_else(Vec::new, |sub| bytes(sub.0)))
        .bind(i64::from(limit))
        .fetch_all(self.db.pool())
        .await?
        .iter()
        .map(read)
        .collect()
    }

    /// Deletes every row of the account.
    pub async fn forget(&self, sub: Sub) -> StoreResult<()> {
        sqlx::query("DELETE FROM bouncer_user WHERE sub = $1")
            .bind(bytes(sub.0))
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// How far the account feed was read.
    pub async fn feed_cursor(&self) -> StoreResult<Option<FeedCursor>> {
        let row =
            sqlx::query("SELECT position FROM feed WHERE id = 1").fetch_optional(self.db.pool()).await?;
        Ok(row.map(|row| row.try_get(0).map(FeedCursor)).transpose()?)
    }

    /// Notes how far the account feed was read.
    pub async fn keep_feed_cursor(&self, cursor: FeedCursor) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO feed (id, position) VALUES (1, $1) \
             ON CONFLICT (id) DO UPDATE SET position = excluded.position",
        )
        .bind(cursor.0)
        .execute(self.db.pool())
        .await?;
        Ok(())
    }
}

fn read(row: &sqlx::any::AnyRow) -> StoreResult<UserRow> {
    let sub = Sub(uuid(TABLE, row.try_get(0)?)?);
    let account = serde_json::from_str(row.try_get(1)?)
        .map_err(|error| StoreError::Row { table: TABLE, reason: error.to_string() })?;
    Ok(UserRow { sub, account })
}
