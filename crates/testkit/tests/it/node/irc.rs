//! Pods that really run soju and Ergo, and clients that talk to each.

use std::net::SocketAddr;

use serde_json::json;
use testkit::irc::Client;
use testkit::part;

use super::{pod, shell, stage, with};

#[tokio::test]
async fn soju_runs_in_a_pod_and_keeps_its_users_over_restarts() {
    part!(Soju);
    let Some(stage) = stage("soju").await else { return };
    let config = "listen irc+insecure://0.0.0.0:6667\nlisten unix+admin:///run/soju/admin\n\
                  db sqlite3 /data/soju.db\nmessage-store db\nhostname soju.test\n";
    stage.apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "soju"}, "stringData": {"config": config}})).await;
    stage
        .apply(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "soju"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }))
        .await;
    let mounts = json!({"volumeMounts": [
        {"name": "config", "mountPath": "/etc/soju", "readOnly": true},
        {"name": "data", "mountPath": "/data"},
        {"name": "run", "mountPath": "/run/soju"},
    ]});
    // The admin socket of a run before this one is in the way.
    let soju = with(
        with(shell("main", "rm -f /run/soju/admin && exec soju -config /etc/soju/config"), mounts),
        json!({
            "image": "soju:0.11.1",
            "ports": [{"name": "irc", "containerPort": 6667}],
            "readinessProbe": {"tcpSocket": {"port": "irc"}, "periodSeconds": 1},
            "livenessProbe": {"tcpSocket": {"port": "irc"}, "periodSeconds": 1},
        }),
    );
    let more = json!({
        "securityContext": {"fsGroup": 1000},
        "volumes": [
            {"name": "config", "secret": {"secretName": "soju"}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "soju"}},
            {"name": "run", "emptyDir": {}},
        ],
    });
    stage.apply(pod("soju", &[soju], more)).await;
    stage.pod_ready("soju").await;
    let add = [
        "sojuctl",
        "-config",
        "/etc/soju/config",
        "user",
        "create",
        "-username",
        "alice",
        "-password",
        "secret",
    ];
    stage.output("soju", &add).await;
    let address = SocketAddr::from((stage.node.pod_address(stage.space.name(), "soju").await.unwrap(), 6667));
    let mut alice = Client::connect_to(address).await.unwrap();
    alice.register_sasl("alice", "secret", "soju.im/bouncer-networks").await.unwrap();
    alice.send("PRIVMSG BouncerServ :network status").await.unwrap();
    alice.wait_for("BouncerServ").await.unwrap();
    // It dies; the node starts it again, on the same claim.
    stage.node.exec(stage.space.name(), "soju", "main", &["sh", "-c", "kill -9 1; kill 1"]).await.unwrap();
    let restarted = |pod: &_| super::is_ready(pod) && super::status_of(pod, "main").restart_count >= 1;
    stage.pod_where("soju", "restarted", restarted).await;
    let mut alice = Client::connect_to(address).await.unwrap();
    alice.register_sasl("alice", "secret", "").await.unwrap();
}

#[tokio::test]
async fn ergo_runs_in_a_pod_and_carries_a_line_between_clients_outside_and_inside() {
    part!(Ergo);
    let Some(stage) = stage("ergo").await else { return };
    let config = include_str!("../../../src/networks/ergo.yaml")
        .replace("127.0.0.1:@PORT@", "0.0.0.0:6667")
        .replace("path: ircd.db", "path: /data/ircd.db");
    stage.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ergo"}, "data": {"ircd.yaml": config}})).await;
    stage
        .apply(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "ergo"},
            "spec": {"selector": {"app": "ergo"}, "ports": [{"port": 6667}]},
        }))
        .await;
    let start = "test -e /data/ircd.db || ergo initdb --quiet --conf /etc/ergo/ircd.yaml; \
                 exec ergo run --conf /etc/ergo/ircd.yaml";
    let ergo = with(
        shell("main", start),
        json!({
            "image": "ergo:2.18",
            "workingDir": "/data",
            "readinessProbe": {"tcpSocket": {"port": 6667}, "periodSeconds": 1},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/ergo"}, {"name": "data", "mountPath": "/data"}],
        }),
    );
    let more = json!({"volumes": [{"name": "config", "configMap": {"name": "ergo"}}, {"name": "data", "emptyDir": {}}]});
    stage.apply(pod("ergo", &[ergo], more)).await;
    stage.pod_ready("ergo").await;
    let address = SocketAddr::from((stage.node.pod_address(stage.space.name(), "ergo").await.unwrap(), 6667));
    let mut alice = Client::connect_to(address).await.unwrap();
    alice.register("alice").await.unwrap();
    alice.send("JOIN #pods").await.unwrap();
    alice.wait_for(" 366 ").await.unwrap();
    // The other one is in a Pod and knows the Service by name.
    let talk = "exec 3<>/dev/tcp/ergo/6667; printf 'NICK bob\\r\\nUSER bob 0 * :bob\\r\\n' >&3; \
                while read -r line <&3; do case \"$line\" in \
                PING*) printf 'PONG %s\\r\\n' \"${line#PING }\" >&3 ;; \
                *' 001 '*) printf 'JOIN #pods\\r\\n' >&3 ;; \
                *' 366 '*) printf 'PRIVMSG #pods :hello from inside\\r\\n' >&3 ;; esac; done";
    let bob = with(shell("main", ""), json!({"command": ["bash", "-c", talk]}));
    stage.apply(pod("bob", &[bob], json!({}))).await;
    alice.wait_for("PRIVMSG #pods :hello from inside").await.unwrap();
}
