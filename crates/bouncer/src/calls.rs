//! The trait `Bouncers`: what the portal asks for.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{
    BouncerChange, BouncerUsage, Bouncers, Call, CallError, CallResult, Device, Mention, Network, NetworkId,
    NetworkSpec, WatchCursor, WellKnownNetwork,
};
use entitlements::{Amount, Limit};
use futures_util::stream::BoxStream;
use history::{AccountId, Search, StreamId};
use tokio::sync::oneshot;

use crate::hub::Hub;
use crate::user::Msg;

/// The most mentions one call answers.
const MAX_MENTIONS: u32 = 200;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The bouncer as other services see it. Cheap to clone.
#[derive(Clone)]
pub struct BouncerCalls {
    pub(crate) hub: Arc<Hub>,
}

/// Runs a call to its end even if the caller goes away in the middle.
pub(crate) async fn within<T: Send + 'static>(
    call: &Call,
    work: impl Future<Output = CallResult<T>> + Send + 'static,
) -> CallResult<T> {
    contracts::within(call, "The bouncer", work).await
}

impl BouncerCalls {
    fn run<T, F>(
        &self,
        call: &Call,
        work: impl FnOnce(Arc<Hub>, Call) -> F,
    ) -> impl Future<Output = CallResult<T>> + Send
    where
        T: Send + 'static,
        F: Future<Output = CallResult<T>> + Send + 'static,
    {
        let work = work(Arc::clone(&self.hub), call.clone());
        let call = call.clone();
        async move { within(&call, work).await }
    }
}

#[async_trait]
impl Bouncers for BouncerCalls {
    async fn well_known(&self) -> CallResult<Vec<WellKnownNetwork>> {
        Ok(self.hub.context().well_known.clone())
    }

    async fn networks(&self, call: &Call) -> CallResult<Vec<Network>> {
        self.run(call, async |hub, call| Ok(settled(&hub, &call).await?.board.networks())).await
    }

    async fn network(&self, call: &Call, id: NetworkId) -> CallResult<Network> {
        self.run(call, async move |hub, call| {
            if let Some(network) = settled(&hub, &call).await?.board.network(id) {
                return Ok(network);
            }
            let deleted = hub.context().store.deleted_network(call.account, id).await?;
            deleted.map(crate::user::deleted).ok_or_else(|| CallError::not_found("network"))
        })
        .await
    }

    async fn add_network(&self, call: &Call, spec: NetworkSpec) -> CallResult<Network> {
        self.run(call, async move |hub, call| {
            let account = active(&hub, &call).await?;
            let spec = checked(&hub, spec)?;
            let row = hub.context().store.add_network(&call, &account, &spec).await?;
            refreshed(&hub, &call, row.id).await
        })
        .await
    }

    async fn change_network(&self, call: &Call, id: NetworkId, spec: NetworkSpec) -> CallResult<Network> {
        self.run(call, async move |hub, call| {
            active(&hub, &call).await?;
            let spec = checked(&hub, spec)?;
            let row = hub.context().store.change_network(&call, id, &spec).await?;
            refreshed(&hub, &call, row.id).await
        })
        .await
    }

    async fn delete_network(&self, call: &Call, id: NetworkId) -> CallResult<()> {
        self.run(call, async move |hub, call| {
            hub.resident(call.account).await?;
            hub.context().store.delete_network(&call, id).await?;
            hub.resident(call.account).await?.refresh(id).await
        })
        .await
    }

    async fn restore_network(&self, call: &Call, id: NetworkId) -> CallResult<Network> {
        self.run(call, async move |hub, call| {
            let account = active(&hub, &call).await?;
            let row = hub.context().store.restore_network(&call, &account, id).await?;
            refreshed(&hub, &call, row.id).await
        })
        .await
    }

    async fn reconnect(&self, call: &Call, id: NetworkId) -> CallResult<()> {
        self.run(call, async move |hub, call| {
            let (done, wait) = oneshot::channel();
            hub.resident(call.account).await?.tell(Msg::Reconnect(id, done)).await?;
            match wait.await {
                Ok(true) => Ok(()),
                Ok(false) => Err(CallError::not_found("network")),
                Err(_) => {
                    Err(CallError::unavailable("Your bouncer is being restarted. Try again in a moment."))
                }
            }
        })
        .await
    }

    async fn devices(&self, call: &Call) -> CallResult<Vec<Device>> {
        self.run(call, async |hub, call| Ok(settled(&hub, &call).await?.board.devices())).await
    }

    async fn mentions(&self, call: &Call, limit: u32) -> CallResult<Vec<Mention>> {
        self.run(call, async move |hub, call| mentions(&hub, &call, limit.min(MAX_MENTIONS)).await).await
    }

