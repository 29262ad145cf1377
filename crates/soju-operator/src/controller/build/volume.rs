//! The volume: the SQLite file, or the data folder of the engine `Ircnow`. It outlives the bouncer unless it is told
//! otherwise.

use crds::soju::Engine;
use operator::resources::Parent;
use operator::{Desired, kinds};
use serde_json::json;

use super::super::validate::{Rows, Valid};

/// Whether there is a volume.
pub fn needed(valid: &Valid) -> bool {
    matches!(valid.rows, Rows::Sqlite) || valid.spec.engine == Engine::Ircnow
}

/// The volume claim.
pub fn volume(parent: &Parent, valid: &Valid) -> Option<Desired> {
    let storage = &valid.spec.database.storage;
    needed(valid).then(|| {
        let body = json!({ "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage.class_name,
            "resources": { "requests": { "storage": storage.size } },
        }});
        parent.survivor(&kinds::VOLUME_CLAIM, &valid.names.volume, body)
    })
}
