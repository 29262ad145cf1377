//! Hosting made of memory.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::*;
use entitlements::{Amount, Limit};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use service::clock::now_s;
use uuid::Uuid;

use crate::fakes::{Fake, World};

impl World {
    /// A hosted network of somebody's.
    pub fn host(&self, sub: Sub, name: &str, phase: HostedPhase, detail: Option<&str>) -> HostedId {
        let network = HostedNetwork {
            id: HostedId(Uuid::now_v7()),
            spec: HostedSpec {
                name: name.to_owned(),
                access: HostedAccess::MembersOnly,
                motd: "Welcome.".to_owned(),
                operators: vec![HostedOperator {
                    name: "root".to_owned(),
                    role: HostedRole::Admin,
                    password: None,
                }],
            },
            hostname: format!("{}.net.example", name.to_lowercase()),
            suspended: phase == HostedPhase::Suspended,
            users_allowed: Amount::AtMost(200),
            state: HostedState {
                phase,
                since: now_s() - 3_600,
                detail: detail.map(str::to_owned),
                addresses: vec![
                    HostedAddress { host: "localhost".to_owned(), port: 6699, tls: true },
                    HostedAddress { host: "localhost".to_owned(), port: 6669, tls: false },
                ],
                websocket: None,
                users: 31,
                channels: 7,
                software: Some("Ergo 2.18.0".to_owned()),
                keeps_history: Some(false),
            },
            version: 1,
            created_at: now_s(),
            deleted_at: None,
        };
        let id = network.id;
        self.rows.lock().unwrap().hosted.push((sub, network));
        self.touch();
        id
    }

    fn hosted_of(&self, sub: Sub) -> Vec<HostedNetwork> {
        let rows = self.rows.lock().unwrap();
        let own = rows.hosted.iter().filter(|(owner, n)| *owner == sub && n.deleted_at.is_none());
        own.map(|(_, network)| network.clone()).collect()
    }

    fn with_hosted(
        &self,
        call: &Call,
        id: HostedId,
        change: impl FnOnce(&mut HostedNetwork),
    ) -> CallResult<HostedNetwork> {
        let mut rows = self.rows.lock().unwrap();
        let own = rows.hosted.iter_mut().find(|(owner, n)| *owner == call.account && n.id == id);
        let (_, network) = own.ok_or_else(|| CallError::not_found("network"))?;
        if call.version.is_some_and(|version| version != network.version) {
            return Err(CallError::Conflict { message: "It was changed in the meantime.".to_owned() });
        }
        change(network);
        network.version += 1;
        let network = network.clone();
        drop(rows);
        self.touch();
        Ok(network)
    }
}

#[async_trait]
impl Networks for Fake {
    async fn offer(&self, call: &Call) -> CallResult<HostingOffer> {
        let limits = self.0.account(call.account).limits;
        Ok(HostingOffer {
            domain: "net.example".to_owned(),
            used: self.0.hosted_of(call.account).len() as u64,
            allowed: limits.get(Limit::HostedNetworks),
            users: limits.get(Limit::HostedNetworkUsers),
            refused: None,
        })
    }

    async fn networks(&self, call: &Call) -> CallResult<Vec<HostedNetwork>> {
        Ok(self.0.hosted_of(call.account))
    }

    async fn network(&self, call: &Call, id: HostedId) -> CallResult<HostedNetwork> {
        let rows = self.0.rows.lock().unwrap();
        let own = rows.hosted.iter().find(|(owner, network)| *owner == call.account && network.id == id);
        own.map(|(_, network)| network.clone()).ok_or_else(|| CallError::not_found("network"))
    }

    async fn create_network(&self, call: &Call, spec: HostedSpec) -> CallResult<HostedNetwork> {
        if spec.name == "taken" {
            return Err(CallError::Conflict { message: "taken.net.example is taken.".to_owned() });
        }
        if spec.operators.iter().any(|operator| operator.password.is_none()) {
            return Err(CallError::invalid("operators", "Give them a password."));
        }
        let id = self.0.host(call.account, &spec.name, HostedPhase::Starting, None);
        self.0.with_hosted(&call.clone(), id, |network| network.spec = spec)
    }

    async fn change_network(&self, call: &Call, id: HostedId, spec: HostedSpec) -> CallResult<HostedNetwork> {
        self.0.with_hosted(call, id, |network| network.spec = spec)
    }

    async fn suspend_network(&self, call: &Call, id: HostedId, suspended: bool) -> CallResult<HostedNetwork> {
        self.0.with_hosted(call, id, |network| {
            network.suspended = suspended;
            network.state.phase = if suspended { HostedPhase::Suspended } else { HostedPhase::Starting };
        })
    }

    async fn delete_network(&self, call: &Call, id: HostedId) -> CallResult<()> {
        self.0.with_hosted(call, id, |network| network.deleted_at = Some(now_s())).map(drop)
    }

    async fn restore_network(&self, call: &Call, id: HostedId) -> CallResult<HostedNetwork> {
        self.0.with_hosted(call, id, |network| network.deleted_at = None)
    }

    async fn watch(
        &self,
        call: &Call,
        _: Option<WatchCursor>,
    ) -> CallResult<BoxStream<'static, HostedChange>> {
        let (world, sub) = (Arc::clone(&self.0), call.account);
        let mut bell = world.changed.subscribe();
        bell.mark_changed();
        Ok(stream::unfold((world, bell), move |(world, mut bell)| async move {
            bell.changed().await.ok()?;
            let cursor = WatchCursor(*bell.borrow_and_update());
            let what = HostedChangeKind::Snapshot { networks: world.hosted_of(sub) };
            Some((HostedChange { cursor, what }, (world, bell)))
        })
        .boxed())
    }
}
