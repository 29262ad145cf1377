//! What cannot be carried out is refused in words before anything is made, and what is made keeps to the rules.

use crds::Server as _;
use ergo_operator::controller::validate::validate;
use operator::Error;
use operator::network_policy::Reach;
use operator::postgres::{Made, cluster};
use serde_json::{Value, json};

use crate::paper::{child, children, facts, installation, network, valid};

fn reason(spec: Value) -> &'static str {
    match valid(&network(spec)) {
        Err(error) => error.reason(),
        Ok(_) => "Accepted",
    }
}

#[test]
fn what_ergo_would_not_start_with_is_refused() {
    let operator = |name: &str| json!({ "operators": [{ "name": name, "fingerprint": "a".repeat(64) }] });
    let table = [
        (operator("alice"), "Accepted"),
        (operator("bot[1]"), "Accepted"),
        (operator("ünï"), "OperatorInvalid"),
        (operator("a:b"), "OperatorInvalid"),
        (operator("1st"), "OperatorInvalid"),
        (operator("IRCNOW-operator"), "OperatorInvalid"),
        (json!({ "operators": [{ "name": "a", "fingerprint": "a".repeat(128) }] }), "OperatorInvalid"),
        (
            json!({ "operators": [
                { "name": "alice", "fingerprint": "a".repeat(64) }, { "name": "ALICE", "fingerprint": "b".repeat(64) },
            ] }),
            "OperatorInvalid",
        ),
        (json!({ "channels": { "autoJoin": ["#lobby"] } }), "Accepted"),
        (json!({ "channels": { "autoJoin": ["#café"] } }), "ChannelInvalid"),
        (json!({ "channels": { "autoJoin": ["+x"] } }), "ChannelInvalid"),
        (json!({ "version": "1.0" }), "VersionNotSupported"),
        (json!({ "version": "2.17.0" }), "HistoryNotSupported"),
        (json!({ "version": "2.17.0", "history": { "backend": "Memory" } }), "Accepted"),
        (json!({ "plan": "nonesuch" }), "PlanUnknown"),
        (json!({ "backup": { "schedule": "0 99 * * *" } }), "ScheduleInvalid"),
        (json!({ "expose": { "proxyRanges": ["192.0.2.0/99"] } }), "RangeInvalid"),
        (json!({ "egress": { "allow": [{ "cidr": "everything" }] } }), "RangeInvalid"),
        (json!({ "expose": { "irc": "Route", "web": "None" } }), "DefinitionMissing"),
    ];
    for (spec, expected) in table {
        assert_eq!(reason(spec.clone()), expected, "{spec}");
    }
}

#[test]
fn a_password_that_is_no_hash_never_reaches_the_server() {
    let root =
        network(json!({ "operators": [{ "name": "a", "passwordHash": { "name": "s", "key": "k" } }] }));
    for text in ["hunter2", &"x".repeat(60), &format!("$2a$04${}\"", "x".repeat(52))] {
        let mut facts = facts(&root);
        facts.secrets.values_mut().for_each(|secret| *secret = text.into());
        let refused = validate(&installation(), &root, facts).unwrap_err();
        assert_eq!(refused.reason(), "OperatorInvalid");
        assert!(!refused.to_string().contains(text), "{refused}");
    }
}

#[test]
fn only_clusters_the_installation_names_are_used() {
    let named = |cluster: Value| network(json!({ "history": { "backend": "Postgres", "cluster": cluster } }));
    let allowed = installation().postgres_clusters;
    let of = |cluster_ref: Value| {
        cluster(&allowed, named(cluster_ref).cluster(), "ergo_operator").map(|cluster| cluster.name.0)
    };
    assert_eq!(of(json!({ "name": "other", "namespace": "postgres" })).unwrap(), "other");
    for wrong in [
        json!({ "name": "other", "namespace": "tenant" }),
        json!({ "name": "third", "namespace": "postgres" }),
    ] {
        assert!(matches!(of(wrong), Err(Error::Invalid { reason: "ClusterNotAllowed", .. })));
    }
    let usual = cluster(&allowed, None, "ergo_operator").unwrap();
    assert_eq!(usual.name.0, "main");
}

