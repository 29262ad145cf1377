//! Keeps every network as its row says: compares rows, accounts and what the host tells, for as long as the service runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use auth::AccountCache;
use contracts::{
    Account, CallError, CallResult, ChangeKind, HostedId, HostedNetwork, HostedOperator, HostedPhase,
    HostedSpec, HostedState, Status, Sub,
};
use entitlements::{Amount, Limit};
use futures_util::StreamExt as _;
use service::clock::{now_s, now_us};
use service::shutdown::Shutdown;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use crate::board::Board;
use crate::host::{Host, Wanted};
use crate::store::{HostedRow, Store, StoreResult};

/// How often what failed is tried again, and deletions are looked at.
const AGAIN: Duration = Duration::from_secs(2);
/// In how many of those looks every network is compared anew: what no change tells of, such as the end of a grace.
const SWEEP: u64 = 60;
/// How many networks are worked on at once.
const AT_ONCE: usize = 8;

/// Why a network does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// It does.
    No,
    /// Its owner suspended it.
    Owner,
    /// The account is suspended or goes away.
    Account,
    /// The plan allows fewer networks.
    Plan,
    /// It is deleted, and can still be restored.
    Deleted,
}

impl Stop {
    fn words(self) -> Option<&'static str> {
        match self {
            Self::No | Self::Owner | Self::Deleted => None,
            Self::Account => Some("Your account is suspended, and this network with it."),
            Self::Plan => Some(
                "Your plan hosts fewer networks than you have. Delete one, or change your plan, and it starts again.",
            ),
        }
    }
}

/// The keeper. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Keeper {
    pub store: Store,
    pub accounts: AccountCache,
    pub host: Arc<dyn Host>,
    pub board: Arc<Board>,
    pub domain: Arc<str>,
    undo_us: i64,
    dirty: Arc<Dirty>,
    stops: Arc<Mutex<BTreeMap<HostedId, Stop>>>,
}

#[derive(Default)]
struct Dirty {
    ids: Mutex<BTreeSet<HostedId>>,
    bell: Notify,
}

