//! The task that owns an account: takes messages, runs the core, carries its effects out.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bouncer_core::{self as core, ConnId, Cursor, Effect, Input};
use contracts::{Account, NetworkId, Status};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::devices::Conn;
use super::networks::Net;
use super::requests::{Job, JobDone};
use super::streams::{AppendDone, OpenDone};
use super::{Msg, Resident};
use crate::context::Context;
use crate::log;
use crate::store::StoreError;
use crate::sts::UserSts;

/// Messages taken at once: what they cause is written to each device in one piece.
const BATCH: usize = 64;
/// How long a new device waits for its place to be kept.
const KEEP_PATIENCE: Duration = Duration::from_secs(2);
/// How long the last lines may take to be stored, and the upstreams to say goodbye, when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// Why an account could not be brought into memory.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Our rows.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log.
    #[error(transparent)]
    History(#[from] history::Error),
    /// No random bytes.
    #[error(transparent)]
    Secret(#[from] service::secrets::SecretError),
}

/// What ran beside the task and has come to an end.
pub(super) enum Done {
    Opened(OpenDone),
    Appended(AppendDone),
    Answered(core::QueryId, core::Answer),
    Job(Box<JobDone>),
}

/// Everything there is of one account.
pub struct Actor {
    pub(super) context: Arc<Context>,
    pub(super) resident: Arc<Resident>,
    pub(super) account: Account,
    pub(super) sts: Arc<UserSts>,
    pub(super) core: core::User,
    pub(super) networks: BTreeMap<NetworkId, Net>,
    pub(super) conns: HashMap<ConnId, Conn>,
    /// How far devices have seen, newer than the rows.
    pub(super) seen: HashMap<Uuid, HashMap<core::NetworkId, Cursor>>,
    pub(super) work: FuturesUnordered<BoxFuture<'static, Done>>,
    pub(super) jobs: VecDeque<Job>,
    pub(super) job_runs: bool,
    /// Connections something was pushed to since the last flush.
    pub(super) dirty: Vec<ConnId>,
    /// Connections that began to lag: the core is told after the effects at hand.
    pub(super) lagging: VecDeque<ConnId>,
    /// Lines upstreams had no room for: the core is told after the effects at hand.
    pub(super) unsent: BTreeMap<NetworkId, u64>,
    /// Makes every upstream connection's number another one.
    pub(super) next_generation: u64,
    wake: Option<i64>,
    clock: i64,
    stop_by: Option<Instant>,
    over: bool,
}

impl Actor {
    /// Reads the account's rows and begins to connect.
    pub async fn start(context: Arc<Context>, resident: Arc<Resident>) -> Result<Self, StartError> {
        let sub = resident.sub;
        let account = resident.last_known();
        let sts = Arc::new(UserSts::open(&context.store, sub).await?);
        let mut networks = BTreeMap::new();
        let mut setups = Vec::new();
        for row in context.store.networks(sub).await? {
            let kept = super::networks::kept(&context.history, sub, row.id).await?;
            setups.push(super::networks::setup(&row, kept));
            networks.insert(row.id, Net::new(row));
        }
        for device in context.store.devices(sub).await? {
            resident.board.set_device(super::devices::shown(&device, 0));
        }
        let clock = service::clock::now_ms();
        let profile = core::Profile {
            username: account.username.clone(),
            server: context.server_name.clone(),
            seed: u128::from_ne_bytes(service::secrets::random_bytes::<16>()?),
            page_limit: context.page_limit,
        };
        let mut actor = Self {
            core: core::User::new(profile, setups, clock),
            context,
            resident,
            account,
            sts,
            networks,
            conns: HashMap::new(),
            seen: HashMap::new(),
            work: FuturesUnordered::new(),
            jobs: VecDeque::new(),
            job_runs: false,
            dirty: Vec::new(),
            lagging: VecDeque::new(),
            unsent: BTreeMap::new(),
            next_generation: 1,
            wake: None,
            clock,
            stop_by: None,
            over: false,
        };
        actor.reconcile_all();
        actor.settle();
        Ok(actor)
    }

    /// Runs until the process ends or the account is gone.
    pub async fn run(&mut self, inbox: &mut mpsc::Receiver<Msg>) {
        let mut batch = Vec::with_capacity(BATCH);
        while !self.over {
            tokio::select! {
                biased;
                Some(done) = self.work.next() => {
                    self.finished(done);
                    // What else has finished by now goes out in the same piece.
                    for _ in 0..BATCH {
                        match futures_util::FutureExt::now_or_never(self.work.next()) {
                            Some(Some(done)) => self.finished(done),
                            _ => break,
                        }
                    }
                }
                taken = inbox.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        break;
                    }
                    self.context.metrics.mailbox.observe(taken as f64);
                    for msg in batch.drain(..) {
                        self.take(msg);
                    }
                }
                () = at(self.wake, self.clock) => {
                    self.wake = None;
                    self.input(Input::Tick);
                }
                () = until(self.stop_by) => break,
            }
            self.settle();
        }
    }

    fn take(&mut self, msg: Msg) {
        match msg {
            Msg::Attach(attaching) => self.attach(*attaching),
            Msg::Lines(conn, lines) => self.device_lines(conn, &lines),
            Msg::Caps(conn, caps) => {
                if self.conns.contains_key(&conn) {
                    self.input(Input::Caps { conn, caps: crate::caps::inward(caps) });
                }
            }
            Msg::Drained(conn) => self.device_drained(conn),
            Msg::Closed(conn) => self.device_closed(conn),
            Msg::Upstream(network, generation, event) => self.upstream_event(network, generation, event),
            Msg::Refresh(id, done) => self.enqueue(Job::Refresh(id, Some(done))),
            Msg::Reconnect(id, done) => {
                let there = self.reconnect(id);
                let _ = done.send(there);
            }
            Msg::Account(account) => self.account_changed(*account),
            Msg::Revoked(credential) => self.close_conns(
                |conn| conn.credential == credential,
                "The app password or certificate you logged in with was revoked. Log in with another one.",
            ),
            Msg::Leave(words) => self.stop(&words, "The bouncer is being moved"),
            Msg::Stop => self.stop(RESTARTING, "The bouncer is being restarted"),
            Msg::Gone => {
                self.close_conns(|_| true, "This account was deleted.");
                self.drop_upstreams("Account deleted");
                self.over = true;
            }
        }
    }

    fn finished(&mut self, done: Done) {
        match done {
            Done::Opened(done) => self.stream_opened(done),
            Done::Appended(done) => self.appended(done),
            Done::Answered(id, answer) => self.input(Input::Answer { id, answer }),
            Done::Job(done) => self.job_done(*done),
        }
    }

    /// Tells the core, and carries out what it wants.
    pub(super) fn input(&mut self, input: Input<'_>) {
        self.clock = self.clock.max(service::clock::now_ms());
        let mut effects = Vec::new();
        self.core.handle(self.clock, input, &mut effects);
        self.carry_out(&mut effects);
        while let Some(conn) = self.lagging.pop_front() {
            self.core.handle(self.clock, Input::Lagging { conn }, &mut effects);
            self.carry_out(&mut effects);
        }
    }

    fn carry_out(&mut self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            self.effect(effect);
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Upstream { network, bytes } => self.send_upstream(NetworkId(network.0), &bytes),
            Effect::Device { conn, bytes } => self.push(conn, bytes),
            Effect::Close { conn, reason } => self.close_conn(conn, &reason),
            Effect::Offer { conn, caps } => self.offer(conn, caps),
            Effect::Append { network, ticket, entry } => self.append(NetworkId(network.0), ticket, &entry),
            Effect::NewEpoch { network } => self.new_epoch(NetworkId(network.0)),
            Effect::Query { id, query } => self.ask(id, query),
            Effect::Request { id, request } => self.enqueue(Job::Request(id, Box::new(request))),
            Effect::Seen { device, network, cursor } => {
                self.seen.entry(device.0).or_default().insert(network, cursor);
                self.context.seen.note(device.0, NetworkId(network.0), cursor);
            }
            Effect::Begin { id, device, network, cursor } => self.begin(id, device, network, cursor),
            Effect::SaveChannels { network, channels } => {
                self.enqueue(Job::SaveChannels(NetworkId(network.0), channels));
            }
            Effect::SaveNick { network, nick } => self.enqueue(Job::SaveNick(NetworkId(network.0), nick)),
            Effect::State { network, state } => self.core_state(NetworkId(network.0), state),
            // The portal asks history for mentions, so that retention and redaction hold for them too.
            Effect::Mentioned { .. } => {}
            Effect::Wake { at_ms } => self.wake = Some(at_ms),
        }
    }

    fn ask(&mut self, id: core::QueryId, query: core::Query) {
        let history = self.context.history.clone();
        let account = history::AccountId(self.resident.sub.0);
        self.run_beside(async move { Done::Answered(id, log::answer(&history, account, query).await) });
    }

    /// Keeps where a device begins. A store that takes its time keeps nobody out.
    fn begin(&mut self, id: core::QueryId, device: core::DeviceId, network: core::NetworkId, cursor: Cursor) {
        let store = self.context.store.clone();
        self.run_beside(async move {
            let kept = store.keep_cursors([(device.0, NetworkId(network.0), cursor)]);
            let answer = match tokio::time::timeout(KEEP_PATIENCE, kept).await {
                Ok(Ok(())) => core::Answer::Begun,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "where a new device begins could not be kept yet");
                    core::Answer::Failed
                }
                Err(_) => core::Answer::Failed,
            };
            Done::Answered(id, answer)
        });
    }

    pub(super) fn run_beside(&mut self, work: impl Future<Output = Done> + Send + 'static) {
        self.work.push(Box::pin(work));
    }

    /// The end of an input batch: start what waits, let everything pushed be written.
    fn settle(&mut self) {
        for (network, lines) in std::mem::take(&mut self.unsent) {
            self.input(Input::Unsent { network: core::NetworkId(network.0), lines });
        }
        self.pump_streams();
        self.pump_jobs();
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        for conn in dirty.drain(..) {
            if let Some(conn) = self.conns.get(&conn) {
                conn.outbox.flush();
            }
        }
        self.dirty = dirty;
        let goodbyes_said = self.networks.values().all(|net| net.upstream.is_none());
        if self.stop_by.is_some() && goodbyes_said && self.work.is_empty() {
            self.over = true;
        }
    }

    fn account_changed(&mut self, account: Account) {
        if account.version < self.account.version {
            return;
        }
        self.account = account;
        match self.account.status {
            Status::Active => {}
            Status::Suspended => self.close_conns(|_| true, SUSPENDED),
            Status::Deleting => self.close_conns(|_| true, "This account is being deleted."),
        }
        self.reconcile_all();
    }

    fn stop(&mut self, words: &str, goodbye: &'static str) {
        self.stop_by = Some(Instant::now() + LAST_WORDS);
        self.close_conns(|_| true, words);
        for net in self.networks.values() {
            if let Some(upstream) = &net.upstream {
                upstream.client.quit(goodbye);
            }
        }
    }

    pub(super) fn stopping(&self) -> bool {
        self.stop_by.is_some()
    }
}

const RESTARTING: &str = "The bouncer is being restarted. Your client can connect again in a moment.";
pub(super) const SUSPENDED: &str = "This account is suspended. Write to whoever runs this service.";

impl Drop for Actor {
    /// Whatever ends the task, nobody is left hanging at a connection without an owner.
    fn drop(&mut self) {
        for conn in self.conns.values() {
            conn.outbox.close("Your part of the bouncer broke off and starts again. Your client can connect again in a moment.");
            self.context.metrics.devices.dec();
        }
        for net in self.networks.values() {
            self.context.metrics.upstream_moved(Some(net.phase_label()), None);
        }
    }
}

async fn at(wake: Option<i64>, now_ms: i64) {
    match wake {
        // The clock of the last input is at most a moment behind; asking again is cheap and exact.
        Some(at_ms) => {
            let left = at_ms.saturating_sub(service::clock::now_ms().max(now_ms));
            tokio::time::sleep(Duration::from_millis(u64::try_from(left).unwrap_or(0))).await;
        }
        None => std::future::pending().await,
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
