//! What is known of accounts, at most 30 s old while gatekeeper answers, the last known while it does not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contracts::{Account, AccountChange, Accounts, Call, CallError, CallResult, ChangeKind, FeedCursor, Sub};
use futures_util::StreamExt as _;
use service::shutdown::Shutdown;
use tokio::sync::broadcast;

/// How long an account is believed without asking.
const BELIEVED: Duration = Duration::from_secs(30);
/// How many accounts are remembered.
const MOST: usize = 20_000;

/// Accounts as last seen. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct AccountCache {
    accounts: Arc<dyn Accounts>,
    known: Arc<Mutex<HashMap<Sub, (Account, Instant)>>>,
    changes: broadcast::Sender<AccountChange>,
}

impl std::fmt::Debug for AccountCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountCache").finish_non_exhaustive()
    }
}

impl AccountCache {
    /// An empty one in front of gatekeeper. Nothing follows the feed yet: see [`AccountCache::follow`].
    pub fn new(accounts: Arc<dyn Accounts>) -> Self {
        Self { accounts, known: Arc::default(), changes: broadcast::Sender::new(1024) }
    }

    /// Follows the change feed from `after` (`None`: from now on) until the end begins. Every change is applied here first
    /// and then told to [`AccountCache::subscribe`]rs.
    pub fn follow(&self, after: Option<FeedCursor>, shutdown: &Shutdown) {
        let this = self.clone();
        shutdown.spawn_until("account feed", async move {
            let mut cursor = after;
            let mut pause = FIRST_PAUSE;
            loop {
                match this.accounts.changes(cursor).await {
                    Ok(mut stream) => {
                        pause = FIRST_PAUSE;
                        while let Some(change) = stream.next().await {
                            cursor = Some(change.cursor);
                            this.apply(&change);
                        }
                    }
                    // Said when it begins, not twice a second for as long as gatekeeper is away.
                    Err(error) if pause < LAST_PAUSE => {
                        tracing::warn!(%error, "the account feed does not answer; trying again");
                    }
                    Err(error) => tracing::debug!(%error, "the account feed does not answer yet"),
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
        });
    }

    /// Applies one change and tells the subscribers.
    pub fn apply(&self, change: &AccountChange) {
        match &change.what {
            ChangeKind::Account { account } => {
                let mut known = self.lock();
                // Only who is asked about is remembered; the version keeps a late change from undoing a newer look.
                if let Some(entry) =
                    known.get_mut(&account.sub).filter(|(old, _)| old.version <= account.version)
                {
                    *entry = (account.clone(), Instant::now());
                }
            }
            ChangeKind::Deleted { sub } => {
                self.lock().remove(sub);
            }
            ChangeKind::CredentialRevoked { .. } | ChangeKind::SessionEnded { .. } => {}
        }
        // Nobody listening is no error.
        self.changes.send(change.clone()).ok();
    }

    /// Changes from now on. A subscriber that lags behind by more than a thousand is told so and looks at everything anew.
    pub fn subscribe(&self) -> broadcast::Receiver<AccountChange> {
        self.changes.subscribe()
    }

    /// The account: at most 30 s old, or the last known while gatekeeper is away.
    pub async fn get(&self, sub: Sub, request_id: &str) -> CallResult<Account> {
        let last = self.lock().get(&sub).cloned();
        if let Some((account, at)) = &last
            && at.elapsed() < BELIEVED
        {
            return Ok(account.clone());
        }
        match (self.accounts.account(&Call::new(sub, request_id)).await, last) {
            (Ok(account), _) => {
                self.remember(account.clone());
                Ok(account)
            }
            (Err(CallError::Unavailable { .. }), Some((account, _))) => Ok(account),
            (Err(error), _) => {
                if matches!(error, CallError::NotFound { .. }) {
                    self.lock().remove(&sub);
                }
                Err(error)
            }
        }
    }

    fn remember(&self, account: Account) {
        let mut known = self.lock();
        if known.len() >= MOST && !known.contains_key(&account.sub) {
            known.retain(|_, (_, at)| at.elapsed() < BELIEVED);
            if known.len() >= MOST {
                known.clear();
            }
        }
        let newer = known.get(&account.sub).is_some_and(|(old, _)| old.version > account.version);
        if !newer {
            known.insert(account.sub, (account, Instant::now()));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Sub, (Account, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Short enough that what is revoked right after gatekeeper is back still ends within a second.
pub(crate) const LAST_PAUSE: Duration = Duration::from_millis(500);
