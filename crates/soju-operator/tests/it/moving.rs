//! An account moves into a soju that was never started, and out of one that stands still. No cluster: who has the rows when.

use serde_json::{Value, json};
use soju_operator::controller::Movers;
use soju_operator::controller::validate::{Valid, validate};

use crate::paper::{bouncer, children, facts, installation, status};

/// What the cluster has besides the resource.
#[derive(Clone, Default)]
struct There {
    made: bool,
    serving: bool,
    movers: Option<Movers>,
}

fn comes_to(more: Value, there: There) -> (crds::SojuBouncer, Valid, Vec<Value>) {
    let mut spec = json!({ "owner": { "sub": "0192f0c1-7b1e-7c7a-9d5e-1f2a3b4c5d6e", "username": "alice" } });
    operator_testkit::paper::merge(&mut spec, &more);
    let root = bouncer(spec);
    let There { made, serving, movers } = there;
    let facts = soju_operator::controller::Facts { server_made: made, serving, movers, ..facts(&root) };
    let valid = validate(&installation(), &root, facts).unwrap();
    let children = children(&root, &valid);
    (root, valid, children)
}

fn of<'a>(children: &'a [Value], kind: &str) -> Vec<&'a Value> {
    children.iter().filter(|child| child["kind"] == kind).collect()
}

/// How many of soju there should be (none at all, or a number), and how many jobs.
fn who(children: &[Value]) -> (Option<i64>, usize) {
    let soju = of(children, "Deployment").first().and_then(|server| server["spec"]["replicas"].as_i64());
    (soju, of(children, "Job").len())
}

#[test]
fn nobody_has_the_rows_together_with_soju() {
    let ready = || Some(Movers { ready: true, trouble: None });
    let new = There::default();
    let runs = There { made: true, serving: true, movers: None };
    let stopped = There { made: true, serving: false, movers: None };
    let moves = There { made: true, serving: false, movers: ready() };
    let moved_in = There { made: false, serving: false, movers: ready() };
    for (moving, there, wanted) in [
        // Before its first start.
        (json!("In"), new.clone(), (None, 1)),
        (json!("In"), moved_in.clone(), (None, 1)),
        (Value::Null, moved_in, (None, 0)),
        (Value::Null, new.clone(), (Some(1), 0)),
        // Once it has run.
        (Value::Null, runs.clone(), (Some(1), 0)),
        (json!("Out"), runs, (Some(0), 0)),
        (json!("Out"), stopped.clone(), (Some(0), 1)),
        (json!("Out"), moves.clone(), (Some(0), 1)),
        (Value::Null, moves, (Some(0), 0)),
        (Value::Null, stopped, (Some(1), 0)),
    ] {
        let (.., children) = comes_to(json!({ "moving": moving }), there);
        assert_eq!(who(&children), wanted, "{moving}");
    }
    let (.., children) = comes_to(json!({ "moving": "In", "suspend": true }), new);
    assert_eq!(who(&children), (None, 0));
}

#[test]
fn the_job_keeps_to_the_rules_of_the_namespace_and_no_secret_stands_in_it() {
    for engine in ["Sqlite", "Postgres"] {
        let spec = json!({ "moving": "In", "database": { "engine": engine } });
        let (_, valid, all) = comes_to(spec, There::default());
        let job = of(&all, "Job")[0];
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(
            (&pod["restartPolicy"], &pod["automountServiceAccountToken"]),
            (&json!("OnFailure"), &json!(false))
        );
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let inits = pod["initContainers"].as_array().unwrap();
        let containers = pod["containers"].as_array().unwrap();
        assert_eq!((inits.len(), containers.len()), (1, 1));
        for container in inits.iter().chain(containers) {
            let security = &container["securityContext"];
            assert_eq!(security["readOnlyRootFilesystem"], true);
            assert_eq!(security["allowPrivilegeEscalation"], false);
            assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
        }
        assert_eq!(
            containers[0]["args"],
            json!(["soju-sidecar", "import", "--config", "/etc/ircnow/moves.json"])
        );
        assert!(!job.to_string().contains("a password"), "the password stands in the Secret alone");
        // No Service finds its Pods, and the policy is theirs alone.
        let labels = &job["spec"]["template"]["metadata"]["labels"];
        let policies = of(&all, "NetworkPolicy");
        let selects =
            |policy: &Value| policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"].clone();
        assert_eq!(labels["app.kubernetes.io/name"], "soju-bouncer-move");
        assert!(of(&all, "Service").iter().all(|service| {
            service["spec"]["selector"]["app.kubernetes.io/name"] != labels["app.kubernetes.io/name"]
        }));
        assert_eq!(policies.len(), 2);
        assert_eq!(selects(policies[1]), "soju-bouncer-move");
        let ports = &policies[1]["spec"]["ingress"][0]["ports"];
        assert_eq!(ports, &json!([{ "protocol": "TCP", "port": 9181 }]));
        assert_eq!(valid.names.moving, "example-move");
        let (.., out) =
            comes_to(json!({ "moving": "Out", "database": { "engine": engine } }), There::default());
        let pod = &of(&out, "Job")[0]["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["args"][1], "export");
        assert!(pod.get("initContainers").is_none(), "nothing is made of what is only read");
    }
}

#[test]
fn the_status_says_when_an_account_can_move() {
    let said = |there: There| {
        let (root, valid, _) = comes_to(json!({ "moving": "Out" }), there);
        let status = status(&root, &valid);
        let find = |type_: &str| {
            let mut all = status["conditions"].as_array().unwrap().iter();
            all.find(|is| is["type"] == type_).map(|is| (is["status"].clone(), is["reason"].clone()))
        };
        assert_eq!(find("Ready"), Some((json!("False"), json!("Moving"))));
        find("Moving").unwrap()
    };
    let movers = |ready, trouble: Option<&str>| Some(Movers { ready, trouble: trouble.map(str::to_owned) });
    let there = |serving, movers| There { made: true, serving, movers };
    assert_eq!(said(there(true, None)), (json!("False"), json!("Stopping")));
    assert_eq!(said(there(false, None)), (json!("False"), json!("Starting")));
    assert_eq!(
        said(there(false, movers(false, Some("ImagePullBackOff")))),
        (json!("False"), json!("Starting"))
    );
    assert_eq!(said(there(false, movers(true, None))), (json!("True"), json!("Ready")));
    assert_eq!(said(there(true, movers(true, None))).0, json!("False"), "soju is still there");
}
