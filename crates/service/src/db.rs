//! Rows: SQLite for one machine, PostgreSQL at scale, one set of queries for both.
//!
//! Queries are `&'static str` with `$1` placeholders through sqlx's `Any` driver. Columns are BIGINT (times in
//! microseconds UTC, booleans as 0 and 1), TEXT, DOUBLE PRECISION, and BLOB or BYTEA (ids as 16 bytes): nothing else
//! comes through `Any` on both engines. Bind bytes as `Vec<u8>`, read them as `Vec<u8>`.
//!
//! ```no_run
//! # async fn f() -> Result<(), service::db::DbError> {
//! let db = service::db::Database::open("sqlite:/var/lib/ircnow/bouncer/bouncer.db").await?;
//! let mut tx = db.begin().await?;
//! sqlx::query("INSERT INTO t (a) VALUES ($1)").bind(1_i64).execute(&mut *tx).await?;
//! tx.commit().await?;
//! # Ok(()) }
//! ```

mod migrate;
mod open;
mod snapshot;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::AnyConnection;
use sqlx::{Any, AnyPool, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};

pub use migrate::Migration;
pub use snapshot::snapshot;
pub use sqlx;

/// How long a writer waits for the others before it gives up.
const WRITER_PATIENCE: Duration = Duration::from_secs(10);

/// Why the database did not do something. The words are for the log; users get theirs from the service.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The URL names no engine we have.
    #[error("the database must be sqlite:/path/to/file.db or postgres://user@host/name")]
    Url,
    /// The folder of the SQLite file cannot be used.
    #[error("the database file {path} cannot be used: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A migration that has run reads differently now.
    #[error("migration {version} ({name}) of {component} was changed after it had run: migrations only add")]
    MigrationChanged {
        /// Whose.
        component: String,
        /// Which.
        version: i64,
        /// Its name.
        name: String,
    },
    /// A migration failed; nothing of it is left.
    #[error("migration {version} ({name}) of {component} failed")]
    MigrationFailed {
        /// Whose.
        component: String,
        /// Which.
        version: i64,
        /// Its name.
        name: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The engine says no, or nothing.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

/// The engine behind a [`Database`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// One file.
    Sqlite,
    /// A server.
    Postgres,
}

impl Engine {
    /// One of two texts: the query for this engine, where the dialects differ.
    pub fn pick<T>(self, sqlite: T, postgres: T) -> T {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }
}

/// A service's database. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Database {
    pool: AnyPool,
    engine: Engine,
    writer: Arc<Mutex<()>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl Database {
    /// For queries that read, or that change one thing in one statement.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// A transaction that writes. On SQLite it is `BEGIN IMMEDIATE` and writers queue in order, so that what was read in
    /// it still holds when it commits; dropped without [`Tx::commit`], nothing happened. Don't open one inside another.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        let turn = match self.engine {
            Engine::Postgres => None,
            Engine::Sqlite => Some(
                tokio::time::timeout(WRITER_PATIENCE, Arc::clone(&self.writer).lock_owned())
                    .await
                    .map_err(|_| sqlx::Error::PoolTimedOut)?,
            ),
        };
        let inner = match self.engine {
            Engine::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await?,
            Engine::Postgres => self.pool.begin().await?,
        };
        Ok(Tx { inner, _turn: turn })
    }

    /// Whether the engine answers, for readiness.
    pub async fn ping(&self) -> Result<(), DbError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Closes every connection; on SQLite the write-ahead log is folded into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// A write transaction. `&mut *tx` is what queries run on.
pub struct Tx {
    // Before the turn, so that a rollback has been queued when the next writer begins.
    inner: Transaction<'static, Any>,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Tx {
    /// Makes it so.
    pub async fn commit(self) -> Result<(), DbError> {
        Ok(self.inner.commit().await?)
    }

    /// Makes nothing of it so.
    pub async fn rollback(self) -> Result<(), DbError> {
        Ok(self.inner.rollback().await?)
    }
}

impl Deref for Tx {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}

/// Whether a row was refused because another has the same key.
pub fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}

/// Whether the database could not be asked at all (it restarts, its disk is full, everybody waits): try again later.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // PostgreSQL: connection exceptions, resources, operator intervention. SQLite: BUSY 5, LOCKED 6, IOERR 10, FULL 13.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            if code.len() == 5 {
                ["08", "53", "57"].iter().any(|class| code.starts_with(class))
            } else {
                code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13))
            }
        }),
        _ => false,
    }
}
