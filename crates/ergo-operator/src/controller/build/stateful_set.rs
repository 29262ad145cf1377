//! The server: Ergo and its sidecar in one Pod, with the volume only one process ever uses.

use operator::pod::{self, confined, mount, mount_read_only, port};
use operator::resources::{Desired, Parent};
use operator::{child, kinds};
use serde_json::{Value, json};

use crate::config::Installation;
use crate::controller::validate::Valid;
use crate::paths;

/// Makes the store before the first start, then becomes Ergo. The program comes as the first word after the script.
const START: &str =
    "test -e \"$1\" || \"$0\" initdb --quiet --conf \"$2\" || exit 1\nexec \"$0\" run --conf \"$2\"";

/// One Pod, or none while it is suspended.
pub fn build(installation: &Installation, parent: &Parent, valid: &Valid) -> Desired {
    let body = json!({ "spec": {
        "replicas": i32::from(!valid.spec.suspend),
        "serviceName": valid.names.main,
        "revisionHistoryLimit": 2,
        "selector": { "matchLabels": super::selector(parent) },
        "updateStrategy": { "type": "RollingUpdate" },
        "template": template(installation, parent, valid),
    } });
    parent.child(&kinds::STATEFUL_SET, &valid.names.main, body)
}

fn template(installation: &Installation, parent: &Parent, valid: &Valid) -> Value {
    let owner = valid.spec.owner.as_ref();
    let metadata = json!({
        "labels": child::labels(parent.operator, &parent.key, &parent.uid),
        "annotations": {
            // A change that Ergo refuses while it runs makes a new Pod; any other is read by the running one.
            "irc.now/restart-mark": valid.config.mark,
            "irc.now/version": valid.release.to_string(),
            "irc.now/owner-sub": owner.map(|owner| owner.sub.as_str()),
            "irc.now/owner": owner.map(|owner| owner.username.as_str()),
            "irc.now/plan": valid.spec.plan.as_ref().map(|plan| plan.as_str()),
            "kubectl.kubernetes.io/default-container": "ergo",
        },
    });
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 30,
        "securityContext": pod::security(installation.user_id),
        "imagePullSecrets": pod::pull_secrets(&installation.pull_secrets),
        "containers": [ergo(installation, valid), sidecar(valid)],
        "volumes": volumes(valid),
    });
    if !valid.release.has_script_sockets() {
        spec["initContainers"] = json!([install(valid)]);
    }
    json!({ "metadata": metadata, "spec": spec })
}

fn ergo(installation: &Installation, valid: &Valid) -> Value {
    let config = format!("{}/{}", paths::CONFIG_DIR, paths::CONFIG_FILE);
    let mut ports = vec![port("ircs", paths::IRC_PORT)];
    if valid.doors.web_host.is_some() {
        ports.push(port("websocket", paths::WEB_PORT));
    }
    if valid.spec.plaintext_in_cluster {
        ports.push(port("irc", paths::PLAIN_PORT));
    }
    // The sidecar asks Ergo from inside the Pod. Whoever only tries its port is a client to Ergo, is asked about and
    // counted, and many tries from a node's address are a flood.
    let probe = |period: i32, failures: i32| {
        json!({
            "httpGet": { "path": "/readyz", "port": paths::SIDECAR_PORT },
            "periodSeconds": period,
            "failureThreshold": failures,
        })
    };
    json!({
        "name": "ergo",
        "image": valid.image,
        "command": ["/bin/sh", "-c", START, installation.ergo_program, paths::STORE, config],
        "workingDir": paths::DATA_DIR,
        // Debian's build of Ergo 2.18 answers 404 to every call of its API without this; others do not mind.
        "env": [{ "name": "GODEBUG", "value": "httpmuxgo121=0" }],
        "ports": ports,
        "resources": pod::resources(&valid.spec.resources),
        "startupProbe": probe(2, 60),
        // Long enough for a sidecar to be started again: clients keep their server meanwhile.
        "readinessProbe": probe(5, 6),
        "livenessProbe": probe(60, 5),
        "securityContext": confined(),
        "volumeMounts": [
            mount_read_only("config", paths::CONFIG_DIR),
            mount_read_only("tls", paths::TLS_DIR),
            mount("data", paths::DATA_DIR),
            mount("run", paths::RUN_DIR),
        ],
    })
}

fn sidecar(valid: &Valid) -> Value {
    json!({
        "name": "sidecar",
        "image": valid.sidecar_image,
        "args": ["ergo-sidecar", "--config", format!("{}/{}", paths::CONFIG_DIR, paths::SIDECAR_FILE)],
        "ports": [port("metrics", paths::SIDECAR_PORT)],
        "resources": { "requests": { "cpu": "5m", "memory": "16Mi" }, "limits": { "memory": "96Mi" } },
        // Not ready is not asked for: clients keep their server while the sidecar is started again.
        "livenessProbe": {
            "httpGet": { "path": "/healthz", "port": "metrics" }, "periodSeconds": 20, "failureThreshold": 3,
        },
        "securityContext": confined(),
        "volumeMounts": [
            mount_read_only("config", paths::CONFIG_DIR),
            mount_read_only("tls", paths::TLS_DIR),
            mount_read_only("data", paths::DATA_DIR),
            mount("run", paths::RUN_DIR),
        ],
    })
}

/// Puts the program that asks the sidecar where Ergo finds it.
fn install(valid: &Valid) -> Value {
    json!({
        "name": "install",
        "image": valid.sidecar_image,
        "args": ["ergo-sidecar", "--install", paths::ASK],
        // What it copies counts as its memory where the volume is kept in memory: as much as that may hold.
        "resources": { "requests": { "cpu": "5m", "memory": "16Mi" }, "limits": { "memory": "256Mi" } },
        "securityContext": confined(),
        "volumeMounts": [mount("run", paths::RUN_DIR)],
    })
}

fn volumes(valid: &Valid) -> Value {
    let names = &valid.names;
    json!([
        { "name": "config", "projected": { "defaultMode": 0o440, "sources": [
            { "secret": { "name": names.config } },
            { "configMap": { "name": names.config } },
        ] } },
        { "name": "tls", "secret": { "secretName": valid.tls.secret(&names.tls), "defaultMode": 0o440 } },
        { "name": "data", "persistentVolumeClaim": { "claimName": names.volume } },
        { "name": "run", "emptyDir": { "sizeLimit": "256Mi" } },
    ])
}
