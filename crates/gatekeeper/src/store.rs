//! Gatekeeper's rows: one set of statements for SQLite and PostgreSQL.
//!
//! What changes several tables takes a [`Tx`] (on SQLite it holds the write lock from its begin) and ends in
//! [`Store::commit`], which also wakes the readers of the change feed.

mod accounts;
mod credentials;
mod deletion;
mod events;
mod feed;
mod limits;
mod schema;
mod servers;
mod sessions;
mod tokens;

use contracts::Sub;
use service::db::Database;
use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row as _};
use tokio::sync::watch;
use uuid::Uuid;

pub use accounts::{AccountRow, NewAccount};
pub use credentials::{CredentialRow, NewCredentialRow};
pub use feed::{FeedKind, FeedRow, KEEP_DELETED_SECONDS};
pub use limits::Attempts;
pub use schema::MIGRATIONS;
pub use servers::ServerRow;
pub use sessions::{NewSession, SessionRow};
pub use tokens::{CodeRow, LogoutNotice, MailToken, RefreshRow, SigningKeyRow};

/// A transaction that writes.
pub use service::db::Tx;

/// Why rows could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or is away.
    #[error("the database of gatekeeper: {0}")]
    Database(#[from] sqlx::Error),
    /// It could not be opened, brought up to date, or begun to write.
    #[error("the database of gatekeeper: {0}")]
    Engine(#[from] service::db::DbError),
    /// A row does not hold what it must.
    #[error("a row of gatekeeper's database is damaged: {0}")]
    Damaged(&'static str),
}

impl StoreError {
    /// Whether a row of the same key was there already.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Database(error) if service::db::is_unique_violation(error))
    }
}

/// The result of a statement.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Gatekeeper's database.
#[derive(Clone)]
pub struct Store {
    db: Database,
    wake: watch::Sender<u64>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Brings the tables up to date.
    pub async fn open(db: Database) -> Result<Self> {
        db.migrate(MIGRATIONS).await?;
        Ok(Self { db, wake: watch::Sender::new(0) })
    }

    /// Begins to write.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(self.db.begin().await?)
    }

    /// Makes it durable and wakes who waits for changes.
    pub async fn commit(&self, tx: Tx) -> Result<()> {
        tx.commit().await?;
        self.wake.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    /// Fires after every commit of this process.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    fn pool(&self) -> &AnyPool {
        self.db.pool()
    }
}

fn bytes(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

fn key(sub: Sub) -> Vec<u8> {
    bytes(sub.0)
}

/// Columns, read by name with the type they have in this schema.
trait Columns {
    fn text(&self, column: &str) -> Result<String>;
    fn maybe_text(&self, column: &str) -> Result<Option<String>>;
    fn int(&self, column: &str) -> Result<i64>;
    fn maybe_int(&self, column: &str) -> Result<Option<i64>>;
    fn blob(&self, column: &str) -> Result<Vec<u8>>;
    fn maybe_blob(&self, column: &str) -> Result<Option<Vec<u8>>>;
    fn id(&self, column: &str) -> Result<Uuid>;
    fn sub(&self, column: &str) -> Result<Sub> {
        self.id(column).map(Sub)
    }
    fn flag(&self, column: &str) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &str) -> Result<String> {
        Ok(self.try_get(column)?)
    }

    fn maybe_text(&self, column: &str) -> Result<Option<String>> {
        Ok(self.try_get(column)?)
    }

    fn int(&self, column: &str) -> Result<i64> {
        Ok(self.try_get(column)?)
    }

    fn maybe_int(&self, column: &str) -> Result<Option<i64>> {
        Ok(self.try_get(column)?)
    }

    fn blob(&self, column: &str) -> Result<Vec<u8>> {
        Ok(self.try_get(column)?)
    }

    fn maybe_blob(&self, column: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.try_get(column)?)
    }

    fn id(&self, column: &str) -> Result<Uuid> {
        Uuid::from_slice(&self.blob(column)?).map_err(|_| StoreError::Damaged("an id is not 16 bytes"))
    }
}
