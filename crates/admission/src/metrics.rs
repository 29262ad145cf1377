//! Figures. Labels are static: a kind, an outcome, never a name.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::known::Kind;
use crate::review::Outcome;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAnswer {
    kind: &'static str,
    answer: &'static str,
}

/// The figures. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Metrics {
    answers: Family<OfAnswer, Counter>,
    unread: Counter,
    known: Gauge,
    ends: Gauge,
    rotations: Counter,
}

impl Metrics {
    /// Registers the figures.
    pub fn register(with: &service::metrics::Metrics) -> Self {
        let this = Self {
            answers: Family::default(),
            unread: Counter::default(),
            known: Gauge::default(),
            ends: Gauge::default(),
            rotations: Counter::default(),
        };
        with.register(|r| {
            r.register(
                "admission_answers",
                "Questions of the API server that were answered",
                this.answers.clone(),
            );
            r.register("admission_unread", "Requests that were no question", this.unread.clone());
            r.register(
                "admission_known_resources",
                "Bouncers and networks that are known",
                this.known.clone(),
            );
            r.register(
                "admission_certificate_ends_seconds",
                "When the authority of its own making ends, in seconds since 1970",
                this.ends.clone(),
            );
            r.register("admission_authorities_made", "Authorities this process made", this.rotations.clone());
        });
        this
    }

    pub(crate) fn answered(&self, kind: Option<Kind>, outcome: Outcome) {
        let answer = match outcome {
            Outcome::Allowed => "allowed",
            Outcome::Warned => "warned",
            Outcome::Refused => "refused",
        };
        let kind = kind.map_or("other", Kind::as_str);
        self.answers.get_or_create(&OfAnswer { kind, answer }).inc();
    }

    pub(crate) fn unread(&self) {
        self.unread.inc();
    }

    pub(crate) fn knows(&self, resources: usize) {
        self.known.set(i64::try_from(resources).unwrap_or(i64::MAX));
    }

    pub(crate) fn serves(&self, ends: i64) {
        self.ends.set(ends);
    }

    pub(crate) fn made_authority(&self) {
        self.rotations.inc();
    }
}
