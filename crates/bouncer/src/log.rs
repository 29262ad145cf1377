//! Between the core's words for the log and history's.

use bouncer_core as core;
use bytes::Bytes;
use history::{
    AccountId, Anchor, Buffer, Epoch, Error, History, Hole, Kinds, NewEntry, Range, Refused, Search, Since,
    Stored, StreamId,
};

/// The most buffers looked at for one `TARGETS`.
const MAX_TARGETS: usize = 1_000;

/// A core entry as history takes it; `None` if it belongs nowhere.
pub fn new_entry(entry: &core::Entry) -> Option<NewEntry> {
    if entry.buffers.is_empty() {
        return None;
    }
    Some(NewEntry {
        ts_ms: Some(entry.ts_ms),
        source: Bytes::copy_from_slice(&entry.from),
        kind: kind(entry.kind),
        target: Bytes::copy_from_slice(&entry.target),
        buffers: entry.buffers.iter().map(Buffer::from).collect(),
        body: Bytes::copy_from_slice(&entry.body),
        meta: Bytes::copy_from_slice(&entry.meta),
        msgid: Some(entry.msgid.to_string()),
    })
}

/// What became of an append, in the core's words.
pub fn commit(sent_msgid: &str, result: Result<Stored, Refused>) -> core::Commit {
    match result {
        Ok(stored) if stored.duplicate => core::Commit::Duplicate,
        Ok(stored) => core::Commit::Stored {
            position: position(stored.position),
            ts_ms: stored.ts_ms,
            msgid: (stored.msgid != sent_msgid).then(|| stored.msgid.into()),
        },
        Err(Refused::StaleEpoch | Refused::NoSuchStream) => core::Commit::Refused,
        Err(Refused::NoBuffer | Refused::TooLarge | Refused::Row(_)) => core::Commit::Rejected,
    }
}

/// Answers a question of the core.
pub async fn answer(history: &History, account: AccountId, query: core::Query) -> core::Answer {
    match ask(history, account, query).await {
        Ok(answer) => answer,
        Err(Error::NoSuchMessage) => core::Answer::UnknownMsgid,
        Err(error) => {
            tracing::warn!(%error, "history did not answer");
            core::Answer::Failed
        }
    }
}

async fn ask(history: &History, account: AccountId, query: core::Query) -> Result<core::Answer, Error> {
    use core::Query as Q;
    Ok(match query {
        Q::Since { network, after, limit, kinds } => {
            return since(history, account, stream(network), after, limit, kinds).await;
        }
        Q::Page { network, buffer, page, limit, kinds: wanted } => {
            let entries = history
                .page(
                    account,
                    stream(network),
                    &Buffer::from(&buffer),
                    range(page),
                    kinds(wanted),
                    limit as usize,
                )
                .await?;
            entries_only(entries, false)
        }
        Q::Targets { network, from_ms, to_ms, limit } => {
            let mut targets = history
                .targets(account, stream(network), (from_ms, to_ms), Kinds::MESSAGES, MAX_TARGETS)
                .await?;
            if from_ms > to_ms {
                targets.reverse();
            }
            targets.truncate(limit as usize);
            core::Answer::Targets(
                targets.into_iter().map(|target| (target.buffer.0[..].into(), target.latest_ms)).collect(),
            )
        }
        Q::SetMarker { network, buffer, ts_ms } => core::Answer::Marker(
            history.set_read_marker(account, stream(network), &Buffer::from(&buffer), ts_ms).await?,
        ),
        Q::Search { network, buffer, from, text, after_ms, before_ms, limit } => {
            let search = Search {
                stream: Some(stream(network)),
                buffer: buffer.map(|key| Buffer::from(&key)),
                from: from.map(Bytes::from),
                text,
                after_ms,
                before_ms,
                limit: limit as usize,
            };
            let found = history.search(account, search).await?;
            entries_only(found.hits.into_iter().map(|hit| hit.entry).collect(), found.more)
        }
    })
}

async fn since(
    history: &History,
    account: AccountId,
    stream: StreamId,
    after: Option<core::Cursor>,
    limit: u32,
    wanted: core::Kinds,
) -> Result<core::Answer, Error> {
    let from = after.map_or(Since::Start, |cursor| Since::Position(history_position(cursor.position)));
    let mut page = history.since(account, stream, from, kinds(wanted), limit as usize).await?;
    let inexact = page.hole.is_some();
    if let (Some(Hole::UnknownEpoch), Some(cursor)) = (page.hole, after) {
        page =
            history.since(account, stream, Since::Time(cursor.ts_ms), kinds(wanted), limit as usize).await?;
    }
    let last_ms = page.entries.last().map(|entry| entry.ts_ms).or(after.map(|cursor| cursor.ts_ms));
    Ok(core::Answer::Entries {
        more: page.next.is_some(),
        reached: page
            .next
            .map(|next| core::Cursor { position: position(next), ts_ms: last_ms.unwrap_or_default() }),
        entries: page.entries.into_iter().filter_map(stored).collect(),
        inexact,
    })
}

