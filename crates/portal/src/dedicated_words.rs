//! A dedicated bouncer as its page says it.

use contracts::{BouncerEngine, DedicatedBouncer, DedicatedPhase, DedicatedStage};
use service::view::Moment;

use crate::words::sentence;

/// A dedicated bouncer, in words.
pub(crate) struct DedicatedRow {
    pub hostname: String,
    /// "irc.now" or "soju".
    pub engine: &'static str,
    /// The class of the words and the dot: "ok", "warn", "bad" or "muted".
    pub kind: &'static str,
    /// "Running", "Being made", "Moving in".
    pub phase: &'static str,
    /// What is going on.
    pub detail: String,
    /// Since when.
    pub since: Moment,
    /// Where devices connect.
    pub address: Option<String>,
    /// What is typed into irssi.
    pub command: Option<String>,
    /// Whether everything is there.
    pub moved: bool,
    /// Whether it can still be given back.
    pub stays: bool,
}

impl DedicatedRow {
    /// The bouncer at `now`.
    pub fn new(bouncer: &DedicatedBouncer, now: i64) -> Self {
        let (kind, phase, words) = words(bouncer);
        let address = bouncer.address.as_ref();
        Self {
            hostname: bouncer.hostname.clone(),
            engine: name(bouncer.engine),
            kind,
            phase,
            detail: bouncer.detail.as_deref().map_or_else(|| words.to_owned(), sentence),
            since: Moment::new(bouncer.since, now),
            address: address.map(|at| crate::parts::address(&at.host, at.port)),
            command: address.map(|at| {
                let tls = if at.tls { "-tls " } else { "" };
                format!("/connect {tls}{} {}", at.host, at.port)
            }),
            moved: bouncer.has_moved(),
            stays: matches!(
                bouncer.stage,
                DedicatedStage::Making | DedicatedStage::MovingIn | DedicatedStage::There
            ),
        }
    }
}

/// What an engine is called.
pub(crate) fn name(engine: BouncerEngine) -> &'static str {
    match engine {
        BouncerEngine::Ircnow => "irc.now",
        BouncerEngine::Soju => "soju",
    }
}

fn words(bouncer: &DedicatedBouncer) -> (&'static str, &'static str, &'static str) {
    match (bouncer.stage, bouncer.phase) {
        (DedicatedStage::Making, DedicatedPhase::Failing) => ("bad", "It cannot be made", ""),
        (DedicatedStage::Making, DedicatedPhase::Ready) => {
            ("warn", "Made", "It runs, and your networks move in a moment.")
        }
        (DedicatedStage::Making, _) => ("warn", "Being made", "Until it runs, everything stays where it is."),
        (DedicatedStage::MovingIn, _) => (
            "warn",
            "Moving in",
            "Your networks, devices and history are carried over. Nothing is connected for that long.",
        ),
        (DedicatedStage::There, DedicatedPhase::Ready) => ("ok", "Running", "Your networks live here."),
        (DedicatedStage::There, DedicatedPhase::Starting) => {
            ("warn", "Starting", "Your networks connect as soon as it runs.")
        }
        (DedicatedStage::There, DedicatedPhase::Suspended) => ("muted", "Suspended", "Everything is kept."),
        (DedicatedStage::There, DedicatedPhase::Failing) => ("bad", "It does not run", ""),
        (DedicatedStage::MovingOut, _) => (
            "warn",
            "Moving back",
            "Your networks, devices and history are carried back. Nothing is connected for that long.",
        ),
        (DedicatedStage::Leaving, _) => ("muted", "Going away", "Everything is back at the shared bouncer."),
    }
}

#[cfg(test)]
mod tests {
    use contracts::{DedicatedId, HostedAddress};
    use uuid::Uuid;

    use super::*;

    fn bouncer(stage: DedicatedStage, phase: DedicatedPhase) -> DedicatedBouncer {
        DedicatedBouncer {
            id: DedicatedId(Uuid::nil()),
            engine: BouncerEngine::Ircnow,
            hostname: "alice.irc.now".into(),
            stage,
            phase,
            since: 0,
            detail: None,
            address: Some(HostedAddress { host: "alice.irc.now".into(), port: 6697, tls: true }),
            websocket: None,
            reach: None,
            created_at: 0,
        }
    }

    #[test]
    fn every_stage_says_where_the_networks_are() {
        let row = DedicatedRow::new(&bouncer(DedicatedStage::There, DedicatedPhase::Ready), 5);
        assert_eq!((row.kind, row.phase, row.moved), ("ok", "Running", true));
        assert_eq!(row.command.as_deref(), Some("/connect -tls alice.irc.now 6697"));
        for stage in [DedicatedStage::Making, DedicatedStage::MovingIn, DedicatedStage::MovingOut] {
            let row = DedicatedRow::new(&bouncer(stage, DedicatedPhase::Ready), 5);
            assert!(!row.moved && !row.detail.is_empty(), "{stage:?}");
        }
        assert!(!DedicatedRow::new(&bouncer(DedicatedStage::Leaving, DedicatedPhase::Ready), 5).stays);
    }

    #[test]
    fn what_went_wrong_stands_in_place_of_the_usual_words() {
        let wrong = DedicatedBouncer {
            detail: Some("The cluster refuses it".into()),
            ..bouncer(DedicatedStage::Making, DedicatedPhase::Failing)
        };
        let row = DedicatedRow::new(&wrong, 5);
        assert_eq!((row.kind, row.detail.as_str()), ("bad", "The cluster refuses it."));
    }
}
