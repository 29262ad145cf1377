//! Says of every certificate, database, role, backup and snapshot, in whatever namespace, that it is there: for tests
//! with more namespaces than a [`Standin`](super::Standin) can serve. Nothing is made.

use std::thread::JoinHandle;

use anyhow::Result;
use futures_util::StreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Cluster, access};

/// Group, version, kind.
const KINDS: [(&str, &str); 5] = [
    ("cert-manager.io", "Certificate"),
    ("postgresql.cnpg.io", "Database"),
    ("postgresql.cnpg.io", "DatabaseRole"),
    ("postgresql.cnpg.io", "Backup"),
    ("snapshot.storage.k8s.io", "VolumeSnapshot"),
];

/// Says that everything is there, until it is dropped.
pub struct Pretender {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Pretender {
    /// Begins, with a user and a thread of its own.
    pub fn start(cluster: &Cluster) -> Result<Self> {
        let leaf = cluster.plane.authority().client("pretender", &["system:masters"])?;
        let config = cluster.plane.certificate_config(&leaf);
        let (stop, mut stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("pretender".into()).spawn(move || {
            runtime.block_on(async move {
                let Ok(client) = access::client(config).await else { return };
                let kinds = KINDS.map(|(group, kind)| follow(client.clone(), group, kind));
                tokio::select! {
                    _ = futures_util::future::join_all(kinds) => {}
                    _ = stopped.wait_for(|stop| *stop) => {}
                }
            });
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Pretender {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn follow(client: Client, group: &str, kind: &str) {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    // A kind that is not there yet is asked for until it is, and a watch that breaks is begun again.
    let seen = watcher(all, watcher::Config::default()).default_backoff().applied_objects();
    let said = seen.for_each_concurrent(8, |seen| {
        let (client, resource) = (client.clone(), resource.clone());
        async move {
            let Ok(object) = seen else { return };
            let status = status(kind, &object);
            if object.data["status"] == status || object.metadata.deletion_timestamp.is_some() {
                return;
            }
            let api: Api<DynamicObject> =
                Api::namespaced_with(client, &object.namespace().unwrap_or_default(), &resource);
            let patch = Patch::Merge(json!({ "status": status }));
            // Whoever deletes it meanwhile need not be told.
            let _ = api.patch_status(&object.name_any(), &PatchParams::default(), &patch).await;
        }
    });
    said.await;
}

fn status(kind: &str, object: &DynamicObject) -> Value {
    match kind {
        "Certificate" => json!({ "conditions": [{
            "type": "Ready",
            "status": "True",
            "reason": "Pretended",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }] }),
        "Backup" => json!({ "phase": "completed" }),
        "VolumeSnapshot" => json!({ "readyToUse": true, "creationTime": "2026-01-01T00:00:00Z" }),
        _ => json!({ "applied": true, "observedGeneration": object.metadata.generation }),
    }
}
