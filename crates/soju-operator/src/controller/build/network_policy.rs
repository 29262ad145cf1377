//! The NetworkPolicy: who reaches the server, and what the server reaches.

use crds::sidecar::SIDECAR_PORT;
use crds::soju::Engine;
use operator::network_policy::{Reach, askers, tcp};
use operator::resources::Parent;
use operator::{Desired, kinds};
use serde_json::{Value, json};

use super::super::validate::{Rows, Valid};
use crate::config::Installation;
use crate::soju::{IDENT_PORT, IRC_PORT, WS_PORT, WSS_PORT};

/// The policy.
pub fn network_policy(installation: &Installation, parent: &Parent, valid: &Valid) -> Desired {
    let reach = Reach {
        denied: &installation.denied_ranges,
        allowed: &installation.allowed_ranges,
        egress: &valid.spec.egress,
        database: match &valid.rows {
            Rows::Sqlite => None,
            Rows::Postgres(at) => Some(&at.cluster),
        },
    };
    let body = json!({ "spec": {
        "podSelector": { "matchLabels": super::selector(valid) },
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress(installation, valid),
        "egress": reach.rules(),
    }});
    parent.child(&kinds::NETWORK_POLICY, &valid.names.main, body)
}

fn ingress(installation: &Installation, valid: &Valid) -> Vec<Value> {
    let mut open = vec![IRC_PORT];
    if valid.doors.web_host.is_some() && valid.spec.engine == Engine::Soju {
        open.push(if valid.web_in_the_clear { WS_PORT } else { WSS_PORT });
    }
    if valid.spec.ident {
        open.push(IDENT_PORT);
    }
    let from = askers(&installation.namespace, installation.monitoring_namespace.as_deref());
    vec![json!({ "ports": tcp(&open) }), json!({ "from": from, "ports": tcp(&[SIDECAR_PORT]) })]
}
