//! The job that takes an account in before soju's first start, or out while soju stands still.
//!
//! It serves `Moves` on the port of the sidecar for as long as the resource asks for it, and writes or reads soju's tables.
//! Its Pods carry labels of their own: no Service leads to them, and no NetworkPolicy of soju's is theirs.

use crds::common::Egress;
use crds::sidecar::{CONFIG_DIR, MOVES_APP, MOVES_FILE, SIDECAR_PORT, TABLES_FILE};
use crds::soju::Moving;
use operator::network_policy::{Reach, namespace, tcp};
use operator::pod::{self, confined, mount, mount_read_only, port};
use operator::resources::Parent;
use operator::{Desired, kinds};
use serde_json::{Value, json};

use super::super::validate::{Rows, Valid};
use super::deployment::{USER, owned, volume};
use crate::config::Installation;

/// soju's own tool makes its tables and the user. Where both are there already it says so and fails, which is as good; the
/// import looks for itself. The password is nobody's: the import takes it away.
const TABLES: &str = r#"
read -r password </proc/sys/kernel/random/uuid
printf %s "$password" | sojudb -config "$1" create-user "$2"
exit 0
"#;

/// The job, while an account moves and soju's Pod is gone.
pub fn job(installation: &Installation, parent: &Parent, valid: &Valid) -> Option<Desired> {
    let moving = valid.spec.moving.filter(|_| valid.rows_are_free())?;
    let template = json!({
        "metadata": { "labels": owned(parent, selector(valid)) },
        "spec": {
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 10,
            "securityContext": pod::security(Some(USER)),
            "imagePullSecrets": pod::pull_secrets(&installation.pull_secrets),
            "initContainers": (moving == Moving::In).then(|| vec![tables(valid)]),
            "containers": [moves(valid, moving)],
            "volumes": volumes(valid),
        },
    });
    // A template cannot be changed: another one is another job, and the one before goes.
    let hash = crds::sidecar::hash(template.to_string().as_bytes());
    let name = format!("{}-{}", valid.names.moving, hash.get(..8).unwrap_or(&hash));
    let body = json!({ "spec": { "backoffLimit": 100, "template": template } });
    Some(parent.child(&kinds::JOB, &name, body))
}

/// Who reaches the job, and what it reaches: the database and gatekeeper.
pub fn network_policy(installation: &Installation, parent: &Parent, valid: &Valid) -> Option<Desired> {
    valid.spec.moving?;
    let reach = Reach {
        denied: &installation.denied_ranges,
        allowed: &installation.allowed_ranges,
        egress: &Egress::default(),
        database: match &valid.rows {
            Rows::Sqlite => None,
            Rows::Postgres(at) => Some(&at.cluster),
        },
    };
    let body = json!({ "spec": {
        "podSelector": { "matchLabels": selector(valid) },
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{ "from": [namespace(&installation.namespace)], "ports": tcp(&[SIDECAR_PORT]) }],
        "egress": reach.rules(),
    }});
    Some(parent.child(&kinds::NETWORK_POLICY, &valid.names.moving, body))
}

fn selector(valid: &Valid) -> Value {
    json!({ "app.kubernetes.io/name": MOVES_APP, "app.kubernetes.io/instance": valid.names.main })
}

fn tables(valid: &Valid) -> Value {
    let user = valid.spec.owner.as_ref().map(|owner| owner.username.as_str());
    json!({
        "name": "tables",
        "image": valid.image,
        "command": ["/bin/sh", "-c", TABLES, "soju-tables"],
        "args": [format!("{CONFIG_DIR}/{TABLES_FILE}"), user],
        "resources": { "requests": { "cpu": "5m", "memory": "32Mi" }, "limits": { "memory": "128Mi" } },
        "securityContext": confined(),
        "volumeMounts": mounts(valid),
    })
}

fn moves(valid: &Valid, moving: Moving) -> Value {
    let what = match moving {
        Moving::In => "import",
        Moving::Out => "export",
    };
    json!({
        "name": "move",
        "image": valid.sidecar_image,
        "command": ["ircnow"],
        "args": ["soju-sidecar", what, "--config", format!("{CONFIG_DIR}/{MOVES_FILE}")],
        "ports": [port("admin", SIDECAR_PORT)],
        "resources": { "requests": { "cpu": "5m", "memory": "32Mi" }, "limits": { "memory": "256Mi" } },
        "securityContext": confined(),
        "volumeMounts": mounts(valid),
        "readinessProbe": { "httpGet": { "path": "/readyz", "port": "admin" }, "periodSeconds": 2 },
    })
}

fn mounts(valid: &Valid) -> Vec<Value> {
    let mut mounts = vec![mount_read_only("config", CONFIG_DIR), mount("tmp", "/tmp")];
    if super::has_volume(valid) {
        mounts.push(mount("data", "/data"));
    }
    mounts
}

fn volumes(valid: &Valid) -> Vec<Value> {
    let of = ["config", "tmp", "data"].into_iter();
    of.filter(|name| *name != "data" || super::has_volume(valid))
        .filter_map(|name| volume(valid, name))
        .collect()
}
