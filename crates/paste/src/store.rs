//! The rows: pastes, what they were before, and which ids a moderator has taken away. One set of queries serves SQLite
//! and PostgreSQL.
//!
//! New pastes go through one writer ([`writer`]), which commits everything that waits in one transaction: an answer means
//! that the paste is on disk, and a thousand answers share a few syncs.

#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use contracts::Sub;
use entitlements::Amount;
use service::db::{Database, DbError, Migration, is_unique_violation};
use service::shutdown::Shutdown;
use share::{Owner, ShortId};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use writer::Writer;

/// The tables.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "pastes",
    sqlite: include_str!("store/1_sqlite.sql"),
    postgres: include_str!("store/1_postgres.sql"),
}];

const GET: &str = "SELECT id, owner, manage, title, language, body, size, hash, seal, salt, burn, parent, revision, created_at, changed_at, expires_at \
     FROM paste WHERE id = $1 AND (expires_at IS NULL OR expires_at > $2)";
const TAKE: &str = "DELETE FROM paste WHERE id = $1 AND burn = 1 AND (expires_at IS NULL OR expires_at > $2) \
     RETURNING id, owner, manage, title, language, body, size, hash, seal, salt, burn, parent, revision, created_at, changed_at, expires_at";
const DELETE: &str = "DELETE FROM paste WHERE id = $1 AND (owner = $2 OR manage = $3) RETURNING id";
const DELETE_ANY: &str = "DELETE FROM paste WHERE id = $1";
const DELETE_HASH: &str = "DELETE FROM paste WHERE hash = $1 RETURNING id";
const DELETE_OWNER: &str = "DELETE FROM paste WHERE owner = $1 RETURNING id";
const FORGET_OWNER: &str = "DELETE FROM paste_owner WHERE owner = $1";
const SWEEP: &str = "DELETE FROM paste WHERE id IN (SELECT id FROM paste WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2) RETURNING id";
const SWEEP_OWNERS: &str =
    "DELETE FROM paste_owner WHERE NOT EXISTS (SELECT 1 FROM paste WHERE paste.owner = paste_owner.owner)";
const REMOVED: &str = "SELECT at FROM paste_removed WHERE id = $1";
const REMOVE: &str = "INSERT INTO paste_removed (id, at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
const COUNT: &str = "SELECT COUNT(*) FROM paste WHERE owner = $1 AND (expires_at IS NULL OR expires_at > $2)";
const KEEP_REVISION: &str = "INSERT INTO paste_revision (paste, revision, language, body, at) \
     SELECT id, revision, language, body, changed_at FROM paste WHERE id = $1 AND owner = $2 AND revision = $3";
const CHANGE: &str = "UPDATE paste SET title = $4, language = $5, body = $6, size = $7, hash = $8, revision = revision + 1, changed_at = $9 \
     WHERE id = $1 AND owner = $2 AND revision = $3 AND seal = 'none' AND burn = 0";
const REVISIONS: &str = "SELECT revision, at FROM paste_revision WHERE paste = $1 ORDER BY revision";
const REVISION: &str = "SELECT language, body, at FROM paste_revision WHERE paste = $1 AND revision = $2";
// One page of an owner's pastes, the newest first. What is sealed is searched by its title alone.
const LIST_SQLITE: &str = "SELECT id, title, language, size, seal, burn, revision, created_at, expires_at FROM paste \
     WHERE owner = $1 AND (expires_at IS NULL OR expires_at > $2) AND (created_at < $3 OR (created_at = $3 AND id < $4)) \
     AND ($5 = '' OR instr(lower(title), $5) > 0 OR instr(lower(language), $5) > 0 OR (seal = 'none' AND burn = 0 AND instr(lower(CAST(body AS TEXT)), $5) > 0)) \
     ORDER BY created_at DESC, id DESC LIMIT $6";
const LIST_POSTGRES: &str = "SELECT id, title, language, size, seal, burn, revision, created_at, expires_at FROM paste \
     WHERE owner = $1 AND (expires_at IS NULL OR expires_at > $2) AND (created_at < $3 OR (created_at = $3 AND id < $4)) \
     AND ($5 = '' OR strpos(lower(title), $5) > 0 OR strpos(lower(language), $5) > 0 OR (CASE WHEN seal = 'none' AND burn = 0 THEN strpos(lower(convert_from(body, 'UTF8')), $5) ELSE 0 END) > 0) \
     ORDER BY created_at DESC, id DESC LIMIT $6";
