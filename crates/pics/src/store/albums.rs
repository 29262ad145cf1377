//! Albums: a title over pictures of one owner.

use contracts::Sub;
use service::clock::now_us;
use service::db::Tx;
use share::ShortId;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Picture, Said, Store, StoreError, StoreResult, bytes, picture_of, uuid};

const ADD: &str = "INSERT INTO album (id, sub, title, made_at) VALUES ($1, $2, $3, $4)";
const OF_OWNER: &str =
    "SELECT id, sub, title, made_at FROM album WHERE sub = $1 ORDER BY made_at DESC, id LIMIT 500";
const ONE: &str = "SELECT id, sub, title, made_at FROM album WHERE id = $1";
const RENAME: &str = "UPDATE album SET title = $1 WHERE id = $2 AND sub = $3";
const DELETE: &str = "DELETE FROM album WHERE id = $1 AND sub = $2";
const IN_IT: &str = "SELECT p.id, p.sub, p.content, p.bytes, p.name, p.caption, p.alt, p.album, p.delete_hash, p.made_at, \
     p.expires_at, c.told, c.views FROM picture p JOIN content c ON c.id = p.content \
     WHERE p.album = $1 ORDER BY p.made_at, p.id LIMIT 1000";
const OWN: &str = "SELECT id FROM album WHERE id = $1 AND sub = $2";

/// An album.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Album {
    /// Names it in its address.
    pub id: ShortId,
    /// Whose it is.
    pub sub: Sub,
    /// What it is called.
    pub title: String,
    /// Microseconds since 1970.
    pub made_us: i64,
}

impl Store {
    /// A new album.
    pub async fn add_album(&self, sub: Sub, title: &str) -> StoreResult<Album> {
        let album = Album { id: ShortId::random()?, sub, title: title.to_owned(), made_us: now_us() };
        sqlx::query(ADD)
            .bind(album.id.to_string())
            .bind(bytes(sub.0))
            .bind(album.title.clone())
            .bind(album.made_us)
            .execute(self.db.pool())
            .await?;
        Ok(album)
    }

    /// An account's albums, the newest first.
    pub async fn albums(&self, sub: Sub) -> StoreResult<Vec<Album>> {
        let rows = sqlx::query(OF_OWNER).bind(bytes(sub.0)).fetch_all(self.db.pool()).await?;
        rows.iter().map(album_of).collect()
    }

    /// An album and its pictures, oldest first, without those whose time is over.
    pub async fn album(&self, id: ShortId) -> StoreResult<Option<(Album, Vec<Picture>)>> {
        let Some(row) = sqlx::query(ONE).bind(id.to_string()).fetch_optional(self.db.pool()).await? else {
            return Ok(None);
        };
        let rows = sqlx::query(IN_IT).bind(id.to_string()).fetch_all(self.db.pool()).await?;
        let mut pictures = rows.iter().map(picture_of).collect::<StoreResult<Vec<_>>>()?;
        pictures.retain(|picture| !picture.is_over(now_us()));
        Ok(Some((album_of(&row)?, pictures)))
    }

    /// Calls an album something else. `false` if it is not the account's.
    pub async fn rename_album(&self, id: ShortId, sub: Sub, title: &str) -> StoreResult<bool> {
        let changed = sqlx::query(RENAME)
            .bind(title.to_owned())
            .bind(id.to_string())
            .bind(bytes(sub.0))
            .execute(self.db.pool())
            .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Takes an album away; its pictures stay. `false` if it is not the account's.
    pub async fn delete_album(&self, id: ShortId, sub: Sub) -> StoreResult<bool> {
        let gone =
            sqlx::query(DELETE).bind(id.to_string()).bind(bytes(sub.0)).execute(self.db.pool()).await?;
        Ok(gone.rows_affected() == 1)
    }
}

/// The same without an album that is not the account's.
pub(super) async fn own_album(tx: &mut Tx, sub: Sub, said: Said) -> StoreResult<Said> {
    let Some(album) = said.album else { return Ok(said) };
    let own = sqlx::query(OWN).bind(album.to_string()).bind(bytes(sub.0)).fetch_optional(&mut **tx).await?;
    Ok(Said { album: own.map(|_| album), ..said })
}

fn album_of(row: &AnyRow) -> StoreResult<Album> {
    let id: String = row.try_get("id")?;
    Ok(Album {
        id: id.parse().map_err(|error: share::NoId| StoreError::Row(error.to_string()))?,
        sub: Sub(uuid(row, "sub")?),
        title: row.try_get("title")?,
        made_us: row.try_get("made_at")?,
    })
}
