//! The disruption budget: an eviction waits until the server is well, and a broken one never holds up a node.

use operator::kinds;
use operator::resources::{Desired, Parent};
use serde_json::json;

use crate::controller::validate::Valid;

/// There is one Pod, so a budget of none would hold up every drain for ever.
pub fn build(parent: &Parent, valid: &Valid) -> Desired {
    let body = json!({ "spec": {
        "maxUnavailable": 1,
        "selector": { "matchLabels": super::selector(parent) },
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    } });
    parent.child(&kinds::DISRUPTION_BUDGET, &valid.names.main, body)
}
