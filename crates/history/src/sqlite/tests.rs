//! What only the SQLite store promises of its own statements.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::{migrate, open_connection, sql};

#[test]
fn every_statement_fits_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let conn = open_connection(&folder.path().join("history.db"), false).unwrap();
    migrate(&conn).unwrap();
    assert!(sql::ALL.len() > 60);
    for statement in sql::ALL {
        conn.prepare(statement).unwrap_or_else(|error| unreachable!("{statement}: {error}"));
    }
}
