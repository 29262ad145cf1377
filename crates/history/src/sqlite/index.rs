//! The search index, which follows behind the commits.

use rusqlite::Connection;

use super::append::State;
use super::rows::{scope, unpack};
use super::sql;

/// How many documents one step takes: as much as an append may be made to wait for.
pub(super) const CHUNK: i64 = 1_000;

/// Indexes the next documents within the caller's transaction. Answers how far the index reaches then.
pub(super) fn chunk(conn: &Connection, state: &State) -> rusqlite::Result<i64> {
    let mut next = conn.prepare_cached(sql::DOC_NEXT)?;
    let mut add = conn.prepare_cached(sql::WORDS_ADD)?;
    let mut rows = next.query((state.indexed_to, CHUNK))?;
    let (mut reached, mut seen) = (state.indexed_to, 0);
    while let Some(row) = rows.next()? {
        let doc: i64 = row.get(0)?;
        let scope = scope(row.get(1)?, row.get(2)?, &unpack(row.get_ref(3)?.as_blob()?));
        add.execute((doc, scope, row.get_ref(4)?.as_str().unwrap_or_default()))?;
        reached = doc;
        seen += 1;
    }
    // Behind the last one nothing is left to index, whatever numbers were skipped.
    Ok(if seen < CHUNK { state.next_doc - 1 } else { reached })
}
