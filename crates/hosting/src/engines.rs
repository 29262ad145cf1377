//! Every database engine there is, for tests of stores.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use service::db::Database;
use tempfile::TempDir;
use testkit::Part;

/// An empty database on each engine, with the folder of the one in a file.
pub async fn empty() -> Vec<(Database, Option<TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("hosting.db").display());
    let mut urls = vec![(file, Some(folder))];
    if Part::Postgres.find_or_skip().is_some() {
        let url = tokio::task::spawn_blocking(testkit::postgres::database).await.unwrap().unwrap();
        urls.push((url, None));
    }
    let mut all = Vec::new();
    for (url, folder) in urls {
        all.push((Database::open(&url).await.unwrap(), folder));
    }
    all
}
