//! Deletion of an account: a durable job that ends when every service that keeps rows of it has confirmed.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use contracts::{AccountData, Call, CallError, Status, Sub};
use service::clock::now_s;

use crate::Gatekeeper;
use crate::error::{Error, Result};
use crate::store::KEEP_DELETED_SECONDS;

/// How long a service may take for one try.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(10);

impl Gatekeeper {
    /// From here on nothing of the account runs: its sessions end, others hear of it, the job begins.
    pub(crate) async fn begin_deletion(&self, sub: Sub, why: &str, now: i64) -> Result<()> {
        let mut tx = self.0.store.begin().await?;
        let account = self.0.store.account_in(&mut tx, sub).await?;
        let Some(account) = account else { return Err(CallError::not_found("account").into()) };
        if account.status != Status::Deleting {
            self.0.store.set_status(&mut tx, sub, Status::Deleting).await?;
            self.0.store.ask_deletion(&mut tx, sub, now).await?;
            self.end_sessions_in(&mut tx, sub, None, now).await?;
            self.0.store.touch(&mut tx, sub, now).await?;
            self.0.store.commit(tx).await?;
            tracing::info!(%sub, why, "an account is being deleted");
        }
        self.0.work.notify_waiters();
        Ok(())
    }

    /// Works on the open deletions, now and whenever there is one.
    pub(crate) async fn run_deletions(&self) {
        // When the last one was finished whose id others may still have to read.
        let mut finished: Option<i64> = None;
        loop {
            // Asked for before the work, so that what comes meanwhile wakes us.
            let woken = self.0.work.notified();
            match self.work_on_deletions().await {
                Ok(true) => finished = Some(now_s()),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "deletions did not get on"),
            }
            if finished.is_some_and(|at| now_s() - at > KEEP_DELETED_SECONDS) {
                match self.0.store.prune_feed(now_s()).await {
                    Ok(()) => finished = None,
                    Err(error) => tracing::warn!(%error, "the feed keeps what it should forget"),
                }
            }
            let _ = tokio::time::timeout(PAUSE, woken).await;
        }
    }

    /// Whether one was finished.
    async fn work_on_deletions(&self) -> Result<bool> {
        let services = self.0.data.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(services) = services else { return Ok(false) };
        let mut finished = false;
        for sub in self.0.store.open_deletions().await? {
            if self.confirmed_by_all(sub, &services).await? {
                self.finish_deletion(sub).await?;
                finished = true;
            }
        }
        Ok(finished)
    }

    async fn confirmed_by_all(&self, sub: Sub, services: &[Arc<dyn AccountData>]) -> Result<bool> {
        let confirmed = self.0.store.confirmed_deletions(sub).await?;
        let mut all = true;
        for service in
            services.iter().filter(|service| !confirmed.iter().any(|name| name == service.service()))
        {
            let call = Call { timeout: PATIENCE, ..Call::new(sub, format!("delete-{sub}")).changing() };
            let answer = tokio::time::timeout(PATIENCE, service.delete(&call)).await;
            match answer.unwrap_or_else(|_| Err(CallError::unavailable("It did not answer in time."))) {
                Ok(()) | Err(CallError::NotFound { .. }) => {
                    self.0.store.confirm_deletion(sub, service.service()).await?;
                }
                Err(error) => {
                    tracing::warn!(%sub, service = service.service(), %error, "a deletion waits for a service");
                    all = false;
                }
            }
        }
        Ok(all)
    }

    async fn finish_deletion(&self, sub: Sub) -> Result<()> {
        let now = now_s();
        let mut tx = self.0.store.begin().await?;
        let account = self.0.store.account_in(&mut tx, sub).await?;
        let account = account.ok_or_else(|| Error::Internal("a deletion without its account".to_owned()))?;
        let hash = self.0.pepper.hash("former-name", &account.username);
        self.0.store.purge(&mut tx, sub, &hash, now).await?;
        self.0.store.commit(tx).await?;
        tracing::info!(%sub, "an account was deleted everywhere");
        Ok(())
    }
}
