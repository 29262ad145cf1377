//! Writing a Pod's status beside its life, so that an API server that is away holds nothing up.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::super::plan::PodKey;

/// How long one call may take.
pub const LIMIT: Duration = Duration::from_secs(5);
/// How long to wait before it is tried again.
pub const PAUSE: Duration = Duration::from_millis(300);

/// Writes the newest status until it is written.
pub(super) struct Publisher {
    newest: watch::Sender<Value>,
    task: JoinHandle<()>,
}

impl Publisher {
    pub(super) fn start(client: Client, key: PodKey) -> Self {
        let (newest, hear) = watch::channel(Value::Null);
        let task = tokio::spawn(write(Api::namespaced(client, &key.namespace), key.name, hear));
        Self { newest, task }
    }

    /// From now on, this is the status.
    pub(super) fn say(&self, patch: Value) {
        self.newest.send_if_modified(|newest| {
            let differs = *newest != patch;
            if differs {
                *newest = patch;
            }
            differs
        });
    }

    /// Waits until the last status is written, or the Pod is gone.
    pub(super) async fn finish(self) {
        drop(self.newest);
        // The task only ends; it is never aborted and does not panic.
        let _ = self.task.await;
    }
}

async fn write(api: Api<Pod>, name: String, mut newest: watch::Receiver<Value>) {
    while newest.changed().await.is_ok() {
        loop {
            let patch = newest.borrow_and_update().clone();
            let patch = Patch::Strategic(patch);
            let parameters = PatchParams::default();
            match tokio::time::timeout(LIMIT, api.patch_status(&name, &parameters, &patch)).await {
                Ok(Ok(_)) => break,
                // Gone, or another one of that name.
                Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => return,
                Ok(Err(kube::Error::Api(status))) if status.code == 422 => {
                    println!("the node wrote a status the API server does not take: {}", status.message);
                    break;
                }
                Ok(Err(_)) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
