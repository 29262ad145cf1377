//! What a deletion leaves in PostgreSQL's tables.

use sqlx::Connection;
use uuid::Uuid;

use history::{History, Options};

use crate::engines::message;

/// The bytes of the tables messages lie in, and how often they were swept on request.
const TABLES: &str = "SELECT pg_relation_size('history.entry') + pg_relation_size('history.place'),
    (SELECT sum(vacuum_count)::BIGINT FROM pg_stat_user_tables WHERE schemaname = 'history')";

#[tokio::test]
async fn deleted_rows_are_swept_out_of_the_tables() {
    testkit::part!(Postgres);
    let url = testkit::postgres::database().unwrap();
    let history = History::open_postgres(&url, Options::default()).await.unwrap();
    let mut conn = sqlx::PgConnection::connect(&url).await.unwrap();
    let account = Uuid::new_v4().into();
    let streams = [Uuid::new_v4().into(), Uuid::new_v4().into()];
    for stream in streams {
        let w = history.open_stream(account, stream).await.unwrap();
        let batch = (0..500).map(|number| message(&format!("secret {number}"))).collect();
        history.append(&w, batch).await.unwrap();
    }
    history.settle().await.unwrap();
    let (full, swept): (i64, i64) = sqlx::query_as(TABLES).fetch_one(&mut conn).await.unwrap();
    assert!(full > 0);
    assert_eq!(swept, 0, "nothing was deleted, so nothing is due");
    history.delete_stream(account, streams[0]).await.unwrap();
    history.settle().await.unwrap();
    let (_, once): (i64, i64) = sqlx::query_as(TABLES).fetch_one(&mut conn).await.unwrap();
    assert!(once > 0);
    history.delete_account(account).await.unwrap();
    history.settle().await.unwrap();
    let (left, _): (i64, i64) = sqlx::query_as(TABLES).fetch_one(&mut conn).await.unwrap();
    assert_eq!(left, 0, "the pages themselves are gone");
    history.close().await;
}