/// The last gap markers that belong to no channel, oldest first.
pub async fn gaps(
    history: &History,
    account: AccountId,
    stream: StreamId,
) -> Result<Vec<core::Entry>, Error> {
    let buffer = Buffer::from(core::NO_BUFFER);
    let gaps = Kinds::of(&[history::Kind::Gap]);
    let page = history.page(account, stream, &buffer, Range::Latest, gaps, 16).await?;
    Ok(page.into_iter().filter_map(stored).map(|stored| stored.entry).collect())
}

fn entries_only(entries: Vec<history::Entry>, more: bool) -> core::Answer {
    core::Answer::Entries {
        entries: entries.into_iter().filter_map(stored).collect(),
        more,
        reached: None,
        inexact: false,
    }
}

/// An entry as the core takes it; `None` if it was redacted, because nothing of it may be shown.
fn stored(entry: history::Entry) -> Option<core::Stored> {
    if entry.redacted {
        return None;
    }
    Some(core::Stored {
        position: position(entry.position),
        entry: core::Entry {
            kind: core::Kind::from_code(entry.kind as u8)?,
            msgid: entry.msgid.into(),
            ts_ms: entry.ts_ms,
            from: entry.source[..].into(),
            target: entry.target[..].into(),
            body: entry.body[..].into(),
            meta: entry.meta[..].into(),
            buffers: Default::default(),
            redacts: None,
        },
    })
}

fn stream(network: core::NetworkId) -> StreamId {
    StreamId(network.0)
}

fn kind(kind: core::Kind) -> history::Kind {
    match kind {
        core::Kind::Privmsg => history::Kind::Privmsg,
        core::Kind::Notice => history::Kind::Notice,
        core::Kind::Tagmsg => history::Kind::Tagmsg,
        core::Kind::Redact => history::Kind::Redact,
        core::Kind::Join => history::Kind::Join,
        core::Kind::Part => history::Kind::Part,
        core::Kind::Quit => history::Kind::Quit,
        core::Kind::Kick => history::Kind::Kick,
        core::Kind::Nick => history::Kind::Nick,
        core::Kind::Mode => history::Kind::Mode,
        core::Kind::Topic => history::Kind::Topic,
        core::Kind::Gap => history::Kind::Gap,
    }
}

fn kinds(kinds: core::Kinds) -> Kinds {
    match kinds {
        core::Kinds::All => Kinds::ALL,
        core::Kinds::Messages => Kinds::MESSAGES,
    }
}

fn anchor(bound: core::Bound) -> Anchor {
    match bound {
        core::Bound::Time(ms) => Anchor::Time(ms),
        core::Bound::Msgid(msgid) => Anchor::Msgid(msgid.into()),
    }
}

fn range(page: core::Page) -> Range {
    match page {
        core::Page::Latest(None) => Range::Latest,
        core::Page::Latest(Some(bound)) => Range::LatestAfter(anchor(bound)),
        core::Page::Before(bound) => Range::Before(anchor(bound)),
        core::Page::After(bound) => Range::After(anchor(bound)),
        core::Page::Around(bound) => Range::Around(anchor(bound)),
        core::Page::Between(a, b) => Range::Between(anchor(a), anchor(b)),
    }
}

/// The number of the epoch in the upper half, its random bits in the lower: ordered as history orders them.
pub fn position(position: history::Position) -> core::Position {
    let epoch = (u64::from(position.epoch.number) << 32) | u64::from(position.epoch.token);
    core::Position { epoch, offset: position.offset }
}

/// The way back.
pub fn history_position(position: core::Position) -> history::Position {
    let epoch = Epoch {
        number: u32::try_from(position.epoch >> 32).unwrap_or(u32::MAX),
        token: u32::try_from(position.epoch & u64::from(u32::MAX)).unwrap_or_default(),
    };
    history::Position { epoch, offset: position.offset }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back_and_keep_their_order() {
        let at = |number, token, offset| history::Position { epoch: Epoch { number, token }, offset };
        let all = [at(1, 9, 5), at(2, 0, 1), at(2, 7, 1), at(2, 7, 2), at(u32::MAX, u32::MAX, u64::MAX)];
        let mapped = all.map(position);
        assert!(mapped.is_sorted());
        assert_eq!(mapped.map(history_position), all);
    }

    #[test]
    fn both_sides_number_kinds_alike() {
        for code in 1..=12 {
            let core_kind = core::Kind::from_code(code);
            assert_eq!(core_kind.map(|k| kind(k) as u8), Some(code));
        }
    }
}
