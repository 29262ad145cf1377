//! The rows: who has which picture, whose bytes are where, and room that is taken before bytes come. One set of queries
//! serves SQLite and PostgreSQL.
//!
//! A content's row owns its objects: they stand under its id, and no two rows share one. Whoever has the same picture
//! refers to the same row; with the last of them the row goes, and its objects with it. So an upload under way can never
//! lose its bytes to a deletion that runs beside it.

mod albums;
mod sweep;
#[cfg(test)]
mod tests;

use contracts::Sub;
use entitlements::{Limit, Limits, OverLimit};
use service::clock::now_us;
use service::db::{Database, DbError, Migration, Tx};
use service::secrets::{random_token, sha256};
use share::ShortId;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use uuid::Uuid;

pub use albums::Album;
pub use sweep::Gone;

use crate::worker::frames::{Told, View};

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "pictures",
    sqlite: include_str!("store/1_sqlite.sql"),
    postgres: include_str!("store/1_postgres.sql"),
}];

const TURN: &str = "INSERT INTO pics_account (sub, writes) VALUES ($1, 1) \
     ON CONFLICT (sub) DO UPDATE SET writes = pics_account.writes + 1";
// CAST, because a sum of BIGINT is NUMERIC in PostgreSQL.
const STORED: &str = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT), COUNT(*) FROM picture WHERE sub = $1";
const RESERVED: &str = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM reservation WHERE sub = $1";
const RESERVE: &str = "INSERT INTO reservation (id, sub, bytes, made_at) VALUES ($1, $2, $3, $4)";
const RELEASE: &str = "DELETE FROM reservation WHERE id = $1";
const CONTENT: &str = "INSERT INTO content (id, hash, bytes, told, views, refs, made_at) VALUES ($1, $2, $3, $4, $5, 1, $6) \
     ON CONFLICT (hash) DO UPDATE SET refs = content.refs + 1 RETURNING id";
const PICTURE: &str = "INSERT INTO picture (id, sub, content, bytes, name, caption, alt, album, delete_hash, made_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const ONE: &str = "SELECT p.id, p.sub, p.content, p.bytes, p.name, p.caption, p.alt, p.album, p.delete_hash, p.made_at, \
     p.expires_at, c.told, c.views FROM picture p JOIN content c ON c.id = p.content WHERE p.id = $1";
const OF_OWNER: &str = "SELECT p.id, p.sub, p.content, p.bytes, p.name, p.caption, p.alt, p.album, p.delete_hash, p.made_at, \
     p.expires_at, c.told, c.views FROM picture p JOIN content c ON c.id = p.content \
     WHERE p.sub = $1 AND p.made_at < $2 ORDER BY p.made_at DESC, p.id LIMIT $3";
const CHANGE: &str =
    "UPDATE picture SET caption = $1, alt = $2, album = $3, expires_at = $4 WHERE id = $5 AND sub = $6";
const TAKE_OUT: &str = "DELETE FROM picture WHERE id = $1 RETURNING content";
const LET_GO: &str = "UPDATE content SET refs = refs - 1 WHERE id = $1 RETURNING refs";
const DROP: &str = "DELETE FROM content WHERE id = $1";

/// Why a row could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The owner's plan has no room.
    #[error(transparent)]
    Full(#[from] OverLimit),
    /// The database.
    #[error("the database of pictures failed: {0}")]
    Database(#[from] DbError),
    /// A row holds what this version does not understand.
    #[error("a row of pictures cannot be read: {0}")]
    Row(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Row(error.to_string())
    }
}

impl From<service::secrets::SecretError> for StoreError {
    fn from(error: service::secrets::SecretError) -> Self {
        Self::Row(error.to_string())
    }
}

pub type StoreResult<T> = Result<T, StoreError>;

/// Room that was taken for an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    id: Uuid,
    sub: Sub,
    /// How much.
    pub bytes: u64,
}

/// What an account has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of its pictures.
    pub bytes: u64,
    /// Bytes of uploads under way.
    pub reserved: u64,
    /// How many pictures.
    pub count: u64,
}

/// A content's bytes as they were made.
#[derive(Clone, Debug)]
pub struct NewContent {
    /// Names the objects that were put for it.
    pub key: Uuid,
    /// SHA-256 of the picture.
    pub hash: [u8; 32],
    /// Its length.
    pub bytes: u64,
    /// What it is.
    pub told: Told,
    /// Its smaller views.
    pub views: Vec<View>,
}

/// What its owner says of a picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// A line below it.
    pub caption: String,
    /// What is seen, for those who do not see it.
    pub alt: String,
    /// The album it is in.
    pub album: Option<ShortId>,
    /// When it goes by itself, microseconds since 1970.
    pub expires_us: Option<i64>,
}