const LIVE: &str = "SELECT COUNT(*) FROM paste";

/// Why a row could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its owner has as many as they may.
    #[error("the owner has as many pastes as they may")]
    Full,
    /// It is somebody else's, or it changed in the meantime, or there is no such thing.
    #[error("there is no such paste of this owner at this revision")]
    NotTheirs,
    /// The database.
    #[error("the database of pastes failed: {0}")]
    Database(#[from] Arc<DbError>),
    /// A row holds what this version does not understand.
    #[error("a row of pastes cannot be read: {0}")]
    Row(String),
}

impl From<DbError> for StoreError {
    fn from(error: DbError) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        DbError::from(error).into()
    }
}

pub(crate) type StoreResult<T> = Result<T, StoreError>;

/// What keeps a paste from being read by whoever has its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Nothing.
    None,
    /// A password; the body is encrypted under it.
    Password,
    /// A key only browsers and clients know; the body is what they sent.
    Browser,
}

impl Seal {
    /// Its name in rows and in the API.
    pub const fn key(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Password => "password",
            Self::Browser => "browser",
        }
    }

    fn from_key(key: &str) -> StoreResult<Self> {
        [Self::None, Self::Password, Self::Browser]
            .into_iter()
            .find(|seal| seal.key() == key)
            .ok_or_else(|| StoreError::Row(format!("a seal is called {key}")))
    }
}

/// A row. Times are microseconds since 1970.
#[derive(Clone, PartialEq, Eq)]
pub struct PasteRow {
    pub id: ShortId,
    pub owner: Owner,
    /// SHA-256 of the token that manages it, where nobody is signed in.
    pub manage: Option<Vec<u8>>,
    pub title: String,
    pub language: String,
    pub body: bytes::Bytes,
    /// Bytes of the text itself.
    pub size: u64,
    /// SHA-256 of the body as it is kept.
    pub hash: Vec<u8>,
    pub seal: Seal,
    pub salt: Option<Vec<u8>>,
    pub burn: bool,
    pub parent: Option<ShortId>,
    pub revision: u64,
    pub created_us: i64,
    pub changed_us: i64,
    pub expires_us: Option<i64>,
}

impl std::fmt::Debug for PasteRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whoever has the id may read it, so the id is a secret too.
        f.debug_struct("PasteRow").field("size", &self.size).field("seal", &self.seal).finish_non_exhaustive()
    }
}

impl PasteRow {
    /// Whether it is over at `now_us`.
    pub fn is_over(&self, now_us: i64) -> bool {
        self.expires_us.is_some_and(|end| end <= now_us)
    }
}

/// A paste as its owner's list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub id: ShortId,
    pub title: String,
    pub language: String,
    pub size: u64,
    pub seal: Seal,
    pub burn: bool,
    pub revision: u64,
    pub created_us: i64,
    pub expires_us: Option<i64>,
}

/// Where a page of a list begins: after this one.
#[derive(Clone, Copy, Debug)]
pub struct After {
    pub created_us: i64,
    pub id: Option<ShortId>,
}

impl After {
    /// From the newest on.
    pub const NOTHING: Self = Self { created_us: i64::MAX, id: None };
}

/// What a paste was at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    pub language: String,
    pub body: bytes::Bytes,
    pub at_us: i64,
}

/// What a change makes of a paste.
#[derive(Clone, Debug)]
pub struct Change {
    pub title: String,
    pub language: String,
    pub body: bytes::Bytes,
}

/// The rows. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: Database,
    writer: Writer,
}

impl Store {
    /// The store over `db`, its tables brought to the present form; its writer runs until the end.
    pub async fn open(db: Database, shutdown: &Shutdown) -> Result<Self, DbError> {
        db.migrate(MIGRATIONS).await?;
        Ok(Self { writer: Writer::start(db.clone(), shutdown), db })
    }

    /// Keeps a new paste if its owner has `room` for one more. On disk when it returns.
    pub async fn create(&self, row: PasteRow, room: Amount) -> StoreResult<()> {
        self.writer.create(row, room).await
    }

    /// The paste, if it is there and not over.
    pub async fn get(&self, id: ShortId, now_us: i64) -> StoreResult<Option<PasteRow>> {
        let row = sqlx::query(GET).bind(id.to_string()).bind(now_us).fetch_optional(self.db.pool()).await?;
        row.as_ref().map(row_of).transpose()
    }

