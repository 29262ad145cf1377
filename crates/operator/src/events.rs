//! Events: what happened to a resource, for `kubectl describe`. Repeated ones are folded into one with a count.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::lease::Leadership;

/// Publishes events, while this process leads.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
    leadership: Leadership,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// Events of an operator's process.
    pub fn new(client: Client, operator: &str, instance: &str, leadership: Leadership) -> Self {
        let reporter =
            Reporter { controller: format!("irc.now/{operator}"), instance: Some(instance.to_owned()) };
        Self { recorder: Recorder::new(client, reporter), leadership }
    }

    /// Says that something is as it should be, or that it is not. An event that cannot be published is only logged: it
    /// explains, and nothing depends on it.
    pub async fn publish(&self, regarding: &ObjectReference, warning: bool, reason: &str, note: &str) {
        if !self.leadership.holds() {
            return;
        }
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: Some(note.chars().take(1000).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, regarding).await {
            tracing::debug!(%error, reason, "an event was not published");
        }
    }
}
