//! A copy of an SQLite database as it stands at one moment, while others go on writing to it.

use std::path::Path;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use super::DbError;

/// Copies the database file `database` into the new file `copy`. Deleted rows are not in the copy.
pub async fn snapshot(database: &Path, copy: &Path) -> Result<(), DbError> {
    let options = SqliteConnectOptions::new().filename(database).create_if_missing(false);
    let mut connection = options.connect().await?;
    sqlx::query("VACUUM INTO $1").bind(copy.to_string_lossy().into_owned()).execute(&mut connection).await?;
    Ok(())
}
