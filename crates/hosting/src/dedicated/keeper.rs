//! Keeps every dedicated bouncer as its row says: a task each, which compares row, account and what the host tells.
//!
//! Each stage ends with a row that says so, and what a stage does may be done again: whatever process dies in between, the
//! next one goes on. While a move fails, the account is served where it was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use auth::AccountCache;
use contracts::http::Far;
use contracts::{
    Account, BouncerEngine, Bouncers, Call, CallError, CallResult, ChangeKind, DedicatedBouncer, DedicatedId,
    DedicatedPhase, DedicatedStage, Hold, Moves, Status, Sub,
};
use entitlements::Limit;
use futures_util::StreamExt as _;
use service::clock::now_s;
use service::shutdown::Shutdown;
use tokio::sync::Notify;

use super::board::Board;
use super::carry::carry;
use super::host::{BouncerHost, BouncerState, WantedBouncer};
use super::store::{DedicatedRow, Store};
use crate::metrics::{Direction, HostingMetrics};

/// How soon what is on its way is looked at again.
const SOON: Duration = Duration::from_secs(2);
/// How soon what rests is looked at again: what no change tells of, such as the end of a grace.
const SWEEP: Duration = Duration::from_secs(120);
/// How long a move that failed waits, with everything served where it was.
const AFTER_FAILURE: Duration = Duration::from_secs(20);
/// How long a step of a move may take.
const STEP: Duration = Duration::from_secs(60);

/// What dedicated bouncers are wired to.
pub struct Parts {
    /// What runs them.
    pub host: Arc<dyn BouncerHost>,
    /// The shared bouncer, for moves.
    pub moves: Arc<dyn Moves>,
    /// The shared bouncer, for what it keeps.
    pub shared: Arc<dyn Bouncers>,
    /// The way to each of them.
    pub far: Far,
}

/// The keeper. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Keeper {
    pub(super) store: Store,
    pub(super) accounts: AccountCache,
    pub(super) board: Arc<Board>,
    pub(super) domain: Arc<str>,
    pub(super) parts: Arc<Parts>,
    pub(crate) metrics: HostingMetrics,
    states: Arc<Mutex<BTreeMap<DedicatedId, BouncerState>>>,
    owners: Arc<Mutex<BTreeMap<DedicatedId, Sub>>>,
    bells: Arc<Mutex<BTreeMap<Sub, Arc<Notify>>>>,
    shutdown: Shutdown,
}

/// When a bouncer is looked at again.
enum Next {
    Again(Duration),
    Gone,
}

impl Keeper {
    /// Nothing is kept yet.
    pub async fn open(
        database: service::db::Database,
        accounts: AccountCache,
        domain: &str,
        parts: Parts,
        shutdown: &Shutdown,
    ) -> Result<Self, service::db::DbError> {
        Ok(Self {
            store: Store::open(database).await?,
            accounts,
            board: Arc::new(Board::new()),
            domain: domain.into(),
            parts: Arc::new(parts),
            metrics: HostingMetrics::default(),
            states: Arc::default(),
            owners: Arc::default(),
            bells: Arc::default(),
            shutdown: shutdown.clone(),
        })
    }

    /// Begins to keep every row.
    pub async fn start(&self) -> CallResult<()> {
        self.shutdown.spawn_until("dedicated states", self.clone().follow_states());
        self.shutdown.spawn_until("dedicated accounts", self.clone().follow_accounts());
        for row in self.store.all().await? {
            self.show(&row);
            self.look_at(row.sub);
        }
        Ok(())
    }

    /// The host name a label stands in.
    pub(super) fn hostname(&self, label: &str) -> String {
        format!("{label}.{}", self.domain)
    }

    /// A row is new or another: it is shown at once, and made so.
    pub(super) fn changed(&self, row: &DedicatedRow) -> DedicatedBouncer {
        let bouncer = self.show(row);
        self.look_at(row.sub);
        bouncer
    }

    /// Takes an account's away, with everything it kept: the account is deleted.
    pub(crate) async fn delete(&self, sub: Sub) -> CallResult<()> {
        if let Some(row) = self.store.get(sub).await? {
            self.take_away(&row).await?;
        }
        Ok(())
    }

    /// Has the account's task look, and begins it where there is none.
    fn look_at(&self, sub: Sub) {
        let mut bells = self.bells();
        if let Some(bell) = bells.get(&sub) {
            return bell.notify_one();
        }
        let bell = Arc::new(Notify::new());
        bells.insert(sub, Arc::clone(&bell));
        self.shutdown.spawn_until("dedicated bouncer", self.clone().keep(sub, bell));
    }

