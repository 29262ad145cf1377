//! Copies of the file, and what has to happen when one takes the file's place.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::writer::explain;
use super::{append, blocking, migrate, open_connection, sql, unusable};
use crate::{Error, Result};

/// Writes one state of the store to a new file, while appends go on.
pub(super) fn copy(conn: &Connection, into: &Path) -> Result<()> {
    if into.exists() {
        return Err(Error::Invalid("the backup file is there already"));
    }
    let target = into.to_str().ok_or(Error::Invalid("the backup's path is not text"))?;
    let done = (|| {
        // VACUUM INTO must not run inside the reader's transaction, so it has a connection of its own.
        let source = conn.path().map(PathBuf::from).unwrap_or_default();
        let source = open_connection(&source, true)?;
        source
            .execute("VACUUM INTO ?1", [target])
            .map_err(|cause| Error::Unavailable(format!("no backup: {}", explain(&cause))))?;
        sync(into)
    })();
    if done.is_err() {
        // Half a backup is worse than none.
        let _ = std::fs::remove_file(into);
    }
    done
}

/// Puts a backup where nothing is yet and raises every stream's epoch before anybody can write.
pub(crate) async fn restore(backup: PathBuf, into: PathBuf) -> Result<()> {
    blocking(move || {
        if into.exists() {
            return Err(Error::Invalid("there is a history file already"));
        }
        let done = (|| {
            std::fs::copy(&backup, &into).map_err(io)?;
            let conn = open_connection(&into, false)?;
            migrate(&conn).map_err(unusable)?;
            let transaction =
                rusqlite::Transaction::new_unchecked(&conn, rusqlite::TransactionBehavior::Immediate)
                    .map_err(unusable)?;
            raise_all(&transaction).map_err(unusable)?;
            transaction.commit().map_err(unusable)?;
            conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(unusable)?;
            sync(&into)
        })();
        if done.is_err() {
            let _ = std::fs::remove_file(&into);
        }
        done
    })
    .await
}

/// Raises every stream's epoch.
pub(super) fn raise_all(conn: &Connection) -> rusqlite::Result<()> {
    let streams: Vec<i64> =
        conn.prepare(sql::STREAM_ALL)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for stream in streams {
        append::raise(conn, stream, rand::random())?;
    }
    Ok(())
}

fn sync(path: &Path) -> Result<()> {
    std::fs::File::open(path).and_then(|file| file.sync_all()).map_err(io)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn io(cause: std::io::Error) -> Error {
    Error::Unavailable(cause.to_string())
}
