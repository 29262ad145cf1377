//! Searching: the index for what it has reached, a scan for the tail behind it. A search is walked from the newest
//! commit back, a step a read, so that a word everybody says costs nobody else their turn.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::remove::stream_of;
use super::rows::{self, Tokens, buffer_name, scope, unpack};
use super::sql;
use crate::{AccountId, Buffer, Entry, Found, Hit, Position, Search, StreamId, text};

/// How many entries one step looks at.
const STEP: u32 = 2_000;
/// How far a time may lie ahead of the commit that gave it: a burst within one millisecond is spread over those behind.
const AHEAD_MS: i64 = 60_000;

// Where the searching statements have what is looked at before the whole row is read.
const ID: usize = 4;
const TS: usize = 5;
const DOC: usize = 13;
const TEXT: usize = 14;

/// A match before its names are looked up.
struct Match {
    stream: i64,
    buffers: Vec<i64>,
    entry: Entry,
}

/// What the search is confined to, in the store's numbers.
struct Within {
    account: i64,
    streams: Vec<i64>,
    stream: Option<i64>,
    buffer: Option<i64>,
}

impl Within {
    fn scope(&self) -> String {
        match (self.buffer, self.stream) {
            (Some(buffer), _) => format!("b{buffer}"),
            (None, Some(stream)) => format!("s{stream}"),
            (None, None) => format!("a{}", self.account),
        }
    }
}

/// How far a search has come.
#[derive(Clone, Copy)]
enum At {
    Start,
    /// The search index, down from this document.
    Docs(i64),
    /// The buffer's time, down from here: for what the index cannot tell apart.
    Times(i64),
    End,
}

/// One search between its steps.
pub(super) struct Walk {
    account: AccountId,
    search: Search,
    query: text::Query,
    at: At,
    looked: u64,
    /// The newest matches so far, never more than are wanted.
    best: BTreeMap<(i64, Position, i64), Match>,
}

impl Walk {
    pub(super) fn new(account: AccountId, search: Search) -> Self {
        let query = search.text.as_deref().map(text::query);
        let at = if query.as_ref().is_some_and(text::Query::is_empty) { At::End } else { At::Start };
        Self { account, search, query: query.unwrap_or_default(), at, looked: 0, best: BTreeMap::new() }
    }

    /// Whether another step may bring more, and may be taken.
    pub(super) fn goes_on(&self, looks: u64) -> bool {
        !matches!(self.at, At::End) && self.looked < looks
    }

    /// Looks at the next entries.
    pub(super) fn step(mut self, conn: &Connection) -> rusqlite::Result<Self> {
        let Some(within) = within(conn, self.account, &self.search)? else {
            self.at = At::End;
            return Ok(self);
        };
        match (self.at, within.buffer) {
            (At::Start, Some(_)) if self.query.terms.is_empty() => {
                self.at = At::Times(self.search.before_ms.unwrap_or(i64::MAX));
            }
            (At::Start, _) => {
                let indexed_to = conn.prepare_cached(sql::INDEXED_TO)?.query_row([], |row| row.get(0))?;
                self.tail(conn, &within, indexed_to)?;
                self.at = At::Docs(indexed_to);
            }
            (At::Docs(upto), _) => self.docs(conn, &within, upto)?,
            (At::Times(before), Some(buffer)) => self.times(conn, &within, buffer, before)?,
            (At::Times(_) | At::End, _) => self.at = At::End,
        }
        Ok(self)
    }

    /// The index's matches, newest commit first.
    fn docs(&mut self, conn: &Connection, within: &Within, upto: i64) -> rusqlite::Result<()> {
        let mut statement = conn.prepare_cached(sql::SEARCH_WORDS)?;
        let expression = text::fts5(&within.scope(), &self.query.terms);
        let mut rows = statement.query((expression, upto, STEP))?;
        let mut seen = 0u32;
        while let Some(row) = rows.next()? {
            seen += 1;
            self.at = At::Docs(row.get::<_, i64>(DOC)? - 1);
            self.consider(within, row)?;
            if self.is_settled(row.get(ID)?) {
                self.at = At::End;
                break;
            }
        }
        self.looked += u64::from(seen);
        if seen < STEP {
            self.at = At::End;
        }
        Ok(())
    }

