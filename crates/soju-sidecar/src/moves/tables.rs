//! soju's tables while it stands still, and ours beside them.

mod read;
mod write;

use contracts::NetworkId;
use crds::sidecar::PruneTarget;
use service::db::{Engine, sqlx};
use sqlx::{AnyConnection, AnyPool, Row as _};
use uuid::Uuid;

/// soju's database, while soju does not run.
pub struct Tables {
    pool: AnyPool,
    engine: Engine,
}

/// A message as soju keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub id: i64,
    /// Its buffer.
    pub target: String,
    /// The line.
    pub raw: Vec<u8>,
    /// When it was said, milliseconds since 1970.
    pub ts_ms: i64,
}

/// Ours. soju keeps other tables and looks at no others.
const MARKS: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS ircnow_move (stage TEXT PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS ircnow_network (id TEXT PRIMARY KEY, network BIGINT NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS ircnow_message (message BIGINT PRIMARY KEY, target BIGINT NOT NULL, \
        msgid TEXT NOT NULL, time TEXT NOT NULL, UNIQUE (target, msgid))",
];

const IS_TABLE_SQLITE: &str =
    "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'ircnow_move'";
const IS_TABLE_POSTGRES: &str = "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('ircnow_move')";

/// soju writes times of one form on SQLite; PostgreSQL has a type for them.
const TIME_SQLITE: &str = "m.time";
const TIME_POSTGRES: &str = r#"to_char(m.time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"#;

impl Tables {
    /// Connects at the first question.
    pub fn open(target: &PruneTarget) -> Result<Self, sqlx::Error> {
        let (pool, engine) = crate::rows::open::connect(target)?;
        Ok(Self { pool, engine })
    }

    /// Whether an account has moved in, or is about to: whether our tables are there.
    async fn has_marks(&self) -> Result<bool, sqlx::Error> {
        let query = self.engine.pick(IS_TABLE_SQLITE, IS_TABLE_POSTGRES);
        let count: i64 = sqlx::query_scalar(query).fetch_one(&self.pool).await?;
        Ok(count > 0)
    }

    /// Whether everything has moved in.
    pub async fn has_moved_in(&self) -> Result<bool, sqlx::Error> {
        if !self.has_marks().await? {
            return Ok(false);
        }
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM ircnow_move WHERE stage = 'in'")
            .fetch_one(&self.pool)
            .await?;
        Ok(count > 0)
    }

    /// Which of soju's networks is which of ours, as it was when they moved in.
    pub async fn ids(&self) -> Result<Vec<(NetworkId, i64)>, sqlx::Error> {
        if !self.has_marks().await? {
            return Ok(Vec::new());
        }
        let rows = sqlx::query("SELECT id, network FROM ircnow_network ORDER BY network")
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let id: String = row.try_get(0)?;
                let id = Uuid::parse_str(&id).map_err(|error| sqlx::Error::Decode(error.into()))?;
                Ok((NetworkId(id), row.try_get(1)?))
            })
            .collect()
    }

    /// Begins to move in, or goes on. `false` if soju was used before: what is there is nobody's to overwrite.
    pub async fn begin(&self, user: i64) -> Result<bool, sqlx::Error> {
        if self.has_marks().await? {
            return Ok(true);
        }
        let query = r#"SELECT (SELECT COUNT(*) FROM "Network") + (SELECT COUNT(*) FROM "Message")"#;
        let used: i64 = sqlx::query_scalar(query).fetch_one(&self.pool).await?;
        if used > 0 {
            return Ok(false);
        }
        let mut tx = self.pool.begin().await?;
        for table in MARKS {
            sqlx::query(table).execute(&mut *tx).await?;
        }
        // The tool that made the row wants a password; nobody is to log in with it.
        sqlx::query(r#"UPDATE "User" SET password = NULL WHERE id = $1"#)
            .bind(user)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Everything has moved in.
    pub async fn moved_in(&self) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO ircnow_move (stage) VALUES ('in') ON CONFLICT DO NOTHING")
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets what an attempt left.
    pub async fn clear(&self) -> Result<(), sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        for query in [
            "DELETE FROM ircnow_message",
            r#"DELETE FROM "Message""#,
            r#"DELETE FROM "MessageTarget""#,
            r#"DELETE FROM "ReadReceipt""#,
            r#"DELETE FROM "Channel""#,
            "DELETE FROM ircnow_network",
            r#"DELETE FROM "Network""#,
        ] {
            sqlx::query(query).execute(&mut *tx).await?;
        }
        tx.commit().await
    }

    /// soju's number of one of its buffers.
    async fn target(
        &self,
        connection: &mut AnyConnection,
        network: i64,
        target: &str,
    ) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar(
            r#"SELECT CAST(id AS BIGINT) FROM "MessageTarget" WHERE network = $1 AND target = $2"#,
        )
        .bind(network)
        .bind(target.to_owned())
        .fetch_optional(connection)
        .await
    }
}

/// An SQL text as bytes that are its UTF-8, or what soju took for it.
fn as_text(engine: Engine, bytes: &[u8]) -> Vec<u8> {
    match engine {
        Engine::Sqlite => bytes.to_vec(),
        // PostgreSQL takes nothing else.
        Engine::Postgres => String::from_utf8_lossy(bytes).into_owned().into_bytes(),
    }
}
