//! Dedicated bouncers as `SojuBouncer` resources.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{BouncerEngine, DedicatedId, DedicatedPhase, Reach, ServerAccess, ServerKind, Sub};
use crds::SojuBouncer;
use crds::sidecar::{MOVES_APP, SIDECAR_PORT};
use crds::soju::Engine;
use futures_util::stream::BoxStream;
use hosting::dedicated::host::{BouncerHost, BouncerState, WantedBouncer};
use hosting::{HostError, States};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use service::health::Part;

use crate::cluster::Doors;
use crate::config::Installation;
use crate::resources::Resources;
use crate::{spec, state};

/// What tells Pods apart.
const APP: &str = "app.kubernetes.io/name";

/// The bouncers of the cluster.
pub struct Bouncers {
    installation: Arc<Installation>,
    resources: Resources<SojuBouncer>,
    pods: Api<Pod>,
    doors: Doors,
    states: States<DedicatedId, BouncerState>,
}

impl Bouncers {
    pub fn new(client: &Client, installation: Arc<Installation>, doors: Doors) -> Self {
        Self {
            resources: Resources::new(Api::namespaced(client.clone(), &installation.namespace)),
            pods: Api::namespaced(client.clone(), &installation.namespace),
            installation,
            doors,
            states: States::default(),
        }
    }

    /// Follows the resources until the process ends.
    pub async fn follow(self: Arc<Self>, ready: Part) {
        let there = |object: SojuBouncer| {
            let this = Arc::clone(&self);
            async move {
                let Some(id) = spec::bouncer_id(&object.name_any()) else { return };
                let mut state = state::bouncer(&object);
                let runs = state.phase == DedicatedPhase::Ready && object.spec.engine == Engine::Ircnow;
                if runs || state::can_move(&object) {
                    state.reach = this.reach(&object).await;
                }
                this.states.tell(id, state, PartialEq::eq);
            }
        };
        let gone = |name: &str| {
            if let Some(id) = spec::bouncer_id(name) {
                self.states.forget(id);
            }
        };
        self.resources.follow(there, gone, || ready.ready()).await;
    }

    /// The admin listener of the one Pod of a bouncer, or of the one that has the rows of a soju. No Service leads there, so that none leads out of the cluster.
    async fn reach(&self, object: &SojuBouncer) -> Option<Reach> {
        let uid = object.uid()?;
        let params = ListParams::default().labels(&format!("{}={uid}", operator::OWNER_UID));
        let pods = match self.pods.list(&params).await {
            Ok(pods) => pods.items,
            Err(error) => {
                tracing::warn!(error = operator::error::said(&error), "the Pod of a bouncer cannot be found");
                return None;
            }
        };
        let moves = |pod: &Pod| pod.labels().get(APP).is_some_and(|name| name == MOVES_APP);
        let pods = pods.into_iter().filter(|pod| {
            pod.metadata.deletion_timestamp.is_none() && moves(pod) == object.spec.moving.is_some()
        });
        let address = pods.filter_map(|pod| pod.status?.pod_ip).next()?;
        let host = if address.contains(':') { format!("[{address}]") } else { address };
        Some(Reach {
            url: format!("http://{host}:{SIDECAR_PORT}/").parse().ok()?,
            audience: format!("bouncer-{uid}"),
        })
    }
}

#[async_trait]
impl BouncerHost for Bouncers {
    fn engines(&self) -> Vec<BouncerEngine> {
        let soju = self.installation.soju.then_some(BouncerEngine::Soju);
        [BouncerEngine::Ircnow].into_iter().chain(soju).collect()
    }

    async fn refuses(&self) -> Option<String> {
        None
    }

    async fn keep(&self, wanted: WantedBouncer) -> Result<(), HostError> {
        let uid = self.resources.apply(&spec::soju_bouncer(&self.installation, &wanted)).await?;
        self.doors.open(wanted.owner, ServerKind::Bouncer, &uid, ServerAccess::Owner, wanted.stopped).await
    }

    async fn remove(&self, owner: Sub, id: DedicatedId) -> Result<(), HostError> {
        let name = spec::bouncer_name(id);
        if let Some(object) = self.resources.get(&name).await? {
            let uid = object.uid().unwrap_or_default();
            self.doors.close(owner, ServerKind::Bouncer, &uid).await?;
        }
        self.resources.remove(&name).await
    }

    fn states(&self) -> BoxStream<'static, (DedicatedId, BouncerState)> {
        self.states.changes()
    }
}
