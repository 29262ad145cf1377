//! Old messages deleted beside a running soju that stores new ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::sidecar::{PruneTarget, Sealed, SidecarUser};
use crds::soju::SeedPolicy;
use service::db::sqlx::{self, AnyPool};
use soju_sidecar::rows::{Rows, cutoff};
use soju_sidecar::seed::{self, Memory, Rules, Seen};
use testkit::{Part, eventually};
use time::OffsetDateTime;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::soju::{Soju, versions};
use crate::world::{network, user};

const OLD: u64 = 1_200;
const LIVE: u64 = 200;

/// A network of one channel: whoever joins hears old messages at once, and a live one for each permit.
async fn network_with_a_past(live: Arc<Semaphore>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let words: Vec<&str> = line.split(' ').collect();
            let answer = match words[..] {
                ["CAP", "LS", ..] => ":s CAP * LS :server-time message-tags\r\n".to_owned(),
                ["CAP", "REQ", ..] => format!(":s CAP * ACK :{}\r\n", line.rsplit(':').next().unwrap()),
                ["CAP", "END"] => {
                    ":s 001 al :hi\r\n:s 005 al CHANTYPES=# :are\r\n:s 422 al :none\r\n".to_owned()
                }
                ["PING", token, ..] => format!(":s PONG s {token}\r\n"),
                ["JOIN", ..] => {
                    let mut text =
                        ":al!a@h JOIN #c\r\n:s 353 al = #c :al\r\n:s 366 al #c :end\r\n".to_owned();
                    for n in 0..OLD {
                        text += &format!(
                            "@time=2020-01-01T00:{:02}:{:02}.000Z :bob!b@h PRIVMSG #c :old {n}\r\n",
                            n / 60,
                            n % 60
                        );
                    }
                    text
                }
                _ => continue,
            };
            writer.write_all(answer.as_bytes()).await.unwrap();
            if words[0] == "JOIN" {
                break;
            }
        }
        for n in 0..LIVE {
            live.acquire().await.unwrap().forget();
            writer.write_all(format!(":bob!b@h PRIVMSG #c :live {n}\r\n").as_bytes()).await.unwrap();
        }
        // Answers nothing any more, but stays.
        while let Ok(Some(_)) = lines.next_line().await {}
    });
    port
}

async fn raw(soju: &Soju) -> AnyPool {
    sqlx::any::install_default_drivers();
    let url = match soju.target() {
        PruneTarget::Sqlite(path) => format!("sqlite://{}?mode=rw", path.display()),
        PruneTarget::Postgres(url) => url.expose().to_owned(),
    };
    AnyPool::connect(&url).await.unwrap()
}

async fn count(pool: &AnyPool, said: &str) -> u64 {
    let query = r#"SELECT COUNT(*) FROM "Message" WHERE text LIKE $1"#;
    let count: i64 = sqlx::query_scalar(query).bind(format!("{said}%")).fetch_one(pool).await.unwrap();
    u64::try_from(count).unwrap()
}

async fn with_a_past(part: Part, database: Option<String>) -> (Soju, AnyPool, Arc<Semaphore>) {
    let live = Arc::new(Semaphore::new(0));
    let port = network_with_a_past(Arc::clone(&live)).await;
    let soju = Soju::start_on(part, database).await;
    let mut net = network("net", &format!("irc+insecure://127.0.0.1:{port}"));
    net.nick = Some("al".to_owned());
    net.channels = BTreeMap::from([("#c".to_owned(), false)]);
    let alice = SidecarUser { password: Some(Sealed::new("secret")), networks: vec![net], ..user("alice") };
    let rules = Rules { policy: SeedPolicy::CreateOnly, users_may_sleep: false };
    let plan = seed::plan(rules, &[alice], &Seen::default(), &Memory::default());
    let report = seed::carry_out(&mut soju.admin().await, &plan, &mut Memory::default()).await.unwrap();
    assert_eq!(report.errors(), Vec::<String>::new());
    let pool = raw(&soju).await;
    eventually("the past is stored", || async { (count(&pool, "old").await == OLD).then_some(()) }).await;
    (soju, pool, live)
}

async fn deleted_beside_soju(part: Part, database: Option<String>) {
    let (soju, pool, live) = with_a_past(part, database).await;
    let rows = Rows::open(&soju.target()).unwrap();
    let measure = rows.measure().await.unwrap();
    assert!(measure.bytes > 0);
    assert_eq!(measure.oldest, Some(1_577_836_800));
    let month = cutoff(OffsetDateTime::now_utc(), 30);
    let mut batches = 0;
    let per_batch = usize::try_from(LIVE).unwrap() / 2;
    let pruned = rows
        .prune(&month, |_| {
            batches += 1;
            live.add_permits(if batches <= 2 { per_batch } else { 0 });
        })
        .await
        .unwrap();
    assert_eq!((pruned.messages, pruned.batches), (OLD, batches));
    assert!(batches > 2, "in small batches");
    eventually("every live message is stored", || async {
        (count(&pool, "live").await == LIVE).then_some(())
    })
    .await;
    assert_eq!(count(&pool, "old").await, 0);
    assert!(rows.measure().await.unwrap().oldest.unwrap() > 1_700_000_000);
    assert_eq!(rows.prune(&month, |_| {}).await.unwrap().messages, 0);
    // A client reads what is left, and soju had nothing to complain about.
    let mut client = testkit::irc::Client::connect(soju.port).await.unwrap();
    client
        .register_sasl("alice/net", "secret", "batch server-time message-tags draft/chathistory")
        .await
        .unwrap();
    client.send("CHATHISTORY LATEST #c * 1000").await.unwrap();
    client.wait_for(&format!("PRIVMSG #c :live {}", LIVE - 1)).await.unwrap();
    let heard = client.seen.iter().filter(|line| line.contains("PRIVMSG #c :")).count();
    assert_eq!(heard, usize::try_from(LIVE).unwrap());
    let log = soju.log();
    assert!(!log.contains("locked") && !log.contains("failed to"), "{log}");
}

#[tokio::test]
async fn old_messages_go_while_new_ones_are_stored_in_sqlite() {
    for part in versions() {
        deleted_beside_soju(part, None).await;
    }
}

#[tokio::test]
async fn old_messages_go_while_new_ones_are_stored_in_postgresql() {
    testkit::part!(Postgres);
    for part in versions() {
        deleted_beside_soju(part, Some(testkit::postgres::database().unwrap())).await;
    }
}

#[tokio::test]
async fn the_number_of_a_deleted_message_is_never_given_again() {
    testkit::part!(Soju);
    let (soju, pool, _live) = with_a_past(Part::Soju, None).await;
    let highest = r#"SELECT MAX(id) FROM "Message""#;
    let before: i64 = sqlx::query_scalar(highest).fetch_one(&pool).await.unwrap();
    let future = cutoff(OffsetDateTime::now_utc() + time::Duration::days(2), 0);
    Rows::open(&soju.target()).unwrap().prune(&future, |_| {}).await.unwrap();
    let left: Vec<i64> = sqlx::query_scalar(r#"SELECT id FROM "Message""#).fetch_all(&pool).await.unwrap();
    assert_eq!(left, [before]);
}
