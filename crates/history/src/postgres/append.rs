//! Appending in groups: one call carries all that waits, and one commit makes it durable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use sqlx::{PgPool, Row};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{explain, sql};
use crate::options::Clock;
use crate::{
    Epoch, Error, Health, NewEntry, Position, Refused, Result, Stored, StreamWriter, entry_check, text,
};

/// The most entries one commit carries.
const MAX_GROUP: usize = 1_000;

type Answers = Vec<Result<Stored, Refused>>;

/// One append call.
pub(super) struct Append {
    pub writer: StreamWriter,
    pub entries: Vec<NewEntry>,
    pub answer: oneshot::Sender<Result<Answers>>,
}

/// What the writer and the handle both see.
pub(super) struct Shared {
    pub clock: Clock,
    capacity: usize,
    queued: AtomicUsize,
    commits: AtomicU64,
    appended: AtomicU64,
    failing: AtomicBool,
    last_error: Mutex<Option<String>>,
}

impl Shared {
    pub(super) fn new(clock: Clock, capacity: usize) -> Self {
        Self {
            clock,
            capacity,
            queued: AtomicUsize::new(0),
            commits: AtomicU64::new(0),
            appended: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            last_error: Mutex::new(None),
        }
    }

    /// Takes room in the queue, or says that there is none.
    pub(super) fn admit(&self, weight: usize) -> Result<()> {
        self.queued
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |queued| {
                (queued == 0 || queued + weight <= self.capacity).then_some(queued + weight)
            })
            .map(drop)
            .map_err(|_| Error::Busy)
    }

    fn note(&self, weight: usize, outcome: &Result<u64>) {
        self.queued.fetch_sub(weight, Ordering::AcqRel);
        self.commits.fetch_add(1, Ordering::Relaxed);
        match outcome {
            Ok(appended) => drop(self.appended.fetch_add(*appended, Ordering::Relaxed)),
            Err(error) => {
                *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }
        }
        self.failing.store(outcome.is_err(), Ordering::Release);
    }

    pub(super) fn health(&self) -> Health {
        let failing = self.failing.load(Ordering::Acquire);
        let last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Health {
            engine: "postgres",
            writable: !failing,
            last_error: last_error.filter(|_| failing),
            queued: self.queued.load(Ordering::Acquire),
            commits: self.commits.load(Ordering::Relaxed),
            appended: self.appended.load(Ordering::Relaxed),
        }
    }
}

/// Commits what waits until every sender is gone.
pub(super) async fn serve(pool: PgPool, shared: Arc<Shared>, mut queue: mpsc::UnboundedReceiver<Append>) {
    while let Some(first) = queue.recv().await {
        let mut weight = first.entries.len();
        let mut group = vec![first];
        while weight < MAX_GROUP
            && let Ok(next) = queue.try_recv()
        {
            weight += next.entries.len();
            group.push(next);
        }
        group.retain(|append| !append.answer.is_closed());
        let outcome = commit(&pool, (shared.clock)(), &group).await.map_err(|cause| {
            tracing::warn!(error = %cause, entries = weight, "history: a commit failed");
            explain(&cause)
        });
        let fresh = outcome.as_ref().map_err(Clone::clone).map(|answers| {
            answers
                .iter()
                .flatten()
                .filter(|answer| answer.as_ref().is_ok_and(|stored| !stored.duplicate))
                .count() as u64
        });
        shared.note(weight, &fresh);
        let mut answers = outcome.map(VecDeque::from);
        for append in group {
            // Whoever asked may have given up meanwhile.
            let _ = append.answer.send(match &mut answers {
                Ok(answers) => Ok(answers.pop_front().unwrap_or_default()),
                Err(error) => Err(error.clone()),
            });
        }
    }
}

/// The columns of a group, as arrays.
#[derive(Default)]
struct Columns {
    accounts: Vec<Vec<u8>>,
    streams: Vec<Vec<u8>>,
    epochs: Vec<i64>,
    tokens: Vec<i64>,
    ids: Vec<Vec<u8>>,
    times: Vec<Option<i64>>,
    kinds: Vec<i64>,
    buffers: Vec<String>,
    sources: Vec<Vec<u8>>,
    targets: Vec<Vec<u8>>,
    bodies: Vec<Vec<u8>>,
    metas: Vec<Vec<u8>>,
    msgids: Vec<Option<String>>,
    words: Vec<Option<String>>,
}

