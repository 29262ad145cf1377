//! All accounts in memory, and the way to each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contracts::{Account, Call, CallError, CallResult, Status, Sub};
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::context::Context;
use crate::user::{Msg, Resident};

/// Accounts brought into memory at the same time.
const BRING_UP: usize = 8;
/// Accounts read at once when the bouncer starts.
const PAGE: u32 = 500;
/// How long an account that leaves may take to store its last lines.
const LEAVING: Duration = Duration::from_secs(15);
/// How long a revoked credential is remembered: longer than any login takes to be turned into a session.
const REVOKED_FOR: Duration = Duration::from_secs(600);

/// All accounts in memory.
pub struct Hub {
    context: Arc<Context>,
    residents: Mutex<HashMap<Sub, Arc<OnceCell<Arc<Resident>>>>>,
    revoked: Mutex<HashMap<Uuid, Instant>>,
    tasks: TaskTracker,
}

impl Hub {
    /// Nobody yet.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, residents: Mutex::default(), revoked: Mutex::default(), tasks: TaskTracker::new() }
    }

    /// What everything shares.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The account in memory, brought there if it is not. `NotFound` if gatekeeper does not know it, `Forbidden` if this
    /// bouncer is for another one.
    pub async fn resident(&self, sub: Sub) -> CallResult<Arc<Resident>> {
        self.context.serves(sub)?;
        let cell = self.cell(sub);
        let resident = cell
            .get_or_try_init(|| async {
                let account = match self.context.store.user(sub).await? {
                    Some(row) => row.account,
                    None => self.ask_gatekeeper(sub).await?,
                };
                self.admit(account)
            })
            .await?;
        Ok(Arc::clone(resident))
    }

    /// The same for an account gatekeeper has just told us of.
    pub async fn resident_of(&self, account: &Account) -> CallResult<Arc<Resident>> {
        self.context.serves(account.sub)?;
        let cell = self.cell(account.sub);
        let resident = cell
            .get_or_try_init(|| async {
                self.context.store.keep_account(account).await?;
                self.admit(account.clone())
            })
            .await?;
        self.heard(resident, account).await?;
        Ok(Arc::clone(resident))
    }

    /// The account, not older than half a minute while gatekeeper answers; else as last known.
    pub async fn account(&self, sub: Sub) -> CallResult<Account> {
        let resident = self.resident(sub).await?;
        if let Some(account) = resident.fresh() {
            return Ok(account);
        }
        match self.context.accounts.account(&Call::new(sub, "bouncer")).await {
            Ok(account) => {
                self.heard(&resident, &account).await?;
                Ok(resident.last_known())
            }
            Err(CallError::Unavailable { .. }) => Ok(resident.last_known()),
            Err(error) => Err(error),
        }
    }

    /// The feed says an account is this now. One that is neither in memory nor in our rows concerns us only once it
    /// comes to us.
    pub async fn account_changed(&self, account: &Account) -> CallResult<()> {
        let in_memory = self.in_memory(account.sub);
        if in_memory.is_none() && self.context.store.user(account.sub).await?.is_none() {
            return Ok(());
        }
        match in_memory {
            Some(resident) => self.heard(&resident, account).await,
            None => Ok(self.context.store.keep_account(account).await?),
        }
    }

    /// A credential was revoked: its sessions end, and logins under way come to nothing.
    pub async fn revoked(&self, sub: Sub, credential: Uuid) -> CallResult<()> {
        {
            let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
            revoked.retain(|_, at| at.elapsed() < REVOKED_FOR);
            revoked.insert(credential, Instant::now());
        }
        match self.in_memory(sub) {
            Some(resident) => resident.tell(Msg::Revoked(credential)).await,
            None => Ok(()),
        }
    }

    /// Whether a credential was revoked a moment ago.
    pub fn is_revoked(&self, credential: Uuid) -> bool {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&credential)
    }

    /// The account is gone: its connections end and it leaves memory.
    pub async fn gone(&self, sub: Sub) {
        let cell = self.residents.lock().unwrap_or_else(PoisonError::into_inner).remove(&sub);
        if let Some(resident) = cell.and_then(|cell| cell.get().cloned()) {
            // An account whose task has ended already is gone too.
            let _ = resident.tell(Msg::Gone).await;
            resident.board.close();
        }
    }

    /// The account goes elsewhere: its devices are told so, and what was said is on disk when this returns.
    pub async fn leave(&self, sub: Sub, words: &str) -> CallResult<()> {
        let cell = self.residents.lock().unwrap_or_else(PoisonError::into_inner).remove(&sub);
        let Some(resident) = cell.and_then(|cell| cell.get().cloned()) else { return Ok(()) };
        let mailbox = resident.mailbox();
        // An account whose task has ended already has left.
        let _ = resident.tell(Msg::Leave(words.to_owned())).await;
        resident.board.close();
        tokio::time::timeout(LEAVING, mailbox.closed())
            .await
            .map_err(|_| CallError::unavailable("Your bouncer does not come to rest. It is tried again."))
    }

    /// Brings every account with networks into memory, a few at a time. How fast its networks connect is up to the
    /// manners towards their hosts.
    pub async fn bring_up(&self) -> CallResult<usize> {
        let mut after = None;
        let mut count = 0;
        loop {
            let page = self.context.store.users_with_networks_after(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(count) };
            after = Some(last.sub);
            count += page.len();
            stream::iter(page)
                .for_each_concurrent(BRING_UP, |row| async move {
                    if row.account.status == Status::Active
                        && self.context.serves(row.sub).is_ok()
                        && let Err(error) = self.resident(row.sub).await
                    {
                        tracing::error!(sub = %row.sub, %error, "an account could not be brought up");
                    }
                })
                .await;
        }
    }

    /// Ends every account's task in order, and waits for the last.
    pub async fn stop(&self) {
        let residents: Vec<Arc<Resident>> = {
            let cells = self.residents.lock().unwrap_or_else(PoisonError::into_inner);
            cells.values().filter_map(|cell| cell.get().cloned()).collect()
        };
        stream::iter(residents)
            .for_each_concurrent(None, |resident| async move {
                let _ = resident.tell(Msg::Stop).await;
            })
            .await;
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn heard(&self, resident: &Resident, account: &Account) -> CallResult<()> {
        if resident.heard(account) {
            self.context.store.keep_account(account).await?;
            resident.tell(Msg::Account(Box::new(account.clone()))).await?;
        }
        Ok(())
    }

    async fn ask_gatekeeper(&self, sub: Sub) -> CallResult<Account> {
        let account = self.context.accounts.account(&Call::new(sub, "bouncer")).await?;
        self.context.store.keep_account(&account).await?;
        Ok(account)
    }

    fn admit(&self, account: Account) -> CallResult<Arc<Resident>> {
        if self.tasks.is_closed() {
            return Err(CallError::unavailable("The bouncer is being restarted. Try again in a moment."));
        }
        if account.status == Status::Deleting {
            return Err(CallError::not_found("account"));
        }
        Ok(Resident::start(Arc::clone(&self.context), account, &self.tasks))
    }

    fn cell(&self, sub: Sub) -> Arc<OnceCell<Arc<Resident>>> {
        let mut residents = self.residents.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(residents.entry(sub).or_default())
    }

    fn in_memory(&self, sub: Sub) -> Option<Arc<Resident>> {
        let residents = self.residents.lock().unwrap_or_else(PoisonError::into_inner);
        residents.get(&sub).and_then(|cell| cell.get().cloned())
    }
}
