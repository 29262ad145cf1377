use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Addresses, Missing, Objects, expand, field, resolve};
use crate::cluster::node::images::Image;

/// Secrets and ConfigMaps of namespace `n`, by name.
#[derive(Default)]
pub struct Known(pub BTreeMap<String, Secret>, pub BTreeMap<String, ConfigMap>);

impl Objects for Known {
    fn secret(&self, namespace: &str, name: &str) -> Option<Arc<Secret>> {
        self.0.get(name).filter(|_| namespace == "n").cloned().map(Arc::new)
    }
    fn config_map(&self, namespace: &str, name: &str) -> Option<Arc<ConfigMap>> {
        self.1.get(name).filter(|_| namespace == "n").cloned().map(Arc::new)
    }
}

pub fn known() -> Known {
    let secret = json!({"data": {"A": "YWxwaGE=", "B": "YmV0YQ==", "RAW": "/w=="}});
    let map = json!({"data": {"C": "gamma"}, "binaryData": {"BIN": "AQI="}});
    Known(
        BTreeMap::from([("s".to_owned(), serde_json::from_value(secret).unwrap())]),
        BTreeMap::from([("c".to_owned(), serde_json::from_value(map).unwrap())]),
    )
}

pub fn pod() -> Pod {
    let pod = json!({
        "metadata": {"name": "web-0", "namespace": "n", "uid": "u-1", "labels": {"app": "web", "tier": "x\"y"}},
        "spec": {"containers": [], "nodeName": "node-1", "serviceAccountName": "runner"},
    });
    serde_json::from_value(pod).unwrap()
}

fn addresses() -> Addresses {
    Addresses { pod: "10.0.0.2".into(), host: "10.0.0.1".into() }
}

fn environment(container: Value) -> Result<BTreeMap<String, String>, Missing> {
    let mut object = json!({"name": "main"});
    object.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    let container: Container = serde_json::from_value(object).unwrap();
    let image = Image::new(&["sh"]).variable("BASE", "image").variable("OVER", "image");
    resolve(&pod(), &container, &image, "web-0", &addresses(), &known()).map(|pairs| {
        let count = pairs.len();
        let map: BTreeMap<_, _> = pairs.into_iter().collect();
        assert_eq!(map.len(), count, "each name once");
        map
    })
}

#[test]
fn variables_come_from_the_image_from_whole_objects_and_from_the_pod_in_this_order() {
    let all = environment(json!({
        "envFrom": [{"secretRef": {"name": "gone", "optional": true}}, {"prefix": "P_", "configMapRef": {"name": "c"}}],
        "env": [
            {"name": "OVER", "value": "pod"},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "A"}}},
            {"name": "NO", "valueFrom": {"secretKeyRef": {"name": "s", "key": "Z", "optional": true}}},
            {"name": "MADE", "value": "$(P_C)/$(KEY)/$(BASE)/$$(KEY)"},
            {"name": "EMPTY"},
        ],
    }))
    .unwrap();
    let table = [
        ("HOSTNAME", "web-0"),
        ("BASE", "image"),
        ("OVER", "pod"),
        ("P_C", "gamma"),
        ("KEY", "alpha"),
        ("MADE", "gamma/alpha/$(BASE)/$(KEY)"),
        ("EMPTY", ""),
    ];
    for (name, value) in table {
        assert_eq!(all.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!all.contains_key("NO"));
}

#[test]
fn what_is_missing_is_named() {
    let from = |source: Value| {
        environment(json!({"env": [{"name": "X", "valueFrom": source}]})).unwrap_err().to_string()
    };
    assert_eq!(from(json!({"secretKeyRef": {"name": "gone", "key": "A"}})), "secret \"gone\" not found");
    assert_eq!(from(json!({"secretKeyRef": {"name": "s", "key": "Z"}})), "couldn't find key Z in Secret s");
    assert_eq!(
        from(json!({"configMapKeyRef": {"name": "c", "key": "Z"}})),
        "couldn't find key Z in ConfigMap c"
    );
    assert_eq!(from(json!({"secretKeyRef": {"name": "s", "key": "RAW"}})), "key RAW of s is not text");
    assert_eq!(
        from(json!({"fieldRef": {"fieldPath": "spec.tolerations"}})),
        "field \"spec.tolerations\" of the Pod cannot be referred to here"
    );
    let whole = environment(json!({"envFrom": [{"configMapRef": {"name": "gone"}}]})).unwrap_err();
    assert_eq!(whole, Missing::Object { kind: "configmap", name: "gone".into() });
}

#[test]
fn fields_of_the_pod_are_what_they_are() {
    let table = [
        ("metadata.name", "web-0"),
        ("metadata.namespace", "n"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels['none']", ""),
        ("metadata.labels", "app=\"web\"\ntier=\"x\\\"y\""),
        ("spec.nodeName", "node-1"),
        ("spec.serviceAccountName", "runner"),
        ("status.podIP", "10.0.0.2"),
        ("status.hostIP", "10.0.0.1"),
    ];
    for (path, value) in table {
        assert_eq!(field(&pod(), &addresses(), path).as_deref(), Ok(value), "{path}");
    }
}

#[test]
fn references_are_expanded_as_the_kubelet_does() {
    let variables = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "$(A)".to_owned())];
    let table = [
        ("$(A)", "1"),
        ("x$(A)y$(A)", "x1y1"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(B)", "$(A)"),
        ("$(NONE)", "$(NONE)"),
        ("$(A", "$(A"),
        ("$A $", "$A $"),
        ("", ""),
    ];
    for (text, expanded) in table {
        assert_eq!(expand(text, &variables), expanded, "{text}");
    }
}

proptest! {
    #[test]
    fn text_without_a_dollar_is_itself(text in "[^$]*") {
        prop_assert_eq!(expand(&text, &[("A".into(), "1".into())]), text);
    }

    #[test]
    fn any_text_can_be_said_with_doubled_dollars(text in "\\PC*") {
        prop_assert_eq!(expand(&text.replace('$', "$$"), &[("A".into(), "1".into())]), text);
    }
}
