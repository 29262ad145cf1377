//! Pages and cursors.

use bytes::Bytes;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use super::{db, rows, search, sql};
use crate::{
    AccountId, Anchor, Buffer, CursorPage, DeviceCursor, Entry, Epoch, Error, Hole, Kinds, Position, Range,
    Result, Since, StreamId, Target, text,
};

/// A stream in the store's numbers.
pub(super) struct Known {
    pub id: i64,
    pruned: (i64, i64),
}

/// An account's stream, if it has it.
pub(super) async fn stream(pool: &PgPool, account: AccountId, stream: StreamId) -> Result<Option<Known>> {
    let row = sqlx::query(sql::STREAM_OF)
        .bind(&stream.0.as_bytes()[..])
        .bind(&account.0.as_bytes()[..])
        .fetch_optional(pool)
        .await
        .map_err(db)?;
    let Some(row) = row else { return Ok(None) };
    let read = || Ok(Known { id: row.try_get(0)?, pruned: (row.try_get(1)?, row.try_get(2)?) });
    read().map(Some).map_err(db)
}

fn entries(rows: &[PgRow]) -> Result<Vec<Entry>> {
    rows.iter().map(rows::entry).collect::<sqlx::Result<_>>().map_err(db)
}

fn buffer(row: &PgRow) -> sqlx::Result<Buffer> {
    rows::blob(row, 0).map(Buffer)
}

fn wide(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// A buffer while it is read.
struct Reading<'a> {
    pool: &'a PgPool,
    stream: i64,
    buffer: i64,
    kinds: Kinds,
}

impl Reading<'_> {
    /// Entries strictly between two times, the first ones or the last ones, oldest first.
    async fn slice(&self, from: i64, to: i64, first: bool, limit: usize) -> Result<Vec<Entry>> {
        let found = sqlx::query(if first { sql::PAGE_UP } else { sql::PAGE_DOWN })
            .bind(self.stream)
            .bind(self.buffer)
            .bind(from)
            .bind(to)
            .bind(self.kinds.0)
            .bind(limit as i64)
            .fetch_all(self.pool)
            .await
            .map_err(db)?;
        let mut entries = entries(&found)?;
        if !first {
            entries.reverse();
        }
        Ok(entries)
    }

    async fn time(&self, anchor: Anchor) -> Result<i64> {
        match anchor {
            Anchor::Time(ts) => Ok(ts),
            Anchor::Msgid(msgid) => {
                find_msgid(self.pool, self.stream, &msgid).await?.map(|e| e.ts_ms).ok_or(Error::NoSuchMessage)
            }
        }
    }
}

/// The entry a msgid names: one that came with it, else one whose place it is.
pub(super) async fn find_msgid(pool: &PgPool, stream: i64, msgid: &str) -> Result<Option<Entry>> {
    let Some(msgid) = text::usable_msgid(Some(msgid)) else { return Ok(None) };
    let found = sqlx::query(sql::BY_MSGID).bind(stream).bind(msgid).fetch_optional(pool).await.map_err(db)?;
    if let Some(row) = found {
        return rows::entry(&row).map(Some).map_err(db);
    }
    let Some(position) = text::position_of(msgid) else { return Ok(None) };
    let found = sqlx::query(sql::BY_POSITION)
        .bind(stream)
        .bind(i64::from(position.epoch.number))
        .bind(wide(position.offset))
        .fetch_optional(pool)
        .await
        .map_err(db)?;
    let entry = found.as_ref().map(rows::entry).transpose().map_err(db)?;
    Ok(entry.filter(|entry| entry.position == position))
}

pub(super) async fn page(
    pool: &PgPool,
    stream: i64,
    name: &Buffer,
    range: Range,
    kinds: Kinds,
    limit: usize,
) -> Result<Vec<Entry>> {
    let found: Option<i64> = sqlx::query_scalar(sql::BUFFER_OF)
        .bind(stream)
        .bind(&name.0[..])
        .fetch_optional(pool)
        .await
        .map_err(db)?;
    let Some(buffer) = found else { return Ok(Vec::new()) };
    let reading = Reading { pool, stream, buffer, kinds };
    match range {
        Range::Latest => reading.slice(i64::MIN, i64::MAX, false, limit).await,
        Range::LatestAfter(anchor) => {
            reading.slice(reading.time(anchor).await?, i64::MAX, false, limit).await
        }
        Range::Before(anchor) => reading.slice(i64::MIN, reading.time(anchor).await?, false, limit).await,
        Range::After(anchor) => reading.slice(reading.time(anchor).await?, i64::MAX, true, limit).await,
        Range::Around(anchor) => {
            let ts = reading.time(anchor).await?;
            let mut entries = reading.slice(i64::MIN, ts, false, limit / 2).await?;
            entries.extend(reading.slice(ts.saturating_sub(1), i64::MAX, true, limit - limit / 2).await?);
            Ok(entries)
        }
        Range::Between(first, second) => {
            let (first, second) = (reading.time(first).await?, reading.time(second).await?);
            reading.slice(first.min(second), first.max(second), first <= second, limit).await
        }
    }
}

