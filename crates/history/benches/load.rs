//! Many writers at once against one thread that only inserts, and pages out of what they wrote.
//!
//! `cargo bench -p history`. Sizes by environment: `HISTORY_ROWS` (2,000,000), `HISTORY_WRITERS` (1,000),
//! `HISTORY_MEASURED` (200,000 rows a measured run), `HISTORY_PAGES` (20,000), `HISTORY_DIR` (a temporary folder).
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench reports and may stop")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use history::{Anchor, Buffer, History, Kind, Kinds, NewEntry, Options, Range, StreamWriter};
use rusqlite::{Connection, params};
use uuid::Uuid;

fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// A line as IRC has them: about 60 bytes of text, a msgid, an account tag.
fn line(number: usize) -> NewEntry {
    const WORDS: [&str; 16] = [
        "the", "build", "is", "green", "again", "thanks", "for", "looking", "at", "this", "patch",
        "tomorrow", "rebase", "please", "segfault", "coffee",
    ];
    let mut body = String::with_capacity(80);
    let mut seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..10 {
        body.push_str(WORDS[seed % WORDS.len()]);
        body.push(' ');
        seed /= WORDS.len();
    }
    let buffer = format!("#channel{}", number % 10);
    NewEntry {
        msgid: Some(Uuid::now_v7().simple().to_string()),
        meta: "account=somebody".into(),
        ..NewEntry::new(
            Kind::Privmsg,
            Buffer::from(&buffer),
            format!("nick{}!user@host.example.org", number % 50).into(),
            buffer.into(),
            body.into(),
        )
    }
}

fn percentile(sorted: &[Duration], part: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * part) as usize]
}

fn report(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    println!(
        "{what}: p50 {:?} p90 {:?} p99 {:?} max {:?}",
        percentile(&took, 0.5),
        percentile(&took, 0.9),
        percentile(&took, 0.99),
        percentile(&took, 1.0)
    );
}

/// Opens one stream for each writer, each of an account of its own.
async fn streams(history: &History, count: usize) -> Vec<StreamWriter> {
    let mut opened = Vec::with_capacity(count);
    for chunk in 0..count.div_ceil(200) {
        let some = (chunk * 200..count.min((chunk + 1) * 200))
            .map(|_| history.open_stream(Uuid::new_v4().into(), Uuid::new_v4().into()));
        opened.extend(futures_util::future::try_join_all(some).await.unwrap());
    }
    opened
}

/// Every writer appends `batch` entries and waits for its acknowledgement before the next. Answers the times they took.
async fn write(history: &History, writers: &[StreamWriter], rows: usize, batch: usize) -> Vec<Duration> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for writer in writers {
        let (history, next, writer) = (history.clone(), next.clone(), *writer);
        tasks.spawn(async move {
            let mut took = Vec::new();
            loop {
                let first = next.fetch_add(batch, Ordering::Relaxed);
                if first >= rows {
                    return took;
                }
                let entries = (first..first + batch).map(line).collect();
                let start = Instant::now();
                let results = history.append(&writer, entries).await.unwrap();
                took.push(start.elapsed());
                assert!(results.iter().all(Result::is_ok));
            }
        });
    }
    let mut took = Vec::new();
    while let Some(some) = tasks.join_next().await {
        took.extend(some.unwrap());
    }
    took
}

