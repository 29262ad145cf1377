//! What happens by the clock: cursors written, deleted networks purged, retention, old answers.

use std::sync::Arc;
use std::time::Duration;

use contracts::{Account, CallResult};
use entitlements::{Amount, Limit};
use history::{AccountId, StreamId};
use service::shutdown::Shutdown;

use crate::context::Context;

const CURSORS_EVERY: Duration = Duration::from_secs(1);
const PURGE_EVERY: Duration = Duration::from_secs(60);
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const PAGE: u32 = 200;

/// Starts the jobs that run by the clock. They end with the process; cursors are written once more by [`last_words`].
pub fn start(context: &Arc<Context>, shutdown: &Shutdown) {
    let seen = Arc::clone(context);
    shutdown.spawn_until("bouncer cursors", async move {
        loop {
            tokio::time::sleep(CURSORS_EVERY).await;
            if let Err(error) = seen.seen.write(&seen.store).await {
                tracing::warn!(%error, "how far devices have read could not be kept yet");
            }
        }
    });
    let purging = Arc::clone(context);
    shutdown.spawn_until("bouncer purge", async move {
        loop {
            tokio::time::sleep(PURGE_EVERY).await;
            if let Err(error) = purge(&purging).await {
                tracing::warn!(%error, "deleted networks could not be purged yet");
            }
        }
    });
    let pruning = Arc::clone(context);
    shutdown.spawn_until("bouncer retention", async move {
        // Not while everything starts.
        tokio::time::sleep(PURGE_EVERY).await;
        loop {
            if let Err(error) = prune(&pruning).await {
                tracing::warn!(%error, "history could not be pruned yet");
            }
            tokio::time::sleep(PRUNE_EVERY).await;
        }
    });
}

/// Writes what must not be lost when the process ends.
pub async fn last_words(context: &Context) {
    if let Err(error) = context.seen.write(&context.store).await {
        tracing::error!(%error, "how far devices have read could not be kept");
    }
}

/// Takes away what can no longer be undone.
pub async fn purge(context: &Context) -> CallResult<()> {
    for (sub, network) in context.store.networks_to_purge().await? {
        let deleted = context.history.delete_stream(AccountId(sub.0), StreamId(network.0)).await;
        match deleted {
            Ok(()) | Err(history::Error::NoSuchStream) => context.store.purge_network(sub, network).await?,
            Err(error) => {
                tracing::warn!(%sub, %network, %error, "the history of a deleted network is still there")
            }
        }
    }
    Ok(context.store.prune_answers().await?)
}

/// Takes away what is older than each account's plan keeps.
pub async fn prune(context: &Context) -> CallResult<()> {
    let mut after = None;
    loop {
        let page = context.store.users_after(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.sub);
        // What is counted at both ends of a move stays as it is until it is there.
        for row in page.iter().filter(|row| !context.is_on_the_way(row.sub)) {
            let Some(before_ms) = kept_from(&row.account, service::clock::now_ms()) else { continue };
            match context.history.prune(AccountId(row.sub.0), before_ms).await {
                Ok(0) => {}
                Ok(gone) => tracing::info!(sub = %row.sub, gone, "pruned what is older than the plan keeps"),
                Err(error) => tracing::warn!(sub = %row.sub, %error, "history could not be pruned yet"),
            }
        }
    }
}

/// From when on the account's history is kept; `None` is for ever. After a downgrade nothing goes for 30 days.
fn kept_from(account: &Account, now_ms: i64) -> Option<i64> {
    if account.over_limit_until.is_some_and(|until_s| until_s.saturating_mul(1000) > now_ms) {
        return None;
    }
    match account.limits.get(Limit::HistoryDays) {
        Amount::Unlimited => None,
        Amount::AtMost(days) => {
            Some(now_ms - i64::try_from(days).unwrap_or(i64::MAX / DAY_MS).saturating_mul(DAY_MS))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::{Status, Sub};
    use entitlements::{Limits, Plan};

    fn account(days: Amount, over_limit_until: Option<i64>) -> Account {
        Account {
            sub: Sub(uuid::Uuid::nil()),
            username: "alice".into(),
            email: None,
            email_verified: false,
            may_dial_out: true,
            status: Status::Active,
            plan: Plan("free".into()),
            limits: Limits::unlimited().with(Limit::HistoryDays, days),
            over_limit_until,
            roles: Vec::new(),
            version: 1,
            created_at: 0,
        }
    }

    #[test]
    fn history_is_kept_as_long_as_the_plan_says() {
        let now = 100 * DAY_MS;
        assert_eq!(kept_from(&account(Amount::AtMost(30), None), now), Some(70 * DAY_MS));
        assert_eq!(kept_from(&account(Amount::Unlimited, None), now), None);
    }

    #[test]
    fn after_a_downgrade_nothing_goes_for_as_long_as_was_promised() {
        let now = 100 * DAY_MS;
        let until_s = |ms: i64| Some(ms / 1000);
        assert_eq!(kept_from(&account(Amount::AtMost(30), until_s(101 * DAY_MS)), now), None);
        assert_eq!(kept_from(&account(Amount::AtMost(30), until_s(99 * DAY_MS)), now), Some(70 * DAY_MS));
    }
}
