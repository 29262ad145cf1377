//! The store at scale: a PostgreSQL database, shared by every process that holds streams. Each stream still has one
//! writer, and the epoch keeps a second one out.

mod append;
mod janitor;
mod pages;
mod rows;
mod search;
mod sql;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgConnection, PgPool, Row};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::store::Store;
use crate::{
    AccountId, Buffer, CursorPage, DayCount, DeviceCursor, Entry, Epoch, Error, Found, Health, Kinds,
    NewEntry, Options, Position, Range, Refused, Result, Search, Since, Stored, StreamId, StreamWriter,
    Target,
};

/// How many entries one step of a deletion or of retention takes.
const CHUNK: i64 = 500;

/// The PostgreSQL store.
pub(crate) struct PostgresStore {
    pool: PgPool,
    shared: Arc<append::Shared>,
    patience: Duration,
    writer: Mutex<Option<mpsc::UnboundedSender<append::Append>>>,
    janitor: Mutex<Option<mpsc::UnboundedSender<janitor::Ask>>>,
}

impl PostgresStore {
    pub(crate) async fn open(url: &str, options: Options) -> Result<Self> {
        let plain = PgConnectOptions::from_str(url).map_err(|cause| Error::Unusable(cause.to_string()))?;
        let connect = plain.clone().options([("statement_timeout", "30s"), ("lock_timeout", "10s")]);
        let pool = PgPoolOptions::new()
            // One for the writer, one for what is long, the rest for pages.
            .max_connections(u32::try_from(options.readers).unwrap_or(8).clamp(1, 64) + 2)
            .acquire_timeout(options.patience)
            .connect_with(connect)
            .await
            .map_err(db)?;
        migrate(&pool).await.map_err(|cause| Error::Unusable(cause.to_string()))?;
        if let Err(cause) = index_parts(&pool).await {
            tracing::warn!(
                error = %cause,
                "history: no trigram index, so searches for parts of words are slow. Let this role run CREATE EXTENSION \
                 pg_trgm (it comes with PostgreSQL's contrib modules), or run it for it, and start again"
            );
        }
        let shared = Arc::new(append::Shared::new(options.clock, options.queue_entries));
        let (writer, queue) = mpsc::unbounded_channel();
        tokio::spawn(append::serve(pool.clone(), shared.clone(), queue));
        let (janitor, asks) = mpsc::unbounded_channel();
        tokio::spawn(janitor::serve(plain, asks));
        let (writer, janitor) = (Mutex::new(Some(writer)), Mutex::new(Some(janitor)));
        Ok(Self { pool, shared, patience: options.patience, writer, janitor })
    }

