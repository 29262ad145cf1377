//! The rows: hosted networks, and which call was answered with which. One set of queries serves SQLite and PostgreSQL.
//!
//! Every transaction that checks a limit before it writes begins by raising `hosting_account.writes`, so that two of
//! them for one account never run side by side on either engine.

#[cfg(test)]
mod tests;

use contracts::{Call, CallError, HostedAccess, HostedId, Sub};
use serde::{Deserialize, Serialize};
use service::db::{Database, DbError, Migration, Tx, is_unique_violation};
use service::once::{self, Answers, OnceError};
use service::secrets::Keyring;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::host::KeptOperator;

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "hosted networks",
        sqlite: include_str!("store/1_sqlite.sql"),
        postgres: include_str!("store/1_postgres.sql"),
    },
    Migration {
        version: 2,
        name: "answers as every service keeps them",
        sqlite: include_str!("store/2_sqlite.sql"),
        postgres: include_str!("store/2_postgres.sql"),
    },
];

/// Why a row could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller is to be told; nothing is wrong with the store.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The database.
    #[error("the database of hosted networks failed: {0}")]
    Database(#[from] DbError),
    /// A row holds what this version does not understand.
    #[error("a row of hosted networks cannot be read: {0}")]
    Row(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<OnceError> for StoreError {
    fn from(error: OnceError) -> Self {
        match error {
            OnceError::Another => CallError::Conflict { message: error.to_string() }.into(),
            OnceError::Database(error) => Self::Database(error),
            OnceError::Json(error) => Self::Row(error.to_string()),
        }
    }
}

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Call(error) => error,
            other => {
                tracing::error!(error = %other, "the store of hosted networks failed");
                Self::unavailable(
                    "Hosting cannot reach its store right now. Nothing was lost; try again in a moment.",
                )
            }
        }
    }
}

pub type StoreResult<T> = Result<T, StoreError>;

/// What its owner said about a network, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub name: String,
    pub access: HostedAccess,
    pub motd: String,
    pub operators: Vec<KeptOperator>,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedRow {
    pub id: HostedId,
    pub sub: Sub,
    pub label: String,
    pub kept: Kept,
    pub suspended: bool,
    pub version: i64,
    pub created_us: i64,
    pub deleted_us: Option<i64>,
}

/// A call that is being carried out.
pub struct Asked<'a> {
    call: &'a Call,
    once: once::Asked,
}

/// The rows.
#[derive(Clone)]
pub struct Store {
    db: Database,
    answers: Answers,
}

impl Store {
    /// The store over `db`, its tables brought to the present form.
    pub async fn open(db: Database, keyring: Keyring) -> Result<Self, DbError> {
        db.migrate(MIGRATIONS).await?;
        Ok(Self { answers: Answers::new(db.clone(), keyring, "hosting idempotency"), db })
    }

