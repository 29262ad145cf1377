//! What a search finds beyond whole words, and how far it goes.

use std::sync::atomic::Ordering;

use history::{Buffer, History, NewEntry, Options, Search};
use sqlx::Connection;
use uuid::Uuid;

use crate::engines::{Fixture, START, found, hits, message, options, said_in};

on_every_engine![
    a_search_finds_what_lies_inside_words,
    a_search_goes_on_until_it_has_enough_or_nothing_is_left,
    the_newest_are_the_last_said_not_the_last_stored,
];

async fn a_search_finds_what_lies_inside_words(f: Fixture) {
    let w = f.writer().await;
    for body in [
        "Refactoring the parser",
        "a tractor",
        "un\u{2}fact\u{f}ual: Größenwahn",
        "東京都",
        "100% sure_thing",
    ] {
        f.put(&w, message(body)).await;
    }
    for indexed in [false, true] {
        assert_eq!(found(&f, "*ACTOR*").await, ["Refactoring the parser", "a tractor"], "{indexed}");
        assert_eq!(found(&f, "*actor").await.len(), 2, "a star in front is enough");
        assert_eq!(found(&f, "*actor* parser").await, ["Refactoring the parser"]);
        assert_eq!(found(&f, "*actor* *rse*").await, ["Refactoring the parser"]);
        assert_eq!(found(&f, "*actor* tree").await.len(), 0);
        assert_eq!(found(&f, "*nfactu*").await.len(), 1, "formatting does not part a word");
        assert_eq!(found(&f, "*ößenw*").await.len(), 1);
        assert_eq!(found(&f, "*京*").await.len(), 1);
        assert_eq!(found(&f, "*e_t*").await.len(), 1, "only letters and digits count");
        assert_eq!(found(&f, "*f%t*").await.len(), 0, "nothing stands for anything else");
        let in_a = Search {
            stream: Some(f.stream),
            buffer: Some(Buffer::from("#a")),
            from: Some("ann".into()),
            text: Some("*actor*".into()),
            limit: 1,
            ..Search::default()
        };
        assert_eq!(hits(&f, in_a.clone()).await, ["a tractor"]);
        assert_eq!(hits(&f, Search { before_ms: Some(START + 1), ..in_a }).await, ["Refactoring the parser"]);
        f.history.settle().await.unwrap();
    }
}

/// Three lines of bob's in `#b`, and behind them `count` of ann's in `#a`, all with the same word.
async fn drowned(f: &Fixture, count: usize) {
    let w = f.writer().await;
    for number in 0..3 {
        let entry = said_in("#b", &format!("common rare{number}"));
        f.put(&w, NewEntry { source: "bob!b@h".into(), ..entry }).await;
        f.pass(1);
    }
    f.pass(1_000);
    for _ in 0..count / 500 {
        let batch = (0..500).map(|_| message("common noise")).collect();
        assert!(f.history.append(&w, batch).await.unwrap().iter().all(Result::is_ok));
        f.pass(500);
    }
}

async fn a_search_goes_on_until_it_has_enough_or_nothing_is_left(f: Fixture) {
    drowned(&f, 4_500).await;
    let all = ["common rare0", "common rare1", "common rare2"];
    for _ in 0..2 {
        let base = Search { text: Some("common".into()), limit: 3, ..Search::default() };
        assert_eq!(hits(&f, Search { from: Some("bob".into()), ..base.clone() }).await, all);
        assert_eq!(hits(&f, Search { before_ms: Some(START + 3), ..base.clone() }).await, all);
        assert_eq!(hits(&f, Search { before_ms: Some(START + 3), limit: 2, ..base.clone() }).await, all[1..]);
        assert_eq!(hits(&f, Search { text: None, from: Some("bob".into()), ..base.clone() }).await, all);
        assert_eq!(hits(&f, Search { text: Some("*are*".into()), limit: 9, ..base }).await, all);
        f.history.settle().await.unwrap();
    }
}