impl Dirty {
    fn add(&self, id: HostedId) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        self.bell.notify_one();
    }

    fn take(&self) -> BTreeSet<HostedId> {
        std::mem::take(&mut *self.ids.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Keeper {
    pub fn new(
        store: Store,
        accounts: AccountCache,
        host: Arc<dyn Host>,
        domain: String,
        undo: Duration,
    ) -> Self {
        Self {
            store,
            accounts,
            host,
            board: Arc::new(Board::new()),
            domain: domain.into(),
            undo_us: i64::try_from(undo.as_micros()).unwrap_or(i64::MAX),
            dirty: Arc::default(),
            stops: Arc::default(),
        }
    }

    /// The host name a label stands in.
    pub fn hostname(&self, label: &str) -> String {
        format!("{label}.{}", self.domain)
    }

    /// Puts every row on the board.
    pub async fn load(&self) -> StoreResult<()> {
        for row in self.store.all().await? {
            self.show(&row, None, Stop::No);
            self.dirty.add(row.id);
        }
        Ok(())
    }

    /// Starts what compares.
    pub fn start(&self, shutdown: &Shutdown) {
        shutdown.spawn_until("hosted networks", self.clone().work());
        shutdown.spawn_until("hosted states", self.clone().follow_states());
        shutdown.spawn_until("hosted accounts", self.clone().follow_accounts());
    }

    /// A row changed: it is shown at once, and made so.
    pub fn changed(&self, row: &HostedRow, account: &Account) -> HostedNetwork {
        let stop = if row.deleted_us.is_some() {
            Stop::Deleted
        } else if row.suspended {
            Stop::Owner
        } else {
            Stop::No
        };
        let network = self.show(row, Some(account), stop);
        self.dirty.add(row.id);
        network
    }

    /// Takes a network away for good.
    pub async fn remove(&self, id: HostedId) -> CallResult<()> {
        self.host.remove(id).await.map_err(|error| CallError::unavailable(error.to_string()))?;
        self.store.purge(id).await?;
        self.stops().remove(&id);
        self.board.remove(id);
        Ok(())
    }

    async fn work(self) {
        let mut tick = interval(AGAIN);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = BTreeSet::new();
        let mut looks = 0_u64;
        loop {
            tokio::select! {
                () = self.dirty.bell.notified() => {}
                _ = tick.tick() => {
                    looks += 1;
                    failed.iter().for_each(|id| self.dirty.add(*id));
                    let now = now_us();
                    for network in self.board.every() {
                        let over = network.deleted_at.is_some_and(|at| now >= (at * 1_000_000).saturating_add(self.undo_us));
                        if over || looks.is_multiple_of(SWEEP) {
                            self.dirty.add(network.id);
                        }
                    }
                    if looks.is_multiple_of(SWEEP) && let Err(error) = self.store.prune_answers().await {
                        tracing::warn!(%error, "old answers cannot be forgotten");
                    }
                }
            }
            let done = futures_util::stream::iter(self.dirty.take())
                .map(|id| {
                    let this = self.clone();
                    async move { (id, this.converge(id).await) }
                })
                .buffer_unordered(AT_ONCE)
                .collect::<Vec<_>>();
            for (id, result) in done.await {
                match result {
                    Ok(()) => {
                        failed.remove(&id);
                    }
                    Err(error) => {
                        if failed.insert(id) {
                            tracing::warn!(network = %id, %error, "a hosted network is not as it should be; trying again");
                        }
                    }
                }
            }
        }
    }

    /// Makes one network as its row says.
    async fn converge(&self, id: HostedId) -> CallResult<()> {
        let Some(row) = self.store.get(id).await? else {
            self.host.remove(id).await.map_err(|error| CallError::unavailable(error.to_string()))?;
            self.board.remove(id);
            return Ok(());
        };
        if row.deleted_us.is_some_and(|at| now_us() >= at.saturating_add(self.undo_us)) {
            return self.remove(id).await;
        }
        let account = match self.accounts.get(row.sub, "hosting").await {
            Ok(account) => Some(account),
            // Being deleted: the job that deletes it asks us too.
            Err(CallError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let stop = self.stop(&row, account.as_ref()).await?;
        self.show(&row, account.as_ref(), stop);
        let limit = account.as_ref().map(|account| account.limits.get(Limit::HostedNetworkUsers));
        let wanted = Wanted {
            id,
            owner: row.sub,
            username: account.as_ref().map(|account| account.username.clone()).unwrap_or_default(),
            plan: account.as_ref().map(|account| account.plan.to_string()).unwrap_or_default(),
            hostname: self.hostname(&row.label),
            name: row.kept.name,
            label: row.label,
            access: row.kept.access,
            motd: row.kept.motd,
            operators: row.kept.operators,
            clients: limit.and_then(Amount::number),
            stopped: stop != Stop::No,
        };
        if let Err(error) = self.host.keep(wanted).await {
            self.board.change(id, |network| {
                network.state = HostedState {
                    phase: HostedPhase::Failing,
                    since: now_s(),
                    detail: Some(error.to_string()),
                    ..network.state.clone()
                };
            });
            return Err(CallError::unavailable(error.to_string()));
        }
        Ok(())
    }

    async fn stop(&self, row: &HostedRow, account: Option<&Account>) -> StoreResult<Stop> {
        if row.deleted_us.is_some() {
            return Ok(Stop::Deleted);
        }
        let Some(account) = account.filter(|account| account.status == Status::Active) else {
            return Ok(Stop::Account);
        };
        if row.suspended {
            return Ok(Stop::Owner);
        }
        let in_grace = account.over_limit_until.is_some_and(|until| now_s() < until);
        let fits = account.limits.get(Limit::HostedNetworks).allows(self.store.rank(row).await? + 1);
        Ok(if fits || in_grace { Stop::No } else { Stop::Plan })
    }

    /// Puts a row on the board, with what is known of its state.
    fn show(&self, row: &HostedRow, account: Option<&Account>, stop: Stop) -> HostedNetwork {
        let before = self.board.network(row.sub, row.id);
        let state = before.as_ref().map_or_else(nothing_known, |network| network.state.clone());
        self.stops().insert(row.id, stop);
        let users_allowed = match account {
            Some(account) => account.limits.get(Limit::HostedNetworkUsers),
            None => before.map_or(Amount::AtMost(0), |network| network.users_allowed),
        };
        let network = HostedNetwork {
            id: row.id,
            spec: HostedSpec {
                name: row.kept.name.clone(),
                access: row.kept.access,
                motd: row.kept.motd.clone(),
                operators: row
                    .kept
                    .operators
                    .iter()
                    .map(|kept| HostedOperator { name: kept.name.clone(), role: kept.role, password: None })
                    .collect(),
            },
            hostname: self.hostname(&row.label),
            suspended: row.suspended,
            users_allowed,
            state: settled(&state, state.clone(), stop),
            version: row.version,
            created_at: row.created_us / 1_000_000,
            deleted_at: row.deleted_us.map(|at| at / 1_000_000),
        };
        self.board.set(row.sub, network.clone());
        network
    }

    async fn follow_states(self) {
        loop {
            let mut states = self.host.states();
            while let Some((id, state)) = states.next().await {
                let stop = self.stops().get(&id).copied().unwrap_or(Stop::No);
                self.board.change(id, |network| network.state = settled(&network.state, state, stop));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn follow_accounts(self) {
        let mut changes = self.accounts.subscribe();
        loop {
            match changes.recv().await {
                Ok(change) => match change.what {
                    ChangeKind::Account { account } => self.touch(account.sub),
                    ChangeKind::Deleted { sub } => self.touch(sub),
                    ChangeKind::CredentialRevoked { .. } | ChangeKind::SessionEnded { .. } => {}
                },
                // Too many to tell apart: look at every network.
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {
                    self.board.every().iter().for_each(|network| self.dirty.add(network.id));
                }
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    fn stops(&self) -> std::sync::MutexGuard<'_, BTreeMap<HostedId, Stop>> {
        self.stops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self, sub: Sub) {
        self.board.ids(sub).into_iter().for_each(|id| self.dirty.add(id));
    }
}

fn nothing_known() -> HostedState {
    HostedState {
        phase: HostedPhase::Starting,
        since: now_s(),
        detail: None,
        addresses: Vec::new(),
        websocket: None,
        users: 0,
        channels: 0,
        software: None,
        keeps_history: None,
    }
}

/// What the host told, in the light of what is wanted: what stops a network is said here.
fn settled(before: &HostedState, told: HostedState, stop: Stop) -> HostedState {
    let (phase, detail) = match stop {
        // The host has not seen yet that it is to go on.
        Stop::No if told.phase == HostedPhase::Suspended => (HostedPhase::Starting, None),
        Stop::No => (told.phase, told.detail.clone()),
        stop => (HostedPhase::Suspended, stop.words().map(str::to_owned)),
    };
    let since = if before.phase == phase { before.since } else { now_s() };
    let there = phase == HostedPhase::Ready;
    let (users, channels) = if there { (told.users, told.channels) } else { (0, 0) };
    HostedState { phase, detail, since, users, channels, ..told }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stopped_says_why_and_what_goes_on_is_on_its_way() {
        let ready = HostedState { phase: HostedPhase::Ready, users: 7, ..nothing_known() };
        let stopped = settled(&ready, ready.clone(), Stop::Plan);
        assert_eq!((stopped.phase, stopped.users), (HostedPhase::Suspended, 0));
        assert!(stopped.detail.as_deref().is_some_and(|detail| detail.contains("plan")));
        let again = settled(&stopped, stopped.clone(), Stop::No);
        assert_eq!((again.phase, again.detail.clone()), (HostedPhase::Starting, None));
        assert_eq!(settled(&ready, ready.clone(), Stop::No), ready);
    }

    #[test]
    fn a_state_that_goes_on_keeps_when_it_began() {
        let began = HostedState { phase: HostedPhase::Ready, since: 5, ..nothing_known() };
        let told = HostedState { phase: HostedPhase::Ready, users: 3, ..nothing_known() };
        assert_eq!(settled(&began, told, Stop::No).since, 5);
    }
}
