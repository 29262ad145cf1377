use service::db::{Database, Migration};
use service::once::{Answers, Asked, OnceError};
use service::secrets::{Keyring, random_token};
use tempfile::TempDir;
use testkit::Part;
use uuid::Uuid;

const TABLE: &[Migration] = &[Migration {
    version: 1,
    name: "answers",
    sqlite: "CREATE TABLE answered (sub BLOB NOT NULL, idempotency_key TEXT NOT NULL, request BLOB NOT NULL, \
             answer TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (sub, idempotency_key))",
    postgres: "CREATE TABLE answered (sub BYTEA NOT NULL, idempotency_key TEXT NOT NULL, request BYTEA NOT NULL, \
               answer TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (sub, idempotency_key))",
}];
const ALICE: Uuid = Uuid::from_u128(1);
const BOB: Uuid = Uuid::from_u128(2);

/// An empty table on every engine there is.
async fn engines() -> Vec<(Database, Option<TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("once.db").display());
    let mut all = vec![(Database::open(&file).await.unwrap(), Some(folder))];
    if Part::Postgres.find_or_skip().is_some() {
        let url = tokio::task::spawn_blocking(testkit::postgres::database).await.unwrap().unwrap();
        all.push((Database::open(&url).await.unwrap(), None));
    }
    for (db, _) in &all {
        db.migrate(TABLE).await.unwrap();
    }
    all
}

fn answers(db: &Database, keys: &str) -> Answers {
    Answers::new(db.clone(), Keyring::parse(keys).unwrap(), "test")
}

async fn again(db: &Database, asked: &Asked) -> Result<Option<String>, OnceError> {
    asked.again(&mut db.begin().await.unwrap()).await
}

async fn answer(db: &Database, asked: &Asked, answer: &str) {
    let mut tx = db.begin().await.unwrap();
    asked.answered(&mut tx, &answer).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_another_request_under_its_key_is_refused() {
    for (db, _folder) in engines().await {
        let answers = answers(&db, &random_token().unwrap());
        let asked = answers.asked(ALICE, Some("key"), &("add", "net")).unwrap();
        assert_eq!(again(&db, &asked).await.unwrap(), None);
        answer(&db, &asked, "made").await;
        assert_eq!(again(&db, &asked).await.unwrap().as_deref(), Some("made"));
        let other = answers.asked(ALICE, Some("key"), &("add", "other")).unwrap();
        assert!(matches!(again(&db, &other).await, Err(OnceError::Another)));
    }
}

#[tokio::test]
async fn a_key_belongs_to_one_account_and_without_one_nothing_is_kept() {
    for (db, _folder) in engines().await {
        let answers = answers(&db, &random_token().unwrap());
        answer(&db, &answers.asked(ALICE, Some("key"), &"a").unwrap(), "hers").await;
        let bobs = answers.asked(BOB, Some("key"), &"b").unwrap();
        assert_eq!(again(&db, &bobs).await.unwrap(), None);
        let without = answers.asked(ALICE, None, &"a").unwrap();
        answer(&db, &without, "hers").await;
        assert_eq!(again(&db, &without).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_answer_that_was_rolled_back_was_never_given() {
    for (db, _folder) in engines().await {
        let asked = answers(&db, &random_token().unwrap()).asked(ALICE, Some("key"), &"a").unwrap();
        let mut tx = db.begin().await.unwrap();
        asked.answered(&mut tx, &"made").await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(again(&db, &asked).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_repeat_after_the_keys_were_rotated_is_still_the_same_request() {
    for (db, _folder) in engines().await {
        let (old, new) = (random_token().unwrap(), random_token().unwrap());
        let before = answers(&db, &old).asked(ALICE, Some("key"), &"a").unwrap();
        answer(&db, &before, "made").await;
        let after = answers(&db, &format!("{new}\n{old}"));
        let same = after.asked(ALICE, Some("key"), &"a").unwrap();
        assert_eq!(again(&db, &same).await.unwrap().as_deref(), Some("made"));
    }
}

#[tokio::test]
async fn answers_are_forgotten_after_a_day_and_not_before() {
    for (db, _folder) in engines().await {
        let answers = answers(&db, &random_token().unwrap());
        let old = answers.asked(ALICE, Some("old"), &"a").unwrap();
        let fresh = answers.asked(ALICE, Some("fresh"), &"a").unwrap();
        answer(&db, &old, "made").await;
        answer(&db, &fresh, "made").await;
        let day_us = 24 * 60 * 60 * 1_000_000_i64;
        sqlx::query("UPDATE answered SET at = at - $1 WHERE idempotency_key = 'old'")
            .bind(day_us)
            .execute(db.pool())
            .await
            .unwrap();
        answers.prune().await.unwrap();
        assert_eq!(again(&db, &old).await.unwrap(), None);
        assert_eq!(again(&db, &fresh).await.unwrap().as_deref(), Some("made"));
    }
}
