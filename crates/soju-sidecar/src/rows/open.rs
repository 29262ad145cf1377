//! Connecting to soju's database: never making one, never changing how it is kept.

use std::str::FromStr as _;
use std::time::Duration;

use crds::sidecar::PruneTarget;
use service::db::{Engine, sqlx};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, Executor as _};

use super::Rows;

/// We wait for soju's writes, which are short. The journal's mode is soju's affair.
const SQLITE_FIRST: &str = "PRAGMA busy_timeout = 2000; PRAGMA foreign_keys = ON; PRAGMA cache_size = -1024;";
/// A question that takes longer has gone wrong, and would hold back VACUUM.
const POSTGRES_FIRST: &str =
    "SET statement_timeout = '30s'; SET lock_timeout = '2s'; SET application_name = 'soju-sidecar'";

impl Rows {
    /// Connects at the first question: soju makes its tables at its first start, which may be later than ours.
    pub fn open(target: &PruneTarget) -> Result<Self, sqlx::Error> {
        let (pool, engine) = connect(target)?;
        Ok(Self { pool, engine })
    }
}

/// Connects at the first question.
pub(crate) fn connect(target: &PruneTarget) -> Result<(AnyPool, Engine), sqlx::Error> {
    sqlx::any::install_default_drivers();
    let (engine, url, first) = match target {
        PruneTarget::Sqlite(path) => {
            // sqlx decodes percent signs and cuts at `?`.
            let path = path.display().to_string();
            let path = path.replace('%', "%25").replace('?', "%3F").replace('#', "%23").replace(' ', "%20");
            (Engine::Sqlite, format!("sqlite://{path}?mode=rw"), SQLITE_FIRST)
        }
        PruneTarget::Postgres(url) => (Engine::Postgres, url.expose().to_owned(), POSTGRES_FIRST),
    };
    let options = AnyConnectOptions::from_str(&url)?;
    let pool = AnyPoolOptions::new()
        // One: a hundred bouncers share a server.
        .max_connections(1)
        .idle_timeout(Duration::from_secs(60))
        .acquire_timeout(Duration::from_secs(10))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(sqlx::raw_sql(first)).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options);
    Ok((pool, engine))
}
