//! Follows gatekeeper's changes with a kept cursor: suspensions, plans, revocations, deletions.

use std::sync::Arc;
use std::time::Duration;

use contracts::{CallResult, ChangeKind, FeedCursor};
use futures_util::StreamExt as _;
use service::health::Part;
use service::shutdown::Shutdown;

use crate::hub::Hub;

/// How long to wait before gatekeeper is asked again: short enough that what is revoked right after it is back still ends
/// within a second.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows the feed until the process ends. `caught_up` becomes ready once everything that happened while we were
/// away is known: before that nobody new is let in.
pub async fn follow(
    hub: Arc<Hub>,
    caught_up: Part,
    gate: tokio::sync::watch::Sender<bool>,
    shutdown: Shutdown,
) {
    let mut followed = true;
    while !shutdown.is_triggered() {
        let run = shutdown.token();
        match run.run_until_cancelled(follow_once(&hub, &caught_up, &gate)).await {
            None => return,
            Some(Ok(())) => followed = true,
            Some(Err(error)) => {
                // Said when it begins, not twice a second for as long as gatekeeper is away.
                if std::mem::replace(&mut followed, false) {
                    tracing::warn!(%error, "gatekeeper's changes cannot be followed; trying again");
                }
                caught_up.not_ready("gatekeeper does not answer");
            }
        }
        let _ = run.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
    }
}

async fn follow_once(hub: &Hub, caught_up: &Part, gate: &tokio::sync::watch::Sender<bool>) -> CallResult<()> {
    let store = &hub.context().store;
    let accounts = &hub.context().accounts;
    let kept = store.feed_cursor().await?;
    let present = accounts.feed_cursor().await?;
    let after = match kept {
        Some(cursor) => cursor,
        // The first start: nobody is known yet, so nothing that happened before concerns us.
        None => {
            store.keep_feed_cursor(present).await?;
            present
        }
    };
    let mut changes = accounts.changes(Some(after)).await?;
    let ready = |cursor: FeedCursor| {
        if cursor >= present {
            caught_up.ready();
            gate.send_replace(true);
        }
    };
    ready(after);
    while let Some(change) = changes.next().await {
        take(hub, change.what).await?;
        store.keep_feed_cursor(change.cursor).await?;
        ready(change.cursor);
    }
    Ok(())
}

async fn take(hub: &Hub, change: ChangeKind) -> CallResult<()> {
    match change {
        ChangeKind::Account { account } => hub.account_changed(&account).await,
        ChangeKind::CredentialRevoked { sub, credential } => hub.revoked(sub, credential).await,
        // Browser sessions are no concern of ours.
        ChangeKind::SessionEnded { .. } => Ok(()),
        ChangeKind::Deleted { sub } => {
            hub.gone(sub).await;
            Ok(())
        }
    }
}
