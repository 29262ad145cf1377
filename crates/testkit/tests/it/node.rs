//! The node runs Pods as a kubelet does.

mod claims;
mod host;
mod irc;
mod lifecycle;
mod pods;
mod rights;
mod volumes;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use testkit::cluster::node::{Node, Options};
use testkit::cluster::{Cluster, Namespace};
use testkit::eventually;

/// A namespace of its own with a node of its own.
struct Stage {
    space: Namespace,
    node: Node,
    client: Client,
    cluster: &'static Cluster,
}

/// `None` (after a loud line) where there can be no node.
async fn stage(prefix: &str) -> Option<Stage> {
    stage_with(prefix, Options::default()).await
}

async fn stage_with(prefix: &str, options: Options) -> Option<Stage> {
    testkit::Part::Kubernetes.find_or_skip()?;
    let cluster = Cluster::shared().await.unwrap();
    let space = cluster.namespace(prefix).await.unwrap();
    let options = Options { namespaces: Some(vec![space.name().to_owned()]), ..options };
    let node = Node::start_or_skip(cluster, options).await.unwrap()?;
    let client = cluster.admin().await.unwrap();
    Some(Stage { space, node, client, cluster })
}

impl Stage {
    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), self.space.name())
    }

    /// Applies one object.
    async fn apply(&self, object: Value) {
        self.cluster.apply(&object.to_string(), Some(self.space.name())).await.unwrap();
    }

    /// Waits until the Pod is as `wanted` says.
    async fn pod_where(&self, name: &str, what: &str, wanted: impl Fn(&Pod) -> bool) -> Pod {
        let pods: Api<Pod> = self.api();
        eventually(format!("{name}: {what}"), || async {
            pods.get_opt(name).await.unwrap().filter(|pod| wanted(pod))
        })
        .await
    }

    async fn pod_ready(&self, name: &str) -> Pod {
        self.pod_where(name, "ready", is_ready).await
    }

    async fn pod_in_phase(&self, name: &str, phase: &str) -> Pod {
        self.pod_where(name, phase, |pod| phase_of(pod) == phase).await
    }

    /// Waits until the log of the container holds `text`.
    async fn logged(&self, pod: &str, container: &str, text: &str) -> String {
        eventually(format!("{pod}/{container} says {text:?}"), || async {
            Some(self.node.logs(self.space.name(), pod, container)).filter(|log| log.contains(text))
        })
        .await
    }

    /// Runs a command in container `main`.
    async fn output(&self, pod: &str, words: &[&str]) -> String {
        self.node.output(self.space.name(), pod, "main", words).await.unwrap()
    }

    /// Waits for an event with that reason about that object, and gives its message.
    async fn event(&self, name: &str, reason: &str) -> String {
        let events: Api<Event> = self.api();
        eventually(format!("event {reason} about {name}"), || async {
            let all = events.list(&ListParams::default()).await.unwrap();
            let mut about =
                all.into_iter().filter(|event| event.involved_object.name.as_deref() == Some(name));
            about.find(|event| event.reason.as_deref() == Some(reason))?.message
        })
        .await
    }

    /// The Pods with label `app`.
    async fn pods_of(&self, app: &str) -> Vec<Pod> {
        let pods: Api<Pod> = self.api();
        pods.list(&ListParams::default().labels(&format!("app={app}"))).await.unwrap().items
    }
}

fn is_ready(pod: &Pod) -> bool {
    testkit::cluster::node::hosts::is_ready(pod)
}

fn phase_of(pod: &Pod) -> String {
    pod.status.clone().unwrap_or_default().phase.unwrap_or_default()
}

/// The status of container `name`, init container or not.
fn status_of(pod: &Pod, name: &str) -> k8s_openapi::api::core::v1::ContainerStatus {
    let status = pod.status.clone().unwrap_or_default();
    let all = status.container_statuses.into_iter().chain(status.init_container_statuses).flatten();
    let mut all = all.into_iter();
    all.find(|status| status.name == name).ok_or_else(|| format!("{name} of {}", pod.name_any())).unwrap()
}

/// Lives until SIGTERM.
const LIVE: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

/// A container of image `shell` that passes the restricted standard.
fn shell(name: &str, script: &str) -> Value {
    json!({
        "name": name,
        "image": "shell",
        "command": ["/bin/sh", "-c", script],
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        },
    })
}

/// A Pod that passes the restricted standard, as user 1000, with `more` in its spec.
fn pod(name: &str, containers: &[Value], more: Value) -> Value {
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 1000, "runAsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": 5,
            "containers": containers,
        },
    });
    merge(&mut object["spec"], more);
    object
}

/// Puts `more` over `object`, key by key.
fn merge(object: &mut Value, more: Value) {
    match (object, more) {
        (Value::Object(object), Value::Object(more)) => {
            for (key, value) in more {
                merge(object.entry(key).or_insert(Value::Null), value);
            }
        }
        (object, more) => *object = more,
    }
}

/// `container` with `more` over it.
fn with(mut container: Value, more: Value) -> Value {
    merge(&mut container, more);
    container
}
