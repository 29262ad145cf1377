//! A container's environment: values, references and `$(NAME)`, as the kubelet resolves them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret};

use super::images::Image;

/// Where Secrets and ConfigMaps are looked up.
pub trait Objects {
    /// The Secret of that name, if there is one.
    fn secret(&self, namespace: &str, name: &str) -> Option<std::sync::Arc<Secret>>;
    /// The ConfigMap of that name, if there is one.
    fn config_map(&self, namespace: &str, name: &str) -> Option<std::sync::Arc<ConfigMap>>;
}

/// Where Pods find the API server.
const API_HOST: &str = "kubernetes.default.svc";

/// What a container waits for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Missing {
    /// An object that is not there.
    #[error("{kind} {name:?} not found")]
    Object {
        /// `secret`, `configmap`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// An object without the key.
    #[error("couldn't find key {key} in {kind} {name}")]
    Key {
        /// `Secret`, `ConfigMap`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// A field of the Pod that cannot be referred to.
    #[error("field {0:?} of the Pod cannot be referred to here")]
    Field(String),
    /// A claim that is not bound yet.
    #[error("persistentvolumeclaim {0:?} is not bound")]
    Claim(String),
    /// A token that was not given yet.
    #[error("the token of service account {0:?} was not given yet")]
    Token(String),
    /// Bytes where text is needed.
    #[error("key {key} of {name} is not text")]
    NotText {
        /// The object.
        name: String,
        /// The key.
        key: String,
    },
}

/// The Pod's addresses, for fields that name them.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// The Pod's.
    pub pod: String,
    /// The node's.
    pub host: String,
}

/// The environment of a container, in order, each name once.
pub fn resolve(
    pod: &Pod,
    container: &Container,
    image: &Image,
    hostname: &str,
    addresses: &Addresses,
    objects: &impl Objects,
) -> Result<Vec<(String, String)>, Missing> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut named = Vec::new();
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let mut pairs = BTreeMap::new();
        if let Some(wanted) = &source.secret_ref {
            match objects.secret(namespace, &wanted.name) {
                Some(secret) => {
                    for (key, value) in secret.data.iter().flatten() {
                        pairs.insert(key.clone(), text(&wanted.name, key, &value.0)?);
                    }
                }
                None if wanted.optional == Some(true) => {}
                None => return Err(Missing::Object { kind: "secret", name: wanted.name.clone() }),
            }
        }
        if let Some(wanted) = &source.config_map_ref {
            match objects.config_map(namespace, &wanted.name) {
                Some(map) => pairs.extend(map.data.clone().unwrap_or_default()),
                None if wanted.optional == Some(true) => {}
                None => return Err(Missing::Object { kind: "configmap", name: wanted.name.clone() }),
            }
        }
        named.extend(pairs.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)));
    }
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (_, Some(from)) => {
                if let Some(wanted) = &from.secret_key_ref {
                    let optional = wanted.optional == Some(true);
                    secret_key(objects, namespace, &wanted.name, &wanted.key, optional)?
                } else if let Some(wanted) = &from.config_map_key_ref {
                    let optional = wanted.optional == Some(true);
                    config_map_key(objects, namespace, &wanted.name, &wanted.key, optional)?
                } else if let Some(wanted) = &from.field_ref {
                    Some(field(pod, addresses, &wanted.field_path)?)
                } else {
                    None
                }
            }
            (Some(value), None) => Some(expand(value, &named)),
            (None, None) => Some(String::new()),
        };
        if let Some(value) = value {
            set(&mut named, &variable.name, value);
        }
    }
    let own =
        [("HOSTNAME", hostname), ("KUBERNETES_SERVICE_HOST", API_HOST), ("KUBERNETES_SERVICE_PORT", "443")];
    let mut all: Vec<_> = own.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    for (name, value) in image.environment.iter().cloned().chain(named) {
        set(&mut all, &name, value);
    }
    Ok(all)
}

