//! The account's upstream connections. Each is a task of irc-client's; here it is started, told and listened to.

use std::sync::Arc;

use bouncer_core::{self as core, Input};
use bytes::Bytes;
use contracts::{NetworkId, Phase, Sasl, Sub, Tls};
use irc_client::{Client, ClientCertificate, ClientConfig, Environment, Event, Events, SendError, Severity};
use secrecy::SecretString;
use tokio::sync::mpsc;

use super::Msg;
use super::actor::Actor;
use crate::store::NetworkRow;

/// A running upstream connection.
pub(super) struct Upstream {
    pub client: Client,
    /// Told from an earlier connection of the same network, whose last events may still be under way.
    generation: u64,
}

struct ToMailbox {
    mailbox: mpsc::Sender<Msg>,
    network: NetworkId,
    generation: u64,
}

impl Events for ToMailbox {
    async fn deliver(&mut self, event: Event) {
        // An account that is gone wants nothing more.
        let _ = self.mailbox.send(Msg::Upstream(self.network, self.generation, event)).await;
    }
}

impl Actor {
    pub(super) fn connect(&mut self, id: NetworkId) {
        let Some(net) = self.networks.get_mut(&id) else { return };
        let generation = self.next_generation;
        self.next_generation += 1;
        let environment = Environment {
            dialer: Arc::clone(&self.context.dialer),
            limiter: Arc::clone(&self.context.limiter),
            sts: self.sts.clone(),
            roots: Arc::clone(&self.context.roots),
        };
        let events = ToMailbox { mailbox: self.resident.mailbox(), network: id, generation };
        let client = irc_client::connect(config(&net.row), environment, events);
        net.upstream = Some(Upstream { client, generation });
        self.moved(id, Phase::Connecting);
    }

    /// Connects now, whatever the back-off says. `false` if there is no such network.
    pub(super) fn reconnect(&mut self, id: NetworkId) -> bool {
        if !self.networks.contains_key(&id) {
            return false;
        }
        self.reconcile(id, true);
        true
    }

    pub(super) fn reconnect_with_row(&mut self, id: NetworkId) {
        if let Some(net) = self.networks.get(&id)
            && let Some(upstream) = &net.upstream
        {
            upstream.client.reconnect(Some(config(&net.row)));
        }
    }

    /// What changed and needs no new connection holds from the next one on.
    pub(super) fn configure_from_row(&self, id: NetworkId) {
        if let Some(net) = self.networks.get(&id)
            && let Some(upstream) = &net.upstream
        {
            upstream.client.configure(config(&net.row));
        }
    }

    pub(super) fn drop_upstreams(&mut self, reason: &str) {
        for net in self.networks.values_mut() {
            if let Some(upstream) = net.upstream.take() {
                upstream.client.quit(reason);
            }
        }
    }

