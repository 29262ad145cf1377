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
    Account, BouncerEngine, Call, CallError, CallResult, ChangeKind, DedicatedBouncer, DedicatedId,
    DedicatedPhase, DedicatedStage, Hold, Moves, Status, Sub,
};
use entitlements::Limit;
use futures_util::StreamExt as _;
use service::clock::now_s;
use service::shutdown::Shutdown;
use tokio::sync::Notify;

use super::board::Board;
use super::carry::{self, How};
use super::host::{BouncerHost, BouncerState, Moving, WantedBouncer};
use super::store::{DedicatedRow, Store};
use crate::metrics::{Direction, HostingMetrics};

/// How soon what is on its way is looked at again.
const SOON: Duration = Duration::from_secs(2);
/// How soon what rests is looked at again: what no change tells of, such as the end of a grace.
const SWEEP: Duration = Duration::from_secs(120);
/// How long a move that failed waits, with everything served where it was.
const AFTER_FAILURE: Duration = Duration::from_secs(20);
/// How long a move that makes no step is tried before it has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a soju stands still for nobody being there to hand its rows over.
const LONGEST_STOP: Duration = Duration::from_secs(300);
/// How long it serves again before it is stopped once more.
const BETWEEN_STOPS: Duration = Duration::from_secs(900);
/// What is said then.
const NOT_READ: &str = "What your soju keeps cannot be read right now. It serves you as before, nothing was changed, and the move is tried again.";
/// How long a step of a move may take.
const STEP: Duration = Duration::from_secs(60);
/// For how long steps are taken before row and account are looked at again.
const SLICE: Duration = Duration::from_secs(2);

/// What dedicated bouncers are wired to.
pub struct Parts {
    /// What runs them.
    pub host: Arc<dyn BouncerHost>,
    /// The shared bouncer, for moves.
    pub moves: Arc<dyn Moves>,
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
    attempts: Arc<Mutex<BTreeMap<DedicatedId, Attempt>>>,
    bells: Arc<Mutex<BTreeMap<Sub, Arc<Notify>>>>,
    /// Since when a move makes no step.
    stuck: Arc<Mutex<BTreeMap<Sub, Instant>>>,
    shutdown: Shutdown,
}

/// A move out of a soju, which stands still for it.
#[derive(Clone, Copy)]
enum Attempt {
    Began(Instant),
    Failed(Instant),
}

/// When a bouncer is looked at again.
enum Next {
    Again(Duration),
    Gone,
}

