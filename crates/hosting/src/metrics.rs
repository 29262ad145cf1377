//! What hosting counts. No label names a user or a network.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MoveLabels {
    direction: &'static str,
    outcome: &'static str,
}

/// Where an account is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To its own bouncer.
    In,
    /// To the shared one.
    Out,
}

/// Hosting's figures. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct HostingMetrics {
    moves: Family<MoveLabels, Counter>,
    seconds: Histogram,
}

impl Default for HostingMetrics {
    fn default() -> Self {
        Self {
            moves: Family::default(),
            seconds: Histogram::new([0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 1_800.0]),
        }
    }
}

impl HostingMetrics {
    /// Shows them.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("hosting");
        registry.register(
            "moves",
            "Accounts carried to a dedicated bouncer (in) and back (out)",
            self.moves.clone(),
        );
        registry.register(
            "move_seconds",
            "Seconds an account was held while it was carried",
            self.seconds.clone(),
        );
    }

    /// An account was carried, or not.
    pub fn moved(&self, direction: Direction, done: bool, took: Duration) {
        let direction = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        let outcome = if done { "done" } else { "failed" };
        self.moves.get_or_create(&MoveLabels { direction, outcome }).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}
