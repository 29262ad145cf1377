//! What every part of the bouncer shares.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bouncer_core::{ConnId, Cursor};
use contracts::{Accounts, CallError, CallResult, Hold, NetworkId, Sub, WellKnownNetwork};
use history::History;
use irc_client::{Dial, HostLimiter};
use service::dialer::Guarded;
use uuid::Uuid;

use crate::metrics::BouncerMetrics;
use crate::store::{Store, StoreResult};

/// What every part of the bouncer shares.
pub struct Context {
    /// Our rows.
    pub store: Store,
    /// The log.
    pub history: History,
    /// Gatekeeper.
    pub accounts: Arc<dyn Accounts>,
    /// Which pairs the operator vouches for.
    pub guard: Guarded,
    /// The way out.
    pub dialer: Arc<dyn Dial>,
    /// Manners towards hosts, over all users.
    pub limiter: Arc<HostLimiter>,
    /// The authorities upstreams are checked against.
    pub roots: Arc<rustls::RootCertStore>,
    /// The figures.
    pub metrics: BouncerMetrics,
    /// The networks on offer.
    pub well_known: Vec<WellKnownNetwork>,
    /// The one account this bouncer is for; all where there is none.
    pub only: Option<Sub>,
    /// Accounts that are kept away from here: they move, or live elsewhere.
    pub held: Mutex<HashMap<Sub, Hold>>,
    /// Accounts that are being forgotten.
    pub clearing: crate::moves::Clearing,
    /// The name the bouncer calls itself.
    pub server_name: String,
    /// The most lines of one page of history.
    pub page_limit: u32,
    /// How far devices have seen, until it is written.
    pub seen: SeenCursors,
    /// The number of the next connection.
    pub next_conn: AtomicU64,
}

/// What anybody else is told at a bouncer that is for one account.
const SOMEBODY_ELSES: &str = "This bouncer belongs to another account. Log in at your own.";

/// Why an account is held, in words for its devices.
pub fn held_words(why: &Hold) -> String {
    match why {
        Hold::Moving => "Your bouncer is being moved. Try again in a moment.".to_owned(),
        Hold::MovedTo { hostname } => format!("Your bouncer is {hostname} now. Connect there."),
    }
}

impl Context {
    /// Whether this bouncer serves an account now, or why it does not.
    pub fn serves(&self, sub: Sub) -> CallResult<()> {
        self.is_for(sub)?;
        match self.held().get(&sub) {
            None => Ok(()),
            Some(why @ Hold::Moving) => Err(CallError::unavailable(held_words(why))),
            Some(why @ Hold::MovedTo { .. }) => Err(CallError::Forbidden { reason: held_words(why) }),
        }
    }

    /// Whether an account is held.
    pub fn is_held(&self, sub: Sub) -> bool {
        self.held().contains_key(&sub)
    }

    /// Whether an account is being moved.
    pub fn is_on_the_way(&self, sub: Sub) -> bool {
        matches!(self.held().get(&sub), Some(Hold::Moving))
    }

    /// Keeps an account away, also over a restart.
    pub async fn hold(&self, sub: Sub, why: Hold) -> StoreResult<()> {
        self.store.hold(sub, &why).await?;
        self.held().insert(sub, why);
        Ok(())
    }

    /// Serves an account again.
    pub async fn let_go(&self, sub: Sub) -> StoreResult<()> {
        self.store.let_go(sub).await?;
        self.held().remove(&sub);
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Sub, Hold>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this bouncer is for an account at all.
    pub fn is_for(&self, sub: Sub) -> CallResult<()> {
        match self.only {
            Some(only) if only != sub => Err(CallError::Forbidden { reason: SOMEBODY_ELSES.to_owned() }),
            Some(_) | None => Ok(()),
        }
    }

    /// A number no connection of this process had before.
    pub fn conn_id(&self) -> ConnId {
        ConnId(self.next_conn.fetch_add(1, Ordering::Relaxed))
    }
}

/// How far devices have seen networks: gathered here and written together, about once a second.
#[derive(Default)]
pub struct SeenCursors {
    noted: Mutex<HashMap<(Uuid, NetworkId), Cursor>>,
}

impl SeenCursors {
    /// Notes one.
    pub fn note(&self, device: Uuid, network: NetworkId, cursor: Cursor) {
        self.lock().insert((device, network), cursor);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Uuid, NetworkId), Cursor>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what was noted. What could not be written is kept for the next time, unless it was noted anew.
    pub async fn write(&self, store: &Store) -> StoreResult<()> {
        let noted = std::mem::take(&mut *self.lock());
        if noted.is_empty() {
            return Ok(());
        }
        let rows = noted.iter().map(|(&(device, network), &cursor)| (device, network, cursor));
        let written = store.keep_cursors(rows.collect::<Vec<_>>()).await;
        if written.is_err() {
            let mut later = self.lock();
            for (key, cursor) in noted {
                later.entry(key).or_insert(cursor);
            }
        }
        written
    }
}