    async fn usage(&self, call: &Call) -> CallResult<BouncerUsage> {
        self.run(call, async |hub, call| usage(&hub, &call).await).await
    }

    async fn watch(
        &self,
        call: &Call,
        after: Option<WatchCursor>,
    ) -> CallResult<BoxStream<'static, BouncerChange>> {
        self.run(call, async move |hub, call| Ok(settled(&hub, &call).await?.board.watch(after))).await
    }
}

/// The account in memory, its board filled.
async fn settled(hub: &Hub, call: &Call) -> CallResult<Arc<crate::user::Resident>> {
    let resident = hub.resident(call.account).await?;
    resident.settled().await?;
    Ok(resident)
}

/// The account, if it may change anything.
async fn active(hub: &Hub, call: &Call) -> CallResult<contracts::Account> {
    let account = hub.account(call.account).await?;
    if account.status == contracts::Status::Active {
        return Ok(account);
    }
    Err(CallError::Forbidden {
        reason: "This account is suspended. Write to whoever runs this service.".into(),
    })
}

fn checked(hub: &Hub, spec: NetworkSpec) -> CallResult<NetworkSpec> {
    crate::spec::checked(spec, |host, port| hub.context().guard.allows(host, port))
}

async fn refreshed(hub: &Hub, call: &Call, id: NetworkId) -> CallResult<Network> {
    hub.resident(call.account).await?.refresh(id).await?;
    shown(hub, call, id).await
}

async fn shown(hub: &Hub, call: &Call, id: NetworkId) -> CallResult<Network> {
    settled(hub, call).await?.board.network(id).ok_or_else(|| CallError::not_found("network"))
}

async fn usage(hub: &Hub, call: &Call) -> CallResult<BouncerUsage> {
    let context = hub.context();
    let account = hub.account(call.account).await?;
    let resident = settled(hub, call).await?;
    let today = service::clock::now_ms() / DAY_MS;
    let kept_since = match account.limits.get(Limit::HistoryDays) {
        Amount::Unlimited => 0,
        Amount::AtMost(days) => today - i64::try_from(days).unwrap_or(i64::MAX / 2),
    };
    let month = today - 29;
    let counts =
        context.history.counts(AccountId(call.account.0), kept_since.min(month)).await.map_err(|error| {
            CallError::unavailable(format!("Your history does not answer right now: {error}."))
        })?;
    let mut messages_per_day = vec![0; 30];
    for count in &counts {
        if let Some(day) = usize::try_from(count.day - month).ok().and_then(|at| messages_per_day.get_mut(at))
        {
            *day = count.entries;
        }
    }
    Ok(BouncerUsage {
        networks: u32::try_from(resident.board.networks().len()).unwrap_or(u32::MAX),
        devices: u32::try_from(context.store.devices_counted(call.account).await?).unwrap_or(u32::MAX),
        messages: counts.iter().filter(|count| count.day >= kept_since).map(|count| count.entries).sum(),
        messages_per_day,
    })
}

/// Lines that hold the user's nick, asked of history: retention and redaction hold for them like for any other line.
async fn mentions(hub: &Hub, call: &Call, limit: u32) -> CallResult<Vec<Mention>> {
    let context = hub.context();
    let mut found = Vec::new();
    for network in settled(hub, call).await?.board.networks() {
        let nick = network.state.nick.as_ref().unwrap_or(&network.spec.nick);
        let search = Search {
            stream: Some(StreamId(network.id.0)),
            text: Some(format!("\"{}\"", nick.replace('"', " "))),
            // Some are the user's own lines, or no messages.
            limit: limit as usize * 3 + 20,
            ..Search::default()
        };
        let found_here =
            context.history.search(AccountId(call.account.0), search).await.map_err(|error| {
                CallError::unavailable(format!("Your history does not answer right now: {error}."))
            })?;
        for hit in found_here.hits {
            let entry = hit.entry;
            let from = String::from_utf8_lossy(&entry.source);
            let from = from.split(['!', '@']).next().unwrap_or_default().to_owned();
            let is_message = matches!(entry.kind, history::Kind::Privmsg | history::Kind::Notice);
            if !is_message || from.eq_ignore_ascii_case(nick) {
                continue;
            }
            found.push(Mention {
                network: network.spec.name.clone(),
                buffer: String::from_utf8_lossy(&hit.buffer.0).into_owned(),
                nick: from,
                text: readable(&entry.body),
                at_ms: entry.ts_ms,
            });
        }
    }
    found.sort_by_key(|mention| std::cmp::Reverse(mention.at_ms));
    found.truncate(limit as usize);
    Ok(found)
}

/// A message's text without CTCP frame and formatting.
fn readable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix("\u{1}ACTION ").unwrap_or(&text);
    text.chars().filter(|c| !c.is_control()).collect()
}
