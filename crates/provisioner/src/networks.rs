//! Hosted networks as `ErgoNetwork` resources.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{HostedId, HostedState, ServerAccess, ServerKind, Sub};
use crds::ErgoNetwork;
use futures_util::stream::BoxStream;
use hosting::{Host, HostError, States, Wanted};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams};
use kube::{Client, ResourceExt as _};
use service::health::Part;

use crate::cluster::Doors;
use crate::config::Installation;
use crate::resources::{Resources, refused};
use crate::{spec, state};

/// The networks of the cluster.
pub struct Networks {
    installation: Arc<Installation>,
    resources: Resources<ErgoNetwork>,
    secrets: Resources<Secret>,
    secret_api: Api<Secret>,
    doors: Doors,
    states: States<HostedId, HostedState>,
}

impl Networks {
    pub fn new(client: &Client, installation: Arc<Installation>, doors: Doors) -> Self {
        let secret_api = Api::namespaced(client.clone(), &installation.namespace);
        Self {
            resources: Resources::new(Api::namespaced(client.clone(), &installation.namespace)),
            secrets: Resources::new(secret_api.clone()),
            secret_api,
            installation,
            doors,
            states: States::default(),
        }
    }

    /// Follows the resources until the process ends.
    pub async fn follow(self: Arc<Self>, ready: Part) {
        let there = |object: ErgoNetwork| {
            if let Some(id) = spec::network_id(&object.name_any()) {
                self.states.tell(id, state::network(&object), HostedState::says_the_same);
            }
            std::future::ready(())
        };
        let gone = |name: &str| {
            if let Some(id) = spec::network_id(name) {
                self.states.forget(id);
            }
        };
        self.resources.follow(there, gone, || ready.ready()).await;
    }
}

#[async_trait]
impl Host for Networks {
    async fn refuses(&self) -> Option<String> {
        None
    }

    async fn keep(&self, wanted: Wanted) -> Result<(), HostError> {
        // The hashes first: without them the operator would have to wait.
        if !wanted.operators.is_empty() {
            self.secrets.apply(&spec::operators(&self.installation, &wanted)).await?;
        }
        let uid = self.resources.apply(&spec::ergo_network(&self.installation, &wanted)).await?;
        self.doors.open(wanted.owner, ServerKind::Network, &uid, ServerAccess::Accounts, wanted.stopped).await
    }

    async fn remove(&self, id: HostedId) -> Result<(), HostError> {
        let name = spec::network_name(id);
        if let Some(object) = self.resources.get(&name).await? {
            let owner = object.spec.owner.as_ref().and_then(|owner| owner.sub.as_str().parse().ok());
            if let Some(owner) = owner {
                let uid = object.uid().unwrap_or_default();
                self.doors.close(Sub(owner), ServerKind::Network, &uid).await?;
            }
        }
        self.resources.remove(&name).await?;
        let secret = spec::operators_secret(&name);
        self.secrets.forget(&secret);
        match self.secret_api.delete(&secret, &DeleteParams::background()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(refused("deleting", &error)),
        }
    }

    fn states(&self) -> BoxStream<'static, (HostedId, HostedState)> {
        self.states.changes()
    }
}
