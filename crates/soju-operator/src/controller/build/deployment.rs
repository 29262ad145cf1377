//! The Deployment: one Pod, never two at once (two would connect every user twice).

use crds::sidecar::{CONFIG_DIR, RELOAD_FILE, SIDECAR_FILE, SIDECAR_PORT, SOJU_FILE, TLS_DIR};
use crds::soju::Engine;
use operator::resources::Parent;
use operator::{Desired, MANAGED_BY, kinds};
use serde_json::{Value, json};

use super::super::validate::Valid;
use super::config::{IRCNOW_FILE, Rendered};
use super::{certificate, volume};
use crate::config::Installation;
use crate::soju::{IDENT_PORT, IRC_PORT, WS_PORT, WSS_PORT};

/// Who the containers run as.
const USER: i64 = 65_532;

/// soju's entrypoint. It takes paths as arguments, so nothing is ever put together into a script: it removes an admin
/// socket that a killed soju left behind (soju does not start beside one), tells soju to read its configuration anew
/// when the sidecar asks, hands SIGTERM on, and ends when soju does.
const ENTRYPOINT: &str = r#"
socket=$1 reload=$2 config=$3
rm -f "$socket" "$reload"
soju -config "$config" &
soju=$!
trap 'kill -TERM "$soju" 2>/dev/null' TERM INT
while kill -0 "$soju" 2>/dev/null; do
    if [ -e "$reload" ]; then
        rm -f "$reload"
        kill -HUP "$soju" 2>/dev/null
    fi
    sleep 1 &
    wait "$!"
done
wait "$soju"
"#;

/// The Deployment.
pub fn deployment(installation: &Installation, parent: &Parent, valid: &Valid, config: &Rendered) -> Desired {
    let replicas = i32::from(!valid.spec.suspend);
    let labels = pod_labels(parent, valid);
    let mut pod = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": containers(valid),
        "volumes": volumes(valid),
    });
    if !installation.pull_secrets.is_empty() {
        let names: Vec<_> = installation.pull_secrets.iter().map(|name| json!({ "name": name })).collect();
        pod["imagePullSecrets"] = json!(names);
    }
    let body = json!({ "spec": {
        "replicas": replicas,
        "revisionHistoryLimit": 2,
        "strategy": { "type": "Recreate" },
        "selector": { "matchLabels": super::selector(valid) },
        "template": {
            "metadata": {
                "labels": labels,
                "annotations": { "irc.now/restart": config.restart },
            },
            "spec": pod,
        },
    }});
    parent.child(&kinds::DEPLOYMENT, &valid.names.main, body)
}

/// Pods carry the labels of children, so that the operator sees them too.
fn pod_labels(parent: &Parent, valid: &Valid) -> Value {
    let mut labels = super::selector(valid);
    labels[MANAGED_BY] = parent.operator.into();
    labels[operator::OWNER_NAMESPACE] = (&*parent.key.namespace).into();
    labels[operator::OWNER_UID] = parent.uid.as_str().into();
    labels
}

fn security() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    })
}

fn mount(name: &str, path: &str) -> Value {
    json!({ "name": name, "mountPath": path })
}

fn mount_read_only(name: &str, path: &str) -> Value {
    json!({ "name": name, "mountPath": path, "readOnly": true })
}

fn port(name: &str, port: u16) -> Value {
    json!({ "name": name, "containerPort": port, "protocol": "TCP" })
}

fn resources(valid: &Valid) -> Value {
    let of = &valid.spec.resources;
    let mut limits = json!({ "memory": of.memory_limit });
    if let Some(cpu) = &of.cpu_limit {
        limits["cpu"] = cpu.as_str().into();
    }
    json!({ "requests": { "cpu": of.cpu, "memory": of.memory }, "limits": limits })
}

fn containers(valid: &Valid) -> Vec<Value> {
    match valid.spec.engine {
        Engine::Soju => vec![soju(valid), sidecar(valid)],
        Engine::Ircnow => vec![ircnow(valid)],
    }
}

