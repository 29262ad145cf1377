//! What the operators say of a resource, in words for its owner. No client.

use contracts::{DedicatedPhase, HostedAddress, HostedPhase, HostedState};
use crds::status::Endpoints;
use crds::{ErgoNetwork, SojuBouncer};
use hosting::dedicated::host::BouncerState;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use operator::conditions::{ACCEPTED, AVAILABLE, CERTIFICATE, DATABASE, EXPOSED, HOSTNAME, READY};
use service::clock::now_s;

/// Whether a resource is what it should be, and if not, why, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is.
    Ready,
    /// It is on its way.
    OnItsWay(Option<String>),
    /// Somebody has to do something.
    Stuck(String),
}

/// What the conditions say of a server under `hostname`.
pub fn told(conditions: &[Condition], hostname: &str) -> Told {
    let find = |type_: &str| conditions.iter().find(|condition| condition.type_ == type_);
    let holds = |type_: &str| find(type_).is_some_and(|condition| condition.status == "True");
    let Some(ready) = find(READY) else { return Told::OnItsWay(None) };
    if holds(READY) {
        return Told::Ready;
    }
    let fails = |type_: &str| find(type_).filter(|condition| condition.status != "True");
    if let Some(condition) = fails(HOSTNAME).filter(|condition| condition.reason == "HostnameTaken") {
        tracing::debug!(message = condition.message, "a host name is taken");
        return Told::Stuck(format!(
            "{hostname} is somebody else's already. Delete this one, and choose another name."
        ));
    }
    if let Some(condition) = fails(ACCEPTED) {
        return Told::Stuck(format!(
            "The cluster cannot run it: {}. Write to whoever runs this irc.now.",
            condition.message
        ));
    }
    let way = |words: &str| Told::OnItsWay(Some(words.to_owned()));
    if is_of_the_operator(ready) {
        return Told::Stuck(format!(
            "The cluster cannot make it right now: {}. It is tried again by itself.",
            ready.message
        ));
    }
    if fails(DATABASE).is_some() {
        return way("Its database is being made.");
    }
    if fails(CERTIFICATE).is_some() {
        return way("Its certificate is on its way.");
    }
    if fails(EXPOSED).is_some() {
        return way("Its address is being opened.");
    }
    match fails(AVAILABLE) {
        Some(condition) if is_trouble(&condition.message) => {
            Told::OnItsWay(Some(format!("Its server does not start yet: {}.", condition.message)))
        }
        Some(_) => way("Its server is being started."),
        None => way("It is being set up."),
    }
}

/// What the operators write into `Ready` when a look at a resource broke off (`operator::Error::reason`).
fn is_of_the_operator(ready: &Condition) -> bool {
    ["NameTaken", "DefinitionMissing", "InternalError", "Forbidden", "Refused", "ApiError"]
        .contains(&ready.reason.as_str())
}

/// Whether a message says more than that something starts.
fn is_trouble(message: &str) -> bool {
    ![
        "the server is being started",
        "the server starts",
        "the server waits for its database",
        "the server is made when its database is there",
    ]
    .contains(&message)
}

/// How a network is.
pub fn network(object: &ErgoNetwork) -> HostedState {
    let status = object.status.clone().unwrap_or_default();
    let (phase, mut detail) = match told(&status.conditions, object.spec.hostname.as_str()) {
        _ if object.spec.suspend => (HostedPhase::Suspended, None),
        Told::Ready => (HostedPhase::Ready, None),
        Told::OnItsWay(words) => (HostedPhase::Starting, words),
        Told::Stuck(words) => (HostedPhase::Failing, Some(words)),
    };
    let usage = status.usage.unwrap_or_default();
    let users = u64::try_from(usage.users).unwrap_or_default();
    let full = status.conditions.iter().any(|is| is.type_ == "ClientLimitReached" && is.status == "True");
    if phase == HostedPhase::Ready && full {
        detail = Some(format!("It is full: {users} people are on it, as many as the plan allows."));
    }
    let endpoints = status.endpoints.unwrap_or_default();
    HostedState {
        phase,
        since: now_s(),
        detail,
        addresses: address(&endpoints).into_iter().collect(),
        websocket: endpoints.websocket.map(|line| line.0),
        users,
        channels: u64::try_from(usage.channels).unwrap_or_default(),
        software: status.version.map(|version| format!("Ergo {version}")),
        keeps_history: Some(object.spec.history.backend != crds::ergo::HistoryBackend::Memory),
    }
}

/// Whether soju stands still and its rows can be taken in or out, as the resource asks for now.
pub fn can_move(object: &SojuBouncer) -> bool {
    let Some(status) = object.status.as_ref().filter(|_| object.spec.moving.is_some()) else { return false };
    let of_now = status.observed_generation == object.metadata.generation;
    of_now && status.conditions.iter().any(|is| is.type_ == "Moving" && is.status == "True")
}