    /// No entry committed before this one can be among the newest: nothing is dated later than its commit, whose time
    /// its id holds.
    fn is_settled(&self, id: [u8; 16]) -> bool {
        let (seconds, _) = Uuid::from_bytes(id).get_timestamp().map_or((u64::MAX, 0), |time| time.to_unix());
        let latest = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_add(1).saturating_mul(1_000);
        let latest = latest.saturating_add(AHEAD_MS);
        let full = self.best.len() >= self.search.limit;
        let oldest = self.best.first_key_value().filter(|_| full).map(|((ts, ..), _)| *ts);
        oldest.or(self.search.after_ms).is_some_and(|oldest| latest < oldest)
    }

    /// All of a buffer, newest first.
    fn times(
        &mut self,
        conn: &Connection,
        within: &Within,
        buffer: i64,
        before: i64,
    ) -> rusqlite::Result<()> {
        let after = self.search.after_ms.unwrap_or(i64::MIN);
        let mut statement = conn.prepare_cached(sql::SEARCH_BUFFER)?;
        let mut rows = statement.query((within.stream, buffer, after, before, STEP))?;
        let mut seen = 0u32;
        while let Some(row) = rows.next()? {
            seen += 1;
            self.at = At::Times(row.get(TS)?);
            if row.get::<_, Option<i64>>(DOC)?.is_some() {
                self.consider(within, row)?;
            }
            if self.best.len() >= self.search.limit {
                self.at = At::End;
                break;
            }
        }
        self.looked += u64::from(seen);
        if seen < STEP {
            self.at = At::End;
        }
        Ok(())
    }

    /// What the index has not reached yet goes through an index of its own, made for this query, so that both
    /// understand the words in the same way.
    fn tail(&mut self, conn: &Connection, within: &Within, indexed_to: i64) -> rusqlite::Result<()> {
        let mut statement = conn.prepare_cached(sql::SEARCH_TAIL)?;
        let mut rows = statement.query([indexed_to])?;
        let mut candidates: Vec<(Match, String)> = Vec::new();
        while let Some(row) = rows.next()? {
            self.looked += 1;
            if let Some(candidate) = self.fitting(within, row)?
                && within.buffer.is_none_or(|buffer| candidate.buffers.contains(&buffer))
            {
                candidates.push((candidate, row.get(TEXT)?));
            }
        }
        let matching = if self.query.terms.is_empty() || candidates.is_empty() {
            (0..candidates.len()).collect()
        } else {
            matching(&candidates, &self.query.terms)?
        };
        for (number, (candidate, _)) in candidates.into_iter().enumerate() {
            if matching.contains(&number) {
                self.keep(candidate);
            }
        }
        Ok(())
    }

    fn consider(&mut self, within: &Within, row: &Row<'_>) -> rusqlite::Result<()> {
        if let Some(found) = self.fitting(within, row)? {
            self.keep(found);
        }
        Ok(())
    }

    /// The row, if it fits all that is not the index's to say.
    fn fitting(&self, within: &Within, row: &Row<'_>) -> rusqlite::Result<Option<Match>> {
        let (stream, ts): (i64, i64) = (row.get(0)?, row.get(TS)?);
        let search = &self.search;
        let in_time = search.after_ms.is_none_or(|after| ts > after)
            && search.before_ms.is_none_or(|before| ts < before);
        if !in_time || !within.streams.contains(&stream) {
            return Ok(None);
        }
        let entry = rows::entry(row, 2)?;
        let fits = search.from.as_ref().is_none_or(|nick| text::is_from(&entry.source, nick))
            && self.query.parts_in(&entry.body);
        if !fits {
            return Ok(None);
        }
        Ok(Some(Match { stream, buffers: unpack(row.get_ref(1)?.as_blob()?), entry }))
    }

