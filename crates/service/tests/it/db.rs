use service::db::{Database, DbError, Engine, Migration, is_unique_violation};
use sqlx::Row as _;
use tempfile::TempDir;

const STEPS: &[Migration] = &[
    Migration {
        version: 1,
        name: "things",
        sqlite: "CREATE TABLE things (id BLOB PRIMARY KEY, name TEXT UNIQUE, n BIGINT NOT NULL);\n\
                 CREATE TABLE parts (thing BLOB NOT NULL REFERENCES things (id));",
        postgres: "CREATE TABLE things (id BYTEA PRIMARY KEY, name TEXT UNIQUE, n BIGINT NOT NULL);\n\
                   CREATE TABLE parts (thing BYTEA NOT NULL REFERENCES things (id));",
    },
    Migration {
        version: 2,
        name: "more",
        sqlite: "ALTER TABLE things ADD COLUMN more BIGINT",
        postgres: "ALTER TABLE things ADD COLUMN more BIGINT",
    },
];

async fn sqlite() -> (TempDir, String, Database) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("a b%.db").display());
    let db = Database::open(&url).await.unwrap();
    (folder, url, db)
}

async fn postgres() -> Option<(String, Database)> {
    testkit::parts::Part::Postgres.find()?;
    let url = testkit::postgres::database().unwrap();
    Some((url.clone(), Database::open(&url).await.unwrap()))
}

async fn put(db: &Database, id: u8, name: Option<&str>) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO things (id, name, n) VALUES ($1, $2, $3)")
        .bind(vec![id; 16])
        .bind(name.map(str::to_owned))
        .bind(1_i64)
        .execute(db.pool())
        .await
        .map(drop)
}

/// What holds on both engines.
async fn suite(url: &str, db: &Database) {
    db.migrate(STEPS).await.unwrap();
    db.migrate(STEPS).await.unwrap();
    put(db, 1, Some("a")).await.unwrap();
    put(db, 2, None).await.unwrap();
    assert!(is_unique_violation(&put(db, 3, Some("a")).await.unwrap_err()));
    let row = sqlx::query("SELECT id, name, n, more, COUNT(*) OVER () FROM things WHERE id = $1")
        .bind(vec![2_u8; 16])
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!(row.get::<Vec<u8>, _>(0), vec![2; 16]);
    assert_eq!(row.get::<Option<String>, _>(1), None);
    assert_eq!(row.get::<i64, _>(2), 1);
    assert_eq!(row.get::<Option<i64>, _>(3), None);
    assert_eq!(row.get::<i64, _>(4), 1);

    // A reference into nothing is refused.
    let orphan =
        sqlx::query("INSERT INTO parts (thing) VALUES ($1)").bind(vec![9_u8; 16]).execute(db.pool()).await;
    assert!(orphan.is_err());

    // What is not committed did not happen.
    let mut tx = db.begin().await.unwrap();
    sqlx::query("DELETE FROM things").execute(&mut *tx).await.unwrap();
    drop(tx);
    let mut tx = db.begin().await.unwrap();
    let count: i64 = sqlx::query("SELECT COUNT(*) FROM things").fetch_one(&mut *tx).await.unwrap().get(0);
    assert_eq!(count, 2);
    tx.rollback().await.unwrap();

    // Writers take turns: nothing one of them read has changed when it writes.
    sqlx::query("UPDATE things SET n = 0").execute(db.pool()).await.unwrap();
    let writers = (0..16).map(|_| {
        let db = db.clone();
        tokio::spawn(async move {
            let mut tx = db.begin().await.unwrap();
            let lock = db.engine().pick("", " FOR UPDATE");
            let read = if lock.is_empty() {
                sqlx::query("SELECT n FROM things WHERE name = 'a'")
            } else {
                sqlx::query("SELECT n FROM things WHERE name = 'a' FOR UPDATE")
            };
            let n: i64 = read.fetch_one(&mut *tx).await.unwrap().get(0);
            sqlx::query("UPDATE things SET n = $1 WHERE name = 'a'")
                .bind(n + 1)
                .execute(&mut *tx)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let n: i64 =
        sqlx::query("SELECT n FROM things WHERE name = 'a'").fetch_one(db.pool()).await.unwrap().get(0);
    assert_eq!(n, 16);

    // A step that has run is frozen; another component counts for itself; a failed step leaves nothing.
    let mut changed = STEPS.to_vec();
    changed[1].sqlite = "SELECT 1";
    changed[1].postgres = "SELECT 1";
    assert!(matches!(db.migrate(&changed).await, Err(DbError::MigrationChanged { version: 2, .. })));
    let other = [Migration {
        version: 1,
        name: "o",
        sqlite: "CREATE TABLE o (a BIGINT)",
        postgres: "CREATE TABLE o (a BIGINT)",
    }];
    db.migrate_component("other", &other).await.unwrap();
    let broken = "CREATE TABLE half (a BIGINT); CREATE TABLE half (a BIGINT);";
    let broken = [Migration { version: 3, name: "broken", sqlite: broken, postgres: broken }];
    assert!(matches!(db.migrate(&broken).await, Err(DbError::MigrationFailed { version: 3, .. })));
    assert!(sqlx::query("SELECT a FROM half").fetch_all(db.pool()).await.is_err());

    // Two processes that start at once.
    let again = [Migration {
        version: 2,
        name: "p",
        sqlite: "CREATE TABLE p (a BIGINT)",
        postgres: "CREATE TABLE p (a BIGINT)",
    }];
    let (a, b) = (Database::open(url).await.unwrap(), Database::open(url).await.unwrap());
    let (x, y) = tokio::join!(a.migrate_component("other", &again), b.migrate_component("other", &again));
    x.unwrap();
    y.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_kept_on_sqlite() {
    let (_folder, url, db) = sqlite().await;
    assert_eq!(db.engine(), Engine::Sqlite);
    suite(&url, &db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_kept_on_postgresql() {
    testkit::part!(Postgres);
    let (url, db) = postgres().await.unwrap();
    assert_eq!(db.engine(), Engine::Postgres);
    suite(&url, &db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sqlite_connection_is_durable_and_nobody_elses() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, _url, db) = sqlite().await;
    let ask = async |query: &'static str| sqlx::query(query).fetch_one(db.pool()).await.unwrap();
    assert_eq!(ask("PRAGMA journal_mode").await.get::<String, _>(0), "wal");
    assert_eq!(ask("PRAGMA synchronous").await.get::<i64, _>(0), 2);
    assert_eq!(ask("PRAGMA foreign_keys").await.get::<i64, _>(0), 1);
    assert_eq!(ask("PRAGMA busy_timeout").await.get::<i64, _>(0), 5000);
    db.migrate(STEPS).await.unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o077, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_restarts_is_found_again() {
    testkit::part!(Postgres);
    let mut cluster = testkit::postgres::Cluster::start().unwrap();
    let db = Database::open(&cluster.database().unwrap()).await.unwrap();
    db.migrate(STEPS).await.unwrap();
    put(&db, 1, None).await.unwrap();
    cluster.restart().unwrap();
    put(&db, 2, None).await.unwrap();
    db.ping().await.unwrap();
    drop(cluster);
    assert!(matches!(db.ping().await, Err(DbError::Sql(error)) if service::db::is_unavailable(&error)));
}

#[tokio::test]
async fn a_url_of_another_kind_is_refused() {
    assert!(matches!(Database::open("mysql://x/y").await, Err(DbError::Url)));
}
