//! What a deletion leaves behind: dead rows that hold their bytes until the engine sweeps the tables.
//!
//! The sweep (`VACUUM`) runs after each deletion on a connection of its own, outside any transaction and without the
//! pool's timeout; deletions that come meanwhile share the next one. It empties and truncates what it can. What it does
//! not reach is the engine's: rows an open transaction may still see, freed space within a page until it is written
//! again, and the write-ahead log and backups.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::sync::{mpsc, oneshot};

use super::sql;

/// What the janitor is told.
pub(super) enum Ask {
    /// Rows were deleted.
    Deleted,
    /// Somebody waits until nothing is due, and is told whether that came true.
    Settle(oneshot::Sender<bool>),
}

/// Sweeps until every sender is gone.
pub(super) async fn serve(connect: PgConnectOptions, mut asks: mpsc::UnboundedReceiver<Ask>) {
    let mut due = false;
    while let Some(first) = asks.recv().await {
        let mut waiting = Vec::new();
        let mut next = Some(first);
        while let Some(ask) = next {
            match ask {
                Ask::Deleted => due = true,
                Ask::Settle(answer) => waiting.push(answer),
            }
            next = asks.try_recv().ok();
        }
        if due {
            match sweep(&connect).await {
                Ok(()) => due = false,
                // It stays due: the next deletion tries again, and the engine's own sweeps go on.
                Err(cause) => tracing::warn!(error = %cause, "history: deleted rows could not be swept out"),
            }
        }
        for answer in waiting {
            // Whoever asked may have given up meanwhile.
            let _ = answer.send(!due);
        }
    }
}

async fn sweep(connect: &PgConnectOptions) -> sqlx::Result<()> {
    let mut conn = PgConnection::connect_with(connect).await?;
    // One statement for each table, as each commits by itself.
    for statement in sql::VACUUM {
        sqlx::raw_sql(*statement).execute(&mut conn).await?;
    }
    conn.close().await
}
