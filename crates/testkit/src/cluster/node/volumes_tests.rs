use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Volume;
use serde_json::{Value, json};

use super::{Kind, TokenWish, Tokens, read, wishes};
use crate::cluster::node::env::tests::{known, pod};
use crate::cluster::node::env::{Addresses, Missing};

fn volume(source: Value) -> Volume {
    let mut object = json!({"name": "v"});
    object.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
    serde_json::from_value(object).unwrap()
}

fn kind(source: Value) -> Result<Kind, Missing> {
    let wish = TokenWish { audience: Some("vault".into()), seconds: 600 };
    let tokens = Tokens::from([(wish, "token".to_owned())]);
    read(&pod(), &volume(source), &Addresses::default(), &tokens, &known())
}

/// Path -> content and mode.
fn files(source: Value) -> BTreeMap<String, (String, u32)> {
    let Kind::Files(files) = kind(source).unwrap() else { return BTreeMap::new() };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    files.iter().map(|(path, file)| (path.clone(), (text(&file.content), file.mode))).collect()
}

fn entry(path: &str, content: &str, mode: u32) -> (String, (String, u32)) {
    (path.to_owned(), (content.to_owned(), mode))
}

#[test]
fn a_source_gives_all_its_keys_or_the_items_that_are_named() {
    assert_eq!(files(json!({"secret": {"secretName": "s"}})).len(), 3);
    let map = files(json!({"configMap": {"name": "c", "defaultMode": 0o400}}));
    assert_eq!(map, BTreeMap::from([entry("BIN", "\u{1}\u{2}", 0o400), entry("C", "gamma", 0o400)]));
    let items = json!([{"key": "A", "path": "deep/a", "mode": 0o600}, {"key": "B", "path": "b"}]);
    let picked = files(json!({"secret": {"secretName": "s", "items": items}}));
    assert_eq!(picked, BTreeMap::from([entry("b", "beta", 0o644), entry("deep/a", "alpha", 0o600)]));
}

#[test]
fn a_projected_volume_puts_its_sources_together() {
    let found = files(json!({"projected": {"defaultMode": 0o440, "sources": [
        {"secret": {"name": "s", "items": [{"key": "A", "path": "a"}]}},
        {"configMap": {"name": "gone", "optional": true}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}},
    ]}}));
    let wanted = [entry("a", "alpha", 0o440), entry("name", "web-0", 0o440), entry("token", "token", 0o440)];
    assert_eq!(found, BTreeMap::from(wanted));
}

#[test]
fn what_is_missing_is_named_unless_it_is_optional() {
    let missing = |source| kind(source).unwrap_err().to_string();
    assert_eq!(missing(json!({"secret": {"secretName": "gone"}})), "secret \"gone\" not found");
    let items = json!([{"key": "Z", "path": "z"}]);
    assert_eq!(
        missing(json!({"configMap": {"name": "c", "items": items}})),
        "couldn't find key Z in ConfigMap c"
    );
    assert!(files(json!({"configMap": {"name": "c", "items": items, "optional": true}})).is_empty());
    assert!(files(json!({"secret": {"secretName": "gone", "optional": true}})).is_empty());
    let other = json!({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}});
    assert_eq!(missing(other), "the token of service account \"runner\" was not given yet");
}

#[test]
fn empty_folders_and_claims_are_known_by_their_bounds() {
    assert_eq!(kind(json!({"emptyDir": {}})), Ok(Kind::Empty { bytes: None, memory: false }));
    let bounded = json!({"emptyDir": {"medium": "Memory", "sizeLimit": "2Mi"}});
    assert_eq!(kind(bounded), Ok(Kind::Empty { bytes: Some(2 << 20), memory: true }));
    let claim = json!({"persistentVolumeClaim": {"claimName": "data", "readOnly": true}});
    assert_eq!(kind(claim), Ok(Kind::Claim { name: "data".into(), read_only: true }));
}

#[test]
fn the_tokens_a_pod_wants_are_each_asked_for_once() {
    let mut pod = pod();
    let token = |path: &str| json!({"serviceAccountToken": {"path": path, "expirationSeconds": 600}});
    let volumes = [volume(json!({"projected": {"sources": [token("a"), token("b")]}}))];
    pod.spec.as_mut().unwrap().volumes = Some(volumes.to_vec());
    assert_eq!(wishes(&pod), [TokenWish { audience: None, seconds: 600 }]);
}