    /// Takes a paste that is read once out of the store: of all who ask, one gets it.
    pub async fn take(&self, id: ShortId, now_us: i64) -> StoreResult<Option<PasteRow>> {
        let row = sqlx::query(TAKE).bind(id.to_string()).bind(now_us).fetch_optional(self.db.pool()).await?;
        row.as_ref().map(row_of).transpose()
    }

    /// Deletes a paste of `owner`, or one that `manage` (a hash) manages. `false` if there is none such.
    pub async fn delete(&self, id: ShortId, owner: &Owner, manage: Option<&[u8]>) -> StoreResult<bool> {
        let deleted = sqlx::query(DELETE)
            .bind(id.to_string())
            .bind(owner.clone())
            .bind(manage.unwrap_or_default().to_vec())
            .fetch_optional(self.db.pool())
            .await?;
        Ok(deleted.is_some())
    }

    /// Takes a paste away for good: from now on its id says that it was.
    pub async fn remove(&self, id: ShortId, now_us: i64) -> StoreResult<()> {
        let mut tx = self.db.begin().await?;
        sqlx::query(DELETE_ANY).bind(id.to_string()).execute(&mut *tx).await?;
        sqlx::query(REMOVE).bind(id.to_string()).bind(now_us).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Takes every paste with this content away for good, and names them.
    pub async fn remove_content(&self, hash: &[u8], now_us: i64) -> StoreResult<Vec<ShortId>> {
        let mut tx = self.db.begin().await?;
        let rows = sqlx::query(DELETE_HASH).bind(hash.to_vec()).fetch_all(&mut *tx).await?;
        let ids = ids_of(&rows)?;
        for id in &ids {
            sqlx::query(REMOVE).bind(id.to_string()).bind(now_us).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(ids)
    }

    /// Whether a moderator took it away.
    pub async fn is_removed(&self, id: ShortId) -> StoreResult<bool> {
        Ok(sqlx::query(REMOVED).bind(id.to_string()).fetch_optional(self.db.pool()).await?.is_some())
    }

    /// Deletes what is over, at most `most`, and names it.
    pub async fn sweep(&self, now_us: i64, most: u32) -> StoreResult<Vec<ShortId>> {
        let rows = sqlx::query(SWEEP).bind(now_us).bind(i64::from(most)).fetch_all(self.db.pool()).await?;
        ids_of(&rows)
    }

    /// Forgets owners that have nothing here any more.
    pub async fn sweep_owners(&self) -> StoreResult<()> {
        sqlx::query(SWEEP_OWNERS).execute(self.db.pool()).await?;
        Ok(())
    }

    /// A page of an owner's pastes, the newest first; `search` in title, language and text, in small letters.
    pub async fn list(
        &self,
        owner: &Owner,
        search: &str,
        after: After,
        most: u32,
        now_us: i64,
    ) -> StoreResult<Vec<Summary>> {
        let rows = sqlx::query(self.db.engine().pick(LIST_SQLITE, LIST_POSTGRES))
            .bind(owner.clone())
            .bind(now_us)
            .bind(after.created_us)
            .bind(after.id.map(|id| id.to_string()).unwrap_or_default())
            .bind(search.replace('\0', "").to_lowercase())
            .bind(i64::from(most))
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(summary_of).collect()
    }

    /// How many pastes of an owner live.
    pub async fn count(&self, owner: &Owner, now_us: i64) -> StoreResult<u64> {
        let row = sqlx::query(COUNT).bind(owner.clone()).bind(now_us).fetch_one(self.db.pool()).await?;
        Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default())
    }

    /// Changes a paste of `owner` that was read at `revision`; what it was is kept as that revision.
    pub async fn change(
        &self,
        id: ShortId,
        owner: &Owner,
        revision: u64,
        change: &Change,
        now_us: i64,
    ) -> StoreResult<()> {
        let revision = i64::try_from(revision).unwrap_or(i64::MAX);
        let mut tx = self.db.begin().await?;
        let kept = sqlx::query(KEEP_REVISION)
            .bind(id.to_string())
            .bind(owner.clone())
            .bind(revision)
            .execute(&mut *tx)
            .await;
        match kept {
            // Two changes of one revision: the first one was faster.
            Err(error) if is_unique_violation(&error) => return Err(StoreError::NotTheirs),
            kept => kept?,
        };
        let changed = sqlx::query(CHANGE)
            .bind(id.to_string())
            .bind(owner.clone())
            .bind(revision)
            .bind(change.title.clone())
            .bind(change.language.clone())
            .bind(change.body.to_vec())
            .bind(i64::try_from(change.body.len()).unwrap_or(i64::MAX))
            .bind(service::secrets::sha256(&change.body).to_vec())
            .bind(now_us)
            .execute(&mut *tx)
            .await?;
        if changed.rows_affected() != 1 {
            return Err(StoreError::NotTheirs);
        }
        Ok(tx.commit().await?)
    }

    /// The numbers and times of what a paste was before.
    pub async fn revisions(&self, id: ShortId) -> StoreResult<Vec<(u64, i64)>> {
        let rows = sqlx::query(REVISIONS).bind(id.to_string()).fetch_all(self.db.pool()).await?;
        rows.iter()
            .map(|row| Ok((u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default(), row.try_get(1)?)))
            .collect()
    }

    /// What a paste was at a revision before the present one.
    pub async fn revision(&self, id: ShortId, revision: u64) -> StoreResult<Option<Before>> {
        let row = sqlx::query(REVISION)
            .bind(id.to_string())
            .bind(i64::try_from(revision).unwrap_or(i64::MAX))
            .fetch_optional(self.db.pool())
            .await?;
        row.map(|row| {
            Ok(Before {
                language: row.try_get("language")?,
                body: row.try_get::<Vec<u8>, _>("body")?.into(),
                at_us: row.try_get("at")?,
            })
        })
        .transpose()
    }

    /// Deletes everything of an account, and names it.
    pub async fn delete_account(&self, sub: Sub) -> StoreResult<Vec<ShortId>> {
        let owner = sub.0.as_bytes().to_vec();
        let rows = sqlx::query(DELETE_OWNER).bind(owner.clone()).fetch_all(self.db.pool()).await?;
        sqlx::query(FORGET_OWNER).bind(owner).execute(self.db.pool()).await?;
        ids_of(&rows)
    }

    /// How many pastes there are, for figures.
    pub async fn live(&self) -> StoreResult<i64> {
        Ok(sqlx::query(LIVE).fetch_one(self.db.pool()).await?.try_get(0)?)
    }
}

fn ids_of(rows: &[AnyRow]) -> StoreResult<Vec<ShortId>> {
    rows.iter().map(|row| id_of(row, "id")).collect()
}

fn id_of(row: &AnyRow, column: &str) -> StoreResult<ShortId> {
    row.try_get::<String, _>(column)?.parse().map_err(|_| StoreError::Row("an id is none".to_owned()))
}

fn number(row: &AnyRow, column: &str) -> StoreResult<u64> {
    Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or_default())
}

