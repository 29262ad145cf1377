//! The status the node writes into a Pod.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::env::Addresses;
use super::machine::{Exit, Machine, Phase, Role, State, Unit};
use super::plan::Plan;

/// What a status is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The status before this one: conditions keep their times unless they flip.
    pub before: &'a Value,
    /// What was read from it.
    pub plan: &'a Plan,
    /// Where its containers are.
    pub machine: &'a Machine,
    /// Its addresses, once it has them.
    pub addresses: &'a Addresses,
    /// When the node took it.
    pub taken: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// The status, as a strategic merge patch of the Pod.
pub fn patch(facts: Facts<'_>) -> Value {
    let Facts { before, plan, machine, addresses, taken, now } = facts;
    let phase = machine.phase();
    let finished = matches!(phase, Phase::Succeeded | Phase::Failed);
    let after_init = |unit: &&Unit| unit.seed.role != Role::Init;
    let unready: Vec<&str> = machine
        .units
        .iter()
        .filter(after_init)
        .filter(|unit| !unit.ready())
        .map(|u| u.seed.name.as_str())
        .collect();
    let not_ready = if finished {
        Some(("PodCompleted", String::new()))
    } else if !machine.initialized() {
        Some(("ContainersNotInitialized", "init containers are not through".to_owned()))
    } else if unready.is_empty() {
        None
    } else {
        Some(("ContainersNotReady", format!("containers with unready status: {unready:?}")))
    };
    let initialized = if machine.initialized() || phase == Phase::Succeeded {
        None
    } else {
        Some(("ContainersNotInitialized", "init containers are not through".to_owned()))
    };
    let mut conditions = vec![condition(before, "PodScheduled", None, now)];
    conditions.push(condition(before, "Initialized", initialized, now));
    conditions.push(condition(before, "ContainersReady", not_ready.clone(), now));
    conditions.push(condition(before, "Ready", not_ready, now));
    let statuses = |init: bool| {
        let pairs = machine.units.iter().zip(&plan.containers);
        let wanted = pairs.filter(|(unit, _)| (unit.seed.role != Role::Main) == init);
        wanted
            .map(|(unit, container)| container_status(unit, container.spec.image.as_deref(), plan))
            .collect::<Vec<_>>()
    };
    let mut status = json!({
        "phase": phase_word(phase),
        "conditions": conditions,
        "containerStatuses": statuses(false),
        "initContainerStatuses": statuses(true),
        "startTime": time(taken),
        "reason": machine.failed.as_ref().map(|(reason, _)| reason),
        "message": machine.failed.as_ref().map(|(_, message)| message),
    });
    if !addresses.pod.is_empty() {
        status["hostIP"] = json!(addresses.host);
        status["hostIPs"] = json!([{"ip": addresses.host}]);
        status["podIP"] = json!(addresses.pod);
        status["podIPs"] = json!([{"ip": addresses.pod}]);
    }
    json!({"metadata": {"uid": plan.key.uid}, "status": status})
}

/// The status of a Pod that was refused before anything of it ran.
pub fn refused(before: &Value, uid: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    let not_ready = Some((reason, message.to_owned()));
    json!({"metadata": {"uid": uid}, "status": {
        "phase": "Failed",
        "reason": reason,
        "message": message,
        "startTime": time(now),
        "conditions": [
            condition(before, "PodScheduled", None, now),
            condition(before, "ContainersReady", not_ready.clone(), now),
            condition(before, "Ready", not_ready, now),
        ],
    }})
}

/// The phase's word.
pub fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::Running => "Running",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
    }
}

/// A time as the API writes it: whole seconds.
pub fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn condition(before: &Value, kind: &str, trouble: Option<(&str, String)>, now: Timestamp) -> Value {
    let word = if trouble.is_none() { "True" } else { "False" };
    let mut before = before["conditions"].as_array().into_iter().flatten();
    let before = before.find(|condition| condition["type"] == kind && condition["status"] == word);
    let since = before.and_then(|condition| condition["lastTransitionTime"].as_str());
    let (reason, message) = trouble.unzip();
    json!({
        "type": kind,
        "status": word,
        "lastTransitionTime": since.map_or_else(|| time(now), str::to_owned),
        "reason": reason,
        "message": message.filter(|message| !message.is_empty()),
    })
}

fn container_status(unit: &Unit, image: Option<&str>, plan: &Plan) -> Value {
    let id = |exit: &Exit| terminated(exit, plan, unit);
    let state = match &unit.state {
        State::Waiting { reason, message } => {
            json!({"waiting": {"reason": reason, "message": Some(message).filter(|message| !message.is_empty())}})
        }
        State::Starting => json!({"waiting": {"reason": "ContainerCreating"}}),
        State::Running { since } => json!({"running": {"startedAt": time(*since)}}),
        State::Exited(exit) => id(exit),
    };
    // A run that ended for good is the state itself, the one before it is not kept.
    let last = unit.last.as_ref().filter(|_| !matches!(unit.state, State::Exited(_))).map_or(json!({}), id);
    json!({
        "name": unit.seed.name,
        "image": image,
        "imageID": image,
        "containerID": container_id(plan, unit),
        "ready": unit.ready(),
        "started": unit.started,
        "restartCount": unit.restarts,
        "state": state,
        "lastState": last,
    })
}

fn container_id(plan: &Plan, unit: &Unit) -> Option<String> {
    let ran = unit.last.is_some() || matches!(unit.state, State::Running { .. });
    ran.then(|| format!("testkit://{}-{}-{}", plan.key.uid, unit.seed.name, unit.restarts))
}

fn terminated(exit: &Exit, plan: &Plan, unit: &Unit) -> Value {
    json!({"terminated": {
        "exitCode": exit.code,
        "reason": exit.reason,
        "message": Some(&exit.message).filter(|message| !message.is_empty()),
        "startedAt": time(exit.started),
        "finishedAt": time(exit.finished),
        "containerID": format!("testkit://{}-{}-{}", plan.key.uid, unit.seed.name, unit.restarts),
    }})
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
