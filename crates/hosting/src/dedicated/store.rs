//! The rows: an account has one or none. One set of queries serves SQLite and PostgreSQL.

use contracts::{BouncerEngine, Call, CallError, DedicatedId, DedicatedStage, Sub};
use service::db::{Database, DbError, Migration, is_unique_violation};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::carry::Course;
use crate::store::{StoreError, StoreResult};

const FIRST_SQLITE: &str = "
CREATE TABLE dedicated_bouncer (
    sub BLOB PRIMARY KEY NOT NULL,
    id BLOB NOT NULL UNIQUE,
    label TEXT NOT NULL UNIQUE,
    engine TEXT NOT NULL,
    stage TEXT NOT NULL,
    cancelled BIGINT NOT NULL DEFAULT 0,
    settled BIGINT NOT NULL DEFAULT 0,
    asked TEXT,
    since BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
";

const FIRST_POSTGRES: &str = "
CREATE TABLE dedicated_bouncer (
    sub BYTEA PRIMARY KEY,
    id BYTEA NOT NULL UNIQUE,
    label TEXT NOT NULL UNIQUE,
    engine TEXT NOT NULL,
    stage TEXT NOT NULL,
    cancelled BIGINT NOT NULL DEFAULT 0,
    settled BIGINT NOT NULL DEFAULT 0,
    asked TEXT,
    since BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
";

const COURSE: &str = "ALTER TABLE dedicated_bouncer ADD COLUMN course TEXT";

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "dedicated bouncers", sqlite: FIRST_SQLITE, postgres: FIRST_POSTGRES },
    Migration { version: 2, name: "how far a move is", sqlite: COURSE, postgres: COURSE },
];

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DedicatedRow {
    pub sub: Sub,
    pub id: DedicatedId,
    pub label: String,
    pub engine: BouncerEngine,
    pub stage: DedicatedStage,
    /// Its owner gave it back.
    pub cancelled: bool,
    /// What is left to do once everything is there was done.
    pub settled: bool,
    /// How far the move of this stage is; `None` before it begins.
    pub course: Option<Course>,
    /// When the stage began.
    pub since_us: i64,
    pub created_us: i64,
}

/// The rows.
#[derive(Clone)]
pub struct Store(Database);

impl Store {
    /// The store over `db`, its tables brought to the present form.
    pub async fn open(db: Database) -> Result<Self, DbError> {
        db.migrate_component("dedicated", MIGRATIONS).await?;
        Ok(Self(db))
    }

    /// Every one.
    pub async fn all(&self) -> StoreResult<Vec<DedicatedRow>> {
        let rows = sqlx::query("SELECT sub, id, label, engine, stage, cancelled, settled, course, since, created_at FROM dedicated_bouncer ORDER BY id")
            .fetch_all(self.0.pool())
            .await?;
        rows.iter().map(row_of).collect()
    }

    /// The account's.
    pub async fn get(&self, sub: Sub) -> StoreResult<Option<DedicatedRow>> {
        let row = sqlx::query("SELECT sub, id, label, engine, stage, cancelled, settled, course, since, created_at FROM dedicated_bouncer WHERE sub = $1")
            .bind(bytes(sub.0))
            .fetch_optional(self.0.pool())
            .await?;
        row.as_ref().map(row_of).transpose()
    }

    /// A new one. A repeat of the call that made it answers with it.
    pub async fn order(
        &self,
        call: &Call,
        label: &str,
        engine: BouncerEngine,
        taken: impl Fn() -> CallError,
    ) -> StoreResult<DedicatedRow> {
        let now = service::clock::now_us();
        let written = sqlx::query(
            "INSERT INTO dedicated_bouncer (sub, id, label, engine, stage, asked, since, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (sub) DO NOTHING",
        )
        .bind(bytes(call.account.0))
        .bind(bytes(Uuid::now_v7()))
        .bind(label.to_owned())
        .bind(word(&engine)?)
        .bind(word(&DedicatedStage::Making)?)
        .bind(call.idempotency_key.clone())
        .bind(now)
        .execute(self.0.pool())
        .await;
        let made = match written {
            Err(error) if is_unique_violation(&error) => return Err(taken().into()),
            written => written?.rows_affected() == 1,
        };
        if !made && !self.was_asked(call).await? {
            let message = "You have a dedicated bouncer already.".to_owned();
            return Err(CallError::Conflict { message }.into());
        }
        let row = self.get(call.account).await?;
        Ok(row.ok_or_else(|| CallError::not_found("dedicated bouncer"))?)
    }

    /// Whether the account's was made by this very call, which came before.
    async fn was_asked(&self, call: &Call) -> StoreResult<bool> {
        let row = sqlx::query("SELECT asked FROM dedicated_bouncer WHERE sub = $1")
            .bind(bytes(call.account.0))
            .fetch_optional(self.0.pool())
            .await?;
        let asked: Option<String> = row.map(|row| row.try_get(0)).transpose()?.flatten();
        Ok(asked.is_some() && asked == call.idempotency_key)
    }

    /// Its owner gives it back.
    pub async fn cancel(&self, sub: Sub) -> StoreResult<Option<DedicatedRow>> {
        sqlx::query("UPDATE dedicated_bouncer SET cancelled = 1 WHERE sub = $1")
            .bind(bytes(sub.0))
            .execute(self.0.pool())
            .await?;
        self.get(sub).await
    }

    /// The next stage begins. Only whoever saw the stage before begins it.
    pub async fn stage(&self, row: &DedicatedRow, next: DedicatedStage) -> StoreResult<()> {
        sqlx::query(
            "UPDATE dedicated_bouncer SET stage = $1, since = $2, course = NULL WHERE id = $3 AND stage = $4",
        )
        .bind(word(&next)?)
        .bind(service::clock::now_us())
        .bind(bytes(row.id.0))
        .bind(word(&row.stage)?)
        .execute(self.0.pool())
        .await?;
        Ok(())
    }