pub(super) async fn targets(
    pool: &PgPool,
    stream: i64,
    between: (i64, i64),
    kinds: Kinds,
    limit: usize,
) -> sqlx::Result<Vec<Target>> {
    let rows = sqlx::query(sql::TARGETS)
        .bind(stream)
        .bind(kinds.0)
        .bind(between.0)
        .bind(between.1)
        .bind(limit as i64)
        .fetch_all(pool)
        .await?;
    rows.iter().map(|row| Ok(Target { buffer: buffer(row)?, latest_ms: row.try_get(1)? })).collect()
}

pub(super) async fn since(
    pool: &PgPool,
    stream: &Known,
    since: Since,
    kinds: Kinds,
    limit: usize,
) -> Result<CursorPage> {
    let mut hole = None;
    let (epoch, pos) = match since {
        Since::Start => (0, 0),
        Since::Position(at) => {
            let known: Option<i64> = sqlx::query_scalar(sql::EPOCH_KNOWN)
                .bind(stream.id)
                .bind(i64::from(at.epoch.number))
                .bind(i64::from(at.epoch.token))
                .fetch_optional(pool)
                .await
                .map_err(db)?;
            if known.is_none() {
                return Ok(CursorPage { hole: Some(Hole::UnknownEpoch), ..CursorPage::default() });
            }
            let at = (i64::from(at.epoch.number), wide(at.offset));
            hole = (at < stream.pruned).then_some(Hole::Pruned);
            at
        }
        Since::Time(ts) => {
            let first: Option<(i64, i64)> = sqlx::query_as(sql::FIRST_SINCE_TIME)
                .bind(stream.id)
                .bind(ts)
                .fetch_optional(pool)
                .await
                .map_err(db)?;
            match first {
                Some((epoch, pos)) => (epoch, pos - 1),
                None => return Ok(CursorPage::default()),
            }
        }
    };
    let found = sqlx::query(sql::SINCE)
        .bind(stream.id)
        .bind(epoch)
        .bind(pos)
        .bind(kinds.0)
        .bind(limit as i64)
        .fetch_all(pool)
        .await
        .map_err(db)?;
    let entries = entries(&found)?;
    let next = entries.last().filter(|_| entries.len() == limit).map(|entry| entry.position);
    Ok(CursorPage { entries, next, hole })
}

pub(super) async fn latest_position(pool: &PgPool, stream: i64) -> sqlx::Result<Option<Position>> {
    let row = sqlx::query(sql::LATEST_POSITION).bind(stream).fetch_optional(pool).await?;
    row.map(|row| {
        Ok(Position {
            epoch: Epoch { number: rows::number(&row, 0)?, token: rows::number(&row, 1)? },
            offset: row.try_get::<i64, _>(2)?.cast_unsigned(),
        })
    })
    .transpose()
}

pub(super) async fn read_markers(pool: &PgPool, stream: i64) -> sqlx::Result<Vec<(Buffer, i64)>> {
    let rows = sqlx::query(sql::MARKERS).bind(stream).fetch_all(pool).await?;
    rows.iter().map(|row| Ok((buffer(row)?, row.try_get(1)?))).collect()
}

pub(super) async fn device_cursors(pool: &PgPool, stream: i64) -> sqlx::Result<Vec<DeviceCursor>> {
    let rows = sqlx::query(sql::CURSORS).bind(stream).fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            let device: Bytes = rows::blob(row, 0)?;
            let position = Position {
                epoch: Epoch { number: rows::number(row, 1)?, token: rows::number(row, 2)? },
                offset: row.try_get::<i64, _>(3)?.cast_unsigned(),
            };
            Ok(DeviceCursor { device, position, updated_ms: row.try_get(4)? })
        })
        .collect()
}

pub(super) async fn export(
    pool: &PgPool,
    stream: i64,
    after: Option<Position>,
    limit: usize,
) -> sqlx::Result<Vec<(Entry, Vec<Buffer>)>> {
    let (epoch, pos) = after.map_or((0, 0), |at| (i64::from(at.epoch.number), wide(at.offset)));
    let found = sqlx::query(sql::EXPORT)
        .bind(stream)
        .bind(epoch)
        .bind(pos)
        .bind(limit as i64)
        .fetch_all(pool)
        .await?;
    let ids: Vec<Vec<i64>> = found.iter().map(|row| row.try_get(12)).collect::<sqlx::Result<_>>()?;
    let mut wanted: Vec<i64> = ids.iter().flatten().copied().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let names = search::buffer_names(pool, &wanted).await?;
    found
        .iter()
        .zip(ids)
        .map(|(row, ids)| {
            let buffers = ids.iter().filter_map(|id| names.get(id).cloned()).collect();
            Ok((rows::entry(row)?, buffers))
        })
        .collect()
}
