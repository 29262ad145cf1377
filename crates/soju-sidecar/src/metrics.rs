//! Figures soju does not export. Labels are bounded: a state of a network, nothing that names a person.

use std::collections::BTreeMap;

use crds::sidecar::SidecarState;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use service::metrics::Metrics;

use crate::admin::status::NetworkState;
use crate::rows::Pruned;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// The sidecar's own figures.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    answering: Gauge,
    users: Gauge,
    downstreams: Gauge,
    upstreams: Gauge,
    networks: Gauge,
    by_state: Family<StateLabel, Gauge>,
    storage: Gauge,
    oldest: Gauge,
    over_quota: Gauge,
    seeded: Gauge,
    restart_required: Gauge,
    /// Passes over users and networks.
    pub passes: Counter,
    /// Things a pass could not do.
    pub seed_failures: Counter,
    /// Reloads asked for.
    pub restarts_seen: Counter,
    pruned: Counter,
    prune_batches: Counter,
    /// Prunings that did not come to their end.
    pub prune_failures: Counter,
}

impl Figures {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            let sub = registry.sub_registry_with_prefix("soju");
            for (name, help, gauge) in [
                ("answering", "1 while the admin socket answers", &own.answering),
                ("users", "Users", &own.users),
                ("downstreams", "Connected clients", &own.downstreams),
                ("upstreams", "Connected networks", &own.upstreams),
                ("networks", "Networks", &own.networks),
                ("storage_bytes", "Bytes of messages", &own.storage),
                ("oldest_message_timestamp_seconds", "When the oldest message was said", &own.oldest),
                ("over_quota", "1 while messages take more than the plan allows", &own.over_quota),
                ("seeded", "1 while every user and network of the resource is made", &own.seeded),
                ("restart_required", "1 while a change waits for a restart", &own.restart_required),
            ] {
                sub.register(name, help, gauge.clone());
            }
            for (name, help, counter) in [
                ("seed_passes", "Passes over users and networks", &own.passes),
                ("seed_failures", "Things a pass could not do", &own.seed_failures),
                ("starts_seen", "Starts of soju that were seen", &own.restarts_seen),
                ("pruned_messages", "Messages deleted because of their age", &own.pruned),
                ("prune_batches", "Statements that deleted messages", &own.prune_batches),
                ("prune_failures", "Prunings that did not come to their end", &own.prune_failures),
            ] {
                sub.register(name, help, counter.clone());
            }
            let help = "Networks by state, of at most 50 users";
            sub.register("networks_by_state", help, own.by_state.clone());
        });
        own
    }

    /// Shows a state.
    pub fn show(&self, state: &SidecarState) {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.answering.set(state.answering.into());
        self.users.set(whole(state.users));
        self.downstreams.set(whole(state.downstreams));
        self.upstreams.set(whole(state.upstreams));
        self.networks.set(whole(state.networks));
        self.storage.set(whole(state.storage_bytes.unwrap_or_default()));
        self.oldest.set(state.oldest_message.unwrap_or_default());
        self.over_quota.set(state.over_quota.into());
        self.seeded.set(state.seeded.into());
        self.restart_required.set((!state.restart_required.is_empty()).into());
    }

    /// Shows how many networks are in each state.
    pub fn show_networks(&self, counts: &BTreeMap<NetworkState, i64>) {
        for (state, label) in [
            (NetworkState::Connected, "connected"),
            (NetworkState::Disconnected, "disconnected"),
            (NetworkState::Disabled, "disabled"),
        ] {
            let count = counts.get(&state).copied().unwrap_or_default();
            self.by_state.get_or_create_owned(&StateLabel { state: label }).set(count);
        }
    }

    /// Counts what was deleted.
    pub fn count_pruned(&self, batch: Pruned) {
        self.pruned.inc_by(batch.messages);
        self.prune_batches.inc_by(batch.batches);
    }
}