    /// How far the move of a stage is now; `None` where it begins anew.
    pub async fn course(&self, row: &DedicatedRow, course: Option<&Course>) -> StoreResult<()> {
        let course = course.map(serde_json::to_string).transpose();
        sqlx::query("UPDATE dedicated_bouncer SET course = $1 WHERE id = $2 AND stage = $3")
            .bind(course.map_err(|error| StoreError::Row(error.to_string()))?)
            .bind(bytes(row.id.0))
            .bind(word(&row.stage)?)
            .execute(self.0.pool())
            .await?;
        Ok(())
    }

    /// What was left to do at the shared bouncer is done.
    pub async fn settled(&self, row: &DedicatedRow) -> StoreResult<()> {
        sqlx::query("UPDATE dedicated_bouncer SET settled = 1 WHERE id = $1")
            .bind(bytes(row.id.0))
            .execute(self.0.pool())
            .await?;
        Ok(())
    }

    /// Forgets it.
    pub async fn forget(&self, id: DedicatedId) -> StoreResult<()> {
        sqlx::query("DELETE FROM dedicated_bouncer WHERE id = $1")
            .bind(bytes(id.0))
            .execute(self.0.pool())
            .await?;
        Ok(())
    }
}

fn row_of(row: &AnyRow) -> StoreResult<DedicatedRow> {
    let id = |column: &str| -> StoreResult<Uuid> {
        let raw: Vec<u8> = row.try_get(column)?;
        Uuid::from_slice(&raw).map_err(|error| StoreError::Row(error.to_string()))
    };
    Ok(DedicatedRow {
        sub: Sub(id("sub")?),
        id: DedicatedId(id("id")?),
        label: row.try_get("label")?,
        engine: read(row.try_get("engine")?)?,
        stage: read(row.try_get("stage")?)?,
        cancelled: row.try_get::<i64, _>("cancelled")? != 0,
        settled: row.try_get::<i64, _>("settled")? != 0,
        // What another release wrote, and this one cannot read, begins anew.
        course: row.try_get::<Option<String>, _>("course")?.and_then(|text| serde_json::from_str(&text).ok()),
        since_us: row.try_get("since")?,
        created_us: row.try_get("created_at")?,
    })
}

/// A choice as it is kept: as it is written in JSON.
fn word(choice: &impl serde::Serialize) -> StoreResult<String> {
    match serde_json::to_value(choice) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        other => Err(StoreError::Row(format!("{other:?} is no word"))),
    }
}

fn read<T: serde::de::DeserializeOwned>(word: String) -> StoreResult<T> {
    serde_json::from_value(word.into()).map_err(|error| StoreError::Row(error.to_string()))
}

fn bytes(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use tempfile::TempDir;

    use super::*;

    /// The store on every engine there is, empty.
    async fn engines() -> Vec<(Store, Option<TempDir>)> {
        let mut all = Vec::new();
        for (db, folder) in crate::engines::empty().await {
            all.push((Store::open(db).await.unwrap(), folder));
        }
        all
    }

    fn taken() -> CallError {
        CallError::Conflict { message: "taken".to_owned() }
    }

    fn call() -> Call {
        Call::new(Sub(Uuid::now_v7()), "test").changing()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_account_has_one_and_a_repeat_of_its_order_answers_with_it() {
        for (store, _folder) in engines().await {
            let alice = call();
            let made = store.order(&alice, "alice", BouncerEngine::Soju, taken).await.unwrap();
            assert_eq!((made.engine, made.stage), (BouncerEngine::Soju, DedicatedStage::Making));
            let again = store.order(&alice, "alice", BouncerEngine::Soju, taken).await.unwrap();
            assert_eq!(again, made);
            let second = Call::new(alice.account, "test").changing();
            let refused = store.order(&second, "alice", BouncerEngine::Soju, taken).await.unwrap_err();
            assert!(refused.to_string().contains("already"), "{refused}");
            let other = store.order(&call(), "alice", BouncerEngine::Ircnow, taken).await.unwrap_err();
            assert!(other.to_string().contains("taken"), "{other}");
            assert_eq!(store.all().await.unwrap(), std::slice::from_ref(&made));
            store.forget(made.id).await.unwrap();
            assert_eq!(store.get(alice.account).await.unwrap(), None);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stage_begins_once_and_what_was_cancelled_stays_so() {
        for (store, _folder) in engines().await {
            let call = call();
            let row = store.order(&call, "alice", BouncerEngine::Ircnow, taken).await.unwrap();
            store.stage(&row, DedicatedStage::MovingIn).await.unwrap();
            // Whoever saw the stage before comes too late.
            store.stage(&row, DedicatedStage::Leaving).await.unwrap();
            let now = store.get(call.account).await.unwrap().unwrap();
            assert_eq!(now.stage, DedicatedStage::MovingIn);
            assert_eq!(now.course, None);
            store.course(&now, Some(&Course::default())).await.unwrap();
            assert_eq!(store.get(call.account).await.unwrap().unwrap().course, Some(Course::default()));
            store.stage(&now, DedicatedStage::There).await.unwrap();
            assert_eq!(
                store.get(call.account).await.unwrap().unwrap().course,
                None,
                "each stage has its own"
            );
            store.settled(&now).await.unwrap();
            let cancelled = store.cancel(call.account).await.unwrap().unwrap();
            assert!(cancelled.cancelled && cancelled.settled);
            assert_eq!(cancelled.stage, DedicatedStage::There);
            assert_eq!(store.cancel(Sub(Uuid::now_v7())).await.unwrap(), None);
        }
    }
}