/// A picture of somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Names it in its addresses.
    pub id: ShortId,
    /// Whose it is.
    pub sub: Sub,
    /// Names its objects.
    pub key: Uuid,
    /// Bytes of it.
    pub bytes: u64,
    /// What its file was called.
    pub name: String,
    /// What its owner says of it.
    pub said: Said,
    /// Microseconds since 1970.
    pub made_us: i64,
    /// What it is.
    pub told: Told,
    /// Its smaller views.
    pub views: Vec<View>,
    delete_hash: Vec<u8>,
}

impl Picture {
    /// Whether `token` is the one of its delete link.
    pub fn may_delete(&self, token: &str) -> bool {
        service::secrets::same(&self.delete_hash, &sha256(token.as_bytes()))
    }

    /// Whether its time is over at `now`.
    pub fn is_over(&self, now_us: i64) -> bool {
        self.said.expires_us.is_some_and(|at| at <= now_us)
    }
}

/// A picture that has just been put up.
#[derive(Debug)]
pub struct Put {
    /// As it is.
    pub picture: Picture,
    /// What its delete link ends with; kept nowhere.
    pub token: String,
    /// Whether the objects that were put for it are the ones that are used.
    pub is_first: bool,
}

/// The rows. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    db: Database,
}

impl Store {
    /// The store over `db`, its tables brought to the present form.
    pub async fn open(db: Database) -> Result<Self, DbError> {
        db.migrate(MIGRATIONS).await?;
        Ok(Self { db })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DbError> {
        self.db.ping().await
    }

    /// What an account has used.
    pub async fn usage(&self, sub: Sub) -> StoreResult<Usage> {
        let stored = sqlx::query(STORED).bind(bytes(sub.0)).fetch_one(self.db.pool()).await?;
        let reserved = sqlx::query(RESERVED).bind(bytes(sub.0)).fetch_one(self.db.pool()).await?;
        Ok(Usage { bytes: count(&stored, 0)?, count: count(&stored, 1)?, reserved: count(&reserved, 0)? })
    }

    /// Takes room for an upload: all that is stored and all that is under way stay within the plan together.
    pub async fn reserve(&self, sub: Sub, room: u64, limits: &Limits) -> StoreResult<Reservation> {
        let mut tx = self.begin_for(sub).await?;
        check_room(&mut tx, sub, room, limits).await?;
        let reservation = Reservation { id: Uuid::now_v7(), sub, bytes: room };
        sqlx::query(RESERVE)
            .bind(bytes(reservation.id))
            .bind(bytes(sub.0))
            .bind(number(room))
            .bind(now_us())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(reservation)
    }

    /// Gives the room back. It may have been given back before.
    pub async fn release(&self, reservation: &Reservation) -> StoreResult<()> {
        sqlx::query(RELEASE).bind(bytes(reservation.id)).execute(self.db.pool()).await?;
        Ok(())
    }

    /// Puts a picture up in the room that was taken for it. Its objects must be there already.
    pub async fn put(
        &self,
        reservation: &Reservation,
        content: &NewContent,
        name: &str,
        said: Said,
        limits: &Limits,
    ) -> StoreResult<Put> {
        let sub = reservation.sub;
        let mut tx = self.begin_for(sub).await?;
        let held = sqlx::query(RELEASE).bind(bytes(reservation.id)).execute(&mut *tx).await?;
        // An upload that took very long may have lost its room to another.
        if held.rows_affected() == 0 || content.bytes > reservation.bytes {
            check_room(&mut tx, sub, content.bytes, limits).await?;
        }
        let said = albums::own_album(&mut tx, sub, said).await?;
        let now = now_us();
        let row = sqlx::query(CONTENT)
            .bind(bytes(content.key))
            .bind(content.hash.to_vec())
            .bind(number(content.bytes))
            .bind(serde_json::to_string(&content.told)?)
            .bind(serde_json::to_string(&content.views)?)
            .bind(now)
            .fetch_one(&mut *tx)
            .await?;
        let key = uuid(&row, 0)?;
        let (id, token) = (ShortId::random()?, random_token()?);
        sqlx::query(PICTURE)
            .bind(id.to_string())
            .bind(bytes(sub.0))
            .bind(bytes(key))
            .bind(number(content.bytes))
            .bind(name.to_owned())
            .bind(said.caption.clone())
            .bind(said.alt.clone())
            .bind(said.album.map(|album| album.to_string()))
            .bind(sha256(token.as_bytes()).to_vec())
            .bind(now)
            .bind(said.expires_us)
            .execute(&mut *tx)
            .await?;
        // Of one content there is one set of views: the first one's.
        let picture =
            one(&mut tx, id).await?.ok_or_else(|| StoreError::Row("it was not written".to_owned()))?;
        tx.commit().await?;
        Ok(Put { is_first: key == content.key, picture, token })
    }

    /// A picture, unless its time is over.
    pub async fn picture(&self, id: ShortId) -> StoreResult<Option<Picture>> {
        let row = sqlx::query(ONE).bind(id.to_string()).fetch_optional(self.db.pool()).await?;
        let picture = row.as_ref().map(picture_of).transpose()?;
        Ok(picture.filter(|picture| !picture.is_over(now_us())))
    }

    /// An account's pictures made before `before_us`, the newest first.
    pub async fn pictures(&self, sub: Sub, before_us: i64, most: u32) -> StoreResult<Vec<Picture>> {
        let rows = sqlx::query(OF_OWNER)
            .bind(bytes(sub.0))
            .bind(before_us)
            .bind(i64::from(most))
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(picture_of).collect()
    }

    /// Says something else of a picture. `false` if it is not the account's.
    pub async fn change(&self, id: ShortId, sub: Sub, said: Said) -> StoreResult<bool> {
        let mut tx = self.db.begin().await?;
        let said = albums::own_album(&mut tx, sub, said).await?;
        let changed = sqlx::query(CHANGE)
            .bind(said.caption)
            .bind(said.alt)
            .bind(said.album.map(|album| album.to_string()))
            .bind(said.expires_us)
            .bind(id.to_string())
            .bind(bytes(sub.0))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Takes a picture away; whose it is was checked. What is returned names the objects to delete, if nobody else has it.
    pub async fn delete(&self, id: ShortId) -> StoreResult<Option<Gone>> {
        let mut tx = self.db.begin().await?;
        let gone = take_out(&mut tx, id.as_str()).await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// A transaction in which nobody else writes for `sub`.
    async fn begin_for(&self, sub: Sub) -> StoreResult<Tx> {
        let mut tx = self.db.begin().await?;
        sqlx::query(TURN).bind(bytes(sub.0)).execute(&mut *tx).await?;
        Ok(tx)
    }
}

/// The one quota check, in a transaction that has the account's turn.
async fn check_room(tx: &mut Tx, sub: Sub, room: u64, limits: &Limits) -> StoreResult<()> {
    let stored = sqlx::query(STORED).bind(bytes(sub.0)).fetch_one(&mut **tx).await?;
    let reserved = sqlx::query(RESERVED).bind(bytes(sub.0)).fetch_one(&mut **tx).await?;
    let used = count(&stored, 0)?.saturating_add(count(&reserved, 0)?);
    Ok(limits.check(Limit::PictureBytes, used, room)?)
}

async fn one(tx: &mut Tx, id: ShortId) -> StoreResult<Option<Picture>> {
    let row = sqlx::query(ONE).bind(id.to_string()).fetch_optional(&mut **tx).await?;
    row.as_ref().map(picture_of).transpose()
}

/// Takes a picture's row away, and its content's with the last.
async fn take_out(tx: &mut Tx, id: &str) -> StoreResult<Option<Gone>> {
    let Some(row) = sqlx::query(TAKE_OUT).bind(id.to_owned()).fetch_optional(&mut **tx).await? else {
        return Ok(None);
    };
    let key = uuid(&row, 0)?;
    let left = sqlx::query(LET_GO).bind(bytes(key)).fetch_one(&mut **tx).await?;
    let is_last = left.try_get::<i64, _>(0)? <= 0;
    if is_last {
        sqlx::query(DROP).bind(bytes(key)).execute(&mut **tx).await?;
    }
    Ok(Some(Gone { key: is_last.then_some(key) }))
}

fn picture_of(row: &AnyRow) -> StoreResult<Picture> {
    let id = |text: String| text.parse::<ShortId>().map_err(|error| StoreError::Row(error.to_string()));
    Ok(Picture {
        id: id(row.try_get("id")?)?,
        sub: Sub(uuid(row, "sub")?),
        key: uuid(row, "content")?,
        bytes: count(row, "bytes")?,
        name: row.try_get("name")?,
        said: Said {
            caption: row.try_get("caption")?,
            alt: row.try_get("alt")?,
            album: row.try_get::<Option<String>, _>("album")?.map(id).transpose()?,
            expires_us: row.try_get("expires_at")?,
        },
        made_us: row.try_get("made_at")?,
        told: serde_json::from_str(&row.try_get::<String, _>("told")?)?,
        views: serde_json::from_str(&row.try_get::<String, _>("views")?)?,
        delete_hash: row.try_get("delete_hash")?,
    })
}

fn bytes(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

fn uuid<I: sqlx::ColumnIndex<AnyRow>>(row: &AnyRow, at: I) -> StoreResult<Uuid> {
    let raw = row.try_get::<Vec<u8>, _>(at)?;
    Uuid::from_slice(&raw).map_err(|error| StoreError::Row(error.to_string()))
}

fn count<I: sqlx::ColumnIndex<AnyRow>>(row: &AnyRow, at: I) -> StoreResult<u64> {
    Ok(u64::try_from(row.try_get::<i64, _>(at)?).unwrap_or_default())
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
