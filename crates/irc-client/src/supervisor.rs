//! Keeps one client connected: attempt, run, wait, again.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::client::{Client, Environment, Event, Events};
use crate::config::{ClientConfig, Tls};
use crate::control::{Control, Order};
use crate::session::{self, Ended, Target};
use crate::sts::StsPolicy;

/// Starts a client. It connects at once and, whatever happens, again and again with growing pauses, until
/// [`Client::quit`] or until every handle is dropped.
pub fn connect(config: ClientConfig, environment: Environment, events: impl Events) -> Client {
    let control = Arc::new(Control::default());
    let supervisor =
        Supervisor { config, environment, control: control.clone(), backoff: Backoff::default() };
    tokio::spawn(supervisor.run(events));
    Client::new(control)
}

struct Supervisor {
    config: ClientConfig,
    environment: Environment,
    control: Arc<Control>,
    backoff: Backoff,
}

impl Supervisor {
    async fn run(mut self, mut events: impl Events) {
        let mut upgrade = None;
        loop {
            if let Some(config) = self.control.take_config() {
                self.config = *config;
            }
            let attempt = self.backoff.failures() + 1;
            events.deliver(Event::Connecting { attempt }).await;
            let ended = self.attempt(upgrade.take(), &mut events).await;
            let order = match ended {
                Ended::Upgrade(port) => {
                    upgrade = Some(port);
                    continue;
                }
                Ended::Ordered(order) => order,
                Ended::Failed(error, registered) => {
                    if registered >= Backoff::STEADY {
                        self.backoff.succeeded();
                    }
                    let pause = self.backoff.failed(error.kind.severity(), rand::random());
                    tracing::debug!(network = %self.config.label, kind = ?error.kind, ?pause, "disconnected");
                    events.deliver(Event::Down { error, retry_in: Some(pause) }).await;
                    tokio::select! {
                        () = sleep(pause) => continue,
                        order = self.control.ordered() => order,
                    }
                }
            };
            match order {
                Order::Quit(_) => break,
                Order::Reconnect(config) => {
                    self.backoff.succeeded();
                    if let Some(config) = config {
                        self.config = *config;
                    }
                }
            }
        }
        events.deliver(Event::Ended).await;
    }

    async fn attempt(&self, upgrade: Option<u16>, events: &mut impl Events) -> Ended {
        let host = self.config.host.to_ascii_lowercase();
        tokio::select! {
            order = self.control.ordered() => return Ended::Ordered(order),
            () = self.environment.limiter.admit(&host) => {}
        }
        let target = target(&self.config, self.environment.sts.policy(&host), upgrade, now());
        let mut demanded = None;
        let ended =
            session::run(&self.config, &self.environment, target, &self.control, events, &mut demanded).await;
        // The time counts from the end of the connection (ircv3 sts, "duration").
        if let Some(seconds) = demanded {
            let until = now().saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX));
            let policy = (seconds > 0).then_some(StsPolicy { port: target.port, until });
            self.environment.sts.keep(&host, policy);
        }
        ended
    }
}

/// Where to connect, given what STS demands.
fn target(config: &ClientConfig, policy: Option<StsPolicy>, upgrade: Option<u16>, now: i64) -> Target {
    let policy = policy.filter(|policy| policy.until > now);
    let port = upgrade.or_else(|| policy.map(|policy| policy.port));
    match (port, config.tls) {
        (None, tls) => Target { port: config.port, tls },
        // The user's own port is a TLS port already.
        (Some(_), tls @ (Tls::Verified | Tls::Pinned(_))) => Target { port: config.port, tls },
        (Some(_), Tls::Unverified) => Target { port: config.port, tls: Tls::Verified },
        (Some(port), Tls::Off) => Target { port, tls: Tls::Verified },
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(tls: Tls) -> ClientConfig {
        ClientConfig { tls, ..ClientConfig::new("Net", "irc.test", 6667, "a") }
    }

    #[test]
    fn a_policy_in_force_never_lets_go_back_to_the_clear() {
        let policy = Some(StsPolicy { port: 6697, until: 100 });
        let strict = Target { port: 6697, tls: Tls::Verified };
        assert_eq!(target(&config(Tls::Off), policy, None, 99), strict);
        assert_eq!(target(&config(Tls::Off), None, Some(6697), 99), strict);
        assert_eq!(target(&config(Tls::Off), policy, None, 100), Target { port: 6667, tls: Tls::Off });
        assert_eq!(target(&config(Tls::Unverified), policy, None, 99).tls, Tls::Verified);
        let pinned = Tls::Pinned([1; 32]);
        assert_eq!(target(&config(pinned), policy, None, 99), Target { port: 6667, tls: pinned });
    }
}
