//! What a door counts. Labels are listener names and fixed words only.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// A door's figures. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct DoorMetrics {
    pub(crate) connections: Family<Listener, Gauge>,
    pub(crate) accepted: Family<Listener, Counter>,
    pub(crate) refused: Family<Reason, Counter>,
    pub(crate) closed: Family<Reason, Counter>,
    pub(crate) logins: Family<Login, Counter>,
    pub(crate) lines_in: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) writes: Counter,
    pub(crate) lagged: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Listener {
    pub listener: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Reason {
    pub reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Login {
    pub mechanism: &'static str,
    pub result: &'static str,
}

impl DoorMetrics {
    /// Counts a connection in; the gauge is to go down when it ends.
    pub(crate) fn opened(&self, listener: &str) -> Gauge {
        let label = Listener { listener: listener.to_owned() };
        self.accepted.get_or_create(&label).inc();
        let gauge = self.connections.get_or_create(&label).clone();
        gauge.inc();
        gauge
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn closed(&self, reason: &'static str) {
        self.closed.get_or_create(&Reason { reason }).inc();
    }

    /// Registers every figure, to be called with a registry that has the prefix it wants (`ircnow_door`).
    pub fn register(&self, registry: &mut Registry) {
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register("accepted", "Connections taken in", self.accepted.clone());
        registry.register("refused", "Connections refused before registration", self.refused.clone());
        registry.register("closed", "Connections that ended, by reason", self.closed.clone());
        registry.register("logins", "Finished logins", self.logins.clone());
        registry.register("lines_in", "Lines clients sent", self.lines_in.clone());
        registry.register("bytes_in", "Bytes clients sent", self.bytes_in.clone());
        registry.register("bytes_out", "Bytes written to clients", self.bytes_out.clone());
        registry.register(
            "writes",
            "Write calls, each for one connection and input batch",
            self.writes.clone(),
        );
        registry.register("lagged", "Times a connection fell behind", self.lagged.clone());
    }
}
