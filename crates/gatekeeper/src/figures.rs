//! What an operator watches: who comes in, who is turned away.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use service::metrics::Metrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    door: &'static str,
    outcome: &'static str,
}

/// Logins, by door and outcome.
#[derive(Clone, Debug)]
pub struct Figures {
    logins: Family<Labels, Counter>,
    sign_ups: Counter,
}

impl Figures {
    pub fn new(metrics: &Metrics) -> Self {
        let (logins, sign_ups) = (Family::default(), Counter::default());
        metrics.register(|registry| {
            registry.register("logins", "Logins, by door and outcome", Family::clone(&logins));
            registry.register("sign_ups", "Accounts made", Counter::clone(&sign_ups));
        });
        Self { logins, sign_ups }
    }

    /// Somebody came to a door (`browser`, `irc`) and was let in or not.
    pub fn login(&self, door: &'static str, let_in: bool) {
        let outcome = if let_in { "let_in" } else { "refused" };
        self.logins.get_or_create(&Labels { door, outcome }).inc();
    }

    /// An account was made.
    pub fn sign_up(&self) {
        self.sign_ups.inc();
    }
}
