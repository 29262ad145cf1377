//! Figures of an operator. Labels are static: a kind, a label of an error, never a name.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOperator {
    operator: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfError {
    operator: &'static str,
    error: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfWrite {
    operator: &'static str,
    verb: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStore {
    operator: &'static str,
    of: &'static str,
}

/// The figures of one operator. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Metrics {
    operator: &'static str,
    durations: Family<OfOperator, Histogram, fn() -> Histogram>,
    delays: Family<OfOperator, Histogram, fn() -> Histogram>,
    errors: Family<OfError, Counter>,
    in_flight: Family<OfOperator, Gauge>,
    due: Family<OfOperator, Gauge>,
    writes: Family<OfWrite, Counter>,
    held_back: Family<OfOperator, Counter>,
    store: Family<OfStore, Gauge>,
    undecodable: Family<OfOperator, Gauge>,
    leading: Family<OfOperator, Gauge>,
    restarts: Family<OfWrite, Counter>,
}

fn seconds() -> Histogram {
    Histogram::new([0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}

impl Metrics {
    /// Registers the figures of an operator.
    pub fn register(operator: &'static str, with: &service::metrics::Metrics) -> Self {
        let histogram = || Family::new_with_constructor(seconds as fn() -> Histogram);
        let this = Self {
            operator,
            durations: histogram(),
            delays: histogram(),
            errors: Family::default(),
            in_flight: Family::default(),
            due: Family::default(),
            writes: Family::default(),
            held_back: Family::default(),
            store: Family::default(),
            undecodable: Family::default(),
            leading: Family::default(),
            restarts: Family::default(),
        };
        with.register(|r| {
            r.register(
                "operator_reconcile_duration_seconds",
                "Time of one look at one resource",
                this.durations.clone(),
            );
            r.register(
                "operator_queue_delay_seconds",
                "Time from when a resource was due until it was looked at",
                this.delays.clone(),
            );
            r.register(
                "operator_reconcile_errors",
                "Looks that did not come to their end",
                this.errors.clone(),
            );
            r.register("operator_reconciles_in_flight", "Resources being looked at", this.in_flight.clone());
            r.register("operator_resources_due", "Resources that are due", this.due.clone());
            r.register("operator_writes", "Writes to the API server", this.writes.clone());
            r.register(
                "operator_writes_held_back",
                "Writes that were not made because the lease was gone",
                this.held_back.clone(),
            );
            r.register("operator_store_objects", "Objects in memory", this.store.clone());
            r.register("operator_undecodable", "Resources that cannot be read", this.undecodable.clone());
            r.register("operator_leading", "1 while this process holds the lease", this.leading.clone());
            r.register("operator_watch_errors", "Watches that broke", this.restarts.clone());
        });
        this
    }

    fn of(&self) -> OfOperator {
        OfOperator { operator: self.operator }
    }

    pub(crate) fn begun(&self, delay: Duration) {
        self.delays.get_or_create(&self.of()).observe(delay.as_secs_f64());
        self.in_flight.get_or_create(&self.of()).inc();
    }

    pub(crate) fn ended(&self, took: Duration, error: Option<&'static str>) {
        self.in_flight.get_or_create(&self.of()).dec();
        self.durations.get_or_create(&self.of()).observe(took.as_secs_f64());
        if let Some(error) = error {
            self.errors.get_or_create(&OfError { operator: self.operator, error }).inc();
        }
    }

    pub(crate) fn wrote(&self, verb: &'static str, kind: &'static str) {
        self.writes.get_or_create(&OfWrite { operator: self.operator, verb, kind }).inc();
    }

    pub(crate) fn held_back(&self) {
        self.held_back.get_or_create(&self.of()).inc();
    }

    pub(crate) fn watch_broke(&self, kind: &'static str) {
        self.restarts.get_or_create(&OfWrite { operator: self.operator, verb: "watch", kind }).inc();
    }

    pub(crate) fn sizes(&self, roots: usize, children: usize, due: usize, leading: bool) {
        let gauge = |of| self.store.get_or_create_owned(&OfStore { operator: self.operator, of });
        gauge("resources").set(i64::try_from(roots).unwrap_or(i64::MAX));
        gauge("children").set(i64::try_from(children).unwrap_or(i64::MAX));
        self.due.get_or_create(&self.of()).set(i64::try_from(due).unwrap_or(i64::MAX));
        self.leading.get_or_create(&self.of()).set(i64::from(leading));
    }

    pub(crate) fn undecodable(&self, count: usize) {
        self.undecodable.get_or_create(&self.of()).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// How many writes were made, over all kinds: for tests and benches.
    pub fn writes(&self, verb: &'static str, kind: &'static str) -> u64 {
        self.writes.get_or_create(&OfWrite { operator: self.operator, verb, kind }).get()
    }
}
