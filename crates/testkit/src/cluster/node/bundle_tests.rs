use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Inputs, Mount, arguments, config};
use crate::cluster::node::images::Image;
use crate::cluster::node::plan::tests::plan;

fn made(spec: Value, image: &Image, mounts: &[Mount]) -> Value {
    let plan = plan(spec).unwrap();
    let container = &plan.containers[0];
    let inputs = Inputs {
        image,
        rights: &container.rights(image).unwrap(),
        environment: &[("A".into(), "1".into()), ("B".into(), "x y".into())],
        mounts,
        root: Path::new("/run/root"),
        network: Path::new("/run/netns/one"),
        cgroup: "/group/one",
    };
    config(&plan, container, &inputs)
}

#[test]
fn what_a_pod_says_of_a_container_is_what_runc_is_told() {
    let spec = json!({
        "hostname": "box",
        "securityContext": {
            "runAsUser": 1000, "runAsGroup": 1001, "fsGroup": 1002,
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{
            "name": "main", "command": ["run", "$(A)"], "workingDir": "/scratch",
            "resources": {"limits": {"memory": "64Mi", "cpu": "250m"}},
            "securityContext": {
                "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            },
        }],
    });
    let config = made(spec, &Image::new(&["sh"]), &[]);
    let process = &config["process"];
    assert_eq!(process["user"], json!({"uid": 1000, "gid": 1001, "additionalGids": [1002]}));
    assert_eq!(process["args"], json!(["run", "1"]));
    assert_eq!(process["env"], json!(["A=1", "B=x y"]));
    assert_eq!(process["cwd"], "/scratch");
    assert_eq!(process["noNewPrivileges"], true);
    assert_eq!(process["capabilities"], json!({"bounding": [], "effective": [], "permitted": []}));
    assert_eq!(config["root"], json!({"path": "/run/root", "readonly": true}));
    assert_eq!(config["hostname"], "box");
    let linux = &config["linux"];
    assert_eq!(linux["resources"]["memory"]["limit"], 64 << 20);
    assert_eq!(linux["resources"]["cpu"]["quota"], 25_000);
    assert_eq!(linux["sysctl"]["net.ipv4.ip_unprivileged_port_start"], "0");
    assert_eq!(linux["cgroupsPath"], "/group/one");
    assert!(
        linux["namespaces"]
            .as_array()
            .unwrap()
            .contains(&json!({"type": "network", "path": "/run/netns/one"}))
    );
    assert_eq!(linux["seccomp"]["syscalls"][0]["action"], "SCMP_ACT_ERRNO");
}

#[test]
fn without_bounds_or_a_profile_runc_is_told_none() {
    let config = made(json!({"containers": [{"name": "main"}]}), &Image::new(&["sh"]).folder("/home"), &[]);
    assert_eq!(config["linux"]["resources"], json!({"pids": {"limit": 4096}}));
    assert_eq!(config["linux"]["seccomp"], Value::Null);
    assert_eq!(config["process"]["cwd"], "/home");
    assert_eq!(config["root"]["readonly"], false);
}

#[test]
fn a_command_replaces_all_the_image_says_and_args_only_its_arguments() {
    let image = Image::new(&["entry"]).arguments(&["usual"]);
    let table = [
        (json!({}), vec!["entry", "usual"]),
        (json!({"args": ["mine"]}), vec!["entry", "mine"]),
        (json!({"command": ["run"]}), vec!["run"]),
        (json!({"command": ["run"], "args": ["$(A)", "$(B)"]}), vec!["run", "1", "$(B)"]),
        (json!({"command": [], "args": []}), vec!["entry", "usual"]),
    ];
    for (more, words) in table {
        let mut container = json!({"name": "main"});
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let plan = plan(json!({"containers": [container]})).unwrap();
        assert_eq!(arguments(&plan.containers[0], &image, &[("A".into(), "1".into())]), words, "{more}");
    }
}

#[test]
fn a_mount_inside_another_one_comes_after_it() {
    let mount = |inside: &str, read_only| Mount { host: "/host".into(), inside: inside.into(), read_only };
    let mounts = [
        mount("/data/inner/deep", false),
        mount("/etc/hosts", true),
        mount("/data", true),
        mount("/data/inner", false),
    ];
    let image = Image::new(&["sh"]).file("/bin/true", "/opt/tool");
    let config = made(json!({"containers": [{"name": "main"}]}), &image, &mounts);
    let all = config["mounts"].as_array().unwrap();
    let place = |inside: &str| all.iter().position(|mount| mount["destination"] == inside).unwrap();
    assert!(place("/data") < place("/data/inner") && place("/data/inner") < place("/data/inner/deep"));
    assert!(all[place("/data")]["options"].as_array().unwrap().contains(&json!("ro")));
    assert!(all[place("/data/inner")]["options"].as_array().unwrap().contains(&json!("rw")));
    assert!(all[place("/opt/tool")]["options"].as_array().unwrap().contains(&json!("ro")));
    assert!(all[place("/usr/bin")]["options"].as_array().unwrap().contains(&json!("ro")));
}

proptest! {
    #[test]
    fn arguments_reach_runc_as_they_are(words in proptest::collection::vec("[^$]*", 1..5)) {
        let plan = plan(json!({"containers": [{"name": "main", "command": words}]})).unwrap();
        prop_assert_eq!(arguments(&plan.containers[0], &Image::new(&["sh"]), &[]), words);
    }
}
