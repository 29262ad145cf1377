//! Which Pods the node takes: it is the only one, so every Pod that waits for a node is for it to bind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Binding, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Status};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::Value;
use tokio::time::Instant;

use super::plan::{Plan, PodKey};
use super::pod;
use super::shared::Shared;
use super::status;
use super::world;
use super::{hosts, known};

/// The longest a refused Pod of the same owner waits before it fails, so that a ReplicaSet does not make new ones at
/// full speed.
const MOST_PATIENCE: Duration = Duration::from_secs(10);

/// Binds, refuses and starts Pods for as long as it is not dropped.
pub async fn serve(shared: Arc<Shared>, labels: BTreeMap<String, String>) {
    let mut bell = shared.world.bell();
    let mut desk =
        Desk { shared: Arc::clone(&shared), labels, handled: BTreeSet::new(), refused: BTreeMap::new() };
    loop {
        let mut again = false;
        for pod in shared.world.pods() {
            again |= desk.look(&pod).await;
        }
        desk.warn_of_services();
        let pause = if again { Duration::from_millis(300) } else { Duration::from_secs(600) };
        tokio::select! {
            changed = bell.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

struct Desk {
    shared: Arc<Shared>,
    labels: BTreeMap<String, String>,
    /// Pods that need nothing of us any more, as far as this node goes: those it was told to delete, or refused.
    handled: BTreeSet<(String, &'static str)>,
    /// How many Pods of an owner were refused.
    refused: BTreeMap<String, u32>,
}

impl Desk {
    /// Does what the Pod needs next. `true` if it has to be looked at again although nothing changes.
    async fn look(&mut self, raw: &Arc<DynamicObject>) -> bool {
        let Some(pod) = world::read(raw) else {
            // A Pod of a newer API that does not even parse: nothing of it is known.
            return false;
        };
        let Some(key) = key(&pod) else { return false };
        let spec = pod.spec.as_ref();
        let bound = spec.and_then(|spec| spec.node_name.as_deref()).filter(|node| !node.is_empty());
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let finished = matches!(phase, Some("Succeeded" | "Failed"));
        match bound {
            None if finished || pod.metadata.deletion_timestamp.is_some() => false,
            None => self.bind(&pod, &key).await,
            Some(node) if node != self.shared.name || self.shared.is_alive(&key.uid) => false,
            Some(_) if pod.metadata.deletion_timestamp.is_some() => {
                if self.handled.insert((key.uid.clone(), "removed")) {
                    let shared = Arc::clone(&self.shared);
                    tokio::spawn(async move { pod::remove(&shared, &key).await });
                }
                false
            }
            Some(_) if finished || self.handled.contains(&(key.uid.clone(), "refused")) => false,
            Some(_) => self.start(raw, pod, key),
        }
    }

    /// What a Service's name cannot do here is said once.
    fn warn_of_services(&self) {
        for service in self.shared.world.services() {
            let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
            let (_, pods, _) = self.shared.world.named(&[namespace]);
            let diverted = hosts::diverted(&service, &pods);
            if !diverted.is_empty() {
                let text = format!(
                    "{}, but here a Service's name is a Pod's own address: connect to the Pod's port, or make them the same",
                    diverted.join(", ")
                );
                self.shared.event(&*service, true, NOT_IMPLEMENTED, &text);
            }
        }
    }

    async fn bind(&self, pod: &Pod, key: &PodKey) -> bool {
        let spec = pod.spec.as_ref();
        if spec.and_then(|spec| spec.scheduling_gates.as_ref()).is_some_and(|gates| !gates.is_empty()) {
            return false;
        }
        let mut wanted = spec.and_then(|spec| spec.node_selector.as_ref()).into_iter().flatten();
        if let Some((label, value)) = wanted.find(|(label, value)| self.labels.get(*label) != Some(*value)) {
            let text = format!("0/1 nodes are available: the test node has no label {label}={value}");
            self.shared.event(pod, true, "FailedScheduling", &text);
            return false;
        }
        let binding = Binding {
            metadata: ObjectMeta {
                name: Some(key.name.clone()),
                uid: Some(key.uid.clone()),
                ..ObjectMeta::default()
            },
            target: ObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Node".into()),
                name: Some(self.shared.name.clone()),
                ..ObjectReference::default()
            },
        };
        let api: Api<Pod> = Api::namespaced(self.shared.world.client.clone(), &key.namespace);
        let parameters = PostParams::default();
        let call = api.create_subresource::<_, Status>("binding", &key.name, &parameters, &binding);
        match tokio::time::timeout(pod::LIMIT, call).await {
            // Bound, or gone, or bound by another: the watch says which.
            Ok(Ok(_) | Err(kube::Error::Api(_))) => false,
            Ok(Err(_)) | Err(_) => true,
        }
    }

    fn start(&mut self, raw: &DynamicObject, pod: Pod, key: PodKey) -> bool {
        let refusals = serde_json::to_value(raw).map(|raw| known::refusals(&raw)).unwrap_or_default();
        let plan = if refusals.is_empty() {
            Plan::of(&pod).map_err(|error| error.to_string())
        } else {
            let fields: Vec<String> = refusals.iter().map(ToString::to_string).collect();
            Err(format!("the test node does not implement {}", fields.join(", ")))
        };
        match plan {
            Ok(plan) => {
                if self.shared.begin(&key.uid) {
                    tokio::spawn(pod::run(Arc::clone(&self.shared), pod, plan));
                }
            }
            Err(why) => self.refuse(pod, key, why),
        }
        false
    }

    fn refuse(&mut self, pod: Pod, key: PodKey, why: String) {
        self.handled.insert((key.uid.clone(), "refused"));
        let owner = pod.metadata.owner_references.iter().flatten().next().map(|owner| owner.uid.clone());
        let times = self.refused.entry(owner.unwrap_or_else(|| key.uid.clone())).or_default();
        let wait = Duration::from_millis(250).saturating_mul(1 << (*times).min(10)).min(MOST_PATIENCE);
        let wait = if *times == 0 { Duration::ZERO } else { wait };
        *times += 1;
        self.shared.event(&pod, true, NOT_IMPLEMENTED, &why);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            tokio::time::sleep_until(Instant::now() + wait).await;
            let before = serde_json::to_value(&pod.status).unwrap_or(Value::Null);
            let patch = status::refused(&before, &key.uid, NOT_IMPLEMENTED, &why, Timestamp::now());
            pod::write_status(&shared, &key, patch).await;
        });
    }
}

/// The reason of the event and of the status of a refused Pod.
pub const NOT_IMPLEMENTED: &str = "NotImplemented";

fn key(pod: &Pod) -> Option<PodKey> {
    Some(PodKey {
        namespace: pod.metadata.namespace.clone()?,
        name: pod.metadata.name.clone()?,
        uid: pod.metadata.uid.clone()?,
    })
}
