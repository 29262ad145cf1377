//! The kinds both operators make, and what is kept of each.

use serde_json::Value;

use crate::kind::{Facts, Kind};

macro_rules! kinds {
    ($($(#[$about:meta])* $name:ident = $group:literal / [$($version:literal),+] / $kind:literal $(, optional: $optional:literal)? $(, observed: $observed:literal)? $(, precious: $precious:literal)? $(, metadata_only: $metadata_only:literal)? => $reduce:expr;)*) => { $(
        $(#[$about])*
        pub static $name: Kind = Kind {
            group: $group,
            versions: &[$($version),+],
            kind: $kind,
            optional: false $(|| $optional)?,
            observed: false $(|| $observed)?,
            precious: false $(|| $precious)?,
            metadata_only: false $(|| $metadata_only)?,
            reduce: $reduce,
        };
    )* };
}

kinds! {
    /// A Secret. Nothing of it is kept.
    SECRET = "" / ["v1"] / "Secret", metadata_only: true => Facts::none;
    /// A ConfigMap. Nothing of it is kept.
    CONFIG_MAP = "" / ["v1"] / "ConfigMap", metadata_only: true => Facts::none;
    /// A ServiceAccount.
    SERVICE_ACCOUNT = "" / ["v1"] / "ServiceAccount", metadata_only: true => Facts::none;
    /// A Service: `address` of its load balancer.
    SERVICE = "" / ["v1"] / "Service" => load_balancer;
    /// A volume claim: `phase`, `capacity`, `resizing`.
    VOLUME_CLAIM = "" / ["v1"] / "PersistentVolumeClaim", precious: true => volume_claim;
    /// A Pod: `ready`, `restarts`, `ip`, `trouble` (why a container does not run), `since`.
    POD = "" / ["v1"] / "Pod", observed: true => pod;
    /// A Deployment: `generation`, `observed`, `replicas`, `updated`, `available`, `trouble`.
    DEPLOYMENT = "apps" / ["v1"] / "Deployment" => workload;
    /// A StatefulSet: as a Deployment.
    STATEFUL_SET = "apps" / ["v1"] / "StatefulSet" => workload;
    /// A Job: `complete`, `failed`.
    JOB = "batch" / ["v1"] / "Job" => job;
    /// A NetworkPolicy.
    NETWORK_POLICY = "networking.k8s.io" / ["v1"] / "NetworkPolicy", metadata_only: true => Facts::none;
    /// An Ingress: `address`.
    INGRESS = "networking.k8s.io" / ["v1"] / "Ingress" => load_balancer;
    /// A PodDisruptionBudget.
    DISRUPTION_BUDGET = "policy" / ["v1"] / "PodDisruptionBudget", metadata_only: true => Facts::none;
    /// A certificate of cert-manager: `ready`, `message`, `notAfter`.
    CERTIFICATE = "cert-manager.io" / ["v1"] / "Certificate", optional: true => certificate;
    /// An OpenShift Route: `admitted`, `message`.
    ROUTE = "route.openshift.io" / ["v1"] / "Route", optional: true => route;
    /// An `HTTPRoute` of the Gateway API: `accepted`, `message`.
    HTTP_ROUTE = "gateway.networking.k8s.io" / ["v1", "v1beta1"] / "HTTPRoute", optional: true => gateway_route;
    /// A `TLSRoute` of the Gateway API: `accepted`, `message`.
    TLS_ROUTE = "gateway.networking.k8s.io" / ["v1", "v1alpha3", "v1alpha2"] / "TLSRoute", optional: true => gateway_route;
    /// A PodMonitor of the Prometheus operator.
    POD_MONITOR = "monitoring.coreos.com" / ["v1"] / "PodMonitor", optional: true, metadata_only: true => Facts::none;
    /// A database of CloudNativePG: `applied`, `message`, `observed`.
    DATABASE = "postgresql.cnpg.io" / ["v1"] / "Database", optional: true, precious: true => cnpg;
    /// A role of CloudNativePG: `applied`, `message`, `observed`.
    DATABASE_ROLE = "postgresql.cnpg.io" / ["v1"] / "DatabaseRole", optional: true, precious: true => cnpg;
    /// A backup of CloudNativePG: `phase`, `message`.
    BACKUP = "postgresql.cnpg.io" / ["v1"] / "Backup", optional: true, precious: true => backup;
    /// A snapshot of a volume: `ready`, `message`, `created`.
    VOLUME_SNAPSHOT = "snapshot.storage.k8s.io" / ["v1"] / "VolumeSnapshot", optional: true, precious: true => snapshot;
}

fn text(object: &Value, pointer: &str) -> Option<String> {
    match object.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn condition<'a>(conditions: Option<&'a Value>, of: &str) -> Option<&'a Value> {
    conditions?.as_array()?.iter().find(|condition| condition["type"] == of)
}

fn field(of: Option<&Value>, name: &str) -> Option<String> {
    of?.get(name)?.as_str().map(str::to_owned)
}

/// Long messages of others are cut: they only explain.
fn cut(message: Option<String>) -> Option<String> {
    message.map(|message| message.chars().take(200).collect())
}

fn load_balancer(object: &Value) -> Facts {
    let first = object.pointer("/status/loadBalancer/ingress/0");
    Facts::of([("address", field(first, "hostname").or_else(|| field(first, "ip")))])
}

fn volume_claim(object: &Value) -> Facts {
    let resizing = condition(object.pointer("/status/conditions"), "FileSystemResizePending");
    Facts::of([
        ("phase", text(object, "/status/phase")),
        ("capacity", text(object, "/status/capacity/storage")),
        ("resizing", field(resizing, "status")),
    ])
}

fn pod(object: &Value) -> Facts {
    let empty = Vec::new();
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .flat_map(|pointer| object.pointer(pointer).and_then(Value::as_array).unwrap_or(&empty));
    let mut restarts = 0;
    let mut trouble = None;
    for status in statuses {
        restarts += status["restartCount"].as_i64().unwrap_or_default();
        let name = status["name"].as_str().unwrap_or_default();
        if let Some(reason) = status.pointer("/state/waiting/reason").and_then(Value::as_str)
            && !["ContainerCreating", "PodInitializing"].contains(&reason)
        {
            let message =
                status.pointer("/state/waiting/message").and_then(Value::as_str).unwrap_or_default();
            trouble = Some(format!("{name}: {reason}: {message}"));
        }
    }
    let unschedulable = condition(object.pointer("/status/conditions"), "PodScheduled")
        .filter(|condition| condition["status"] == "False");
    Facts::of([
        ("ready", field(condition(object.pointer("/status/conditions"), "Ready"), "status")),
        ("restarts", Some(restarts.to_string())),
        ("ip", text(object, "/status/podIP")),
        ("trouble", cut(trouble.or_else(|| field(unschedulable, "message")))),
    ])
}

fn workload(object: &Value) -> Facts {
    let failure = condition(object.pointer("/status/conditions"), "ReplicaFailure")
        .filter(|condition| condition["status"] == "True");
    Facts::of([
        ("generation", text(object, "/metadata/generation")),
        ("observed", text(object, "/status/observedGeneration")),
        ("replicas", text(object, "/status/replicas")),
        ("updated", text(object, "/status/updatedReplicas")),
        ("available", text(object, "/status/availableReplicas")),
        ("trouble", cut(field(failure, "message"))),
    ])
}

fn job(object: &Value) -> Facts {
    let conditions = object.pointer("/status/conditions");
    let failed = condition(conditions, "Failed");
    Facts::of([
        ("complete", field(condition(conditions, "Complete"), "status")),
        ("failed", field(failed, "status")),
        ("message", cut(field(failed, "message"))),
    ])
}

fn certificate(object: &Value) -> Facts {
    let ready = condition(object.pointer("/status/conditions"), "Ready");
    Facts::of([
        ("ready", field(ready, "status")),
        ("message", cut(field(ready, "message"))),
        ("notAfter", text(object, "/status/notAfter")),
    ])
}

fn route(object: &Value) -> Facts {
    let admitted = condition(object.pointer("/status/ingress/0/conditions"), "Admitted");
    Facts::of([("admitted", field(admitted, "status")), ("message", cut(field(admitted, "message")))])
}

fn gateway_route(object: &Value) -> Facts {
    let accepted = condition(object.pointer("/status/parents/0/conditions"), "Accepted");
    Facts::of([("accepted", field(accepted, "status")), ("message", cut(field(accepted, "message")))])
}

fn cnpg(object: &Value) -> Facts {
    Facts::of([
        ("applied", text(object, "/status/applied")),
        ("message", cut(text(object, "/status/message"))),
        ("generation", text(object, "/metadata/generation")),
        ("observed", text(object, "/status/observedGeneration")),
    ])
}

fn backup(object: &Value) -> Facts {
    Facts::of([("phase", text(object, "/status/phase")), ("message", cut(text(object, "/status/error")))])
}

fn snapshot(object: &Value) -> Facts {
    Facts::of([
        ("ready", text(object, "/status/readyToUse")),
        ("message", cut(text(object, "/status/error/message"))),
        ("created", text(object, "/status/creationTime")),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_says_why_it_does_not_run() {
        let facts = (POD.reduce)(&json!({ "status": {
            "podIP": "10.0.0.7",
            "conditions": [{ "type": "Ready", "status": "False" }],
            "containerStatuses": [
                { "name": "soju", "restartCount": 3, "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off" } } },
                { "name": "sidecar", "restartCount": 1, "state": { "running": {} } },
            ],
        }}));
        assert!(!facts.holds("ready"));
        assert_eq!(facts.number("restarts"), 4);
        assert_eq!(facts.get("trouble"), Some("soju: CrashLoopBackOff: back-off"));
    }

    #[test]
    fn a_workload_is_read_by_its_counts() {
        let facts = (DEPLOYMENT.reduce)(&json!({
            "metadata": { "generation": 4 },
            "status": { "observedGeneration": 4, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 },
        }));
        assert_eq!(facts.number("available"), 1);
        assert_eq!(facts.get("trouble"), None);
    }
}