/// What one thread reaches that inserts rows of the same shape into the same file, in commits of 500, and does nothing else.
/// `indexed`: it also fills the search index, a thousand documents at a time, as the store does behind its commits.
fn reference(path: &Path, rows: usize, indexed: bool) -> f64 {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA cache_size = -65536;
         PRAGMA wal_autocheckpoint = 32768;",
    )
    .unwrap();
    // The streams, their newest epoch and offset, and ten buffers each, as the writers left them.
    let mut statement = conn.prepare(
        "SELECT s.id, s.epoch, (SELECT max(offset) FROM entry e WHERE e.stream = s.id AND e.epoch = s.epoch) FROM stream s",
    );
    let found: Vec<(i64, i64, i64)> = statement
        .as_mut()
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<i64>>(2)?.unwrap_or(0))))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut buffers = conn.prepare("SELECT id, name FROM buffer WHERE stream = ?1 ORDER BY name").unwrap();
    let mut streams: Vec<(i64, i64, i64, Vec<i64>)> = found
        .into_iter()
        .map(|(id, epoch, offset)| {
            let buffers = buffers.query_map([id], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
            (id, epoch, offset, buffers)
        })
        .filter(|(.., buffers): &(i64, i64, i64, Vec<i64>)| buffers.len() == 10)
        .collect();
    let mut doc: i64 = conn.query_row("SELECT max(doc) FROM doc", [], |row| row.get(0)).unwrap();
    let mut ts: i64 = conn.query_row("SELECT max(ts) FROM place", [], |row| row.get(0)).unwrap();
    let mut waiting: Vec<(i64, String, Vec<u8>)> = Vec::new();
    let start = Instant::now();
    let count = streams.len();
    for commit in 0..rows.div_ceil(500) {
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        for number in commit * 500..(commit + 1) * 500 {
            let entry = line(number);
            let (stream, epoch, offset, buffers) = &mut streams[number % count];
            *offset += 1;
            doc += 1;
            ts += 1;
            let buffer = buffers[number % 10];
            conn.prepare_cached(
                "INSERT INTO entry (stream, epoch, offset, id, ts, kind, doc, buffers, source, target, body, meta, msgid)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )
            .unwrap()
            .execute(params![
                *stream,
                *epoch,
                *offset,
                Uuid::now_v7().as_bytes(),
                ts,
                1,
                doc,
                &b"\x00\x00"[..],
                &entry.source[..],
                &entry.target[..],
                &entry.body[..],
                &entry.meta[..],
                entry.msgid,
            ])
            .unwrap();
            conn.prepare_cached(
                "INSERT INTO place (buffer, ts, epoch, offset, kind) VALUES (?1, ?2, ?3, ?4, 1)",
            )
            .unwrap()
            .execute((buffer, ts, *epoch, *offset))
            .unwrap();
            conn.prepare_cached("INSERT INTO doc (doc, stream, epoch, offset) VALUES (?1, ?2, ?3, ?4)")
                .unwrap()
                .execute((doc, *stream, *epoch, *offset))
                .unwrap();
            if indexed {
                waiting.push((doc, format!("a{stream} s{stream} b{buffer}"), entry.body.to_vec()));
            }
        }
        conn.execute_batch("COMMIT").unwrap();
        if waiting.len() >= 1_000 {
            conn.execute_batch("BEGIN IMMEDIATE").unwrap();
            for (doc, scope, text) in waiting.drain(..) {
                conn.prepare_cached("INSERT INTO words (rowid, scope, text) VALUES (?1, ?2, ?3)")
                    .unwrap()
                    .execute((doc, scope, String::from_utf8(text).unwrap()))
                    .unwrap();
            }
            conn.execute_batch("COMMIT").unwrap();
        }
    }
    rows as f64 / start.elapsed().as_secs_f64()
}

/// Pages of 100 at random places of random buffers, one after the other.
async fn pages(history: &History, writers: &[StreamWriter], count: usize, span: (i64, i64)) -> Vec<Duration> {
    let mut took = Vec::with_capacity(count);
    let mut full = 0;
    for number in 0..count {
        let seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let writer = &writers[seed % writers.len()];
        let buffer = Buffer::from(&format!("#channel{}", (seed >> 20) % 10));
        let range = match number % 4 {
            0 => Range::Latest,
            _ => Range::Before(Anchor::Time(span.0 + (seed >> 30) as i64 % (span.1 - span.0).max(1))),
        };
        let start = Instant::now();
        let page =
            history.page(writer.account, writer.stream, &buffer, range, Kinds::ALL, 100).await.unwrap();
        took.push(start.elapsed());
        full += usize::from(page.len() == 100);
    }
    println!("  {full} of {count} pages were full");
    took
}

/// Reads the file once. Some machines drop what was not looked at for a minute, and filling takes longer.
fn warm(path: &Path) {
    let mut file = std::fs::File::open(path).unwrap();
    std::io::copy(&mut file, &mut std::io::sink()).unwrap();
}

fn size(path: &Path) -> f64 {
    ["", "-wal"]
        .iter()
        .filter_map(|end| std::fs::metadata(format!("{}{end}", path.display())).ok())
        .map(|data| data.len() as f64 / 1e6)
        .sum()
}

async fn run(path: PathBuf) {
    let (rows, measured) = (setting("HISTORY_ROWS", 2_000_000), setting("HISTORY_MEASURED", 200_000));
    let writers = setting("HISTORY_WRITERS", 1_000);
    let options = || Options { patience: Duration::from_secs(60), ..Options::default() };
    let history = History::open_sqlite(&path, options()).await.unwrap();
    let opened = streams(&history, writers).await;
    let began = options().clock;
    let from = began();

    let start = Instant::now();
    write(&history, &opened, rows.saturating_sub(measured), 20).await;
    println!("filled with {} rows in {:?}", rows.saturating_sub(measured), start.elapsed());

    let start = Instant::now();
    let took = write(&history, &opened, measured, 1).await;
    let rate = measured as f64 / start.elapsed().as_secs_f64();
    println!("{writers} writers, one row an append: {rate:.0} rows/s");
    report("  acknowledged after", took);
    println!("  on disk: {:.0} MB", size(&path));
    let span = (from, began());
    history.settle().await.unwrap();

    let count = setting("HISTORY_PAGES", 20_000);
    report("page of 100, at rest, from the disk as found", pages(&history, &opened, count / 10, span).await);
    warm(&path);
    report("page of 100, at rest, the file in memory", pages(&history, &opened, count, span).await);
    let writing = {
        let (history, opened) = (history.clone(), opened.clone());
        tokio::spawn(async move { write(&history, &opened, measured, 1).await })
    };
    let mut took = Vec::new();
    while !writing.is_finished() {
        took.extend(pages(&history, &opened, 2_000, span).await);
    }
    report("page of 100, beside the writers", took);
    history.close().await;

    let copy = path.with_extension("reference");
    for indexed in [true, false] {
        std::fs::copy(&path, &copy).unwrap();
        let reference = tokio::task::spawn_blocking({
            let copy = copy.clone();
            move || reference(&copy, measured, indexed)
        })
        .await
        .unwrap();
        let what = if indexed { "with the search index" } else { "without the search index" };
        println!(
            "one thread, commits of 500, {what}: {reference:.0} rows/s; the writers reach {:.0} % of it",
            rate / reference * 100.0
        );
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", copy.display()));
        }
    }
}

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let folder = match std::env::var_os("HISTORY_DIR") {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(folder.path().join("history.db")));
}
