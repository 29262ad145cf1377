//! What changes the account's rows from within: saved channels and nicks, and the wishes of `BOUNCER` and
//! `BouncerServ`. One job at a time, in order.

use std::time::Duration;

use bouncer_core::{self as core, Input, NetworkChange, Request, RequestId, SaslChange};
use contracts::{Account, Call, CallError, CallResult, NetworkId, NetworkSpec, Sasl, SavedChannel, Sub, Tls};
use tokio::sync::oneshot;

use super::actor::{Actor, Done};
use super::networks::{self, Kept};
use crate::context::Context;
use crate::store::{NetworkRow, StoreError, StoreResult};

/// How often a job is tried while the store refuses, a second apart.
const TRIES: u32 = 5;

/// Something to do with the rows.
pub(super) enum Job {
    /// Read a network's rows again.
    Refresh(NetworkId, Option<oneshot::Sender<()>>),
    /// Keep these channels.
    SaveChannels(NetworkId, Vec<core::SavedChannel>),
    /// Keep this nick.
    SaveNick(NetworkId, String),
    /// What a device wishes.
    Request(RequestId, Box<Request>),
}

/// A job that is done.
pub(super) enum JobDone {
    Refreshed(NetworkId, StoreResult<Now>, Option<oneshot::Sender<()>>),
    Requested(RequestId, CallResult<(NetworkId, After)>),
}

/// A network as its rows say now, and what the log knows of it; `None` if it is gone.
pub(super) type Now = Option<Box<(NetworkRow, Kept)>>;

/// What a wish leaves to be done.
pub(super) enum After {
    /// The network is this now.
    Row(Now),
    /// It is to connect anew.
    Reconnect,
}

impl Actor {
    pub(super) fn enqueue(&mut self, job: Job) {
        self.jobs.push_back(job);
    }

    pub(super) fn pump_jobs(&mut self) {
        if self.job_runs {
            return;
        }
        let Some(job) = self.jobs.pop_front() else { return };
        self.job_runs = true;
        let context = self.context.clone();
        let account = self.account.clone();
        let sub = self.resident.sub;
        let known = |id: NetworkId| self.networks.contains_key(&id);
        let is_known = match &job {
            Job::Refresh(id, _) | Job::SaveChannels(id, _) | Job::SaveNick(id, _) => known(*id),
            Job::Request(..) => true,
        };
        self.run_beside(async move {
            Done::Job(Box::new(match job {
                Job::Refresh(id, done) => {
                    JobDone::Refreshed(id, read(&context, sub, id, is_known).await, done)
                }
                Job::SaveChannels(id, channels) => {
                    let channels: Vec<SavedChannel> = channels
                        .into_iter()
                        .map(|channel| SavedChannel { name: channel.name, key: channel.key })
                        .collect();
                    persistently(sub, || context.store.save_channels(sub, id, &channels)).await;
                    JobDone::Refreshed(id, read(&context, sub, id, is_known).await, None)
                }
                Job::SaveNick(id, nick) => {
                    persistently(sub, || context.store.save_nick(sub, id, &nick)).await;
                    JobDone::Refreshed(id, read(&context, sub, id, is_known).await, None)
                }
                Job::Request(id, request) => {
                    JobDone::Requested(id, carry_out(&context, &account, *request).await)
                }
            }))
        });
    }

    pub(super) fn job_done(&mut self, done: JobDone) {
        self.job_runs = false;
        match done {
            JobDone::Refreshed(id, row, done) => {
                match row {
                    Ok(row) => self.apply_row(id, row),
                    Err(error) => {
                        tracing::error!(sub = %self.resident.sub, network = %id, %error, "a network's rows cannot be read");
                    }
                }
                if let Some(done) = done {
                    // The caller may have given up.
                    let _ = done.send(());
                }
            }
            JobDone::Requested(id, Ok((network, after))) => {
                match after {
                    After::Row(row) => self.apply_row(network, row),
                    After::Reconnect => {
                        self.reconnect(network);
                    }
                }
                self.input(Input::Reply { id, result: Ok(core::NetworkId(network.0)) });
            }
            JobDone::Requested(id, Err(error)) => {
                self.input(Input::Reply { id, result: Err(error.to_string()) });
            }
        }
    }
}