impl Columns {
    fn push(&mut self, writer: &StreamWriter, entry: &NewEntry) {
        let searched = entry.kind.is_searched() && !entry.body.is_empty();
        self.accounts.push(writer.account.0.as_bytes().to_vec());
        self.streams.push(writer.stream.0.as_bytes().to_vec());
        self.epochs.push(i64::from(writer.epoch.number));
        self.tokens.push(i64::from(writer.epoch.token));
        self.ids.push(Uuid::now_v7().as_bytes().to_vec());
        self.times.push(entry.ts_ms);
        self.kinds.push(entry.kind as i64);
        self.buffers.push(hex_list(entry));
        self.sources.push(entry.source.to_vec());
        self.targets.push(entry.target.to_vec());
        self.bodies.push(entry.body.to_vec());
        self.metas.push(entry.meta.to_vec());
        self.msgids.push(text::usable_msgid(entry.msgid.as_deref()).map(str::to_owned));
        self.words.push(searched.then(|| text::words(&entry.body)));
    }
}

/// Buffer names as hex, with commas between: an array of arrays would be one array to the engine.
fn hex_list(entry: &NewEntry) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::new();
    for (number, buffer) in entry.buffers.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        for byte in &buffer.0 {
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    out
}

async fn commit(pool: &PgPool, now_ms: i64, group: &[Append]) -> sqlx::Result<Vec<Answers>> {
    // By stream, so that two processes never wait for each other's rows in a circle.
    let mut order: Vec<usize> = (0..group.len()).collect();
    order.sort_by_key(|index| group.get(*index).map(|append| append.writer.stream));
    let mut answers: Vec<Answers> = group.iter().map(|_| Answers::new()).collect();
    let mut columns = Columns::default();
    let mut sent = Vec::new();
    for index in order {
        let (Some(append), Some(answer)) = (group.get(index), answers.get_mut(index)) else { continue };
        for entry in &append.entries {
            match entry_check(entry) {
                Ok(()) => {
                    sent.push((index, answer.len()));
                    columns.push(&append.writer, entry);
                    // Replaced by the engine's answer.
                    answer.push(Err(Refused::Row("no answer".to_owned())));
                }
                Err(refused) => answer.push(Err(refused)),
            }
        }
    }
    if sent.is_empty() {
        return Ok(answers);
    }
    let c = columns;
    let mut transaction = pool.begin().await?;
    let rows = sqlx::query(sql::APPEND)
        .bind(c.accounts)
        .bind(c.streams)
        .bind(c.epochs)
        .bind(c.tokens)
        .bind(c.ids)
        .bind(c.times)
        .bind(c.kinds)
        .bind(c.buffers)
        .bind(c.sources)
        .bind(c.targets)
        .bind(c.bodies)
        .bind(c.metas)
        .bind(c.msgids)
        .bind(c.words)
        .bind(now_ms)
        .fetch_all(&mut *transaction)
        .await?;
    transaction.commit().await?;
    for ((index, at), row) in sent.into_iter().zip(&rows) {
        if let Some(answer) = answers.get_mut(index).and_then(|answer| answer.get_mut(at)) {
            *answer = answered(row)?;
        }
    }
    Ok(answers)
}

fn answered(row: &sqlx::postgres::PgRow) -> sqlx::Result<Result<Stored, Refused>> {
    let code: i64 = row.try_get(0)?;
    match code {
        0 | 1 => {
            let position = Position {
                epoch: Epoch { number: super::rows::number(row, 1)?, token: super::rows::number(row, 2)? },
                offset: row.try_get::<i64, _>(3)?.cast_unsigned(),
            };
            let msgid: Option<String> = row.try_get(6)?;
            Ok(Ok(Stored {
                position,
                id: Uuid::from_slice(row.try_get(4)?).map_err(|cause| sqlx::Error::Decode(cause.into()))?,
                ts_ms: row.try_get(5)?,
                msgid: msgid.unwrap_or_else(|| text::own_msgid(position)),
                duplicate: code == 1,
            }))
        }
        2 => Ok(Err(Refused::StaleEpoch)),
        3 => Ok(Err(Refused::NoSuchStream)),
        _ => Ok(Err(Refused::Row(row.try_get::<Option<String>, _>(7)?.unwrap_or_default()))),
    }
}