async fn the_newest_are_the_last_said_not_the_last_stored(f: Fixture) {
    let w = f.writer().await;
    f.pass(10_000_000);
    f.put(&w, message("word now")).await;
    for chunk in 0..5 {
        let old = |number| NewEntry { ts_ms: Some(START + number), ..message("word fetched later") };
        let batch = (chunk * 500..(chunk + 1) * 500).map(old).collect();
        assert!(f.history.append(&w, batch).await.unwrap().iter().all(Result::is_ok));
    }
    f.history.settle().await.unwrap();
    let newest = Search { text: Some("word".into()), limit: 1, ..Search::default() };
    assert_eq!(hits(&f, newest).await, ["word now"]);
}

#[tokio::test]
async fn a_search_that_is_given_up_says_so() {
    let f = Fixture::sqlite().await;
    drowned(&f, 4_500).await;
    f.history.settle().await.unwrap();
    f.history.close().await;
    let few = Options { search_looks: 2_000, ..options(&f.clock) };
    let history = History::open_sqlite(&f.path(), few).await.unwrap();
    let of_bob =
        Search { text: Some("common".into()), from: Some("bob".into()), limit: 3, ..Search::default() };
    let found = history.search(f.account, of_bob.clone()).await.unwrap();
    assert_eq!((found.hits.len(), found.more), (0, true));
    let in_b = Search { stream: Some(f.stream), buffer: Some(Buffer::from("#b")), ..of_bob };
    let found = history.search(f.account, in_b).await.unwrap();
    assert_eq!((found.hits.len(), found.more), (3, false), "in its buffer it comes to an end");
}

#[tokio::test]
async fn a_search_of_what_is_said_now_does_not_read_all_that_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let f = Fixture::sqlite().await;
    // What was said an hour ago by the clock that names the entries, as far as one commit after the other can tell.
    let real = Options::default().clock;
    f.clock.store(real() + 3_600_000, Ordering::SeqCst);
    let few = Options { search_looks: 2_000, ..options(&f.clock) };
    let history = History::open_sqlite(&path, few).await.unwrap();
    let w = history.open_stream(f.account, f.stream).await.unwrap();
    for _ in 0..6 {
        let batch = (0..500).map(|_| message("word")).collect();
        assert!(history.append(&w, batch).await.unwrap().iter().all(Result::is_ok));
        f.pass(1_000);
    }
    history.settle().await.unwrap();
    let search = Search { text: Some("word".into()), limit: 10, ..Search::default() };
    let found = history.search(f.account, search).await.unwrap();
    assert_eq!((found.hits.len(), found.more), (10, false));
}

/// Takes away what an ordinary role has not: the extension, and the right to make it.
const WITHOUT_TRIGRAMS: &str = "
DROP EXTENSION pg_trgm CASCADE;
CREATE ROLE plain LOGIN;
GRANT USAGE, CREATE ON SCHEMA public TO plain;
GRANT USAGE ON SCHEMA history TO plain;
GRANT ALL ON ALL TABLES IN SCHEMA public, history TO plain;
GRANT ALL ON ALL SEQUENCES IN SCHEMA history TO plain";

#[tokio::test]
async fn a_database_without_trigrams_is_searched_all_the_same() {
    testkit::part!(Postgres);
    let url = testkit::postgres::database().unwrap();
    let history = History::open_postgres(&url, Options::default()).await.unwrap();
    history.close().await;
    let mut owner = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(WITHOUT_TRIGRAMS).execute(&mut owner).await.unwrap();
    let plain = url.replace("postgres@", "plain@");
    let history = History::open_postgres(&plain, Options::default()).await.unwrap();
    let index: Option<String> = sqlx::query_scalar("SELECT to_regclass('history.entry_parts')::TEXT")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    assert_eq!(index, None);
    let (account, stream) = (Uuid::new_v4().into(), Uuid::new_v4().into());
    let w = history.open_stream(account, stream).await.unwrap();
    history.append(&w, vec![message("a tractor")]).await.unwrap();
    let search = Search { text: Some("*act*".into()), limit: 9, ..Search::default() };
    assert_eq!(history.search(account, search).await.unwrap().hits.len(), 1);
}
