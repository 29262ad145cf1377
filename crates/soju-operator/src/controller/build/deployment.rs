//! The Deployment: one Pod, never two at once (two would connect every user twice).

use crds::sidecar::{CONFIG_DIR, RELOAD_FILE, SIDECAR_FILE, SIDECAR_PORT, SOJU_FILE, TLS_DIR};
use crds::soju::Engine;
use operator::pod::{self, confined, mount, mount_read_only, port};
use operator::resources::Parent;
use operator::{Desired, MANAGED_BY, kinds};
use serde_json::{Value, json};

use super::super::validate::Valid;
use super::config::Rendered;
use crate::config::Installation;
use crate::ircnow;
use crate::soju::{IDENT_PORT, IRC_PORT, WS_PORT, WSS_PORT};

/// Who the containers run as.
pub(super) const USER: i64 = 65_532;

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
    // Whoever moves an account has the rows alone.
    let still = valid.spec.suspend || valid.spec.moving.is_some() || valid.movers.is_some();
    let replicas = i32::from(!still);
    let labels = owned(parent, super::selector(valid));
    let template = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 30,
        "securityContext": pod::security(Some(USER)),
        "imagePullSecrets": pod::pull_secrets(&installation.pull_secrets),
        "containers": containers(valid),
        "volumes": volumes(valid),
    });
    let owner = valid.spec.owner.as_ref();
    // Not in the Pod: who pays for it, and by which plan, is no reason to start it again.
    let annotations = json!({
        "irc.now/owner-sub": owner.map(|owner| owner.sub.as_str()),
        "irc.now/owner": owner.map(|owner| owner.username.as_str()),
        "irc.now/plan": valid.spec.plan.as_ref().map(|plan| plan.as_str()),
    });
    let body = json!({ "metadata": { "annotations": annotations }, "spec": {
        "replicas": replicas,
        "revisionHistoryLimit": 2,
        "strategy": { "type": "Recreate" },
        "selector": { "matchLabels": super::selector(valid) },
        "template": {
            "metadata": {
                "labels": labels,
                "annotations": { "irc.now/restart": config.restart },
            },
            "spec": template,
        },
    }});
    parent.child(&kinds::DEPLOYMENT, &valid.names.main, body)
}

/// Pods carry the labels of children, so that the operator sees them too.
pub(super) fn owned(parent: &Parent, mut labels: Value) -> Value {
    labels[MANAGED_BY] = parent.operator.into();
    labels[operator::OWNER_NAMESPACE] = (&*parent.key.namespace).into();
    labels[operator::OWNER_UID] = parent.uid.as_str().into();
    labels
}

/// What soju and its sidecar both see: they share the admin socket and, with SQLite, the file.
fn mounts(valid: &Valid) -> Vec<Value> {
    let mut mounts = vec![
        mount_read_only("config", CONFIG_DIR),
        mount_read_only("tls", TLS_DIR),
        mount("run", "/run/soju"),
        mount("tmp", "/tmp"),
    ];
    if super::has_volume(valid) {
        mounts.push(mount("data", "/data"));
    }
    mounts
}

fn containers(valid: &Valid) -> Vec<Value> {
    match valid.spec.engine {
        Engine::Soju => vec![soju(valid), sidecar(valid)],
        Engine::Ircnow => vec![bouncer(valid)],
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
    json!({
        "name": "soju",
        "image": valid.image,
        "command": ["/bin/sh", "-c", ENTRYPOINT, "soju-entrypoint"],
        "args": [crds::sidecar::ADMIN_SOCKET, RELOAD_FILE, format!("{CONFIG_DIR}/{SOJU_FILE}")],
        "ports": ports,
        "resources": pod::resources(&valid.spec.resources),
        "securityContext": confined(),
        "volumeMounts": mounts(valid),
        "readinessProbe": { "tcpSocket": { "port": "irc" }, "periodSeconds": 5 },
        // soju connects every network at its start: it must not be killed for being slow then.
        "startupProbe": { "tcpSocket": { "port": "irc" }, "periodSeconds": 2, "failureThreshold": 60 },
        "livenessProbe": { "tcpSocket": { "port": "irc" }, "periodSeconds": 20, "failureThreshold": 6 },
    })
}

fn sidecar(valid: &Valid) -> Value {
    json!({
        "name": "sidecar",
        "image": valid.sidecar_image,
        "command": ["ircnow"],
        "args": ["soju-sidecar", "--config", format!("{CONFIG_DIR}/{SIDECAR_FILE}")],
        "ports": [port("admin", SIDECAR_PORT)],
        "resources": { "requests": { "cpu": "5m", "memory": "16Mi" }, "limits": { "memory": "64Mi" } },
        "securityContext": confined(),
        "volumeMounts": mounts(valid),
        "readinessProbe": { "httpGet": { "path": "/readyz", "port": "admin" }, "periodSeconds": 5 },
        "livenessProbe": { "httpGet": { "path": "/healthz", "port": "admin" }, "periodSeconds": 20 },
    })
}

fn bouncer(valid: &Valid) -> Value {
    json!({
        "name": "bouncer",
        "image": valid.image,
        "command": ["ircnow"],
        "args": ["bouncer", "--config", format!("{CONFIG_DIR}/{}", ircnow::FILE), "--data-dir", ircnow::DATA_DIR],
        "ports": [port("irc", IRC_PORT), port("admin", SIDECAR_PORT)],
        "resources": pod::resources(&valid.spec.resources),
        "securityContext": confined(),
        "volumeMounts": [
            mount_read_only("config", CONFIG_DIR),
            mount_read_only("tls", TLS_DIR),
            mount("data", ircnow::VOLUME),
            mount("tmp", "/tmp"),
        ],
        "readinessProbe": { "httpGet": { "path": "/readyz", "port": "admin" }, "periodSeconds": 5 },
        "livenessProbe": { "httpGet": { "path": "/healthz", "port": "admin" }, "periodSeconds": 20 },
    })
}

fn volumes(valid: &Valid) -> Vec<Value> {
    let of = ["config", "tls", "run", "tmp", "data"].into_iter();
    of.filter(|name| *name != "data" || super::has_volume(valid))
        .filter_map(|name| volume(valid, name))
        .collect()
}

/// A volume by its name in the Pods of a bouncer. Mounted as folders, never as single files: those are not updated while
/// the Pod runs.
pub(super) fn volume(valid: &Valid, name: &str) -> Option<Value> {
    Some(match name {
        "config" => {
            json!({ "name": name, "secret": { "secretName": valid.names.config, "defaultMode": 0o440 } })
        }
        "tls" => {
            let secret = valid.tls.secret(&valid.names.tls);
            json!({ "name": name, "secret": { "secretName": secret, "defaultMode": 0o440 } })
        }
        "run" => json!({ "name": name, "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } }),
        "tmp" => json!({ "name": name, "emptyDir": { "sizeLimit": "64Mi" } }),
        "data" => json!({ "name": name, "persistentVolumeClaim": { "claimName": valid.names.volume } }),
        _ => return None,
    })
}
