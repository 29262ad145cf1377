//! Migrations: numbered, add-only, checked, safe when two processes start at once.

use ring::digest;
use sqlx::Row as _;

use super::{Database, DbError, Engine, Tx};

/// One step of a schema, in both dialects. Once it has run anywhere its text is frozen: the next step is a new one.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Steps run in this order; unique within a component.
    pub version: i64,
    /// What it does, for logs.
    pub name: &'static str,
    /// Its statements for SQLite.
    pub sqlite: &'static str,
    /// Its statements for PostgreSQL.
    pub postgres: &'static str,
}

impl Migration {
    fn sql(&self, engine: Engine) -> &'static str {
        engine.pick(self.sqlite, self.postgres)
    }

    fn checksum(&self, engine: Engine) -> Vec<u8> {
        digest::digest(&digest::SHA256, self.sql(engine).as_bytes()).as_ref().to_vec()
    }
}

const TABLE_SQLITE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (component TEXT NOT NULL, \
     version BIGINT NOT NULL, name TEXT NOT NULL, checksum BLOB NOT NULL, applied_at BIGINT NOT NULL, \
     PRIMARY KEY (component, version))";
const TABLE_POSTGRES: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (component TEXT NOT NULL, \
     version BIGINT NOT NULL, name TEXT NOT NULL, checksum BYTEA NOT NULL, applied_at BIGINT NOT NULL, \
     PRIMARY KEY (component, version))";
const APPLIED: &str = "SELECT checksum FROM schema_migrations WHERE component = $1 AND version = $2";
const NOTE: &str = "INSERT INTO schema_migrations (component, version, name, checksum, applied_at) \
     VALUES ($1, $2, $3, $4, $5)";

/// Names our lock among the advisory ones of a PostgreSQL database.
const LOCK: i64 = 0x6972_636e_6f77;

impl Database {
    /// Brings the service's own tables up to date. Steps a newer release has made are left alone.
    pub async fn migrate(&self, steps: &[Migration]) -> Result<(), DbError> {
        self.migrate_component("service", steps).await
    }

    /// The same for a component that keeps tables of its own in the service's database (sessions, for one).
    pub async fn migrate_component(&self, component: &str, steps: &[Migration]) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        if self.engine() == Engine::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
        }
        sqlx::query(self.engine().pick(TABLE_SQLITE, TABLE_POSTGRES)).execute(&mut *tx).await?;
        let mut steps: Vec<&Migration> = steps.iter().collect();
        steps.sort_by_key(|step| step.version);
        for step in steps {
            self.apply(&mut tx, component, step).await?;
        }
        tx.commit().await
    }

    async fn apply(&self, tx: &mut Tx, component: &str, step: &Migration) -> Result<(), DbError> {
        let checksum = step.checksum(self.engine());
        let applied =
            sqlx::query(APPLIED).bind(component).bind(step.version).fetch_optional(&mut **tx).await?;
        if let Some(row) = applied {
            return if row.try_get::<Vec<u8>, _>(0)? == checksum {
                Ok(())
            } else {
                Err(DbError::MigrationChanged {
                    component: component.to_owned(),
                    version: step.version,
                    name: step.name.to_owned(),
                })
            };
        }
        sqlx::raw_sql(step.sql(self.engine())).execute(&mut **tx).await.map_err(|source| {
            DbError::MigrationFailed {
                component: component.to_owned(),
                version: step.version,
                name: step.name.to_owned(),
                source,
            }
        })?;
        sqlx::query(NOTE)
            .bind(component)
            .bind(step.version)
            .bind(step.name)
            .bind(checksum)
            .bind(crate::clock::now_us())
            .execute(&mut **tx)
            .await?;
        tracing::info!(component, version = step.version, name = step.name, "migration applied");
        Ok(())
    }
}
