//! [`Bouncers`] where some accounts have a bouncer of their own: each call goes to the one that serves its account.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::{Bearer, BouncersClient, Client};
use crate::{
    AccountData, BouncerChange, BouncerEngine, BouncerUsage, Bouncers, Call, CallError, CallResult,
    DedicatedBouncer, DedicatedBouncers, Device, ExportChunk, Mention, Network, NetworkId, NetworkSpec,
    Reach, WatchCursor, WellKnownNetwork,
};

/// The way to dedicated bouncers.
#[derive(Clone)]
pub struct Far {
    http: reqwest::Client,
    bearer: Arc<dyn Bearer>,
}

impl Far {
    /// Over `http`, with the tokens of `bearer`.
    pub fn new(http: reqwest::Client, bearer: Arc<dyn Bearer>) -> Self {
        Self { http, bearer }
    }

    /// The bouncer that is reached so.
    pub fn at(&self, reach: &Reach) -> BouncersClient {
        let audience: Arc<str> = reach.audience.as_str().into();
        BouncersClient::new(Client::new(
            self.http.clone(),
            reach.url.clone(),
            audience,
            Arc::clone(&self.bearer),
        ))
    }
}

/// The shared bouncer for most, its own for who has one.
pub struct RoutedBouncers {
    shared: Arc<dyn Bouncers>,
    dedicated: Arc<dyn DedicatedBouncers>,
    far: Far,
}

impl RoutedBouncers {
    /// `shared` for all but those of whom `dedicated` says otherwise.
    pub fn new(shared: Arc<dyn Bouncers>, dedicated: Arc<dyn DedicatedBouncers>, far: Far) -> Self {
        Self { shared, dedicated, far }
    }

    /// The bouncer that serves the account of a call.
    async fn of(&self, call: &Call) -> CallResult<Arc<dyn Bouncers>> {
        let own = match self.dedicated.dedicated(call).await {
            Ok(own) => own.filter(DedicatedBouncer::has_moved),
            // The shared bouncer refuses, in words, whoever lives elsewhere; everybody else is not to wait for hosting.
            Err(CallError::Unavailable { .. }) => None,
            Err(error) => return Err(error),
        };
        let Some(own) = own else { return Ok(Arc::clone(&self.shared)) };
        if own.engine == BouncerEngine::Soju {
            return Ok(Arc::new(Elsewhere(Arc::clone(&self.shared), own)));
        }
        match &own.reach {
            Some(reach) => Ok(Arc::new(self.far.at(reach))),
            None => Err(CallError::unavailable(format!(
                "Your bouncer at {} does not run right now. Try again in a moment.",
                own.hostname
            ))),
        }
    }
}

#[async_trait]
impl AccountData for RoutedBouncers {
    fn service(&self) -> &'static str {
        "bouncer"
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        self.of(call).await?.export(call).await
    }

    async fn delete(&self, call: &Call) -> CallResult<()> {
        // A dedicated bouncer goes away whole, and hosting sees to that.
        self.shared.delete(call).await
    }
}

#[async_trait]
impl Bouncers for RoutedBouncers {
    async fn well_known(&self) -> CallResult<Vec<WellKnownNetwork>> {
        self.shared.well_known().await
    }

    async fn networks(&self, call: &Call) -> CallResult<Vec<Network>> {
        self.of(call).await?.networks(call).await
    }

    async fn network(&self, call: &Call, id: NetworkId) -> CallResult<Network> {
        self.of(call).await?.network(call, id).await
    }

    async fn add_network(&self, call: &Call, spec: NetworkSpec) -> CallResult<Network> {
        self.of(call).await?.add_network(call, spec).await
    }

    async fn change_network(&self, call: &Call, id: NetworkId, spec: NetworkSpec) -> CallResult<Network> {
        self.of(call).await?.change_network(call, id, spec).await
    }

    async fn delete_network(&self, call: &Call, id: NetworkId) -> CallResult<()> {
        self.of(call).await?.delete_network(call, id).await
    }

    async fn restore_network(&self, call: &Call, id: NetworkId) -> CallResult<Network> {
        self.of(call).await?.restore_network(call, id).await
    }

    async fn reconnect(&self, call: &Call, id: NetworkId) -> CallResult<()> {
        self.of(call).await?.reconnect(call, id).await
    }

    async fn devices(&self, call: &Call) -> CallResult<Vec<Device>> {
        self.of(call).await?.devices(call).await
    }

    async fn mentions(&self, call: &Call, limit: u32) -> CallResult<Vec<Mention>> {
        self.of(call).await?.mentions(call, limit).await
    }

    async fn usage(&self, call: &Call) -> CallResult<BouncerUsage> {
        self.of(call).await?.usage(call).await
    }

    async fn watch(
        &self,
        call: &Call,
        after: Option<WatchCursor>,
    ) -> CallResult<BoxStream<'static, BouncerChange>> {
        self.of(call).await?.watch(call, after).await
    }
}

/// A soju: what is there is its own to tell, to clients. Lists are empty, and changes are refused in words.
struct Elsewhere(Arc<dyn Bouncers>, DedicatedBouncer);

impl Elsewhere {
    fn never<T>(&self) -> CallResult<T> {
        Err(CallError::Forbidden {
            reason: format!(
                "Your networks are kept by soju at {}. Change them there, with /msg BouncerServ help.",
                self.1.hostname
            ),
        })
    }
}

#[async_trait]
impl AccountData for Elsewhere {
    fn service(&self) -> &'static str {
        "bouncer"
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        self.0.export(call).await
    }

    async fn delete(&self, call: &Call) -> CallResult<()> {
        self.0.delete(call).await
    }
}

#[async_trait]
impl Bouncers for Elsewhere {
    async fn well_known(&self) -> CallResult<Vec<WellKnownNetwork>> {
        self.0.well_known().await
    }

    async fn networks(&self, _: &Call) -> CallResult<Vec<Network>> {
        Ok(Vec::new())
    }

    async fn network(&self, _: &Call, _: NetworkId) -> CallResult<Network> {
        Err(CallError::not_found("network"))
    }

    async fn add_network(&self, _: &Call, _: NetworkSpec) -> CallResult<Network> {
        self.never()
    }

    async fn change_network(&self, _: &Call, _: NetworkId, _: NetworkSpec) -> CallResult<Network> {
        self.never()
    }

    async fn delete_network(&self, _: &Call, _: NetworkId) -> CallResult<()> {
        self.never()
    }

    async fn restore_network(&self, _: &Call, _: NetworkId) -> CallResult<Network> {
        self.never()
    }

    async fn reconnect(&self, _: &Call, _: NetworkId) -> CallResult<()> {
        self.never()
    }

    async fn devices(&self, _: &Call) -> CallResult<Vec<Device>> {
        Ok(Vec::new())
    }

    async fn mentions(&self, _: &Call, _: u32) -> CallResult<Vec<Mention>> {
        Ok(Vec::new())
    }

    async fn usage(&self, _: &Call) -> CallResult<BouncerUsage> {
        Ok(BouncerUsage::default())
    }

    async fn watch(&self, _: &Call, _: Option<WatchCursor>) -> CallResult<BoxStream<'static, BouncerChange>> {
        // Nothing changes there as far as this side sees.
        Ok(stream::pending().boxed())
    }
}
