//! Which fields of a Pod the node implements. Everything else is refused, never silently ignored.
//!
//! The list is held against the Pod's JSON, not against its Rust type, so that a field of a newer Kubernetes is refused
//! too. A line is a path; `[]` is every item, `*` every key of a map, `**` everything below; ` = a|b` says which values.

use serde_json::Value;

/// A field, with its value, that the node does not implement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where it stands, e.g. `spec.containers[0].tty`.
    pub path: String,
    /// Its value, shortened.
    pub value: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {}", self.path, self.value)
    }
}

/// Every field of the Pod that is not on the list.
pub fn refusals(pod: &Value) -> Vec<Refusal> {
    let patterns = patterns();
    let mut found = Vec::new();
    if let Some(spec) = pod.get("spec") {
        walk(&patterns, &mut vec![Step::Key("spec".into())], spec, &mut found);
    }
    found
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

#[derive(Debug)]
enum Part {
    Key(&'static str),
    Item,
    AnyKey,
    Rest,
}

#[derive(Debug)]
struct Pattern {
    parts: Vec<Part>,
    values: Option<Vec<&'static str>>,
}

fn walk(patterns: &[Pattern], path: &mut Vec<Step>, value: &Value, found: &mut Vec<Refusal>) {
    match value {
        Value::Null => {}
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                path.push(Step::Key(key.clone()));
                walk(patterns, path, value, found);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                path.push(Step::Item(index));
                walk(patterns, path, item, found);
                path.pop();
            }
        }
        // An empty object or list says nothing but that it is there: its path must lead to something known.
        Value::Object(_) | Value::Array(_) => {
            if !patterns.iter().any(|pattern| pattern.begins_with(path)) {
                found.push(refusal(path, value));
            }
        }
        leaf => {
            if !patterns.iter().any(|pattern| pattern.takes(path, leaf)) {
                found.push(refusal(path, leaf));
            }
        }
    }
}

impl Pattern {
    fn takes(&self, path: &[Step], value: &Value) -> bool {
        let matches = match self.parts.last() {
            Some(Part::Rest) => {
                path.len() >= self.parts.len() && self.begins_with(&path[..self.parts.len() - 1])
            }
            _ => path.len() == self.parts.len() && self.begins_with(path),
        };
        let text = || value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        matches && self.values.as_ref().is_none_or(|values| values.contains(&text().as_str()))
    }

    /// Whether `path` is this pattern or leads to it.
    fn begins_with(&self, path: &[Step]) -> bool {
        let mut parts = self.parts.iter();
        path.iter().all(|step| match (parts.next(), step) {
            (Some(Part::Key(known)), Step::Key(key)) => known == key,
            (Some(Part::AnyKey), Step::Key(_))
            | (Some(Part::Item), Step::Item(_))
            | (Some(Part::Rest), _) => true,
            _ => false,
        })
    }
}

fn refusal(path: &[Step], value: &Value) -> Refusal {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Item(index) => text.push_str(&format!("[{index}]")),
        }
    }
    let mut value = value.to_string();
    if let Some((end, _)) = value.char_indices().nth(60) {
        value.truncate(end);
        value.push('…');
    }
    Refusal { path: text, value }
}

fn patterns() -> Vec<Pattern> {
    let mut all: Vec<Pattern> = POD.lines().filter_map(|line| pattern(&[], line)).collect();
    for list in ["containers", "initContainers"] {
        let prefix = [Part::Key("spec"), Part::Key(list), Part::Item];
        all.extend(CONTAINER.lines().filter_map(|line| pattern(&prefix, line)));
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let prefix = [Part::Key("spec"), Part::Key(list), Part::Item, Part::Key(probe)];
            all.extend(PROBE.lines().filter_map(|line| pattern(&prefix, line)));
        }
    }
    all.extend(pattern(&[], "spec.initContainers[].restartPolicy = Always"));
    all
}

fn pattern(prefix: &[Part], line: &'static str) -> Option<Pattern> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    let (path, values) = match line.split_once(" = ") {
        Some((path, values)) => (path, Some(values.split('|').collect())),
        None => (line, None),
    };
    let mut parts: Vec<Part> = prefix
        .iter()
        .map(|part| match part {
            Part::Key(key) => Part::Key(key),
            Part::Item => Part::Item,
            Part::AnyKey => Part::AnyKey,
            Part::Rest => Part::Rest,
        })
        .collect();
    for word in path.split('.') {
        let (key, item) = word.strip_suffix("[]").map_or((word, false), |key| (key, true));
        parts.push(match key {
            "*" => Part::AnyKey,
            "**" => Part::Rest,
            key => Part::Key(key),
        });
        if item {
            parts.push(Part::Item);
        }
    }
    Some(Pattern { parts, values })
}