    /// Leaves work for the janitor. After the store was closed there is none, and whoever waits is told by that.
    fn ask_janitor(&self, ask: janitor::Ask) {
        if let Some(janitor) = &*self.janitor.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = janitor.send(ask);
        }
    }

    async fn known(&self, account: AccountId, stream: StreamId) -> Result<Option<pages::Known>> {
        pages::stream(&self.pool, account, stream).await
    }

    async fn required(&self, account: AccountId, stream: StreamId) -> Result<i64> {
        self.known(account, stream).await?.map(|known| known.id).ok_or(Error::NoSuchStream)
    }

    async fn remove_stream(&self, account: AccountId, stream: StreamId) -> sqlx::Result<()> {
        let id: Option<i64> = sqlx::query_scalar(sql::DELETE_FIND)
            .bind(&stream.0.as_bytes()[..])
            .bind(&account.0.as_bytes()[..])
            .fetch_optional(&self.pool)
            .await?;
        let Some(id) = id else { return Ok(()) };
        let token: u32 = rand::random();
        sqlx::query(sql::DELETE_MARK).bind(id).bind(i64::from(token)).execute(&self.pool).await?;
        while sqlx::query(sql::DELETE_STEP).bind(id).bind(CHUNK).execute(&self.pool).await?.rows_affected()
            > 0
        {}
        let mut transaction = self.pool.begin().await?;
        for statement in [
            sql::DELETE_PLACES,
            sql::DELETE_BUFFERS,
            sql::DELETE_MARKERS,
            sql::DELETE_CURSORS,
            sql::DELETE_EPOCHS,
            sql::DELETE_STREAM,
        ] {
            sqlx::query(statement).bind(id).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}

/// Begins a new epoch of a stream.
async fn raise(conn: &mut PgConnection, stream: i64) -> sqlx::Result<()> {
    let token: u32 = rand::random();
    let number: i64 = sqlx::query_scalar(sql::STREAM_RAISE)
        .bind(stream)
        .bind(i64::from(token))
        .fetch_one(&mut *conn)
        .await?;
    sqlx::query(sql::EPOCH_ADD).bind(stream).bind(number).bind(i64::from(token)).execute(conn).await?;
    Ok(())
}

/// Brings the tables up to date; two processes that start at once wait for each other.
async fn migrate(pool: &PgPool) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    sqlx::query(sql::LOCK).execute(&mut *transaction).await?;
    sqlx::query(sql::VERSION_TABLE).execute(&mut *transaction).await?;
    let version: i64 = sqlx::query_scalar(sql::VERSION).fetch_one(&mut *transaction).await?;
    for (number, migration) in (1i64..).zip(sql::MIGRATIONS).filter(|(number, _)| *number > version) {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
        sqlx::query(sql::VERSION_SET).bind(number).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// Makes the trigram index if it is not there. Tried at each start, so that it comes once the extension can be had.
async fn index_parts(pool: &PgPool) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    sqlx::query(sql::LOCK).execute(&mut *transaction).await?;
    if sqlx::query_scalar(sql::PARTS_KNOWN).fetch_one(&mut *transaction).await? {
        return Ok(());
    }
    // Over a full table it takes its time, once.
    sqlx::query(sql::PATIENTLY).execute(&mut *transaction).await?;
    sqlx::raw_sql(sql::PARTS_INDEX).execute(&mut *transaction).await?;
    transaction.commit().await
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn db(cause: sqlx::Error) -> Error {
    explain(&cause)
}

/// What the user may be told.
fn explain(cause: &sqlx::Error) -> Error {
    tracing::warn!(error = %cause, "history: the database refused");
    Error::Unavailable(match cause {
        sqlx::Error::PoolClosed => "the store is closed".to_owned(),
        sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => "the database does not answer".to_owned(),
        other => other.to_string(),
    })
}

#[async_trait]
impl Store for PostgresStore {
    async fn open_stream(&self, account: AccountId, stream: StreamId) -> Result<StreamWriter> {
        let token: u32 = rand::random();
        let (account_bytes, stream_bytes) = (&account.0.as_bytes()[..], &stream.0.as_bytes()[..]);
        let opened = async {
            let mut transaction = self.pool.begin().await?;
            sqlx::query(sql::ACCOUNT_ADD).bind(account_bytes).execute(&mut *transaction).await?;
            sqlx::query(sql::STREAM_ADD)
                .bind(stream_bytes)
                .bind(account_bytes)
                .execute(&mut *transaction)
                .await?;
            let opened: Option<(i64, i64)> = sqlx::query_as(sql::STREAM_OPEN)
                .bind(stream_bytes)
                .bind(account_bytes)
                .bind(i64::from(token))
                .fetch_optional(&mut *transaction)
                .await?;
            if let Some((id, number)) = opened {
                sqlx::query(sql::EPOCH_ADD)
                    .bind(id)
                    .bind(number)
                    .bind(i64::from(token))
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            Ok(opened)
        };
        let (_, number) = opened.await.map_err(db)?.ok_or(Error::NoSuchStream)?;
        let number = u32::try_from(number).map_err(|cause| Error::Unusable(cause.to_string()))?;
        Ok(StreamWriter { account, stream, epoch: Epoch { number, token } })
    }

    async fn append(
        &self,
        writer: StreamWriter,
        entries: Vec<NewEntry>,
    ) -> Result<Vec<Result<Stored, Refused>>> {
        let (answer, waits) = oneshot::channel();
        let closed = || Error::Unavailable("the store is closed".to_owned());
        {
            let sender = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let sender = sender.as_ref().ok_or_else(closed)?;
            self.shared.admit(entries.len())?;
            sender.send(append::Append { writer, entries, answer }).map_err(|_| closed())?;
        }
        match tokio::time::timeout(self.patience, waits).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(Error::Unavailable("the database does not answer".to_owned())),
        }
    }

    async fn page(
        &self,
        account: AccountId,
        stream: StreamId,
        buffer: Buffer,
        range: Range,
        kinds: Kinds,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        match self.known(account, stream).await? {
            Some(known) => pages::page(&self.pool, known.id, &buffer, range, kinds, limit).await,
            None => Ok(Vec::new()),
        }
    }

    async fn targets(
        &self,
        account: AccountId,
        stream: StreamId,
        between: (i64, i64),
        kinds: Kinds,
        limit: usize,
    ) -> Result<Vec<Target>> {
        match self.known(account, stream).await? {
            Some(known) => pages::targets(&self.pool, known.id, between, kinds, limit).await.map_err(db),
            None => Ok(Vec::new()),
        }
    }

    async fn since(
        &self,
        account: AccountId,
        stream: StreamId,
        since: Since,
        kinds: Kinds,
        limit: usize,
    ) -> Result<CursorPage> {
        match self.known(account, stream).await? {
            Some(known) => pages::since(&self.pool, &known, since, kinds, limit).await,
            None => Ok(CursorPage::default()),
        }
    }

    async fn latest_position(&self, account: AccountId, stream: StreamId) -> Result<Option<Position>> {
        match self.known(account, stream).await? {
            Some(known) => pages::latest_position(&self.pool, known.id).await.map_err(db),
            None => Ok(None),
        }
    }

    async fn by_msgid(&self, account: AccountId, stream: StreamId, msgid: String) -> Result<Option<Entry>> {
        match self.known(account, stream).await? {
            Some(known) => pages::find_msgid(&self.pool, known.id, &msgid).await,
            None => Ok(None),
        }
    }

    async fn set_read_marker(
        &self,
        account: AccountId,
        stream: StreamId,
        buffer: Buffer,
        ts_ms: i64,
    ) -> Result<i64> {
        let stream = self.required(account, stream).await?;
        sqlx::query_scalar(sql::MARKER_SET)
            .bind(stream)
            .bind(&buffer.0[..])
            .bind(ts_ms)
            .fetch_one(&self.pool)
            .await
            .map_err(db)
    }

    async fn read_markers(&self, account: AccountId, stream: StreamId) -> Result<Vec<(Buffer, i64)>> {
        match self.known(account, stream).await? {
            Some(known) => pages::read_markers(&self.pool, known.id).await.map_err(db),
            None => Ok(Vec::new()),
        }
    }

    async fn set_device_cursor(
        &self,
        account: AccountId,
        stream: StreamId,
        device: Bytes,
        position: Position,
    ) -> Result<()> {
        let stream = self.required(account, stream).await?;
        sqlx::query(sql::CURSOR_SET)
            .bind(stream)
            .bind(&device[..])
            .bind(i64::from(position.epoch.number))
            .bind(i64::from(position.epoch.token))
            .bind(i64::try_from(position.offset).unwrap_or(i64::MAX))
            .bind((self.shared.clock)())
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(db)
    }

    async fn device_cursors(&self, account: AccountId, stream: StreamId) -> Result<Vec<DeviceCursor>> {
        match self.known(account, stream).await? {
            Some(known) => pages::device_cursors(&self.pool, known.id).await.map_err(db),
            None => Ok(Vec::new()),
        }
    }

    async fn forget_device(&self, account: AccountId, device: Bytes) -> Result<()> {
        sqlx::query(sql::CURSOR_DROP)
            .bind(&account.0.as_bytes()[..])
            .bind(&device[..])
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(db)
    }

    async fn redact(&self, account: AccountId, stream: StreamId, msgid: String) -> Result<Position> {
        let stream = self.required(account, stream).await?;
        let entry = pages::find_msgid(&self.pool, stream, &msgid).await?.ok_or(Error::NoSuchMessage)?;
        sqlx::query(sql::ENTRY_REDACT)
            .bind(stream)
            .bind(i64::from(entry.position.epoch.number))
            .bind(i64::try_from(entry.position.offset).unwrap_or(i64::MAX))
            .execute(&self.pool)
            .await
            .map_err(db)?;
        Ok(entry.position)
    }

    async fn prune(&self, account: AccountId, before_ms: i64) -> Result<u64> {
        let mut removed = 0;
        for (stream, _) in search::streams(&self.pool, account, None).await.map_err(db)? {
            loop {
                let step = async {
                    let mut transaction = self.pool.begin().await?;
                    let gone: Vec<(i64, i64)> = sqlx::query_as(sql::PRUNE_STEP)
                        .bind(stream)
                        .bind(before_ms)
                        .bind(CHUNK)
                        .fetch_all(&mut *transaction)
                        .await?;
                    if let Some((epoch, pos)) = gone.first() {
                        sqlx::query(sql::PRUNE_NOTE)
                            .bind(stream)
                            .bind(epoch)
                            .bind(pos)
                            .execute(&mut *transaction)
                            .await?;
                    }
                    transaction.commit().await?;
                    Ok(gone.len() as u64)
                };
                match step.await.map_err(db)? {
                    0 => break,
                    more => removed += more,
                }
            }
        }
        Ok(removed)
    }

    async fn search(&self, account: AccountId, search: Search) -> Result<Found> {
        search::search(&self.pool, account, &search).await.map_err(db)
    }

    async fn streams(&self, account: AccountId) -> Result<Vec<StreamId>> {
        let streams = search::streams(&self.pool, account, None).await.map_err(db)?;
        Ok(streams.into_iter().map(|(_, stream)| stream).collect())
    }

    async fn counts(&self, account: AccountId, since_day: i64) -> Result<Vec<DayCount>> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(sql::DAILY_OF)
            .bind(&account.0.as_bytes()[..])
            .bind(since_day)
            .fetch_all(&self.pool)
            .await
            .map_err(db)?;
        Ok(rows
            .into_iter()
            .map(|(day, entries)| DayCount { day, entries: entries.cast_unsigned() })
            .collect())
    }

    async fn about(&self, account: AccountId) -> Result<u64> {
        let found: i64 = sqlx::query_scalar(sql::ABOUT)
            .bind(&account.0.as_bytes()[..])
            .fetch_one(&self.pool)
            .await
            .map_err(db)?;
        Ok(found.unsigned_abs())
    }

    async fn export(
        &self,
        account: AccountId,
        stream: StreamId,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Entry, Vec<Buffer>)>> {
        match self.known(account, stream).await? {
            Some(known) => pages::export(&self.pool, known.id, after, limit).await.map_err(db),
            None => Ok(Vec::new()),
        }
    }

    async fn delete_stream(&self, account: AccountId, stream: StreamId) -> Result<()> {
        self.remove_stream(account, stream).await.map_err(db)?;
        self.ask_janitor(janitor::Ask::Deleted);
        Ok(())
    }

    async fn delete_account(&self, account: AccountId) -> Result<()> {
        let remove = async {
            let account_bytes = &account.0.as_bytes()[..];
            let streams = sqlx::query(sql::DELETE_FIND_ALL).bind(account_bytes).fetch_all(&self.pool).await?;
            for row in streams {
                let stream = Uuid::from_slice(row.try_get(0)?);
                let stream = stream.map_err(|cause| sqlx::Error::Decode(cause.into()))?;
                self.remove_stream(account, StreamId(stream)).await?;
            }
            sqlx::query(sql::DELETE_DAILY).bind(account_bytes).execute(&self.pool).await?;
            sqlx::query(sql::DELETE_ACCOUNT).bind(account_bytes).execute(&self.pool).await?;
            Ok(())
        };
        remove.await.map_err(db)?;
        self.ask_janitor(janitor::Ask::Deleted);
        Ok(())
    }

    async fn backup(&self, _into: PathBuf) -> Result<()> {
        Err(Error::Invalid("a PostgreSQL store is backed up with PostgreSQL's own tools (pg_dump)"))
    }

    async fn raise_epochs(&self) -> Result<()> {
        let raise_all = async {
            let mut transaction = self.pool.begin().await?;
            let streams: Vec<i64> = sqlx::query_scalar(sql::STREAM_ALL).fetch_all(&mut *transaction).await?;
            for stream in streams {
                raise(&mut transaction, stream).await?;
            }
            transaction.commit().await
        };
        raise_all.await.map_err(db)
    }

    async fn health(&self) -> Health {
        self.shared.health()
    }

    async fn settle(&self) -> Result<()> {
        let (answer, waits) = oneshot::channel();
        self.ask_janitor(janitor::Ask::Settle(answer));
        match waits.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Unavailable("deleted rows could not be swept out".to_owned())),
            Err(_) => Err(Error::Unavailable("the store is closed".to_owned())),
        }
    }

    async fn close(&self) {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.janitor.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.pool.close().await;
    }
}
