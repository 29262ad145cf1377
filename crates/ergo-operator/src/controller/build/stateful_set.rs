//! The server: Ergo and its sidecar in one Pod, with the volume only one process ever uses.

use operator::resources::{Desired, Parent};
use operator::{child, kinds};
use serde_json::{Value, json};

use crate::config::Installation;
use crate::controller::validate::{TlsFrom, Valid, Web};
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
    let pull: Vec<_> = installation.pull_secrets.iter().map(|name| json!({ "name": name })).collect();
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": installation.user_id,
            "runAsGroup": installation.user_id,
            "fsGroup": installation.user_id,
            // Changing the owner of every file at every start takes long on a large volume.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [ergo(installation, valid), sidecar(valid)],
        "volumes": volumes(valid),
    });
    if !pull.is_empty() {
        spec["imagePullSecrets"] = pull.into();
    }
    if !valid.release.has_script_sockets() {
        spec["initContainers"] = json!([install(valid)]);
    }
    json!({ "metadata": metadata, "spec": spec })
}

fn ergo(installation: &Installation, valid: &Valid) -> Value {
    let config = format!("{}/{}", paths::CONFIG_DIR, paths::CONFIG_FILE);
    let resources = &valid.spec.resources;
    let mut ports = vec![json!({ "name": "ircs", "containerPort": paths::IRC_PORT, "protocol": "TCP" })];
    if valid.web != Web::None {
        ports.push(json!({ "name": "websocket", "containerPort": paths::WEB_PORT, "protocol": "TCP" }));
    }
    if valid.spec.plaintext_in_cluster {
        ports.push(json!({ "name": "irc", "containerPort": paths::PLAIN_PORT, "protocol": "TCP" }));
    }
    let probe = |period: i32, failures: i32| json!({ "tcpSocket": { "port": "ircs" }, "periodSeconds": period, "failureThreshold": failures });
    json!({
        "name": "ergo",
        "image": valid.image,
        "command": ["/bin/sh", "-c", START, installation.ergo_program, paths::STORE, config],
        "workingDir": paths::DATA_DIR,
        // Debian's build of Ergo 2.18 answers 404 to every call of its API without this; others do not mind.
        "env": [{ "name": "GODEBUG", "value": "httpmuxgo121=0" }],
        "ports": ports,
        "resources": {
            "requests": { "cpu": resources.cpu.as_str(), "memory": resources.memory.as_str() },
            "limits": {
                "cpu": resources.cpu_limit.as_ref().map(|limit| limit.as_str()),
                "memory": resources.memory_limit.as_str(),
            },
        },
        "startupProbe": probe(2, 60),
        "readinessProbe": probe(5, 2),
        "livenessProbe": probe(20, 3),
        "securityContext": confined(),
        "volumeMounts": [
            mount("config", paths::CONFIG_DIR, true),
            mount("tls", paths::TLS_DIR, true),
            mount("data", paths::DATA_DIR, false),
            mount("run", paths::RUN_DIR, false),
        ],
    })
}

fn sidecar(valid: &Valid) -> Value {
    json!({
        "name": "sidecar",
        "image": valid.sidecar_image,
        "args": ["ergo-sidecar", "--config", format!("{}/{}", paths::CONFIG_DIR, paths::SIDECAR_FILE)],
        "ports": [{ "name": "metrics", "containerPort": paths::SIDECAR_PORT, "protocol": "TCP" }],
        "resources": { "requests": { "cpu": "5m", "memory": "16Mi" }, "limits": { "memory": "96Mi" } },
        // Not ready is not asked for: clients keep their server while the sidecar is started again.
        "livenessProbe": {
            "httpGet": { "path": "/healthz", "port": "metrics" }, "periodSeconds": 20, "failureThreshold": 3,
        },
        "securityContext": confined(),
        "volumeMounts": [
            mount("config", paths::CONFIG_DIR, true),
            mount("tls", paths::TLS_DIR, true),
            mount("data", paths::DATA_DIR, true),
            mount("run", paths::RUN_DIR, false),
        ],
    })
}

/// Puts the program that asks the sidecar where Ergo finds it.
fn install(valid: &Valid) -> Value {
    json!({
        "name": "install",
        "image": valid.sidecar_image,
        "args": ["ergo-sidecar", "--install", paths::ASK],
        "resources": { "requests": { "cpu": "5m", "memory": "16Mi" }, "limits": { "memory": "96Mi" } },
        "securityContext": confined(),
        "volumeMounts": [mount("run", paths::RUN_DIR, false)],
    })
}

fn confined() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "capabilities": { "drop": ["ALL"] },
    })
}

fn mount(volume: &str, at: &str, read_only: bool) -> Value {
    if read_only {
        json!({ "name": volume, "mountPath": at, "readOnly": true })
    } else {
        json!({ "name": volume, "mountPath": at })
    }
}

fn volumes(valid: &Valid) -> Value {
    let names = &valid.names;
    let tls = match &valid.tls {
        TlsFrom::Given(name) => name,
        TlsFrom::Asked(_) => &names.tls,
    };
    json!([
        { "name": "config", "projected": { "defaultMode": 0o440, "sources": [
            { "secret": { "name": names.config } },
            { "configMap": { "name": names.config } },
        ] } },
        { "name": "tls", "secret": { "secretName": tls, "defaultMode": 0o440 } },
        { "name": "data", "persistentVolumeClaim": { "claimName": names.volume } },
        { "name": "run", "emptyDir": { "sizeLimit": "256Mi" } },
    ])
}
