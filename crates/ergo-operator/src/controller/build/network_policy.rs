//! Who may connect to the server, and what it may connect to.

use operator::kinds;
use operator::network_policy::{Reach, askers, tcp};
use operator::resources::{Desired, Parent};
use serde_json::{Value, json};

use crate::config::Installation;
use crate::controller::validate::Valid;
use crate::paths;

/// One policy with both directions.
pub fn build(installation: &Installation, parent: &Parent, valid: &Valid) -> Desired {
    let reach = Reach {
        denied: &installation.denied_ranges,
        allowed: &installation.allowed_ranges,
        egress: &valid.spec.egress,
        database: valid.database.as_ref().map(|at| &at.cluster),
    };
    let body = json!({ "spec": {
        "podSelector": { "matchLabels": super::selector(parent) },
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress(installation, valid),
        "egress": reach.rules(),
    } });
    parent.child(&kinds::NETWORK_POLICY, &valid.names.main, body)
}

fn ingress(installation: &Installation, valid: &Valid) -> Vec<Value> {
    let mut public = vec![paths::IRC_PORT];
    if valid.doors.web_host.is_some() {
        public.push(paths::WEB_PORT);
    }
    let mut rules = vec![json!({ "ports": tcp(&public) })];
    if valid.spec.plaintext_in_cluster {
        // Pods of the cluster, and nobody outside of it.
        rules.push(json!({ "from": [{ "namespaceSelector": {} }], "ports": tcp(&[paths::PLAIN_PORT]) }));
    }
    let from = askers(&installation.namespace, installation.monitoring_namespace.as_deref());
    rules.push(json!({ "from": from, "ports": tcp(&[paths::SIDECAR_PORT]) }));
    rules
}