    fn keep(&mut self, found: Match) {
        self.best.insert((found.entry.ts_ms, found.entry.position, found.stream), found);
        if self.best.len() > self.search.limit {
            self.best.pop_first();
        }
    }

    /// What was found, with names instead of numbers.
    pub(super) fn found(self, conn: &Connection) -> rusqlite::Result<Found> {
        let more = !matches!(self.at, At::End);
        let Some(within) = within(conn, self.account, &self.search)? else { return Ok(Found::default()) };
        let found = self.best.into_values().filter(|found| within.streams.contains(&found.stream));
        let hits = name(conn, found, within.buffer, self.search.buffer.as_ref())?;
        Ok(Found { hits, more })
    }
}

/// Which of the candidates hold the terms.
fn matching(candidates: &[(Match, String)], terms: &[text::Term]) -> rusqlite::Result<HashSet<usize>> {
    let small = Connection::open_in_memory()?;
    small.execute_batch(
        "CREATE VIRTUAL TABLE words USING fts5 (scope, text, tokenize = 'unicode61 remove_diacritics 0')",
    )?;
    let everything = scope(0, 0, &[]);
    let mut add = small.prepare("INSERT INTO words (rowid, scope, text) VALUES (?1, ?2, ?3)")?;
    for (number, (_, text)) in (0i64..).zip(candidates) {
        add.execute((number, &everything, text))?;
    }
    let mut matches = small.prepare("SELECT rowid FROM words WHERE words MATCH ?1")?;
    matches
        .query_map([text::fts5("s0", terms)], |row| Ok(usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0)))?
        .collect()
}

fn within(conn: &Connection, account: AccountId, search: &Search) -> rusqlite::Result<Option<Within>> {
    let account_bytes = account.0.as_bytes();
    let id: Option<i64> =
        conn.prepare_cached(sql::ACCOUNT_ID)?.query_row([account_bytes], |row| row.get(0)).optional()?;
    let Some(account_id) = id else { return Ok(None) };
    let stream = match search.stream {
        Some(stream) => match stream_of(conn, account, stream)? {
            Some(stream) => Some(stream),
            None => return Ok(None),
        },
        None => None,
    };
    let buffer = match (&search.buffer, stream) {
        (Some(Buffer(name)), Some(stream)) => {
            let found: Option<i64> = conn
                .prepare_cached(sql::BUFFER_ID)?
                .query_row((stream, &name[..]), |row| row.get(0))
                .optional()?;
            match found {
                Some(buffer) => Some(buffer),
                None => return Ok(None),
            }
        }
        _ => None,
    };
    let streams = match stream {
        Some(stream) => vec![stream],
        None => conn
            .prepare_cached(sql::STREAM_IDS_OF)?
            .query_map([account_bytes], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?,
    };
    Ok(Some(Within { account: account_id, streams, stream, buffer }))
}

/// Puts the names to the numbers.
fn name(
    conn: &Connection,
    found: impl Iterator<Item = Match>,
    in_buffer: Option<i64>,
    asked: Option<&Buffer>,
) -> rusqlite::Result<Vec<Hit>> {
    let mut tokens = Tokens::default();
    let mut names: Vec<(i64, StreamId)> = Vec::new();
    let mut hits = Vec::new();
    for mut found in found {
        tokens.complete(conn, found.stream, &mut found.entry)?;
        let stream = match names.iter().find(|(id, _)| *id == found.stream) {
            Some((_, stream)) => *stream,
            None => {
                let bytes =
                    conn.prepare_cached(sql::STREAM_NAME)?.query_row([found.stream], |row| row.get(0))?;
                let stream = StreamId(Uuid::from_bytes(bytes));
                names.push((found.stream, stream));
                stream
            }
        };
        let first = in_buffer.or_else(|| found.buffers.first().copied());
        let buffer = match (asked, first) {
            (Some(asked), _) => Some(asked.clone()),
            (None, Some(id)) => buffer_name(conn, id)?,
            (None, None) => None,
        };
        if let Some(buffer) = buffer {
            hits.push(Hit { stream, buffer, entry: found.entry });
        }
    }
    Ok(hits)
}