#[test]
fn the_pod_keeps_to_the_restricted_rules_and_its_files_are_read_only() {
    for version in ["2.15.0", "2.19.1"] {
        let root = network(json!({ "version": version, "history": { "backend": "Memory" } }));
        let all = children(&root, &valid(&root).unwrap());
        let pod = &child(&all, "StatefulSet", "example")["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(pod["automountServiceAccountToken"], false);
        let none = Vec::new();
        let containers = ["containers", "initContainers"].map(|of| pod[of].as_array().unwrap_or(&none));
        assert_eq!(containers.map(Vec::len), [2, usize::from(version == "2.15.0")]);
        for container in containers.into_iter().flatten() {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
        }
    }
}

#[test]
fn what_is_for_the_inside_never_stands_on_the_load_balancer() {
    let root = network(json!({ "plaintextInCluster": true }));
    let all = children(&root, &valid(&root).unwrap());
    let public = child(&all, "Service", "example-public");
    let ports: Vec<_> =
        public["spec"]["ports"].as_array().unwrap().iter().map(|port| &port["port"]).collect();
    assert_eq!(ports, [6697]);
    assert_eq!(child(&all, "Service", "example")["spec"]["ports"].as_array().unwrap().len(), 3);
}

#[test]
fn a_suspended_network_keeps_everything_but_its_pod() {
    let (runs, rests) = (network(json!({})), network(json!({ "suspend": true })));
    let kinds = |all: &[Value]| all.iter().map(|is| is["kind"].to_string()).collect::<Vec<_>>();
    let (before, after) =
        (children(&runs, &valid(&runs).unwrap()), children(&rests, &valid(&rests).unwrap()));
    assert_eq!(kinds(&before), kinds(&after));
    assert_eq!(child(&before, "StatefulSet", "example")["spec"]["replicas"], 1);
    assert_eq!(child(&after, "StatefulSet", "example")["spec"]["replicas"], 0);
}

#[test]
fn a_volume_database_and_role_belong_to_nobody_the_garbage_collector_knows() {
    let root = network(json!({ "history": { "backend": "Postgres" } }));
    let all = children(&root, &valid(&root).unwrap());
    for kind in ["PersistentVolumeClaim", "Database", "DatabaseRole"] {
        let one = all.iter().find(|is| is["kind"] == kind).unwrap();
        assert_eq!(one["metadata"]["ownerReferences"], Value::Null, "{kind}");
    }
    assert_eq!(child(&all, "StatefulSet", "example")["metadata"]["ownerReferences"][0]["controller"], true);
    let database = all.iter().find(|is| is["kind"] == "Database").unwrap();
    assert_eq!(database["spec"]["databaseReclaimPolicy"], "retain");
    assert_eq!(database["metadata"]["namespace"], "postgres");
}

#[test]
fn the_server_waits_for_its_database_and_then_stays() {
    let root = network(json!({ "history": { "backend": "Postgres" } }));
    let kinds = |done, server_made| {
        let facts = ergo_operator::controller::Facts {
            database: Made { done, message: None },
            server_made,
            ..facts(&root)
        };
        let valid = validate(&installation(), &root, facts).unwrap();
        children(&root, &valid).iter().any(|is| is["kind"] == "StatefulSet")
    };
    assert!(!kinds(false, false));
    assert!(kinds(true, false));
    assert!(kinds(false, true));
}

/// Which addresses these rules let out to is evaluated in `operator::network_policy`.
#[test]
fn the_server_reaches_the_public_internet_its_database_and_what_is_listed() {
    let root = network(json!({
        "history": { "backend": "Postgres" },
        "egress": { "allow": [{ "cidr": "10.9.0.0/16", "ports": [443] }] },
    }));
    let (installation, valid) = (installation(), valid(&root).unwrap());
    let all = children(&root, &valid);
    let reach = Reach {
        denied: &installation.denied_ranges,
        allowed: &installation.allowed_ranges,
        egress: &root.spec.egress,
        database: Some(&installation.postgres_clusters[0]),
    };
    assert_eq!(child(&all, "NetworkPolicy", "example")["spec"]["egress"], json!(reach.rules()));
}
