//! What the Pods of both kinds are made of.

use crds::common::{Resources, Storage};
use serde_json::{Value, json};

use crate::resources::{Desired, Parent};
use crate::{Names, kinds};

/// The security of a Pod; without a user id where the cluster gives one (OpenShift).
pub fn security(user: Option<i64>) -> Value {
    json!({
        "runAsNonRoot": true,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        // Changing the owner of every file at every start takes long on a large volume.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": { "type": "RuntimeDefault" },
    })
}

/// The security of a container: a read-only root and no capability, as the `restricted` profile wants it.
pub fn confined() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "capabilities": { "drop": ["ALL"] },
    })
}

/// A volume that is read and written.
pub fn mount(volume: &str, at: &str) -> Value {
    json!({ "name": volume, "mountPath": at })
}

/// A volume that is only read.
pub fn mount_read_only(volume: &str, at: &str) -> Value {
    json!({ "name": volume, "mountPath": at, "readOnly": true })
}

/// A TCP port of a container.
pub fn port(name: &str, port: u16) -> Value {
    json!({ "name": name, "containerPort": port, "protocol": "TCP" })
}

/// What a container may use.
pub fn resources(of: &Resources) -> Value {
    json!({
        "requests": { "cpu": of.cpu.as_str(), "memory": of.memory.as_str() },
        "limits": {
            "cpu": of.cpu_limit.as_ref().map(|limit| limit.as_str()),
            "memory": of.memory_limit.as_str(),
        },
    })
}

/// Logins at image registries.
pub fn pull_secrets(names: &[String]) -> Value {
    if names.is_empty() { Value::Null } else { names.iter().map(|name| json!({ "name": name })).collect() }
}

/// The disruption budget. The one Pod may be moved, even when it is not well: without a budget, others that match
/// everything would decide, and a budget of none would hold up every drain for ever.
pub fn disruption_budget(parent: &Parent, names: &Names, selector: &Value) -> Desired {
    let body = json!({ "spec": {
        "maxUnavailable": 1,
        "selector": { "matchLabels": selector },
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    } });
    parent.child(&kinds::DISRUPTION_BUDGET, &names.main, body)
}

/// The monitor: Prometheus asks the sidecar on its port of this name.
pub fn monitor(parent: &Parent, names: &Names, selector: &Value, port: &str) -> Desired {
    let body = json!({ "spec": {
        "selector": { "matchLabels": selector },
        "podMetricsEndpoints": [{ "port": port, "path": "/metrics", "interval": "30s" }],
    } });
    parent.child(&kinds::POD_MONITOR, &names.main, body)
}

/// The volume, for one process at a time, perhaps from a snapshot. It outlives its resource unless the deletion policy
/// says otherwise, which is to be seen on the volume itself.
pub fn volume(
    parent: &Parent,
    names: &Names,
    storage: &Storage,
    from_snapshot: Option<&str>,
    policy: crds::common::DeletionPolicy,
) -> Desired {
    let source = from_snapshot
        .map(|name| json!({ "apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": name }));
    let body = json!({
        "metadata": { "annotations": { "irc.now/deletion-policy": policy } },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage.class_name.as_ref().map(|class| class.as_str()),
            "resources": { "requests": { "storage": storage.size.as_str() } },
            "dataSource": source,
        },
    });
    parent.survivor(&kinds::VOLUME_CLAIM, &names.volume, body)
}
