//! The monitor: Prometheus asks the sidecar.

use operator::kinds;
use operator::resources::{Desired, Parent};
use serde_json::json;

use crate::controller::validate::Valid;

/// One Pod, one port.
pub fn build(parent: &Parent, valid: &Valid) -> Desired {
    let body = json!({ "spec": {
        "selector": { "matchLabels": super::selector(parent) },
        "podMetricsEndpoints": [{ "port": "metrics", "path": "/metrics", "interval": "30s" }],
    } });
    parent.child(&kinds::POD_MONITOR, &valid.names.main, body)
}
