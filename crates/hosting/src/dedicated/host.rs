//! What runs dedicated bouncers: `SojuBouncer` resources in a cluster, or nothing.

use async_trait::async_trait;
use contracts::{BouncerEngine, DedicatedId, DedicatedPhase, HostedAddress, Reach, Sub};
use futures_util::stream::{self, BoxStream, StreamExt as _};

use crate::HostError;

/// What a dedicated bouncer is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedBouncer {
    /// Which.
    pub id: DedicatedId,
    /// Whose.
    pub owner: Sub,
    /// The owner's name.
    pub username: String,
    /// The plan it is paid by.
    pub plan: String,
    /// Its host name.
    pub hostname: String,
    /// Which program serves it.
    pub engine: BouncerEngine,
    /// soju stands still, and its rows are taken in or out. The engine Ircnow moves while it runs.
    pub moving: Option<Moving>,
    /// Whether it is stopped; everything it keeps stays.
    pub stopped: bool,
}

/// Which way an account moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moving {
    /// Into a bouncer that was never started.
    In,
    /// Out of one that stands still.
    Out,
}

/// How a dedicated bouncer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BouncerState {
    /// How its server is.
    pub phase: DedicatedPhase,
    /// What is going on, as a whole sentence.
    pub detail: Option<String>,
    /// Where devices connect.
    pub address: Option<HostedAddress>,
    /// Where browsers connect.
    pub websocket: Option<String>,
    /// Where the other services reach it: while it runs, and soju only while its account moves.
    pub reach: Option<Reach>,
}

/// What runs dedicated bouncers. Every method may be repeated, and is until it succeeds.
#[async_trait]
pub trait BouncerHost: Send + Sync + 'static {
    /// The engines that can be had.
    fn engines(&self) -> Vec<BouncerEngine>;

    /// Why none can be made here now, as a whole sentence; `None` if one can.
    async fn refuses(&self) -> Option<String>;

    /// Has a bouncer become what it is to be. Returns once that is sure to be tried, not once it is done.
    async fn keep(&self, wanted: WantedBouncer) -> Result<(), HostError>;

    /// Takes a bouncer away with everything it kept. Done when it returns.
    async fn remove(&self, owner: Sub, id: DedicatedId) -> Result<(), HostError>;

    /// How every bouncer is, then every change of it. Ends when the host goes away; it is asked again then.
    fn states(&self) -> BoxStream<'static, (DedicatedId, BouncerState)>;
}

/// Where no dedicated bouncer can be had, and why.
pub struct NoBouncers(pub &'static str);

#[async_trait]
impl BouncerHost for NoBouncers {
    fn engines(&self) -> Vec<BouncerEngine> {
        Vec::new()
    }

    async fn refuses(&self) -> Option<String> {
        Some(self.0.to_owned())
    }

    async fn keep(&self, _: WantedBouncer) -> Result<(), HostError> {
        Err(HostError(self.0.to_owned()))
    }

    async fn remove(&self, _: Sub, _: DedicatedId) -> Result<(), HostError> {
        Ok(())
    }

    fn states(&self) -> BoxStream<'static, (DedicatedId, BouncerState)> {
        stream::pending().boxed()
    }
}
