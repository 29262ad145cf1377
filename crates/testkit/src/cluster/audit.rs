//! What was asked of the API server, by whom, from its audit log: so that a test can hold a ClusterRole against what its
//! holder really does.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::Value;

use super::Cluster;

/// One answered request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// E.g. `system:serviceaccount:irc:soju-operator`.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The API group, empty for the core.
    pub group: String,
    /// The plural, with its subresource after a slash as in a rule: `pods/log`. Empty if the request names none
    /// (`/readyz`).
    pub resource: String,
    /// Empty for what is not in a namespace, and for lists over all of them.
    pub namespace: String,
    /// Empty for lists.
    pub name: String,
    /// Whether RBAC allowed it.
    pub allowed: bool,
    /// The HTTP status of the answer.
    pub code: u16,
}

impl Request {
    /// Whether a patch made the object: applying asks for `create` too if there is none yet.
    pub fn created(&self) -> bool {
        self.verb == "patch" && self.code == 201
    }
}

impl Cluster {
    /// Every request answered so far, in the order of the answers, without those of the control plane itself.
    pub fn audit(&self) -> Result<Vec<Request>> {
        let file = self.plane.folder().join("audit.log");
        let text = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        // A last line without its end is still being written.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(request).collect()
    }

    /// What a ServiceAccount asked so far.
    pub fn audit_of(&self, namespace: &str, name: &str) -> Result<Vec<Request>> {
        let user = format!("system:serviceaccount:{namespace}:{name}");
        Ok(self.audit()?.into_iter().filter(|request| request.user == user).collect())
    }
}

fn request(line: &[u8]) -> Result<Request> {
    let event: Value = serde_json::from_slice(line).context("a line of the audit log is not JSON")?;
    let text = |field: &Value| field.as_str().unwrap_or_default().to_owned();
    let object = &event["objectRef"];
    let mut resource = text(&object["resource"]);
    if let Some(part) = object["subresource"].as_str() {
        resource = format!("{resource}/{part}");
    }
    Ok(Request {
        user: text(&event["user"]["username"]),
        verb: text(&event["verb"]),
        group: text(&object["apiGroup"]),
        resource,
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        allowed: event["annotations"]["authorization.k8s.io/decision"] != "forbid",
        code: event["responseStatus"]["code"]
            .as_u64()
            .and_then(|code| code.try_into().ok())
            .unwrap_or_default(),
    })
}

/// What a role allows and nobody used, as `verb group/resource`. A wildcard is unused unless something it stands for was
/// asked for; rules for URLs without resources are not looked at.
pub fn unused(rules: &[PolicyRule], requests: &[Request]) -> BTreeSet<String> {
    let mut unused = BTreeSet::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    let used = requests.iter().any(|request| {
                        request.allowed
                            && meets(group, &request.group)
                            && meets(resource, &request.resource)
                            && (meets(verb, &request.verb) || (verb == "create" && request.created()))
                    });
                    if !used {
                        unused.insert(format!("{verb} {group}/{resource}"));
                    }
                }
            }
        }
    }
    unused
}

fn meets(pattern: &str, value: &str) -> bool {
    pattern == "*" || pattern == value
}