fn row_of(row: &AnyRow) -> StoreResult<PasteRow> {
    let parent: Option<String> = row.try_get("parent")?;
    Ok(PasteRow {
        id: id_of(row, "id")?,
        owner: row.try_get("owner")?,
        manage: row.try_get("manage")?,
        title: row.try_get("title")?,
        language: row.try_get("language")?,
        body: row.try_get::<Vec<u8>, _>("body")?.into(),
        size: number(row, "size")?,
        hash: row.try_get("hash")?,
        seal: Seal::from_key(row.try_get("seal")?)?,
        salt: row.try_get("salt")?,
        burn: row.try_get::<i64, _>("burn")? != 0,
        parent: parent.and_then(|id| id.parse().ok()),
        revision: number(row, "revision")?,
        created_us: row.try_get("created_at")?,
        changed_us: row.try_get("changed_at")?,
        expires_us: row.try_get("expires_at")?,
    })
}

fn summary_of(row: &AnyRow) -> StoreResult<Summary> {
    Ok(Summary {
        id: id_of(row, "id")?,
        title: row.try_get("title")?,
        language: row.try_get("language")?,
        size: number(row, "size")?,
        seal: Seal::from_key(row.try_get("seal")?)?,
        burn: row.try_get::<i64, _>("burn")? != 0,
        revision: number(row, "revision")?,
        created_us: row.try_get("created_at")?,
        expires_us: row.try_get("expires_at")?,
    })
}
