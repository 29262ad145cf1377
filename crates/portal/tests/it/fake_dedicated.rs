//! Dedicated bouncers made of memory.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::*;
use entitlements::Limit;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use service::clock::now_s;
use uuid::Uuid;

use crate::fakes::{Fake, World};

impl World {
    /// Somebody's dedicated bouncer.
    pub fn dedicate(&self, sub: Sub, stage: DedicatedStage, phase: DedicatedPhase) {
        let bouncer = DedicatedBouncer {
            id: DedicatedId(Uuid::now_v7()),
            engine: BouncerEngine::Ircnow,
            hostname: "alice.example".to_owned(),
            stage,
            phase,
            since: now_s() - 60,
            detail: None,
            address: Some(HostedAddress { host: "alice.example".to_owned(), port: 6697, tls: true }),
            websocket: None,
            reach: None,
            created_at: now_s() - 60,
        };
        let mut rows = self.rows.lock().unwrap();
        rows.dedicated.retain(|(owner, _)| *owner != sub);
        rows.dedicated.push((sub, bouncer));
        drop(rows);
        self.touch();
    }

    fn dedicated_of(&self, sub: Sub) -> Option<DedicatedBouncer> {
        let rows = self.rows.lock().unwrap();
        rows.dedicated.iter().find(|(owner, _)| *owner == sub).map(|(_, bouncer)| bouncer.clone())
    }
}

#[async_trait]
impl DedicatedBouncers for Fake {
    async fn dedicated_offer(&self, call: &Call) -> CallResult<DedicatedOffer> {
        let limits = self.0.account(call.account).limits;
        Ok(DedicatedOffer {
            hostname: "alice.example".to_owned(),
            in_plan: limits.get(Limit::DedicatedBouncers).allows(1),
            engines: vec![BouncerEngine::Ircnow, BouncerEngine::Soju],
            refused: None,
        })
    }

    async fn dedicated(&self, call: &Call) -> CallResult<Option<DedicatedBouncer>> {
        Ok(self.0.dedicated_of(call.account))
    }

    async fn order_dedicated(&self, call: &Call, engine: BouncerEngine) -> CallResult<DedicatedBouncer> {
        if self.0.dedicated_of(call.account).is_some() {
            return Err(CallError::Conflict { message: "You have one already.".to_owned() });
        }
        self.0.dedicate(call.account, DedicatedStage::Making, DedicatedPhase::Starting);
        let mut rows = self.0.rows.lock().unwrap();
        let (_, bouncer) = rows.dedicated.last_mut().unwrap();
        bouncer.engine = engine;
        Ok(bouncer.clone())
    }

    async fn cancel_dedicated(&self, call: &Call) -> CallResult<DedicatedBouncer> {
        let mut rows = self.0.rows.lock().unwrap();
        let own = rows.dedicated.iter_mut().find(|(owner, _)| *owner == call.account);
        let (_, bouncer) = own.ok_or_else(|| CallError::not_found("dedicated bouncer"))?;
        bouncer.stage = DedicatedStage::MovingOut;
        Ok(bouncer.clone())
    }

    async fn watch_dedicated(&self, call: &Call) -> CallResult<BoxStream<'static, Option<DedicatedBouncer>>> {
        let (world, sub) = (Arc::clone(&self.0), call.account);
        let mut bell = world.changed.subscribe();
        bell.mark_changed();
        Ok(stream::unfold((world, bell), move |(world, mut bell)| async move {
            bell.changed().await.ok()?;
            bell.borrow_and_update();
            Some((world.dedicated_of(sub), (world, bell)))
        })
        .boxed())
    }
}
