//! What Prometheus asks.

use operator::resources::Parent;
use operator::{Desired, kinds};
use serde_json::json;

use super::super::validate::Valid;

/// The monitor.
pub fn monitor(parent: &Parent, valid: &Valid) -> Option<Desired> {
    valid.monitor.then(|| {
        let body = json!({ "spec": {
            "selector": { "matchLabels": super::selector(valid) },
            "podMetricsEndpoints": [{ "port": "admin", "path": "/metrics", "interval": "60s" }],
        }});
        parent.child(&kinds::POD_MONITOR, &valid.names.main, body)
    })
}
