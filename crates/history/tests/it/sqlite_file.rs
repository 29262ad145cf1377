//! What the SQLite store promises of its file: through kills, full disks, deletions, backups.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use history::{
    Buffer, Error, History, Hole, Kinds, NewEntry, Options, Position, Range, Refused, Search, Since,
};
use uuid::Uuid;

use crate::engines::{Fixture, START, message, options, said_in};

const STREAM: Uuid = Uuid::from_u128(7);

/// Tells the test binary, started again as a child, to write into this file until it is killed.
const WRITE_INTO: &str = "HISTORY_TEST_WRITE_INTO";

async fn all(history: &History, account: Uuid, stream: Uuid) -> Vec<String> {
    let mut read = Vec::new();
    let mut since = Since::Start;
    loop {
        let page = history.since(account.into(), stream.into(), since, Kinds::ALL, 1_000).await.unwrap();
        read.extend(page.entries.iter().map(|e| String::from_utf8_lossy(&e.body).into_owned()));
        match page.next {
            Some(next) => since = Since::Position(next),
            None => return read,
        }
    }
}

/// Not a promise but the other half of [`what_was_acknowledged_survives_kill_9`]: does nothing unless it is the child.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes_until_it_is_killed() {
    use std::io::Write as _;
    let Some(path) = std::env::var_os(WRITE_INTO) else { return };
    let history = History::open_sqlite(Path::new(&path), Options::default()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 1..=4u128 {
        let history = history.clone();
        tasks.spawn(async move {
            let stream = Uuid::from_u128(number);
            let writer = history.open_stream(STREAM.into(), stream.into()).await.unwrap();
            for n in 0u64.. {
                let body = format!("{number} {} {n}", writer.epoch.number);
                let done = history.append(&writer, vec![message(&body)]).await.unwrap();
                assert!(done[0].is_ok());
                // One write a line, so that a kill never leaves half of one acknowledged.
                std::io::stderr().write_all(format!("ACK {body}\n").as_bytes()).unwrap();
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 1..=5usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sqlite_file::child_that_writes_until_it_is_killed", "--nocapture"])
            .env(WRITE_INTO, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = 0;
        while let Some(Ok(line)) = lines.next() {
            if let Some(body) = line.strip_prefix("ACK ") {
                acknowledged.push(body.to_owned());
                seen += 1;
            }
            if seen == 40 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= 40 * round, "the child wrote {seen}");

        let history = History::open_sqlite(&path, Options::default()).await.unwrap();
        for number in 1..=4u128 {
            let stream = Uuid::from_u128(number);
            let read = all(&history, STREAM, stream).await;
            let acked: Vec<&String> =
                acknowledged.iter().filter(|b| b.starts_with(&format!("{number} "))).collect();
            let mut kept = read.iter();
            for body in &acked {
                assert!(kept.any(|k| k == *body), "{body} was acknowledged and is gone or out of order");
            }
            let writer = history.open_stream(STREAM.into(), stream.into()).await.unwrap();
            assert_eq!(writer.epoch.number as usize, 2 * round, "each start raises the epoch");
        }
        history.close().await;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_in_words_and_recovers() {
    let mount = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
        .arg(mount.path())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        assert!(std::env::var_os("CI").is_none(), "a small file system cannot be mounted here");
        eprintln!("SKIPPED: a small file system cannot be mounted here (needs root)");
        return;
    }
    let outcome = tokio::spawn(fill_and_free(mount.path().to_owned())).await;
    Command::new("umount").arg("-l").arg(mount.path()).status().unwrap();
    outcome.unwrap();
}

async fn fill_and_free(folder: std::path::PathBuf) {
    let history = History::open_sqlite(&folder.join("history.db"), Options::default()).await.unwrap();
    let account = Uuid::new_v4();
    let writer = history.open_stream(account.into(), STREAM.into()).await.unwrap();
    std::fs::write(folder.join("ballast"), vec![1u8; 1_000_000]).unwrap();
    let mut kept = Vec::new();
    let refused = loop {
        let body = format!("{} {}", kept.len(), "x".repeat(4_000));
        match history.append(&writer, vec![message(&body)]).await {
            Ok(done) => {
                done[0].as_ref().unwrap();
                kept.push(body);
            }
            Err(error) => break error,
        }
        assert!(kept.len() < 2_000, "the disk never filled");
    };
    assert!(matches!(&refused, Error::Unavailable(why) if why.contains("full")), "{refused:?}");
    let health = history.health().await;
    assert!(!health.writable && health.last_error.is_some(), "{health:?}");
    assert_eq!(all(&history, account, STREAM).await, kept, "nothing half is visible");
    std::fs::remove_file(folder.join("ballast")).unwrap();
    let done = history.append(&writer, vec![message("after")]).await.unwrap();
    assert_eq!(done[0].as_ref().unwrap().position.offset, kept.len() as u64 + 1);
    kept.push("after".to_owned());
    assert_eq!(all(&history, account, STREAM).await, kept);
    assert!(history.health().await.writable);
    history.close().await;
}

#[tokio::test]
async fn a_row_the_engine_refuses_fails_alone_in_its_group() {
    let f = Fixture::sqlite().await;
    let w = f.writer().await;
    let other = f.history.open_stream(f.account, Uuid::new_v4().into()).await.unwrap();
    let file = rusqlite::Connection::open(f.path()).unwrap();
    file.execute_batch(
        "CREATE TRIGGER no BEFORE INSERT ON place WHEN (SELECT body FROM entry e WHERE e.epoch = NEW.epoch
         AND e.offset = NEW.offset AND e.body = x'626164') IS NOT NULL BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    )
    .unwrap();
    let batch = vec![message("good 1"), message("bad"), message("good 2")];
    let (mine, theirs) =
        tokio::join!(f.history.append(&w, batch), f.history.append(&other, vec![message("good 3")]));
    let mine = mine.unwrap();
    assert!(matches!(&mine[1], Err(Refused::Row(why)) if why.contains("not this one")), "{mine:?}");
    assert_eq!(mine[0].as_ref().unwrap().position.offset, 1);
    assert_eq!(mine[2].as_ref().unwrap().position.offset, 2);
    assert!(theirs.unwrap()[0].is_ok());
    assert_eq!(all(&f.history, f.account.0, f.stream.0).await, ["good 1", "good 2"]);
}

#[tokio::test]
async fn no_byte_of_a_deleted_account_remains_in_any_file() {
    let f = Fixture::sqlite().await;
    let w = f.writer().await;
    let neighbour = Uuid::new_v4();
    let nw = f.history.open_stream(neighbour.into(), Uuid::new_v4().into()).await.unwrap();
    for n in 0..30 {
        let batch =
            (0..40).map(|m| said_in("#zebra-crossing", &format!("xylophone{m} quokka {n}"))).collect();
        f.history.append(&w, batch).await.unwrap();
        f.history.append(&nw, vec![said_in("#plain", &format!("ordinary {n}"))]).await.unwrap();
        if n % 10 == 0 {
            f.history.settle().await.unwrap();
        }
    }
    let stored = f.put(&w, said_in("#zebra-crossing", "wombatredacted")).await;
    f.history.settle().await.unwrap();
    f.history.redact(f.account, f.stream, &stored.msgid).await.unwrap();
    f.history.settle().await.unwrap();
    assert!(!holds(f.folder.path(), b"wombatredacted"), "a redaction leaves no byte either");
    assert!(holds(f.folder.path(), b"quokka") && holds(f.folder.path(), b"xylophone3"));
    f.history.delete_account(f.account).await.unwrap();
    for trace in
        [&b"quokka"[..], b"xylophone", b"zebra-crossing", f.stream.0.as_bytes(), f.account.0.as_bytes()]
    {
        assert!(!holds(f.folder.path(), trace), "{}", String::from_utf8_lossy(trace));
    }
    assert!(holds(f.folder.path(), b"ordinary"));
    let search = Search { text: Some("ordinary".into()), limit: 100, ..Search::default() };
    assert_eq!(f.history.search(neighbour.into(), search).await.unwrap().hits.len(), 30);
}

/// Whether any file of the folder holds these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|file| {
        let data = std::fs::read(file.unwrap().path()).unwrap();
        data.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test]
async fn a_backup_restored_has_everything_and_knows_the_cursors_it_lost() {
    let f = Fixture::sqlite().await;
    let w = f.writer().await;
    let early = f.put(&w, message("before the backup")).await.position;
    f.history.settle().await.unwrap();
    let backup = f.folder.path().join("backup.db");
    f.history.backup(&backup).await.unwrap();
    assert!(matches!(f.history.backup(&backup).await, Err(Error::Invalid(_))));
    let w = f.writer().await;
    let late: Position = f.put(&w, message("after the backup")).await.position;
    f.history.close().await;

    let restored = f.folder.path().join("restored.db");
    History::restore_sqlite(&backup, &restored).await.unwrap();
    assert!(matches!(History::restore_sqlite(&backup, &restored).await, Err(Error::Invalid(_))));
    let clock = Arc::new(AtomicI64::new(START + 1_000));
    let history = History::open_sqlite(&restored, options(&clock)).await.unwrap();
    assert_eq!(history.append(&w, vec![message("ghost")]).await.unwrap(), [Err(Refused::StaleEpoch)]);
    assert_eq!(all(&history, f.account.0, f.stream.0).await, ["before the backup"]);
    let search = Search { text: Some("backup".into()), limit: 100, ..Search::default() };
    assert_eq!(history.search(f.account, search).await.unwrap().hits.len(), 1);
    let since = async |at| {
        history.since(f.account, f.stream, Since::Position(at), Kinds::ALL, 10).await.unwrap().hole
    };
    assert_eq!(since(early).await, None);
    assert_eq!(since(late).await, Some(Hole::UnknownEpoch), "same number, other random bits");
}

#[tokio::test]
async fn a_store_opened_again_goes_on_where_it_was() {
    let f = Fixture::sqlite().await;
    let w = f.writer().await;
    f.put(&w, message("one needle")).await;
    f.history.close().await;
    let history = History::open(&format!("sqlite:{}", f.path().display()), options(&f.clock)).await.unwrap();
    let done = history.append(&w, vec![message("two needle")]).await.unwrap();
    let stored = done[0].as_ref().unwrap();
    assert_eq!((stored.position.offset, stored.ts_ms), (2, START + 1), "the same epoch goes on");
    let search = Search { text: Some("needle".into()), limit: 100, ..Search::default() };
    assert_eq!(history.search(f.account, search).await.unwrap().hits.len(), 2);
    history.close().await;
    std::fs::write(f.folder.path().join("other.db"), vec![b'x'; 8_192]).unwrap();
    let other = History::open_sqlite(&f.folder.path().join("other.db"), Options::default()).await;
    assert!(matches!(other, Err(Error::Unusable(_))));
    assert!(matches!(History::open("mysql://x", Options::default()).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn a_silent_disk_is_told_in_time_and_a_full_queue_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let options = Options { patience: Duration::from_millis(300), queue_entries: 5, ..Options::default() };
    let history = History::open_sqlite(&path, options).await.unwrap();
    let account = Uuid::new_v4();
    let writer = history.open_stream(account.into(), STREAM.into()).await.unwrap();
    // Another connection that never finishes its transaction stands for a disk that does not answer.
    let stuck = rusqlite::Connection::open(&path).unwrap();
    stuck.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = history.append(&writer, vec![message("1")]).await;
    assert!(matches!(first, Err(Error::Unavailable(_))), "{first:?}");
    assert!(!history.health().await.writable);
    let waiting = tokio::spawn({
        let history = history.clone();
        async move { history.append(&writer, (0..4).map(|n| message(&n.to_string())).collect()).await }
    });
    tokio::task::yield_now().await;
    let busy = history.append(&writer, vec![message("5"), message("6")]).await;
    assert_eq!(busy, Err(Error::Busy));
    assert!(matches!(waiting.await.unwrap(), Err(Error::Unavailable(_))));
    let page = history
        .page(account.into(), STREAM.into(), &Buffer::from("#a"), Range::Latest, Kinds::ALL, 9)
        .await
        .unwrap();
    assert_eq!(page, [], "reads go on, and nothing half is visible");
    stuck.execute_batch("ROLLBACK").unwrap();
    let entry = NewEntry { msgid: Some("m".into()), ..message("recovered") };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while history.append(&writer, vec![entry.clone()]).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "it never recovered");
    }
    let read = all(&history, account, STREAM).await;
    assert_eq!(read.last().unwrap(), "recovered");
    assert_eq!(read.iter().filter(|body| *body == "recovered").count(), 1);
    assert!(!read.contains(&"0".to_owned()), "what was given up before its turn is not written");
}
