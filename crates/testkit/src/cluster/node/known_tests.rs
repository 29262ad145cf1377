use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CONTAINER, POD, PROBE, refusals};

fn pod() -> Value {
    json!({
        "metadata": {"name": "web", "annotations": {"anything": "goes"}},
        "spec": {
            "containers": [{
                "name": "main", "image": "shell", "command": ["sh"], "tty": false,
                "resources": {"requests": {"cpu": "1", "ephemeral-storage": "1Gi"}, "limits": {"memory": "1Gi"}},
                "securityContext": {}, "env": [],
                "readinessProbe": {"tcpSocket": {"port": 80}},
            }],
            "volumes": [{"name": "work", "emptyDir": {}}],
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"operator": "Exists", "key": "a/b"}],
        },
        "status": {"phase": "Pending"},
    })
}

fn refused(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut pod = pod();
    change(&mut pod["spec"]);
    refusals(&pod).iter().map(ToString::to_string).collect()
}

#[test]
fn a_pod_of_known_fields_is_taken() {
    assert_eq!(refused(|_| ()), Vec::<String>::new());
}

#[test]
fn what_is_not_known_is_refused_with_its_path_and_value() {
    type Change = fn(&mut Value);
    let table: [(&str, Change, &str); 12] = [
        ("a flag", |s| s["hostNetwork"] = json!(true), "spec.hostNetwork = true"),
        ("a terminal", |s| s["containers"][0]["tty"] = json!(true), "spec.containers[0].tty = true"),
        (
            "rights",
            |s| s["containers"][0]["securityContext"]["privileged"] = json!(true),
            "spec.containers[0].securityContext.privileged = true",
        ),
        (
            "an empty volume of an unknown kind",
            |s| s["volumes"][0]["ephemeral"] = json!({}),
            "spec.volumes[0].ephemeral = {}",
        ),
        (
            "a host's folder",
            |s| s["volumes"][0] = json!({"name": "h", "hostPath": {"path": "/"}}),
            "spec.volumes[0].hostPath.path = \"/\"",
        ),
        (
            "a probe's kind",
            |s| s["containers"][0]["livenessProbe"] = json!({"grpc": {"port": 1}}),
            "spec.containers[0].livenessProbe.grpc.port = 1",
        ),
        (
            "a bound that does not hold",
            |s| s["containers"][0]["resources"]["limits"]["ephemeral-storage"] = json!("1Gi"),
            "spec.containers[0].resources.limits.ephemeral-storage = \"1Gi\"",
        ),
        ("a field of tomorrow", |s| s["tomorrow"] = json!([{"a": 1}]), "spec.tomorrow[0].a = 1"),
        (
            "a host's port",
            |s| s["containers"][0]["ports"] = json!([{"containerPort": 1, "hostPort": 2}]),
            "spec.containers[0].ports[0].hostPort = 2",
        ),
        ("a list where a value is known", |s| s["hostname"] = json!(["a"]), "spec.hostname[0] = \"a\""),
        (
            "a hard rule",
            |s| {
                s["affinity"] =
                    json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}})
            },
            "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution = []",
        ),
        ("another node's scheduler", |s| s["schedulerName"] = json!("mine"), "spec.schedulerName = \"mine\""),
    ];
    for (what, change, says) in table {
        assert_eq!(refused(change), [says], "{what}");
    }
}

#[test]
fn a_sidecar_is_known_and_a_main_container_with_a_policy_of_its_own_is_not() {
    let with_policy = |list: &str, policy: &str| {
        refused(|spec| spec[list] = json!([{"name": "a", "restartPolicy": policy}]))
    };
    assert!(with_policy("initContainers", "Always").is_empty());
    assert_eq!(with_policy("initContainers", "Never"), ["spec.initContainers[0].restartPolicy = \"Never\""]);
    assert_eq!(with_policy("containers", "Always"), ["spec.containers[0].restartPolicy = \"Always\""]);
}

#[test]
fn a_long_value_is_shortened_in_what_is_said() {
    let said = refused(|spec| spec["strange"] = json!("ä".repeat(1000)));
    assert!(said[0].chars().count() < 100, "{said:?}");
}

/// A Pod that has the field of this line, with its first value.
fn example(prefix: &str, line: &str) -> Value {
    let (path, value) = line.split_once(" = ").unwrap_or((line, "x"));
    let value = match value.split('|').next() {
        Some("true") => json!(true),
        Some("false") => json!(false),
        first => json!(first.unwrap_or_default()),
    };
    let words: Vec<&str> = prefix.split('.').chain(path.split('.')).filter(|word| !word.is_empty()).collect();
    words.iter().rev().fold(value, |inner, word| {
        let (key, item) = word.strip_suffix("[]").map_or((*word, false), |key| (key, true));
        let inner = if item { json!([inner]) } else { inner };
        match key {
            "**" => json!({"deep": [{"down": inner}]}),
            "*" => json!({"any": inner}),
            key => json!({key: inner}),
        }
    })
}

fn lines() -> Vec<(String, &'static str)> {
    let clean = |text: &'static str| text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut all: Vec<_> = clean(POD).map(|line| (String::new(), line)).collect();
    for list in ["spec.containers[]", "spec.initContainers[]"] {
        all.extend(clean(CONTAINER).map(|line| (list.to_owned(), line)));
        all.extend(clean(PROBE).map(|line| (format!("{list}.livenessProbe"), line)));
    }
    all
}

#[test]
fn every_line_of_the_list_takes_the_field_it_names() {
    for (prefix, line) in lines() {
        assert_eq!(refusals(&example(&prefix, line)), [], "{prefix}.{line}");
    }
}

proptest! {
    #[test]
    fn a_key_nobody_knows_is_refused_wherever_it_stands(line in 0_usize..1000, key in "zz[a-z]{1,8}", value in 0..9) {
        let lines = lines();
        let (prefix, line) = &lines[line % lines.len()];
        let mut pod = example(prefix, line);
        // Beside the field the line names, in its own object: unless everything is known there.
        fn beside(value: &mut Value, key: &str, new: i32) {
            match value {
                Value::Object(fields) => {
                    let deeper = fields.values_mut().next().filter(|inner| inner.is_object() || inner.is_array());
                    match deeper {
                        Some(inner) => beside(inner, key, new),
                        None => { fields.insert(key.to_owned(), json!(new)); }
                    }
                }
                Value::Array(items) => {
                    match items.first_mut().filter(|inner| inner.is_object() || inner.is_array()) {
                        Some(inner) => beside(inner, key, new),
                        None => items.push(json!({key: new})),
                    }
                }
                _ => {}
            }
        }
        beside(&mut pod, &key, value);
        let open = line.contains('*');
        prop_assert_eq!(refusals(&pod).iter().any(|refusal| refusal.path.ends_with(&key)), !open, "{}", pod);
    }
}