    async fn keep(self, sub: Sub, bell: Arc<Notify>) {
        let mut failing = false;
        loop {
            let pause = match self.look(sub).await {
                Ok(Next::Again(pause)) => {
                    failing = false;
                    pause
                }
                Ok(Next::Gone) => {
                    let mut bells = self.bells();
                    // Ordered again meanwhile: whoever rang is heard.
                    if self.board.of(sub).is_none() {
                        bells.remove(&sub);
                        return;
                    }
                    SOON
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%sub, %error, "a dedicated bouncer is not as it should be; trying again");
                    }
                    self.say(sub, &error);
                    SOON
                }
            };
            tokio::select! {
                () = bell.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Makes the account's as its row says.
    async fn look(&self, sub: Sub) -> CallResult<Next> {
        let Some(row) = self.store.get(sub).await? else {
            self.board.remove(sub);
            return Ok(Next::Gone);
        };
        let account = match self.accounts.get(sub, "hosting").await {
            Ok(account) if account.status != Status::Deleting => account,
            // The job that deletes it asks us too.
            Ok(_) | Err(CallError::NotFound { .. }) => return Ok(Next::Again(SWEEP)),
            Err(error) => return Err(error),
        };
        let leaving = row.cancelled || !in_plan(&account);
        match row.stage {
            DedicatedStage::Making | DedicatedStage::MovingIn if leaving => {
                self.begin(&row, DedicatedStage::Leaving).await
            }
            DedicatedStage::Making => self.make(&row, &account).await,
            DedicatedStage::MovingIn => self.move_in(&row, &account).await,
            DedicatedStage::There if leaving => self.begin(&row, DedicatedStage::MovingOut).await,
            DedicatedStage::There => self.stay(&row, &account).await,
            DedicatedStage::MovingOut => self.move_out(&row, &account).await,
            DedicatedStage::Leaving => {
                self.parts.moves.let_go(&step(sub)).await?;
                self.take_away(&row).await?;
                Ok(Next::Gone)
            }
        }
    }

    async fn begin(&self, row: &DedicatedRow, next: DedicatedStage) -> CallResult<Next> {
        self.store.stage(row, next).await?;
        if let Some(row) = self.store.get(row.sub).await? {
            self.show(&row);
        }
        Ok(Next::Again(Duration::ZERO))
    }

    async fn make(&self, row: &DedicatedRow, account: &Account) -> CallResult<Next> {
        self.keep_server(row, account, false).await?;
        let there = self.state(row.id).is_some_and(|state| {
            state.phase == DedicatedPhase::Ready
                && (state.reach.is_some() || row.engine == BouncerEngine::Soju)
        });
        if there && account.status == Status::Active {
            return self.begin(row, DedicatedStage::MovingIn).await;
        }
        Ok(Next::Again(SOON))
    }

    async fn move_in(&self, row: &DedicatedRow, account: &Account) -> CallResult<Next> {
        self.keep_server(row, account, false).await?;
        let (shared, call) = (&self.parts.moves, step(row.sub));
        if row.engine == BouncerEngine::Ircnow {
            let Some(there) = self.there(row) else { return Ok(Next::Again(SOON)) };
            let began = Instant::now();
            let carried = carry(&**shared, &there, &call).await;
            self.metrics.moved(Direction::In, carried.is_ok(), began.elapsed());
            if let Err(error) = carried {
                tracing::warn!(sub = %row.sub, %error, "a move to a dedicated bouncer failed");
                self.say(row.sub, &error);
                shared.let_go(&call).await?;
                return Ok(Next::Again(AFTER_FAILURE));
            }
        }
        shared.hold(&call, Hold::MovedTo { hostname: self.hostname(&row.label) }).await?;
        tracing::info!(sub = %row.sub, bouncer = %row.id, "an account moved to its dedicated bouncer");
        self.begin(row, DedicatedStage::There).await
    }

    async fn stay(&self, row: &DedicatedRow, account: &Account) -> CallResult<Next> {
        self.keep_server(row, account, account.status != Status::Active).await?;
        if row.settled {
            return Ok(Next::Again(SWEEP));
        }
        if row.engine == BouncerEngine::Ircnow {
            let Some(there) = self.there(row) else { return Ok(Next::Again(SOON)) };
            let call = step(row.sub);
            there.let_go(&call).await?;
            // Only now: everything is there, and served there.
            self.parts.moves.clear(&call).await?;
        }
        self.store.settled(row).await?;
        Ok(Next::Again(SWEEP))
    }

    async fn move_out(&self, row: &DedicatedRow, account: &Account) -> CallResult<Next> {
        if row.engine == BouncerEngine::Soju {
            // What soju keeps stays with it; the shared bouncer has everything as it was.
            return self.begin(row, DedicatedStage::Leaving).await;
        }
        // A suspended account's runs for as long as it takes to empty it; nobody gets in.
        self.keep_server(row, account, false).await?;
        let Some(there) = self.there(row) else { return Ok(Next::Again(SOON)) };
        let (shared, call) = (&self.parts.moves, step(row.sub));
        let began = Instant::now();
        let carried = carry(&there, &**shared, &call).await;
        self.metrics.moved(Direction::Out, carried.is_ok(), began.elapsed());
        if let Err(error) = carried {
            tracing::warn!(sub = %row.sub, %error, "a move from a dedicated bouncer failed");
            self.say(row.sub, &error);
            there.let_go(&call).await?;
            shared.hold(&call, Hold::MovedTo { hostname: self.hostname(&row.label) }).await?;
            return Ok(Next::Again(AFTER_FAILURE));
        }
        tracing::info!(sub = %row.sub, bouncer = %row.id, "an account moved back to the shared bouncer");
        self.begin(row, DedicatedStage::Leaving).await
    }

    async fn keep_server(&self, row: &DedicatedRow, account: &Account, stopped: bool) -> CallResult<()> {
        let seed = match (row.engine, row.stage) {
            (BouncerEngine::Soju, DedicatedStage::Making | DedicatedStage::MovingIn) => {
                let networks = self.parts.shared.networks(&Call::new(row.sub, "hosting")).await?;
                networks.into_iter().map(|network| network.spec).collect()
            }
            _ => Vec::new(),
        };
        let wanted = WantedBouncer {
            id: row.id,
            owner: row.sub,
            username: account.username.clone(),
            plan: account.plan.to_string(),
            hostname: self.hostname(&row.label),
            engine: row.engine,
            seed,
            stopped,
        };
        self.parts.host.keep(wanted).await.map_err(|error| CallError::unavailable(error.to_string()))
    }

    async fn take_away(&self, row: &DedicatedRow) -> CallResult<()> {
        let removed = self.parts.host.remove(row.sub, row.id).await;
        removed.map_err(|error| CallError::unavailable(error.to_string()))?;
        self.store.forget(row.id).await?;
        self.states().remove(&row.id);
        self.owners().remove(&row.id);
        self.board.remove(row.sub);
        Ok(())
    }

    /// The way to it, while it runs.
    fn there(&self, row: &DedicatedRow) -> Option<contracts::http::BouncersClient> {
        let state = self.state(row.id)?;
        Some(self.parts.far.at(&state.reach?))
    }

    fn state(&self, id: DedicatedId) -> Option<BouncerState> {
        self.states().get(&id).cloned()
    }

    /// Puts a row on the board, with what is known of its server.
    fn show(&self, row: &DedicatedRow) -> DedicatedBouncer {
        self.owners().insert(row.id, row.sub);
        let state = self.state(row.id).unwrap_or(BouncerState {
            phase: DedicatedPhase::Starting,
            detail: None,
            address: None,
            websocket: None,
            reach: None,
        });
        let before = self.board.of(row.sub);
        let same = before.as_ref().filter(|known| (known.stage, known.phase) == (row.stage, state.phase));
        let bouncer = DedicatedBouncer {
            id: row.id,
            engine: row.engine,
            hostname: self.hostname(&row.label),
            stage: row.stage,
            phase: state.phase,
            since: same.map_or_else(
                || if before.is_none() { row.since_us / 1_000_000 } else { now_s() },
                |known| known.since,
            ),
            detail: state.detail,
            address: state.address,
            websocket: state.websocket,
            reach: state.reach,
            created_at: row.created_us / 1_000_000,
        };
        self.board.set(row.sub, bouncer.clone());
        bouncer
    }

    /// Says what went wrong beside how it is.
    fn say(&self, sub: Sub, error: &CallError) {
        if let Some(mut bouncer) = self.board.of(sub) {
            bouncer.detail = Some(error.to_string());
            self.board.set(sub, bouncer);
        }
    }

    async fn follow_states(self) {
        loop {
            let mut states = self.parts.host.states();
            while let Some((id, state)) = states.next().await {
                self.states().insert(id, state);
                let owner = self.owners().get(&id).copied();
                let Some(owner) = owner else { continue };
                match self.store.get(owner).await {
                    Ok(row) => {
                        row.iter().for_each(|row| drop(self.show(row)));
                        self.look_at(owner);
                    }
                    Err(error) => tracing::warn!(%error, "dedicated bouncers cannot be read"),
                }
            }
            tokio::time::sleep(SOON).await;
        }
    }

    async fn follow_accounts(self) {
        let mut changes = self.accounts.subscribe();
        loop {
            match changes.recv().await {
                Ok(change) => match change.what {
                    ChangeKind::Account { account } => self.ring(account.sub),
                    ChangeKind::Deleted { sub } => self.ring(sub),
                    ChangeKind::CredentialRevoked { .. } | ChangeKind::SessionEnded { .. } => {}
                },
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {
                    self.bells().values().for_each(|bell| bell.notify_one());
                }
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    fn ring(&self, sub: Sub) {
        if let Some(bell) = self.bells().get(&sub) {
            bell.notify_one();
        }
    }

    fn owners(&self) -> std::sync::MutexGuard<'_, BTreeMap<DedicatedId, Sub>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn states(&self) -> std::sync::MutexGuard<'_, BTreeMap<DedicatedId, BouncerState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bells(&self) -> std::sync::MutexGuard<'_, BTreeMap<Sub, Arc<Notify>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step of a move.
fn step(sub: Sub) -> Call {
    Call { timeout: STEP, ..Call::new(sub, "hosting") }
}

/// Whether the plan has one, or had until a while ago.
fn in_plan(account: &Account) -> bool {
    let in_grace = account.over_limit_until.is_some_and(|until| now_s() < until);
    in_grace || account.limits.get(Limit::DedicatedBouncers).allows(1)
}
