//! The bouncer's own rows: accounts it has seen, networks and their secrets, devices and how far each has read.
//!
//! One set of queries serves SQLite and PostgreSQL. Every transaction that checks a limit before it writes begins by
//! raising `bouncer_user.writes`, so that two of them for one account never run side by side on either engine.

mod channels;
mod devices;
pub mod moves;
mod networks;
mod reseal;
mod schema;
mod secrets;
mod sts;
#[cfg(test)]
mod tests;
mod users;

use std::sync::Arc;

use contracts::{Call, CallError, Sub};
use serde::Serialize;
use service::db::{Database, DbError, Tx};
use service::once::{Answers, Asked, OnceError};
use service::secrets::Keyring;
use uuid::Uuid;

pub use devices::DeviceRow;
pub use networks::NetworkRow;
pub use schema::MIGRATIONS;

/// Why a row could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller is to be told; nothing is wrong with the store.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The database.
    #[error("the bouncer's database failed: {0}")]
    Database(#[from] DbError),
    /// A row holds what this version does not understand.
    #[error("a row of table {table} cannot be read: {reason}")]
    Row {
        /// Which table.
        table: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A secret cannot be sealed or opened with the keys there are.
    #[error("a secret of table {table} cannot be sealed or opened: {reason}")]
    Secret {
        /// Which table.
        table: &'static str,
        /// Why.
        reason: String,
    },
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
            OnceError::Json(error) => Self::Row { table: "answered", reason: error.to_string() },
        }
    }
}

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Call(error) => error,
            other => {
                tracing::error!(error = %other, "the bouncer's store failed");
                Self::unavailable(
                    "The bouncer cannot reach its store right now. Nothing was lost; try again in a moment.",
                )
            }
        }
    }
}

pub type StoreResult<T> = Result<T, StoreError>;

/// The rows.
#[derive(Clone)]
pub struct Store {
    db: Database,
    keys: Arc<Keyring>,
    answers: Answers,
}

impl Store {
    /// The store over `db`, its tables brought to the present form.
    pub async fn open(db: Database, keys: Arc<Keyring>) -> StoreResult<Self> {
        db.migrate(MIGRATIONS).await?;
        db.migrate_component("moves", moves::MIGRATIONS).await?;
        let answers = Answers::new(db.clone(), Keyring::clone(&keys), "bouncer idempotency");
        Ok(Self { db, keys, answers })
    }

    /// Lets go of the database.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// What `call` asks for: `request` is all of it.
    fn asked(&self, call: &Call, request: &impl Serialize) -> StoreResult<Asked> {
        Ok(self.answers.asked(call.account.0, call.idempotency_key.as_deref(), request)?)
    }

    /// Forgets answers older than a day.
    pub async fn prune_answers(&self) -> StoreResult<()> {
        Ok(self.answers.prune().await?)
    }

    async fn begin(&self) -> StoreResult<Tx> {
        Ok(self.db.begin().await?)
    }

    /// A transaction in which nobody else writes for `sub`. `NotFound` if the account was never seen or is gone.
    async fn begin_for(&self, sub: Sub) -> StoreResult<Tx> {
        let mut tx = self.begin().await?;
        let done = sqlx::query("UPDATE bouncer_user SET writes = writes + 1 WHERE sub = $1")
            .bind(bytes(sub.0))
            .execute(&mut *tx)
            .await?;
        if done.rows_affected() == 0 {
            return Err(CallError::not_found("account").into());
        }
        Ok(tx)
    }
}

fn bytes(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

fn uuid(table: &'static str, raw: &[u8]) -> StoreResult<Uuid> {
    Uuid::from_slice(raw).map_err(|error| StoreError::Row { table, reason: error.to_string() })
}

fn now_us() -> i64 {
    service::clock::now_us()
}