/// `$(NAME)` is the variable's value, `$$` is `$`; an unknown name stays as it is.
pub fn expand(text: &str, variables: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, behind)) = after.strip_prefix('(').and_then(|name| name.split_once(')')) {
            match variables.iter().rev().find(|(known, _)| known == name) {
                Some((_, value)) => out.push_str(value),
                None => out.extend(["$(", name, ")"]),
            }
            rest = behind;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// A field of the Pod, by its path.
pub fn field(pod: &Pod, addresses: &Addresses, path: &str) -> Result<String, Missing> {
    let metadata = &pod.metadata;
    let spec = pod.spec.as_ref();
    let map = |map: &Option<BTreeMap<String, String>>| {
        let lines = map.iter().flatten().map(|(key, value)| format!("{key}={value:?}"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let entry = |map: &Option<BTreeMap<String, String>>, key: &str| {
        map.as_ref().and_then(|map| map.get(key)).cloned().unwrap_or_default()
    };
    let quoted =
        |prefix: &str| path.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']").map(str::to_owned);
    if let Some(key) = quoted("metadata.labels") {
        return Ok(entry(&metadata.labels, &key));
    }
    if let Some(key) = quoted("metadata.annotations") {
        return Ok(entry(&metadata.annotations, &key));
    }
    let value = match path {
        "metadata.name" => metadata.name.clone(),
        "metadata.namespace" => metadata.namespace.clone(),
        "metadata.uid" => metadata.uid.clone(),
        "metadata.labels" => Some(map(&metadata.labels)),
        "metadata.annotations" => Some(map(&metadata.annotations)),
        "spec.nodeName" => spec.and_then(|spec| spec.node_name.clone()),
        "spec.serviceAccountName" => spec.and_then(|spec| spec.service_account_name.clone()),
        "status.podIP" | "status.podIPs" => Some(addresses.pod.clone()),
        "status.hostIP" | "status.hostIPs" => Some(addresses.host.clone()),
        _ => return Err(Missing::Field(path.to_owned())),
    };
    Ok(value.unwrap_or_default())
}

fn secret_key(
    objects: &impl Objects,
    namespace: &str,
    name: &str,
    key: &str,
    optional: bool,
) -> Result<Option<String>, Missing> {
    let Some(secret) = objects.secret(namespace, name) else {
        return absent(optional, Missing::Object { kind: "secret", name: name.to_owned() });
    };
    match secret.data.as_ref().and_then(|data| data.get(key)) {
        Some(value) => text(name, key, &value.0).map(Some),
        None => absent(optional, Missing::Key { kind: "Secret", name: name.to_owned(), key: key.to_owned() }),
    }
}

fn config_map_key(
    objects: &impl Objects,
    namespace: &str,
    name: &str,
    key: &str,
    optional: bool,
) -> Result<Option<String>, Missing> {
    let Some(map) = objects.config_map(namespace, name) else {
        return absent(optional, Missing::Object { kind: "configmap", name: name.to_owned() });
    };
    match map.data.as_ref().and_then(|data| data.get(key)) {
        Some(value) => Ok(Some(value.clone())),
        None => {
            absent(optional, Missing::Key { kind: "ConfigMap", name: name.to_owned(), key: key.to_owned() })
        }
    }
}

fn absent(optional: bool, missing: Missing) -> Result<Option<String>, Missing> {
    if optional { Ok(None) } else { Err(missing) }
}

fn text(name: &str, key: &str, bytes: &[u8]) -> Result<String, Missing> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    text.map(str::to_owned).ok_or_else(|| Missing::NotText { name: name.to_owned(), key: key.to_owned() })
}

fn set(variables: &mut Vec<(String, String)>, name: &str, value: String) {
    match variables.iter_mut().find(|(known, _)| known == name) {
        Some(variable) => variable.1 = value,
        None => variables.push((name.to_owned(), value)),
    }
}

#[cfg(test)]
#[path = "env_tests.rs"]
pub mod tests;
