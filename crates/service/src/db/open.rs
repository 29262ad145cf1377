//! Opening a database: the pool, and what each SQLite connection is told first.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor as _;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use tokio::sync::Mutex;

use super::{Database, DbError, Engine};

/// `synchronous=FULL` because what was acknowledged is never lost; the busy timeout is for other processes (`ircnow
/// admin`), our own writers queue.
const SQLITE_FIRST: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4096;";

impl Database {
    /// Opens `sqlite:/path/file.db` (made where it is missing), `sqlite::memory:` for tests, or `postgres://…`. A PostgreSQL
    /// server that does not answer is waited for, at most 30 s.
    pub async fn open(url: &str) -> Result<Self, DbError> {
        sqlx::any::install_default_drivers();
        if let Some(rest) = url.strip_prefix("sqlite:") {
            open_sqlite(rest.trim_start_matches("//")).await
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            open_postgres(url).await
        } else {
            Err(DbError::Url)
        }
    }
}

async fn open_sqlite(path: &str) -> Result<Database, DbError> {
    let memory = path == ":memory:";
    let url = if memory {
        "sqlite::memory:".to_owned()
    } else {
        let file = path.split('?').next().unwrap_or(path);
        prepare_file(Path::new(file)).map_err(|source| DbError::File { path: file.to_owned(), source })?;
        format!("sqlite://{}?mode=rwc", encode_path(file))
    };
    let options = AnyConnectOptions::from_str(&url)?;
    let pool = AnyPoolOptions::new()
        // A memory database lives in its connection.
        .max_connections(if memory { 1 } else { 4 })
        .min_connections(1)
        .idle_timeout(if memory { None } else { Some(Duration::from_secs(300)) })
        .max_lifetime(None)
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(sqlx::raw_sql(SQLITE_FIRST)).await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await?;
    Ok(Database { pool, engine: Engine::Sqlite, writer: Arc::new(Mutex::new(())) })
}

/// The file is made by us so that nobody else may read it; SQLite gives its write-ahead log the same mode.
fn prepare_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    Ok(())
}

/// sqlx decodes percent signs and cuts at `?`.
fn encode_path(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3F").replace('#', "%23").replace(' ', "%20")
}

async fn open_postgres(url: &str) -> Result<Database, DbError> {
    let options = AnyConnectOptions::from_str(url)?;
    let pool = AnyPoolOptions::new()
        .max_connections(10)
        .acquire_timeout(Duration::from_secs(10))
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(Duration::from_secs(1800))
        // A connection that died with a restart of the server is found before it is handed out.
        .test_before_acquire(true)
        .connect_lazy_with(options);
    let database = Database { pool, engine: Engine::Postgres, writer: Arc::new(Mutex::new(())) };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        match database.ping().await {
            Ok(()) => return Ok(database),
            Err(DbError::Sql(error))
                if super::is_unavailable(&error) && tokio::time::Instant::now() < deadline =>
            {
                tracing::warn!(%error, "the database does not answer yet");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => return Err(error),
        }
    }
}