/// How a bouncer is. Where it is reached is another's to say.
pub fn bouncer(object: &SojuBouncer) -> BouncerState {
    let status = object.status.clone().unwrap_or_default();
    let (phase, detail) = match told(&status.conditions, object.spec.hostname.as_str()) {
        _ if object.spec.suspend => (DedicatedPhase::Suspended, None),
        // What happens then is said of the move.
        Told::OnItsWay(_) if object.spec.moving.is_some() => (DedicatedPhase::Starting, None),
        Told::Ready => (DedicatedPhase::Ready, None),
        Told::OnItsWay(words) => (DedicatedPhase::Starting, words),
        Told::Stuck(words) => (DedicatedPhase::Failing, Some(words)),
    };
    let endpoints = status.endpoints.unwrap_or_default();
    BouncerState {
        phase,
        detail,
        address: address(&endpoints),
        websocket: endpoints.websocket.map(|line| line.0),
        reach: None,
    }
}

/// Where clients connect: `ircs://host:port`.
fn address(endpoints: &Endpoints) -> Option<HostedAddress> {
    let irc = url::Url::parse(&endpoints.irc.as_ref()?.0).ok()?;
    Some(HostedAddress {
        host: irc.host_str()?.trim_matches(['[', ']']).to_owned(),
        port: irc.port().unwrap_or(6697),
        tls: irc.scheme() == "ircs",
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn object(suspend: bool, conditions: &[(&str, &str, &str, &str)]) -> ErgoNetwork {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(type_, status, reason, message)| {
                json!({
                    "type": type_, "status": status, "reason": reason, "message": message,
                    "lastTransitionTime": "2026-11-21T20:00:00Z",
                })
            })
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "irc.now/v1alpha1", "kind": "ErgoNetwork", "metadata": { "name": "network-1" },
            "spec": { "networkName": "Pixels", "hostname": "pixels.net.irc.now", "suspend": suspend },
            "status": {
                "conditions": conditions,
                "endpoints": { "irc": "ircs://pixels.net.irc.now:6697" },
                "usage": { "users": 3, "maxUsers": 4, "channels": 2 },
                "version": "2.19.1",
            },
        }))
        .unwrap()
    }

    fn said(conditions: &[(&str, &str, &str, &str)]) -> (HostedPhase, Option<String>) {
        let state = network(&object(false, conditions));
        (state.phase, state.detail)
    }

    #[test]
    fn a_ready_network_says_where_and_how_full_it_is() {
        let state = network(&object(false, &[("Ready", "True", "Ready", "")]));
        assert_eq!((state.phase, state.users, state.channels), (HostedPhase::Ready, 3, 2));
        assert_eq!(state.software.as_deref(), Some("Ergo 2.19.1"));
        let address = HostedAddress { host: "pixels.net.irc.now".into(), port: 6697, tls: true };
        assert_eq!(state.addresses, [address]);
        let full = [("Ready", "True", "Ready", ""), ("ClientLimitReached", "True", "Full", "")];
        assert!(said(&full).1.unwrap().starts_with("It is full: 3 people"));
    }

    #[test]
    fn what_it_waits_for_is_said_in_words() {
        assert_eq!(said(&[]), (HostedPhase::Starting, None));
        let waits = [("Ready", "False", "Pending", "x"), ("CertificateReady", "False", "Pending", "x")];
        assert_eq!(said(&waits), (HostedPhase::Starting, Some("Its certificate is on its way.".to_owned())));
        let starts =
            [("Ready", "False", "Starting", "x"), ("Available", "False", "Starting", "the server starts")];
        assert_eq!(said(&starts).1.as_deref(), Some("Its server is being started."));
        let pull =
            [("Ready", "False", "Starting", "x"), ("Available", "False", "Starting", "ImagePullBackOff")];
        assert_eq!(said(&pull).1.as_deref(), Some("Its server does not start yet: ImagePullBackOff."));
    }

    #[test]
    fn what_somebody_must_mend_says_who() {
        let taken =
            [("Ready", "False", "HostnameTaken", "x"), ("HostnameClaimed", "False", "HostnameTaken", "x")];
        let (phase, words) = said(&taken);
        assert_eq!(phase, HostedPhase::Failing);
        assert!(words.unwrap().contains("choose another name"));
        let (phase, words) = said(&[("Ready", "False", "Forbidden", "quota exceeded")]);
        assert_eq!(phase, HostedPhase::Failing);
        assert!(words.unwrap().contains("quota exceeded"));
    }

    #[test]
    fn a_suspended_network_is_that_whatever_else_it_is() {
        assert_eq!(network(&object(true, &[("Ready", "True", "Ready", "")])).phase, HostedPhase::Suspended);
    }
}
