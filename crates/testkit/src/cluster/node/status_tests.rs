use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Facts, patch, refused, time};
use crate::cluster::node::env::Addresses;
use crate::cluster::node::machine::{BackOff, Exit, Machine, Probe};
use crate::cluster::node::plan::Plan;
use crate::cluster::node::plan::tests::plan;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

struct Case {
    plan: Plan,
    machine: Machine,
    before: Value,
}

impl Case {
    fn new(spec: Value) -> Self {
        let plan = plan(spec).unwrap();
        let back_off = BackOff { first: Duration::from_secs(10), most: Duration::from_secs(300) };
        let machine = Machine::new(plan.seeds(), plan.restart, plan.grace, back_off);
        Self { plan, machine, before: Value::Null }
    }

    /// The status now; it is one the API's own type can hold.
    fn status(&mut self, now: i64) -> Value {
        let addresses = Addresses { pod: "10.0.0.2".into(), host: "10.0.0.1".into() };
        let facts = Facts {
            before: &self.before,
            plan: &self.plan,
            machine: &self.machine,
            addresses: &addresses,
            taken: at(0),
            now: at(now),
        };
        let patch = patch(facts);
        assert_eq!(patch["metadata"]["uid"], "u");
        self.before = patch["status"].clone();
        let pod: Pod = serde_json::from_value(patch).unwrap();
        serde_json::to_value(pod.status).unwrap()
    }
}

fn condition(status: &Value, kind: &str) -> (String, String, Option<String>) {
    let all = status["conditions"].as_array().unwrap();
    let found = all.iter().find(|condition| condition["type"] == kind).unwrap();
    let text = |key: &str| found[key].as_str().map(str::to_owned);
    (text("status").unwrap(), text("lastTransitionTime").unwrap(), text("reason"))
}

fn exit(code: i32) -> Exit {
    Exit { code, reason: "Error".into(), message: "why".into(), started: at(5), finished: at(6) }
}

#[test]
fn a_pod_goes_from_pending_to_ready_and_a_condition_keeps_its_time_until_it_flips() {
    let mut case = Case::new(
        json!({"containers": [{"name": "main", "image": "i", "readinessProbe": {"tcpSocket": {"port": 1}}}]}),
    );
    let status = case.status(1);
    assert_eq!((status["phase"].as_str(), status["podIP"].as_str()), (Some("Pending"), Some("10.0.0.2")));
    assert_eq!(status["containerStatuses"][0]["state"]["waiting"]["reason"], "ContainerCreating");
    case.machine.next(at(2));
    case.machine.started(0, at(2));
    let status = case.status(3);
    assert_eq!(status["phase"], "Running");
    assert_eq!(condition(&status, "Initialized"), ("True".into(), time(at(3)), None));
    let not_ready = ("False".to_owned(), time(at(1)), Some("ContainersNotReady".to_owned()));
    assert_eq!(condition(&status, "Ready"), not_ready);
    case.machine.probed(0, Probe::Readiness, true);
    let status = case.status(4);
    assert_eq!(condition(&status, "Ready"), ("True".into(), time(at(4)), None));
    assert_eq!(condition(&status, "ContainersReady").0, "True");
    assert_eq!(condition(&status, "PodScheduled"), ("True".into(), time(at(1)), None));
    assert_eq!(condition(&case.status(9), "Ready").1, time(at(4)));
    assert_eq!(status["containerStatuses"][0]["ready"], true);
    assert_eq!(status["containerStatuses"][0]["state"]["running"]["startedAt"], time(at(2)));
}

#[test]
fn a_restarted_container_tells_how_it_ended() {
    let mut case = Case::new(json!({"containers": [{"name": "main", "image": "i"}]}));
    for _ in 0..2 {
        case.machine.next(at(5));
        case.machine.started(0, at(5));
        case.machine.exited(0, exit(3), at(6));
    }
    let container = case.status(7)["containerStatuses"][0].clone();
    assert_eq!(container["state"]["waiting"]["reason"], "CrashLoopBackOff");
    let last = &container["lastState"]["terminated"];
    assert_eq!((last["exitCode"].as_i64(), last["message"].as_str()), (Some(3), Some("why")));
    assert_eq!(container["restartCount"], 1);
}

#[test]
fn a_finished_pod_is_not_ready_and_says_why_it_failed() {
    let mut case =
        Case::new(json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "i"}]}));
    case.machine.next(at(5));
    case.machine.started(0, at(5));
    case.machine.fail("DeadlineExceeded", "too long");
    case.machine.exited(0, exit(137), at(6));
    let status = case.status(7);
    assert_eq!(
        (status["phase"].as_str(), status["reason"].as_str()),
        (Some("Failed"), Some("DeadlineExceeded"))
    );
    assert_eq!(status["message"], "too long");
    assert_eq!(condition(&status, "Ready").2.as_deref(), Some("PodCompleted"));
    assert_eq!(status["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137);
}

#[test]
fn init_containers_have_a_list_of_their_own() {
    let mut case = Case::new(json!({
        "initContainers": [{"name": "first", "image": "i"}],
        "containers": [{"name": "main", "image": "i"}],
    }));
    let status = case.status(1);
    assert_eq!(status["initContainerStatuses"][0]["name"], "first");
    assert_eq!(status["containerStatuses"].as_array().map(Vec::len), Some(1));
    assert_eq!(condition(&status, "Initialized").0, "False");
}

#[test]
fn a_refused_pod_has_failed_and_says_what_for() {
    let patch = refused(&Value::Null, "u", "NotImplemented", "spec.tty", at(1));
    let pod: Pod = serde_json::from_value(patch).unwrap();
    let status = pod.status.unwrap();
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Failed"), Some("NotImplemented")));
    assert_eq!(status.message.as_deref(), Some("spec.tty"));
}