/// How far a move came in one look.
enum Carried {
    /// Everything is there, and both ends say so.
    All,
    /// Some more of it.
    Some,
    /// A step was not taken; it is tried again.
    Waits,
    /// It has to begin anew.
    Failed,
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
            attempts: Arc::default(),
            bells: Arc::default(),
            stuck: Arc::default(),
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
                    self.say(sub, error.to_string());
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
        // soju is not started before the account is there; then it is reached all the same.
        let runs = |state: BouncerState| {
            (state.phase == DedicatedPhase::Ready || row.engine == BouncerEngine::Soju)
                && state.reach.is_some()
        };
        let there = self.state(row.id).is_some_and(runs);
        if there && account.status == Status::Active {
            return self.begin(row, DedicatedStage::MovingIn).await;
        }
        Ok(Next::Again(SOON))
    }

    async fn move_in(&self, row: &DedicatedRow, account: &Account) -> CallResult<Next> {
        self.keep_server(row, account, false).await?;
        let (shared, call) = (&self.parts.moves, step(row.sub));
        let Some(there) = self.there(row) else { return Ok(Next::Again(SOON)) };
        match self.carry(row, &**shared, &there, Direction::In).await? {
            Carried::All => {}
            Carried::Some => return Ok(Next::Again(Duration::ZERO)),
            Carried::Waits => return Ok(Next::Again(SOON)),
            Carried::Failed => {
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
        let Some(there) = self.there(row) else { return Ok(Next::Again(SOON)) };
        let call = step(row.sub);
        there.let_go(&call).await?;
        // Only now: everything is there, and served there. What soju cannot keep stays here.
        if row.engine == BouncerEngine::Ircnow && !self.parts.moves.clear(&call).await? {
            return Ok(Next::Again(SOON));
        }
        self.store.settled(row).await?;
        Ok(Next::Again(Duration::ZERO))
    }

    async fn move_out(&self, row: &DedicatedRow, account: &Account) -> CallResult<Next> {
        if row.engine == BouncerEngine::Soju && self.rests(row.id) {
            // Served there as before, until the next attempt.
            self.keep_server_for(row, account, account.status != Status::Active, None).await?;
            self.say(row.sub, NOT_READ.to_owned());
            return Ok(Next::Again(SOON));
        }
        // A suspended account's runs for as long as it takes to empty it; nobody gets in.
        self.keep_server(row, account, false).await?;
        let Some(there) = self.there(row) else { return Ok(self.out_of_reach(row)) };
        let (shared, call) = (&self.parts.moves, step(row.sub));
        match self.carry(row, &there, &**shared, Direction::Out).await? {
            Carried::All => {}
            Carried::Some => return Ok(Next::Again(Duration::ZERO)),
            Carried::Waits => return Ok(Next::Again(SOON)),
            Carried::Failed => {
                there.let_go(&call).await?;
                shared.hold(&call, Hold::MovedTo { hostname: self.hostname(&row.label) }).await?;
                if row.engine == BouncerEngine::Soju {
                    self.attempts().insert(row.id, Attempt::Failed(Instant::now()));
                }
                return Ok(Next::Again(AFTER_FAILURE));
            }
        }
        tracing::info!(sub = %row.sub, bouncer = %row.id, "an account moved back to the shared bouncer");
        self.begin(row, DedicatedStage::Leaving).await
    }

    /// Goes on with a move for a while, from where the row says it is.
    async fn carry(
        &self,
        row: &DedicatedRow,
        from: &dyn Moves,
        to: &dyn Moves,
        direction: Direction,
    ) -> CallResult<Carried> {
        let call = step(row.sub);
        let took = || Duration::from_micros((service::clock::now_us() - row.since_us).unsigned_abs());
        let how = match (row.engine, direction) {
            (BouncerEngine::Ircnow, _) => How::Whole,
            (BouncerEngine::Soju, Direction::In) => How::IntoLess,
            (BouncerEngine::Soju, Direction::Out) => How::OutOfLess,
        };
        let mut course = row.course.clone().unwrap_or_default();
        let began = Instant::now();
        while began.elapsed() < SLICE {
            match carry::step(from, to, &call, course.clone(), how).await {
                Ok(Some(next)) => {
                    self.stuck().remove(&row.sub);
                    self.store.course(row, Some(&next)).await?;
                    course = next;
                }
                Ok(None) => {
                    self.metrics.moved(direction, true, took());
                    return Ok(Carried::All);
                }
                Err(error) => {
                    self.say(row.sub, error.to_string());
                    let since = *self.stuck().entry(row.sub).or_insert_with(Instant::now);
                    let is_conflict = matches!(error, CallError::Conflict { .. });
                    if !is_conflict && since.elapsed() < PATIENCE {
                        return Ok(Carried::Waits);
                    }
                    tracing::warn!(sub = %row.sub, %error, ?direction, "a move failed");
                    self.metrics.moved(direction, false, took());
                    self.stuck().remove(&row.sub);
                    // First: what is said from now on is in no parcel that went before.
                    self.store.course(row, None).await?;
                    return Ok(Carried::Failed);
                }
            }
        }
        self.say(row.sub, course.words());
        Ok(Carried::Some)
    }

    async fn keep_server(&self, row: &DedicatedRow, account: &Account, stopped: bool) -> CallResult<()> {
        let moving = match (row.engine, row.stage) {
            (BouncerEngine::Soju, DedicatedStage::Making | DedicatedStage::MovingIn) => Some(Moving::In),
            // Until the rows were told that everything is there.
            (BouncerEngine::Soju, DedicatedStage::There) if !row.settled => Some(Moving::In),
            (BouncerEngine::Soju, DedicatedStage::MovingOut) => Some(Moving::Out),
            _ => None,
        };
        self.keep_server_for(row, account, stopped, moving).await
    }

    async fn keep_server_for(
        &self,
        row: &DedicatedRow,
        account: &Account,
        stopped: bool,
        moving: Option<Moving>,
    ) -> CallResult<()> {
        let wanted = WantedBouncer {
            id: row.id,
            owner: row.sub,
            username: account.username.clone(),
            plan: account.plan.to_string(),
            hostname: self.hostname(&row.label),
            engine: row.engine,
            moving,
            stopped,
        };
        self.parts.host.keep(wanted).await.map_err(|error| CallError::unavailable(error.to_string()))
    }

    /// Whether a move out failed a while ago, and soju is to serve until the next one.
    fn rests(&self, id: DedicatedId) -> bool {
        let mut attempts = self.attempts();
        let rests = matches!(attempts.get(&id), Some(Attempt::Failed(at)) if at.elapsed() < BETWEEN_STOPS);
        if !rests && matches!(attempts.get(&id), Some(Attempt::Failed(_))) {
            attempts.remove(&id);
        }
        rests
    }

    /// What is done while nobody can be asked to hand an account over. soju stands still meanwhile, so that has an end.
    fn out_of_reach(&self, row: &DedicatedRow) -> Next {
        if row.engine == BouncerEngine::Soju {
            let began = *self.attempts().entry(row.id).or_insert(Attempt::Began(Instant::now()));
            if matches!(began, Attempt::Began(at) if at.elapsed() > LONGEST_STOP) {
                tracing::error!(sub = %row.sub, bouncer = %row.id, "the rows of a soju cannot be read");
                self.attempts().insert(row.id, Attempt::Failed(Instant::now()));
                return Next::Again(Duration::ZERO);
            }
        }
        Next::Again(SOON)
    }

    fn attempts(&self) -> std::sync::MutexGuard<'_, BTreeMap<DedicatedId, Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take_away(&self, row: &DedicatedRow) -> CallResult<()> {
        let removed = self.parts.host.remove(row.sub, row.id).await;
        removed.map_err(|error| CallError::unavailable(error.to_string()))?;
        self.store.forget(row.id).await?;
        self.states().remove(&row.id);
        self.owners().remove(&row.id);
        self.attempts().remove(&row.id);
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

    /// Says what is going on, or what went wrong, beside how it is.
    fn say(&self, sub: Sub, words: String) {
        if let Some(mut bouncer) = self.board.of(sub) {
            bouncer.detail = Some(words);
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

    fn stuck(&self) -> std::sync::MutexGuard<'_, BTreeMap<Sub, Instant>> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
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
