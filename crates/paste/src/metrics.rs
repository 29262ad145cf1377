//! What the site counts. No label names a user or a paste.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PutLabels {
    by: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReadLabels {
    from: &'static str,
}

/// The figures. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct PasteMetrics {
    puts: Family<PutLabels, Counter>,
    reads: Family<ReadLabels, Counter>,
    burnt: Counter,
    swept: Counter,
    live: Gauge,
    cached: Gauge,
    reported: Gauge,
}

impl PasteMetrics {
    /// Registers all of them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "paste_puts",
            "Pastes that were to be put up, by whom and how it went",
            self.puts.clone(),
        );
        registry.register(
            "paste_reads",
            "Pastes that were read, from memory or from the database",
            self.reads.clone(),
        );
        registry.register("paste_burnt", "Pastes that were read once", self.burnt.clone());
        registry.register(
            "paste_swept",
            "Pastes that were deleted because their time was over",
            self.swept.clone(),
        );
        registry.register("paste_cached_bytes", "Memory that what is read often takes", self.cached.clone());
        registry.register("paste_live", "Pastes there are", self.live.clone());
        registry.register("paste_reported", "Pastes that wait for a moderator", self.reported.clone());
    }

    /// One was to be put up.
    pub fn put(&self, by_account: bool, outcome: &'static str) {
        let by = if by_account { "account" } else { "nobody" };
        self.puts.get_or_create(&PutLabels { by, outcome }).inc();
    }

    /// One was found.
    pub fn found(&self, in_memory: bool) {
        let from = if in_memory { "memory" } else { "database" };
        self.reads.get_or_create(&ReadLabels { from }).inc();
    }

    /// One was read once.
    pub fn burnt(&self) {
        self.burnt.inc();
    }

    /// So many were over.
    pub fn swept(&self, count: usize) {
        self.swept.inc_by(count as u64);
    }

    /// How many there are, how many wait for a moderator, and how much memory is used for them.
    pub fn state(&self, live: i64, reported: u64, cached: usize) {
        self.cached.set(i64::try_from(cached).unwrap_or(i64::MAX));
        self.live.set(live);
        self.reported.set(i64::try_from(reported).unwrap_or(i64::MAX));
    }
}