    pub(super) fn send_upstream(&mut self, id: NetworkId, lines: &Bytes) {
        let Some(upstream) = self.networks.get(&id).and_then(|net| net.upstream.as_ref()) else { return };
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            match upstream.client.send(lines.slice_ref(line)) {
                Ok(()) => self.context.metrics.lines_out.inc(),
                Err(SendError::Full) => {
                    *self.unsent.entry(id).or_default() += 1;
                    self.context.metrics.lines_dropped.inc()
                }
                Err(SendError::NotConnected) => return,
            };
        }
    }

    pub(super) fn upstream_event(&mut self, id: NetworkId, generation: u64, event: Event) {
        let Some(net) = self.networks.get_mut(&id) else { return };
        if net.upstream.as_ref().is_none_or(|upstream| upstream.generation != generation) {
            return;
        }
        let network = core::NetworkId(id.0);
        match event {
            Event::Connecting { .. } => {
                if net.phase == Phase::Connected {
                    self.input(Input::UpstreamDown {
                        network,
                        reason: "Connecting anew.",
                        needs_user: false,
                    });
                }
                self.moved(id, Phase::Connecting);
                self.input(Input::UpstreamConnecting { network });
            }
            Event::Registered(registered) => {
                self.moved(id, Phase::Connected);
                let caps = crate::caps::inward(registered.caps);
                self.input(Input::UpstreamUp { network, nick: registered.nick.as_bytes(), caps });
            }
            Event::Lines(lines) => {
                self.context.metrics.lines_in.inc_by(lines.len() as u64);
                for line in &lines {
                    self.input(Input::UpstreamLine { network, line });
                }
            }
            Event::Lag(took) => self.lag(id, took),
            Event::Down { error, retry_in } => {
                let phase = retry_in.map_or(Phase::Off, |wait| Phase::Waiting {
                    until: service::clock::now_s() + i64::try_from(wait.as_secs()).unwrap_or(i64::MAX / 2),
                });
                let needs_user = retry_in.is_none() || error.kind.severity() == Severity::Pointless;
                self.moved(id, phase);
                self.input(Input::UpstreamDown { network, reason: &error.text, needs_user });
            }
            Event::Ended => {
                net.upstream = None;
                self.moved(id, Phase::Off);
                self.input(Input::UpstreamDown { network, reason: "Disconnected.", needs_user: false });
            }
        }
    }
}

fn config(row: &NetworkRow) -> ClientConfig {
    let spec = &row.spec;
    let private = &row.private;
    let mut config = ClientConfig::new(&spec.name, &spec.host, spec.port, &spec.nick);
    config.tls = match &spec.tls {
        Tls::Verified => irc_client::Tls::Verified,
        Tls::Pinned { fingerprint } => {
            fingerprint_bytes(fingerprint).map_or(irc_client::Tls::Verified, irc_client::Tls::Pinned)
        }
        Tls::Unverified => irc_client::Tls::Unverified,
        Tls::Off => irc_client::Tls::Off,
    };
    config.certificate =
        private.certificate.as_ref().filter(|_| matches!(spec.sasl, Sasl::External { .. })).map(|kept| {
            Arc::new(ClientCertificate {
                chain: vec![kept.certificate.clone().into()],
                key: rustls::pki_types::PrivatePkcs8KeyDer::from(kept.key.clone()).into(),
            })
        });
    config.ident = ident(row.sub);
    if !spec.realname.is_empty() {
        config.realname = spec.realname.clone();
    }
    config.server_password = private.server_password.clone().map(SecretString::from);
    config.sasl = match (&spec.sasl, &private.sasl_password) {
        (Sasl::Password { account, .. }, Some(password)) => irc_client::Sasl::Password {
            account: account.clone(),
            password: SecretString::from(password.clone()),
        },
        (Sasl::External { .. }, _) => irc_client::Sasl::External,
        (Sasl::None | Sasl::Password { .. }, _) => irc_client::Sasl::None,
    };
    config.wanted = crate::caps::outward(core::WANTED_UPSTREAM);
    config
}

/// The account's ident: the same for ever on every network, so that one user can be banned without the others; it
/// says nothing else about the account.
fn ident(sub: Sub) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, sub.0.as_bytes());
    let letters = digest
        .as_ref()
        .iter()
        .take(8)
        .map(|byte| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(byte % 32)]));
    std::iter::once('u').chain(letters).collect()
}

fn fingerprint_bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    (hex.len() == 64).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_ident_is_stable_short_and_differs_between_accounts() {
        let one = ident(Sub(Uuid::from_u128(1)));
        assert_eq!(one, ident(Sub(Uuid::from_u128(1))));
        assert_ne!(one, ident(Sub(Uuid::from_u128(2))));
        assert_eq!(one.len(), 9);
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric()));
    }

    #[test]
    fn a_fingerprint_is_read_whole_or_not_at_all() {
        assert_eq!(fingerprint_bytes(&"0f".repeat(32)), Some([15; 32]));
        assert_eq!(fingerprint_bytes(&"0f".repeat(31)), None);
        assert_eq!(fingerprint_bytes(&"zz".repeat(32)), None);
    }
}
