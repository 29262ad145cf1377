//! The Secret with both configurations, and the ConfigMap with the message of the day.

use operator::kinds;
use operator::resources::{Desired, Parent};
use operator::secrets::encoded;
use serde_json::json;

use crate::controller::validate::Valid;
use crate::paths;

/// Ergo's configuration holds passwords and tokens, so it is a Secret whole.
pub fn build(parent: &Parent, valid: &Valid) -> Vec<Desired> {
    let secret = json!({
        "type": "Opaque",
        "data": {
            paths::CONFIG_FILE: encoded(valid.config.ergo.expose()),
            paths::SIDECAR_FILE: encoded(valid.config.sidecar.expose()),
        },
    });
    let map = json!({ "data": { paths::MOTD_FILE: valid.config.motd } });
    vec![
        parent.child(&kinds::SECRET, &valid.names.config, secret),
        parent.child(&kinds::CONFIG_MAP, &valid.names.config, map),
    ]
}