/// A network's rows, and what the log knows of it unless the core knows that better; `None` if it is gone.
async fn read(context: &Context, sub: Sub, id: NetworkId, is_known: bool) -> StoreResult<Now> {
    match context.store.network(sub, id).await {
        Ok(row) if is_known => Ok(Some(Box::new((row, Kept::default())))),
        Ok(row) => {
            let kept = networks::kept(&context.history, sub, id).await.unwrap_or_default();
            Ok(Some(Box::new((row, kept))))
        }
        Err(StoreError::Call(CallError::NotFound { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn carry_out(context: &Context, account: &Account, request: Request) -> CallResult<(NetworkId, After)> {
    let sub = account.sub;
    let call = Call::new(sub, "irc").changing();
    let trusted = |host: &str, port| context.guard.allows(host, port);
    Ok(match request {
        Request::AddNetwork(change) => {
            let spec = crate::spec::checked(new_spec(account, change), trusted)?;
            let row = context.store.add_network(&call, account, &spec).await?;
            (row.id, After::Row(Some(Box::new((row, Kept::default())))))
        }
        Request::ChangeNetwork(id, change) => {
            let id = NetworkId(id.0);
            let before = context.store.network(sub, id).await?;
            let spec = crate::spec::checked(changed_spec(before.spec, change), trusted)?;
            let row = context.store.change_network(&call.at_version(before.version), id, &spec).await?;
            (id, After::Row(Some(Box::new((row, Kept::default())))))
        }
        Request::DeleteNetwork(id) => {
            let id = NetworkId(id.0);
            context.store.delete_network(&call, id).await?;
            (id, After::Row(None))
        }
        Request::Reconnect(id) => (NetworkId(id.0), After::Reconnect),
    })
}

fn new_spec(account: &Account, change: NetworkChange) -> NetworkSpec {
    let host = change.host.clone().unwrap_or_default();
    let blank = NetworkSpec {
        name: change.name.clone().unwrap_or_else(|| host.clone()),
        port: if change.tls == Some(false) { 6667 } else { 6697 },
        host,
        tls: Tls::Verified,
        nick: account.username.clone(),
        realname: String::new(),
        server_password: None,
        sasl: Sasl::None,
        channels: Vec::new(),
        on_connect: Vec::new(),
        enabled: true,
    };
    changed_spec(blank, change)
}

fn changed_spec(before: NetworkSpec, change: NetworkChange) -> NetworkSpec {
    let tls = match (change.fingerprint.filter(|text| !text.is_empty()), change.tls) {
        (_, Some(false)) => Tls::Off,
        (Some(fingerprint), _) => Tls::Pinned { fingerprint },
        (None, Some(true)) if before.tls == Tls::Off => Tls::Verified,
        (None, _) => before.tls,
    };
    NetworkSpec {
        name: change.name.unwrap_or(before.name),
        host: change.host.unwrap_or(before.host),
        port: change.port.unwrap_or(before.port),
        tls,
        nick: change.nick.unwrap_or(before.nick),
        realname: change.realname.unwrap_or(before.realname),
        server_password: change.pass.or(before.server_password),
        sasl: match change.sasl {
            None => before.sasl,
            Some(SaslChange::Off) => Sasl::None,
            Some(SaslChange::Plain { account, password }) => {
                Sasl::Password { account, password: Some(password) }
            }
        },
        channels: before.channels,
        on_connect: change.on_connect.unwrap_or(before.on_connect),
        enabled: change.enabled.unwrap_or(before.enabled),
    }
}

async fn persistently<T, F>(sub: Sub, write: impl Fn() -> F)
where
    F: Future<Output = StoreResult<T>>,
{
    for attempt in 1..=TRIES {
        match write().await {
            Ok(_) | Err(StoreError::Call(_)) => return,
            Err(error) => tracing::warn!(%sub, %error, attempt, "a change could not be kept yet"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tracing::error!(%sub, "a change of a network was not kept");
}
