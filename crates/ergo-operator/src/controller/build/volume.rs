//! The volume. It outlives the network unless the deletion policy says otherwise.

use operator::kinds;
use operator::resources::{Desired, Parent};
use serde_json::json;

use crate::controller::validate::Valid;

/// One volume for one process at a time, perhaps from a snapshot.
pub fn build(parent: &Parent, valid: &Valid) -> Desired {
    let storage = &valid.spec.storage;
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": { "requests": { "storage": storage.size.as_str() } },
    });
    if let Some(class) = &storage.class_name {
        spec["storageClassName"] = class.as_str().into();
    }
    if let Some(restore) = &valid.spec.restore {
        spec["dataSource"] = json!({
            "apiGroup": "snapshot.storage.k8s.io",
            "kind": "VolumeSnapshot",
            "name": restore.snapshot_name.as_str(),
        });
    }
    // What happens at the end is to be seen on the volume itself.
    let policy = format!("{:?}", valid.spec.deletion_policy);
    let body = json!({ "metadata": { "annotations": { "irc.now/deletion-policy": policy } }, "spec": spec });
    parent.survivor(&kinds::VOLUME_CLAIM, &valid.names.volume, body)
}
