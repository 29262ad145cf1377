//! What happens to sessions by itself: accounts change, the issuer's sessions end, other processes revoke, time passes.

use std::sync::Arc;
use std::time::Duration;

use contracts::{AccountChange, Accounts, ChangeKind, FeedCursor, Status};
use futures_util::StreamExt as _;
use service::shutdown::Shutdown;

use crate::account_cache::{FIRST_PAUSE, LAST_PAUSE};
use crate::error::AuthError;
use crate::relying_party::RelyingParty;

/// How often it is looked whether another process ended a session something is open for here.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How far back that look goes: longer than a transaction may take to show.
const LOOK_BACK_US: i64 = 10_000_000;
/// How often what has ended long ago is deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

pub(crate) fn start(party: &RelyingParty, accounts: Arc<dyn Accounts>, shutdown: &Shutdown) {
    shutdown.spawn_until("session feed", feed(party.clone(), accounts));
    shutdown.spawn_until("session look-out", look_out(party.clone()));
    shutdown.spawn_until("session sweep", sweep(party.clone()));
}

/// Follows the feed from where it was left, so that what ended while this process was away ends here before anything else
/// is told.
async fn feed(party: RelyingParty, accounts: Arc<dyn Accounts>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match follow(&party, accounts.as_ref()).await {
            Ok(true) => pause = FIRST_PAUSE,
            Ok(false) => {}
            // Said when it begins, not twice a second for as long as gatekeeper is away.
            Err(error) if pause < LAST_PAUSE => {
                tracing::warn!(%error, "the account feed cannot be followed; trying again");
            }
            Err(error) => tracing::debug!(%error, "the account feed cannot be followed yet"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// One connection to the feed, until it breaks. Whether anything came.
async fn follow(party: &RelyingParty, accounts: &dyn Accounts) -> Result<bool, AuthError> {
    let after = party.inner.sessions.cursor().await?.map(FeedCursor);
    let changes = accounts.changes(after).await;
    let mut changes = changes.map_err(|error| AuthError::Issuer(error.to_string()))?;
    let mut any = false;
    while let Some(change) = changes.next().await {
        any = true;
        apply(party, &change).await?;
        party.inner.sessions.set_cursor(change.cursor.0).await?;
    }
    Ok(any)
}

async fn apply(party: &RelyingParty, change: &AccountChange) -> Result<(), AuthError> {
    party.inner.cache.apply(change);
    match &change.what {
        ChangeKind::Account { account } => match account.status {
            Status::Active => Ok(()),
            Status::Suspended | Status::Deleting => party.end(None, Some(account.sub)).await,
        },
        ChangeKind::SessionEnded { sid, .. } => party.end(Some(sid), None).await,
        ChangeKind::Deleted { sub } => party.delete_account(*sub).await,
        // Doors' business: nobody signs in to a site with an app password.
        ChangeKind::CredentialRevoked { .. } => Ok(()),
    }
}

async fn look_out(party: RelyingParty) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if party.inner.live.is_empty() {
            continue;
        }
        match party.inner.sessions.revoked_since(service::clock::now_us() - LOOK_BACK_US).await {
            Ok(ended) => party.inner.live.end(&ended),
            Err(error) => tracing::warn!(%error, "it cannot be seen which sessions have ended"),
        }
    }
}

async fn sweep(party: RelyingParty) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    loop {
        every.tick().await;
        if let Err(error) = party.inner.sessions.sweep().await {
            tracing::warn!(%error, "old sessions cannot be deleted");
        }
    }
}
