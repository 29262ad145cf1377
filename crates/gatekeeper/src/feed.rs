//! The change feed as readers get it: rows after a cursor, then live ones. Readers see every change in its order within a
//! second, in whichever replica it was made.

use std::collections::VecDeque;
use std::time::Duration;

use contracts::{Account, AccountChange, ChangeKind, FeedCursor, Sub};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::sync::watch;
use uuid::Uuid;

use crate::Gatekeeper;
use crate::error::Result;
use crate::store::{FeedKind, FeedRow};

/// How often rows are looked for that another replica may have written.
const POLL: Duration = Duration::from_millis(400);
/// The same where this process is the only one, but for an administrator's hand in the file.
const POLL_ALONE: Duration = Duration::from_secs(5);

struct Reader {
    gate: Gatekeeper,
    commits: watch::Receiver<u64>,
    at: i64,
    /// Changes of this account alone; of all without one.
    only: Option<Sub>,
    ready: VecDeque<AccountChange>,
}

impl Gatekeeper {
    /// See [`contracts::Accounts::changes`].
    pub(crate) async fn change_feed(
        &self,
        after: Option<FeedCursor>,
    ) -> Result<BoxStream<'static, AccountChange>> {
        let store = &self.0.store;
        // Before the rows are read, so that nothing falls between.
        let commits = store.commits();
        let mut ready = VecDeque::new();
        let at = match after {
            None => match store.feed_latest().await? {
                Some(row) => {
                    let at = row.cursor;
                    ready.extend(self.change(row).await?);
                    at
                }
                None => store.feed_head().await?,
            },
            Some(FeedCursor(at)) if self.reaches_back_to(at).await? => at,
            Some(FeedCursor(at)) => return self.anew(at).await,
        };
        let reader = Reader { gate: self.clone(), commits, at, only: None, ready };
        Ok(futures_util::stream::unfold(reader, Reader::next).boxed())
    }

    /// The changes of one account after a cursor, then live ones. It begins with the account as it is now, so that nothing is
    /// missing however long the reader was away.
    pub(crate) async fn change_feed_of(
        &self,
        sub: Sub,
        after: Option<FeedCursor>,
    ) -> Result<BoxStream<'static, AccountChange>> {
        let store = &self.0.store;
        // Before the rows are read, so that nothing falls between.
        let commits = store.commits();
        let head = store.feed_head_of(sub).await?;
        // A cursor behind our head is one of before a restore: what it stands for never comes again.
        let at = match after {
            Some(FeedCursor(at)) if at <= store.feed_head().await? => at,
            Some(_) | None => head,
        };
        let now = FeedRow { cursor: at, kind: FeedKind::Account, sub, detail: String::new() };
        let ready = self.change(now).await?.into_iter().collect();
        let reader = Reader { gate: self.clone(), commits, at, only: Some(sub), ready };
        Ok(futures_util::stream::unfold(reader, Reader::next).boxed())
    }

    /// Whether every row after a cursor is still kept. It is not if the reader was away for longer than rows are kept, or if
    /// the database was restored from a backup since.
    async fn reaches_back_to(&self, at: i64) -> Result<bool> {
        let head = self.0.store.feed_head().await?;
        let kept = self.0.store.feed_kept_after().await?;
        Ok(at <= head && at >= kept)
    }

    /// Every account as it is now, then the feed. Only the last one carries a cursor the feed knows: who breaks off before
    /// begins anew again.
    async fn anew(&self, unknown: i64) -> Result<BoxStream<'static, AccountChange>> {
        let head = self.0.store.feed_head().await?;
        let mut all = Vec::new();
        loop {
            let after = all.last().map_or("", |account: &Account| account.username.as_str()).to_owned();
            let page = self.0.store.find_accounts("", &after, 500).await?;
            if page.is_empty() {
                break;
            }
            all.extend(page.iter().map(|row| self.shown(row)));
        }
        let last = all.len().saturating_sub(1);
        let states = all.into_iter().enumerate().map(move |(index, account)| AccountChange {
            cursor: FeedCursor(if index == last { head } else { unknown }),
            what: ChangeKind::Account { account },
        });
        let live = Reader {
            gate: self.clone(),
            commits: self.0.store.commits(),
            at: head,
            only: None,
            ready: VecDeque::new(),
        };
        Ok(futures_util::stream::iter(states).chain(futures_util::stream::unfold(live, Reader::next)).boxed())
    }

    /// What a row says. The account is read now: who reads late reads its present state, and more than once at the most.
    async fn change(&self, row: FeedRow) -> Result<Option<AccountChange>> {
        let sub = row.sub;
        let what = match row.kind {
            FeedKind::Account => match self.0.store.account(sub).await? {
                Some(account) => ChangeKind::Account { account: self.shown(&account) },
                None => ChangeKind::Deleted { sub },
            },
            FeedKind::CredentialRevoked => match Uuid::parse_str(&row.detail) {
                Ok(credential) => ChangeKind::CredentialRevoked { sub, credential },
                Err(_) => return Ok(None),
            },
            FeedKind::SessionEnded => ChangeKind::SessionEnded { sub, sid: row.detail },
            FeedKind::Deleted => ChangeKind::Deleted { sub },
        };
        Ok(Some(AccountChange { cursor: FeedCursor(row.cursor), what }))
    }
}

impl Reader {
    async fn next(mut self) -> Option<(AccountChange, Self)> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Some((change, self));
            }
            self.commits.borrow_and_update();
            match self.read().await {
                Ok(true) => {}
                Ok(false) => {
                    let pause = if self.gate.0.polls { POLL } else { POLL_ALONE };
                    // The sender lives in the store we hold: it cannot go away first.
                    let _ = tokio::time::timeout(pause, self.commits.changed()).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "the change feed ends: its readers come back with their cursors");
                    return None;
                }
            }
        }
    }

    async fn read(&mut self) -> Result<bool> {
        let rows = match self.only {
            None => self.gate.0.store.feed_after(self.at).await?,
            Some(sub) => self.gate.0.store.feed_of_after(sub, self.at).await?,
        };
        let found = !rows.is_empty();
        for row in rows {
            self.at = row.cursor;
            self.ready.extend(self.gate.change(row).await?);
        }
        Ok(found)
    }
}
