//! What hosting offers the other services beside networks: a bouncer of an account's own, ordered, watched, given back.

use std::fmt;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::{Call, CallResult, HostedAddress};

/// Names a dedicated bouncer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DedicatedId(pub Uuid);

impl fmt::Display for DedicatedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which program serves a dedicated bouncer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BouncerEngine {
    /// irc.now's own: the same as the shared bouncer, with everything it keeps.
    #[default]
    Ircnow,
    /// soju.
    Soju,
}

/// Where an account's networks, devices and history are on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DedicatedStage {
    /// The bouncer is being made; everything is still at the shared one.
    Making,
    /// Everything is being carried over. Nothing is connected for that long.
    MovingIn,
    /// Everything is there.
    There,
    /// Everything is being carried back.
    MovingOut,
    /// Everything is back at the shared one, and the bouncer goes away.
    Leaving,
}

/// How the server of a dedicated bouncer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DedicatedPhase {
    /// Being made, started, or started again.
    Starting,
    /// Devices can connect.
    Ready,
    /// Stopped with its account. Everything is kept.
    Suspended,
    /// It does not come up; `detail` says why.
    Failing,
}

/// Where the other services reach a dedicated bouncer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Its admin listener.
    pub url: Url,
    /// What tokens for it are made for.
    pub audience: String,
}

/// A dedicated bouncer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DedicatedBouncer {
    /// Names it.
    pub id: DedicatedId,
    /// Which program serves it.
    pub engine: BouncerEngine,
    /// Its host name.
    pub hostname: String,
    /// Where the account is on its way.
    pub stage: DedicatedStage,
    /// How its server is.
    pub phase: DedicatedPhase,
    /// Since when both are so (seconds since 1970).
    pub since: i64,
    /// What is going on, or what went wrong and what to do: a whole sentence, where there is something to say.
    pub detail: Option<String>,
    /// Where devices connect, once known.
    pub address: Option<HostedAddress>,
    /// Where browsers connect (`wss://…`), if there is such a door.
    pub websocket: Option<String>,
    /// Where the other services reach it, while it runs.
    pub reach: Option<Reach>,
    /// Seconds since 1970.
    pub created_at: i64,
}

impl DedicatedBouncer {
    /// Whether the account's networks are there and nowhere else.
    pub fn has_moved(&self) -> bool {
        self.stage == DedicatedStage::There
    }
}

/// What an account may order, before it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DedicatedOffer {
    /// The host name it gets.
    pub hostname: String,
    /// Whether the plan has a dedicated bouncer.
    pub in_plan: bool,
    /// The engines that can be had here.
    pub engines: Vec<BouncerEngine>,
    /// Why none can be ordered now, as a whole sentence; `None` if one can.
    pub refused: Option<String>,
}

/// Dedicated bouncers, as other services see them. An account has one or none.
#[async_trait]
pub trait DedicatedBouncers: Send + Sync + 'static {
    /// What the account may order.
    async fn dedicated_offer(&self, call: &Call) -> CallResult<DedicatedOffer>;

    /// The account's dedicated bouncer, if it has one.
    async fn dedicated(&self, call: &Call) -> CallResult<Option<DedicatedBouncer>>;

    /// Orders one, and moves in once it runs. `Quota` if the plan has none, `Conflict` if there is one already.
    async fn order_dedicated(&self, call: &Call, engine: BouncerEngine) -> CallResult<DedicatedBouncer>;

    /// Moves everything back to the shared bouncer, then takes the dedicated one away. `NotFound` if there is none.
    async fn cancel_dedicated(&self, call: &Call) -> CallResult<DedicatedBouncer>;

    /// How it is, then every change; `None` while there is none.
    async fn watch_dedicated(&self, call: &Call) -> CallResult<BoxStream<'static, Option<DedicatedBouncer>>>;
}