fn soju(valid: &Valid) -> Value {
    let mut ports = vec![port("irc", IRC_PORT), port("wss", WSS_PORT)];
    if valid.web_in_the_clear {
        ports.push(port("ws", WS_PORT));
    }
    if valid.spec.ident {
        ports.push(port("ident", IDENT_PORT));
    }
    let mut mounts = vec![
        mount_read_only("config", CONFIG_DIR),
        mount_read_only("tls", TLS_DIR),
        mount("run", "/run/soju"),
        mount("tmp", "/tmp"),
    ];
    if volume::needed(valid) {
        mounts.push(mount("data", "/data"));
    }
    json!({
        "name": "soju",
        "image": valid.image,
        "command": ["/bin/sh", "-c", ENTRYPOINT, "soju-entrypoint"],
        "args": [crds::sidecar::ADMIN_SOCKET, RELOAD_FILE, format!("{CONFIG_DIR}/{SOJU_FILE}")],
        "ports": ports,
        "resources": resources(valid),
        "securityContext": security(),
        "volumeMounts": mounts,
        "readinessProbe": { "tcpSocket": { "port": "irc" }, "periodSeconds": 5 },
        // soju connects every network at its start: it must not be killed for being slow then.
        "startupProbe": { "tcpSocket": { "port": "irc" }, "periodSeconds": 2, "failureThreshold": 60 },
        "livenessProbe": { "tcpSocket": { "port": "irc" }, "periodSeconds": 20, "failureThreshold": 6 },
    })
}

fn sidecar(valid: &Valid) -> Value {
    let mut mounts = vec![
        mount_read_only("config", CONFIG_DIR),
        mount_read_only("tls", TLS_DIR),
        mount("run", "/run/soju"),
        mount("tmp", "/tmp"),
    ];
    if volume::needed(valid) {
        mounts.push(mount("data", "/data"));
    }
    json!({
        "name": "sidecar",
        "image": valid.sidecar_image,
        "command": ["ircnow"],
        "args": ["soju-sidecar", "--config", format!("{CONFIG_DIR}/{SIDECAR_FILE}")],
        "ports": [port("admin", SIDECAR_PORT)],
        "resources": { "requests": { "cpu": "5m", "memory": "16Mi" }, "limits": { "memory": "64Mi" } },
        "securityContext": security(),
        "volumeMounts": mounts,
        "readinessProbe": { "httpGet": { "path": "/readyz", "port": "admin" }, "periodSeconds": 5 },
        "livenessProbe": { "httpGet": { "path": "/healthz", "port": "admin" }, "periodSeconds": 20 },
    })
}

fn ircnow(valid: &Valid) -> Value {
    json!({
        "name": "bouncer",
        "image": valid.image,
        "command": ["ircnow"],
        "args": ["bouncer", "--config", format!("{CONFIG_DIR}/{IRCNOW_FILE}"), "--data-dir", "/data"],
        "ports": [port("irc", IRC_PORT), port("admin", SIDECAR_PORT)],
        "resources": resources(valid),
        "securityContext": security(),
        "volumeMounts": [
            mount_read_only("config", CONFIG_DIR),
            mount_read_only("tls", TLS_DIR),
            mount("data", "/data"),
            mount("tmp", "/tmp"),
        ],
        "readinessProbe": { "httpGet": { "path": "/readyz", "port": "admin" }, "periodSeconds": 5 },
        "livenessProbe": { "httpGet": { "path": "/healthz", "port": "admin" }, "periodSeconds": 20 },
    })
}

fn volumes(valid: &Valid) -> Vec<Value> {
    let mut volumes = vec![
        // Mounted as folders, never as single files: those are not updated while the Pod runs.
        json!({ "name": "config", "secret": { "secretName": valid.names.config, "defaultMode": 0o440 } }),
        json!({ "name": "tls", "secret": { "secretName": certificate::secret_name(valid), "defaultMode": 0o440 } }),
        json!({ "name": "run", "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } }),
        json!({ "name": "tmp", "emptyDir": { "sizeLimit": "64Mi" } }),
    ];
    if volume::needed(valid) {
        volumes.push(json!({ "name": "data", "persistentVolumeClaim": { "claimName": valid.names.volume } }));
    }
    volumes
}