    /// What `call` asks for: `request` is all of it.
    pub fn asked<'a>(&self, call: &'a Call, request: &impl Serialize) -> StoreResult<Asked<'a>> {
        let once = self.answers.asked(call.account.0, call.idempotency_key.as_deref(), request)?;
        Ok(Asked { call, once })
    }

    /// Every network.
    pub async fn all(&self) -> StoreResult<Vec<HostedRow>> {
        let rows = sqlx::query("SELECT id, sub, label, kept, suspended, version, created_at, deleted_at FROM hosted_network ORDER BY id")
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(row_of).collect()
    }

    /// One network, deleted ones too while they are kept.
    pub async fn get(&self, id: HostedId) -> StoreResult<Option<HostedRow>> {
        let row = sqlx::query("SELECT id, sub, label, kept, suspended, version, created_at, deleted_at FROM hosted_network WHERE id = $1")
            .bind(bytes(id.0))
            .fetch_optional(self.db.pool())
            .await?;
        row.as_ref().map(row_of).transpose()
    }

    /// How many networks of the account that are not deleted are older than this one.
    pub async fn rank(&self, row: &HostedRow) -> StoreResult<u64> {
        let count = sqlx::query(
            "SELECT COUNT(*) FROM hosted_network WHERE sub = $1 AND deleted_at IS NULL AND id < $2",
        )
        .bind(bytes(row.sub.0))
        .bind(bytes(row.id.0))
        .fetch_one(self.db.pool())
        .await?;
        Ok(u64::try_from(count.try_get::<i64, _>(0)?).unwrap_or_default())
    }

    /// A new network. `room` says whether one more fits beside those there are.
    pub async fn create(
        &self,
        asked: &Asked<'_>,
        label: &str,
        kept: &Kept,
        taken: impl FnOnce() -> CallError,
        room: impl FnOnce(u64) -> Result<(), CallError>,
    ) -> StoreResult<HostedRow> {
        let sub = asked.call.account;
        let mut tx = self.begin_for(sub).await?;
        if let Some(id) = asked.once.again(&mut tx).await? {
            return one(&mut tx, sub, id).await;
        }
        room(count(&mut tx, sub).await?)?;
        let row = HostedRow {
            id: HostedId(Uuid::now_v7()),
            sub,
            label: label.to_owned(),
            kept: kept.clone(),
            suspended: false,
            version: 1,
            created_us: service::clock::now_us(),
            deleted_us: None,
        };
        let written = sqlx::query(
            "INSERT INTO hosted_network (id, sub, label, kept, suspended, version, created_at) VALUES ($1, $2, $3, $4, 0, 1, $5)",
        )
        .bind(bytes(row.id.0))
        .bind(bytes(sub.0))
        .bind(label.to_owned())
        .bind(json(kept)?)
        .bind(row.created_us)
        .execute(&mut *tx)
        .await;
        match written {
            Err(error) if is_unique_violation(&error) => return Err(taken().into()),
            written => written?,
        };
        asked.once.answered(&mut tx, &row.id).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Changes a network of the caller's: `change` gets it as it is and leaves it as it is to be. A repeat changes nothing.
    pub async fn change(
        &self,
        asked: &Asked<'_>,
        id: HostedId,
        change: impl FnOnce(&mut HostedRow, u64) -> Result<(), CallError>,
    ) -> StoreResult<HostedRow> {
        let sub = asked.call.account;
        let mut tx = self.begin_for(sub).await?;
        if let Some(id) = asked.once.again(&mut tx).await? {
            return one(&mut tx, sub, id).await;
        }
        let mut row = one(&mut tx, sub, id).await?;
        if asked.call.version.is_some_and(|version| version != row.version) {
            let message = "It was changed in the meantime. Load the page again and repeat your change.";
            return Err(CallError::Conflict { message: message.to_owned() }.into());
        }
        let there = count(&mut tx, sub).await?;
        change(&mut row, there)?;
        row.version += 1;
        sqlx::query("UPDATE hosted_network SET kept = $1, suspended = $2, version = $3, deleted_at = $4 WHERE id = $5")
            .bind(json(&row.kept)?)
            .bind(i64::from(row.suspended))
            .bind(row.version)
            .bind(row.deleted_us)
            .bind(bytes(row.id.0))
            .execute(&mut *tx)
            .await?;
        asked.once.answered(&mut tx, &row.id).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Forgets a network.
    pub async fn purge(&self, id: HostedId) -> StoreResult<()> {
        sqlx::query("DELETE FROM hosted_network WHERE id = $1")
            .bind(bytes(id.0))
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// Forgets an account that has no networks any more.
    pub async fn forget(&self, sub: Sub) -> StoreResult<()> {
        for query in ["DELETE FROM answered WHERE sub = $1", "DELETE FROM hosting_account WHERE sub = $1"] {
            sqlx::query(query).bind(bytes(sub.0)).execute(self.db.pool()).await?;
        }
        Ok(())
    }

    /// Forgets answers older than a day.
    pub async fn prune_answers(&self) -> StoreResult<()> {
        Ok(self.answers.prune().await?)
    }

    /// A transaction in which nobody else writes for `sub`.
    async fn begin_for(&self, sub: Sub) -> StoreResult<Tx> {
        let mut tx = self.db.begin().await?;
        sqlx::query(
            "INSERT INTO hosting_account (sub, writes) VALUES ($1, 1) ON CONFLICT (sub) DO UPDATE SET writes = hosting_account.writes + 1",
        )
        .bind(bytes(sub.0))
        .execute(&mut *tx)
        .await?;
        Ok(tx)
    }
}

async fn one(tx: &mut Tx, sub: Sub, id: HostedId) -> StoreResult<HostedRow> {
    let row = sqlx::query("SELECT id, sub, label, kept, suspended, version, created_at, deleted_at FROM hosted_network WHERE id = $1 AND sub = $2")
        .bind(bytes(id.0))
        .bind(bytes(sub.0))
        .fetch_optional(&mut **tx)
        .await?;
    row_of(&row.ok_or_else(|| CallError::not_found("network"))?)
}

async fn count(tx: &mut Tx, sub: Sub) -> StoreResult<u64> {
    let row = sqlx::query("SELECT COUNT(*) FROM hosted_network WHERE sub = $1 AND deleted_at IS NULL")
        .bind(bytes(sub.0))
        .fetch_one(&mut **tx)
        .await?;
    Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default())
}

fn row_of(row: &AnyRow) -> StoreResult<HostedRow> {
    Ok(HostedRow {
        id: HostedId(uuid(&row.try_get::<Vec<u8>, _>("id")?)?),
        sub: Sub(uuid(&row.try_get::<Vec<u8>, _>("sub")?)?),
        label: row.try_get("label")?,
        kept: serde_json::from_str(row.try_get("kept")?)
            .map_err(|error| StoreError::Row(error.to_string()))?,
        suspended: row.try_get::<i64, _>("suspended")? != 0,
        version: row.try_get("version")?,
        created_us: row.try_get("created_at")?,
        deleted_us: row.try_get("deleted_at")?,
    })
}

fn json(kept: &Kept) -> StoreResult<String> {
    serde_json::to_string(kept).map_err(|error| StoreError::Row(error.to_string()))
}

fn bytes(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

fn uuid(raw: &[u8]) -> StoreResult<Uuid> {
    Uuid::from_slice(raw).map_err(|error| StoreError::Row(error.to_string()))
}
