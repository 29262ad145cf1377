//! What the bouncer counts. No label names a user, a network or a host.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

/// The bouncer's figures. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct BouncerMetrics {
    /// Accounts held in memory.
    pub users: Gauge,
    upstreams: Family<PhaseLabel, Gauge>,
    /// Connections of devices.
    pub devices: Gauge,
    /// Lines that upstreams sent.
    pub lines_in: Counter,
    /// Lines sent to upstreams.
    pub lines_out: Counter,
    /// Lines to upstreams that were dropped because too many waited.
    pub lines_dropped: Counter,
    /// Seconds from handing an append to history to its answer.
    pub append_seconds: Histogram,
    /// Appends that history did not take.
    pub appends_refused: Counter,
    /// Entries that wait for history.
    pub appends_waiting: Gauge,
    /// Messages that wait in the mailboxes of accounts, as seen when they were last emptied.
    pub mailbox: Histogram,
    /// Accounts' tasks that panicked and were started again.
    pub panics: Counter,
}

impl Default for BouncerMetrics {
    fn default() -> Self {
        Self {
            users: Gauge::default(),
            upstreams: Family::default(),
            devices: Gauge::default(),
            lines_in: Counter::default(),
            lines_out: Counter::default(),
            lines_dropped: Counter::default(),
            append_seconds: Histogram::new([
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
            ]),
            appends_refused: Counter::default(),
            appends_waiting: Gauge::default(),
            mailbox: Histogram::new([1.0, 4.0, 16.0, 64.0, 256.0]),
            panics: Counter::default(),
        }
    }
}

impl BouncerMetrics {
    /// Registers every figure under `bouncer_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("bouncer");
        registry.register("users", "Accounts held in memory", self.users.clone());
        registry.register("upstreams", "Upstream connections by phase", self.upstreams.clone());
        registry.register("devices", "Connections of devices", self.devices.clone());
        registry.register("lines_in", "Lines that upstreams sent", self.lines_in.clone());
        registry.register("lines_out", "Lines sent to upstreams", self.lines_out.clone());
        registry.register(
            "lines_dropped",
            "Lines to upstreams that found the queue full",
            self.lines_dropped.clone(),
        );
        registry.register(
            "append_seconds",
            "Time until history answered an append",
            self.append_seconds.clone(),
        );
        registry.register(
            "appends_refused",
            "Appends that history did not take",
            self.appends_refused.clone(),
        );
        registry.register("appends_waiting", "Entries that wait for history", self.appends_waiting.clone());
        registry.register(
            "mailbox",
            "Messages taken from an account's mailbox at once",
            self.mailbox.clone(),
        );
        registry.register("panics", "Tasks of accounts that were started again", self.panics.clone());
    }

    /// An upstream went from one phase to another; `None` is before the first and after the last.
    pub fn upstream_moved(&self, from: Option<&'static str>, to: Option<&'static str>) {
        if from == to {
            return;
        }
        if let Some(phase) = from {
            self.upstreams.get_or_create(&PhaseLabel { phase }).dec();
        }
        if let Some(phase) = to {
            self.upstreams.get_or_create(&PhaseLabel { phase }).inc();
        }
    }
}
