//! What only the PostgreSQL store promises of its own statements.
#![expect(clippy::unwrap_used, reason = "tests")]

use sqlx::{Connection, Executor, PgConnection};

use super::{index_parts, migrate, sql};

#[tokio::test]
async fn every_statement_fits_the_schema() {
    testkit::part!(Postgres);
    let url = testkit::postgres::database().unwrap();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    migrate(&pool).await.unwrap();
    migrate(&pool).await.unwrap();
    index_parts(&pool).await.unwrap();
    index_parts(&pool).await.unwrap();
    let known: bool = sqlx::query_scalar(sql::PARTS_KNOWN).fetch_one(&pool).await.unwrap();
    assert!(known, "the trigram index is there");
    let mut conn = PgConnection::connect(&url).await.unwrap();
    assert!(sql::ALL.len() > 40);
    for statement in sql::ALL {
        (&mut conn)
            .prepare(sqlx::SqlStr::from_static(statement))
            .await
            .unwrap_or_else(|error| unreachable!("{statement}: {error}"));
    }
}
