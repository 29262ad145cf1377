//! Deleting old messages in small batches.

use std::time::Duration;

use service::db::sqlx;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::time::Instant;

use super::Rows;

/// The most messages deleted in one statement.
const BATCH: i64 = 500;
/// How long a batch may take before the next one is smaller.
const LONGEST: Duration = Duration::from_millis(100);

const TARGETS: &str = r#"SELECT CAST(id AS BIGINT) FROM "MessageTarget" ORDER BY id"#;

/// soju writes times of one form, so that text sorts as time does. The row with the highest number stays, however old:
/// SQLite would give its number to the next message, and a client that was told of the old one would never see the new.
const DELETE_SQLITE: &str = r#"DELETE FROM "Message" WHERE id IN (
    SELECT id FROM "Message" WHERE target = $1 AND time < $2
        AND id < (SELECT MAX(id) FROM "Message")
    ORDER BY time LIMIT $3)"#;

const DELETE_POSTGRES: &str = r#"DELETE FROM "Message" WHERE id IN (
    SELECT id FROM "Message" WHERE target = $1 AND time < CAST(CAST($2 AS TEXT) AS TIMESTAMPTZ)
    ORDER BY time LIMIT $3 FOR UPDATE SKIP LOCKED)"#;

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Messages.
    pub messages: u64,
    /// Statements.
    pub batches: u64,
}

/// What is older than `days` before `now`, as soju writes times.
pub fn cutoff(now: OffsetDateTime, days: u32) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let at = now.checked_sub(time::Duration::days(i64::from(days)));
    // Before the year 1 there are no messages.
    at.and_then(|at| at.to_offset(time::UtcOffset::UTC).format(format).ok()).unwrap_or_default()
}

impl Rows {
    /// Deletes what was said before `cutoff` (see [`cutoff`]), buffer by buffer. `each` is told of every batch. An
    /// error leaves the rest for the next time.
    pub async fn prune(&self, cutoff: &str, mut each: impl FnMut(Pruned)) -> Result<Pruned, sqlx::Error> {
        let mut all = Pruned::default();
        if cutoff.is_empty() {
            return Ok(all);
        }
        let mut size = BATCH;
        let delete = self.engine.pick(DELETE_SQLITE, DELETE_POSTGRES);
        let targets: Vec<i64> = sqlx::query_scalar(TARGETS).fetch_all(&self.pool).await?;
        for target in targets {
            loop {
                let begun = Instant::now();
                let done =
                    sqlx::query(delete).bind(target).bind(cutoff).bind(size).execute(&self.pool).await?;
                let (messages, took) = (done.rows_affected(), begun.elapsed());
                if messages > 0 {
                    let batch = Pruned { messages, batches: 1 };
                    all.messages += batch.messages;
                    all.batches += batch.batches;
                    each(batch);
                    // Whoever waits for the write lock sleeps between tries: give them more time than we took.
                    tokio::time::sleep(took.max(Duration::from_millis(10)) * 2).await;
                }
                let asked = u64::try_from(size).unwrap_or(u64::MAX);
                if took > LONGEST {
                    size = (size / 2).max(10);
                }
                if messages < asked {
                    break;
                }
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cutoff_reads_as_soju_writes_times() {
        let now = OffsetDateTime::from_unix_timestamp(1_795_271_154).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        assert_eq!(cutoff(now, 0), "2026-11-21T14:25:54.000Z");
        assert_eq!(cutoff(now, 30), "2026-10-22T14:25:54.000Z");
        assert_eq!(cutoff(now, u32::MAX), "");
    }
}
