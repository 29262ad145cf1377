//! The disruption budget: the one Pod may be moved, even when it is not well.

use operator::resources::Parent;
use operator::{Desired, kinds};
use serde_json::json;

use super::super::validate::Valid;

/// The budget. It says that being moved is fine: without one, other budgets that match everything would decide.
pub fn disruption_budget(parent: &Parent, valid: &Valid) -> Desired {
    let body = json!({ "spec": {
        "maxUnavailable": 1,
        "selector": { "matchLabels": super::selector(valid) },
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }});
    parent.child(&kinds::DISRUPTION_BUDGET, &valid.names.main, body)
}