// What has no effect on one node without taints, quotas or a network of its own is known because it is fulfilled as it
// stands: tolerations, priorities, spread over one node, what an image pull would need.
const POD: &str = "
spec.automountServiceAccountToken
spec.activeDeadlineSeconds
spec.dnsPolicy = ClusterFirst|Default|ClusterFirstWithHostNet
spec.enableServiceLinks
spec.hostAliases[].ip
spec.hostAliases[].hostnames[]
spec.hostIPC = false
spec.hostNetwork = false
spec.hostPID = false
spec.hostUsers = true
spec.hostname
spec.imagePullSecrets[].name
spec.nodeName
spec.nodeSelector.*
spec.os.name = linux
spec.preemptionPolicy
spec.priority
spec.priorityClassName
spec.restartPolicy = Always|OnFailure|Never
spec.schedulerName = default-scheduler
spec.securityContext.fsGroup
spec.securityContext.fsGroupChangePolicy
spec.securityContext.runAsGroup
spec.securityContext.runAsNonRoot
spec.securityContext.runAsUser
spec.securityContext.seccompProfile.type = RuntimeDefault|Unconfined
spec.securityContext.supplementalGroups[]
spec.securityContext.supplementalGroupsPolicy = Merge|Strict
spec.securityContext.sysctls[].name
spec.securityContext.sysctls[].value
spec.serviceAccount
spec.serviceAccountName
spec.setHostnameAsFQDN = false
spec.shareProcessNamespace = false
spec.subdomain
spec.terminationGracePeriodSeconds
spec.tolerations[].**
spec.topologySpreadConstraints[].**
spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[].**
spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[].**
spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[].**
spec.volumes[].name
spec.volumes[].configMap.name
spec.volumes[].configMap.defaultMode
spec.volumes[].configMap.optional
spec.volumes[].configMap.items[].key
spec.volumes[].configMap.items[].mode
spec.volumes[].configMap.items[].path
spec.volumes[].downwardAPI.defaultMode
spec.volumes[].downwardAPI.items[].fieldRef.apiVersion = v1
spec.volumes[].downwardAPI.items[].fieldRef.fieldPath
spec.volumes[].downwardAPI.items[].mode
spec.volumes[].downwardAPI.items[].path
spec.volumes[].emptyDir.medium = |Memory
spec.volumes[].emptyDir.sizeLimit
spec.volumes[].persistentVolumeClaim.claimName
spec.volumes[].persistentVolumeClaim.readOnly
spec.volumes[].projected.defaultMode
spec.volumes[].projected.sources[].configMap.name
spec.volumes[].projected.sources[].configMap.optional
spec.volumes[].projected.sources[].configMap.items[].key
spec.volumes[].projected.sources[].configMap.items[].mode
spec.volumes[].projected.sources[].configMap.items[].path
spec.volumes[].projected.sources[].downwardAPI.items[].fieldRef.apiVersion = v1
spec.volumes[].projected.sources[].downwardAPI.items[].fieldRef.fieldPath
spec.volumes[].projected.sources[].downwardAPI.items[].mode
spec.volumes[].projected.sources[].downwardAPI.items[].path
spec.volumes[].projected.sources[].secret.name
spec.volumes[].projected.sources[].secret.optional
spec.volumes[].projected.sources[].secret.items[].key
spec.volumes[].projected.sources[].secret.items[].mode
spec.volumes[].projected.sources[].secret.items[].path
spec.volumes[].projected.sources[].serviceAccountToken.audience
spec.volumes[].projected.sources[].serviceAccountToken.expirationSeconds
spec.volumes[].projected.sources[].serviceAccountToken.path
spec.volumes[].secret.secretName
spec.volumes[].secret.defaultMode
spec.volumes[].secret.optional
spec.volumes[].secret.items[].key
spec.volumes[].secret.items[].mode
spec.volumes[].secret.items[].path
";

const CONTAINER: &str = "
name
image
imagePullPolicy
command[]
args[]
workingDir
ports[].containerPort
ports[].name
ports[].protocol
env[].name
env[].value
env[].valueFrom.secretKeyRef.key
env[].valueFrom.secretKeyRef.name
env[].valueFrom.secretKeyRef.optional
env[].valueFrom.configMapKeyRef.key
env[].valueFrom.configMapKeyRef.name
env[].valueFrom.configMapKeyRef.optional
env[].valueFrom.fieldRef.apiVersion = v1
env[].valueFrom.fieldRef.fieldPath
envFrom[].prefix
envFrom[].secretRef.name
envFrom[].secretRef.optional
envFrom[].configMapRef.name
envFrom[].configMapRef.optional
lifecycle.preStop.exec.command[]
lifecycle.preStop.sleep.seconds
resources.requests.*
resources.limits.cpu
resources.limits.memory
securityContext.allowPrivilegeEscalation
securityContext.capabilities.add[]
securityContext.capabilities.drop[]
securityContext.privileged = false
securityContext.procMount = Default
securityContext.readOnlyRootFilesystem
securityContext.runAsGroup
securityContext.runAsNonRoot
securityContext.runAsUser
securityContext.seccompProfile.type = RuntimeDefault|Unconfined
stdin = false
stdinOnce = false
terminationMessagePath
terminationMessagePolicy
tty = false
volumeMounts[].mountPath
volumeMounts[].mountPropagation = None
volumeMounts[].name
volumeMounts[].readOnly
volumeMounts[].recursiveReadOnly = Disabled
volumeMounts[].subPath
";

const PROBE: &str = "
exec.command[]
failureThreshold
httpGet.host
httpGet.httpHeaders[].name
httpGet.httpHeaders[].value
httpGet.path
httpGet.port
httpGet.scheme
initialDelaySeconds
periodSeconds
successThreshold
tcpSocket.host
tcpSocket.port
terminationGracePeriodSeconds
timeoutSeconds
";

#[cfg(test)]
#[path = "known_tests.rs"]
mod tests;
