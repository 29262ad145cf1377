//! The account's networks: which are to be connected, and what the portal sees of each.

use std::collections::VecDeque;

use bouncer_core::{self as core, Input, NetworkSetup, UpstreamState};
use contracts::{Network, NetworkId, NetworkState, Phase, Sasl, SavedChannel, Status, Sub, Tls};
use entitlements::{Amount, Limit};
use history::{AccountId, History, Kinds, StreamId};

use super::actor::Actor;
use super::requests::Now;
use super::streams::Stream;
use super::upstream::Upstream;
use crate::log;
use crate::store::NetworkRow;

/// Round trips shown: an hour of one a minute.
const LAG_SAMPLES: usize = 60;

/// One network of the account.
pub(super) struct Net {
    pub row: NetworkRow,
    pub stream: Stream,
    pub upstream: Option<Upstream>,
    pub phase: Phase,
    since: i64,
    state: UpstreamState,
    /// Why it is off, where the user may not know.
    off: Option<Off>,
    lag_ms: VecDeque<u32>,
}

/// Why a network that is wanted is not connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Off {
    pub words: String,
    pub needs_user: bool,
}

/// What the log knows of a network.
#[derive(Debug, Default)]
pub(super) struct Kept {
    markers: Vec<(Vec<u8>, i64)>,
    queries: Vec<(Vec<u8>, i64)>,
    newest: Option<core::Cursor>,
    missing_since_ms: Option<i64>,
}

/// Reads what the log knows of a network.
pub(super) async fn kept(history: &History, sub: Sub, id: NetworkId) -> history::Result<Kept> {
    let (account, stream) = (AccountId(sub.0), StreamId(id.0));
    let markers = history.read_markers(account, stream).await?;
    let targets = history.targets(account, stream, (i64::MIN, i64::MAX), Kinds::ALL, 1_000).await?;
    let newest_ms = targets.iter().map(|target| target.latest_ms).max().unwrap_or_default();
    let newest = history.latest_position(account, stream).await?;
    let gaps = log::gaps(history, account, stream).await?;
    Ok(Kept {
        missing_since_ms: core::missing_since(gaps.iter()),
        markers: markers.into_iter().map(|(buffer, ts_ms)| (buffer.0.to_vec(), ts_ms)).collect(),
        queries: targets.into_iter().map(|target| (target.buffer.0.to_vec(), target.latest_ms)).collect(),
        newest: newest.map(|position| core::Cursor { position: log::position(position), ts_ms: newest_ms }),
    })
}

/// A deleted network as the portal sees it while the deletion can be undone.
pub fn deleted(row: NetworkRow) -> Network {
    Net::new(row).shown()
}

/// A network as the core needs to know it.
pub(super) fn setup(row: &NetworkRow, kept: Kept) -> NetworkSetup {
    let spec = &row.spec;
    NetworkSetup {
        id: core::NetworkId(row.id.0),
        name: spec.name.clone(),
        host: spec.host.clone(),
        port: spec.port,
        tls: spec.tls != Tls::Off,
        nick: spec.nick.clone(),
        realname: spec.realname.clone(),
        sasl_account: match &spec.sasl {
            Sasl::Password { account, .. } => Some(account.clone()),
            Sasl::None | Sasl::External { .. } => None,
        },
        enabled: spec.enabled,
        channels: spec.channels.iter().map(to_core).collect(),
        on_connect: spec.on_connect.clone(),
        markers: kept.markers,
        queries: kept.queries,
        newest: kept.newest,
        missing_since_ms: kept.missing_since_ms,
    }
}

fn to_core(channel: &SavedChannel) -> core::SavedChannel {
    core::SavedChannel { name: channel.name.clone(), key: channel.key.clone() }
}

/// Whether the connection has to be made anew for what changed.
fn needs_reconnect(before: &NetworkRow, after: &NetworkRow) -> bool {
    let (a, b) = (&before.spec, &after.spec);
    let secrets = |row: &NetworkRow| {
        (
            row.private.server_password.clone(),
            row.private.sasl_password.clone(),
            row.private.certificate.clone(),
        )
    };
    (&a.host, a.port, &a.tls, &a.sasl) != (&b.host, b.port, &b.tls, &b.sasl)
        || secrets(before) != secrets(after)
}

impl Net {
    pub fn new(row: NetworkRow) -> Self {
        Self {
            row,
            stream: Stream::default(),
            upstream: None,
            phase: Phase::Off,
            since: service::clock::now_s(),
            state: UpstreamState::default(),
            off: None,
            lag_ms: VecDeque::new(),
        }
    }

    pub fn phase_label(&self) -> &'static str {
        match self.phase {
            Phase::Off => "off",
            Phase::Connecting => "connecting",
            Phase::Connected => "connected",
            Phase::Waiting { .. } => "waiting",
        }
    }

    fn shown(&self) -> Network {
        let connected = self.phase == Phase::Connected;
        let off = self.off.as_ref().filter(|_| self.phase == Phase::Off);
        Network {
            id: self.row.id,
            spec: self.row.spec.clone(),
            state: NetworkState {
                phase: self.phase.clone(),
                since: self.since,
                nick: self.state.nick.clone().filter(|_| connected),
                channels: if connected { self.state.channels } else { 0 },
                lag_ms: self.lag_ms.iter().copied().collect(),
                last_error: off.map(|off| off.words.clone()).or_else(|| self.state.last_error.clone()),
                needs_user: off.map_or(self.state.needs_user, |off| off.needs_user),
            },
            version: self.row.version,
            created_at: self.row.created_at_us / 1_000_000,
            deleted_at: self.row.deleted_at_us.map(|us| us / 1_000_000),
        }
    }
}

impl Actor {
    /// The rows of a network were read again. `None`: it is gone.
    pub(super) fn apply_row(&mut self, id: NetworkId, now: Now) {
        let Some((row, kept)) = now.map(|now| *now) else {
            self.remove_network(id);
            return;
        };
        let reconnect = match self.networks.get_mut(&id) {
            Some(net) if row.version < net.row.version => return,
            Some(net) => {
                let reconnect = needs_reconnect(&net.row, &row);
                net.row = row.clone();
                reconnect
            }
            None => {
                let net = Net::new(row.clone());
                self.context.metrics.upstream_moved(None, Some(net.phase_label()));
                self.networks.insert(id, net);
                false
            }
        };
        self.input(Input::Network(Box::new(setup(&row, kept))));
        self.configure_from_row(id);
        self.reconcile(id, reconnect);
        // Another network may have come within the plan, or gone over it.
        self.reconcile_all();
    }

    fn remove_network(&mut self, id: NetworkId) {
        let Some(net) = self.networks.get_mut(&id) else { return };
        if let Some(upstream) = net.upstream.take() {
            upstream.client.quit("Leaving");
        }
        self.input(Input::NetworkGone { network: core::NetworkId(id.0) });
        if let Some(net) = self.networks.remove(&id) {
            self.context.metrics.upstream_moved(Some(net.phase_label()), None);
        }
        self.resident.board.remove_network(id);
        self.reconcile_all();
    }

    /// Brings every network to where it is to be.
    pub(super) fn reconcile_all(&mut self) {
        let ids: Vec<NetworkId> = self.networks.keys().copied().collect();
        for id in ids {
            self.reconcile(id, false);
        }
    }

    /// Connects, disconnects or leaves alone, as account, plan and user want it.
    pub(super) fn reconcile(&mut self, id: NetworkId, reconnect: bool) {
        if self.stopping() {
            return;
        }
        let off = self.off(id);
        let Some(net) = self.networks.get_mut(&id) else { return };
        match (off, &net.upstream) {
            (None, None) => self.connect(id),
            (None, Some(_)) if reconnect => self.reconnect_with_row(id),
            (None, Some(_)) => {}
            (Some(off), upstream) => {
                let was_on = upstream.is_some();
                if let Some(upstream) = net.upstream.take() {
                    upstream.client.quit("Leaving");
                }
                let words = off.words.clone();
                let needs_user = off.needs_user;
                net.off = Some(off);
                if was_on {
                    self.input(Input::UpstreamDown {
                        network: core::NetworkId(id.0),
                        reason: &words,
                        needs_user,
                    });
                }
                self.moved(id, Phase::Off);
            }
        }
        self.publish(id);
    }

    /// Why a network is not to be connected, if it is not.
    fn off(&self, id: NetworkId) -> Option<Off> {
        let net = self.networks.get(&id)?;
        let off = |words: &str, needs_user| Some(Off { words: words.to_owned(), needs_user });
        let spec = &net.row.spec;
        if self.account.status != Status::Active {
            return off(super::actor::SUSPENDED, false);
        }
        if !spec.enabled {
            return off("You switched this network off.", false);
        }
        if let Amount::AtMost(allowed) = self.account.limits.get(Limit::Networks) {
            let older = self.networks.values().filter(|other| other.age() < net.age()).count();
            if older as u64 >= allowed {
                return Some(Off {
                    words: format!(
                        "Your plan allows {}, and this one is over it. What was said here stays readable. Remove another network, or change your plan.",
                        Amount::AtMost(allowed).words(Limit::Networks.unit())
                    ),
                    needs_user: true,
                });
            }
        }
        if !self.account.may_dial_out && !self.context.guard.allows(&spec.host, spec.port) {
            return off(
                "Confirm your e-mail address first: the link is in your mail. Then this network connects.",
                true,
            );
        }
        None
    }

    /// The core says what the portal is to show.
    pub(super) fn core_state(&mut self, id: NetworkId, state: UpstreamState) {
        if let Some(net) = self.networks.get_mut(&id) {
            net.state = state;
            self.publish(id);
        }
    }

    pub(super) fn moved(&mut self, id: NetworkId, phase: Phase) {
        let Some(net) = self.networks.get_mut(&id) else { return };
        if net.phase == phase {
            return;
        }
        let before = net.phase_label();
        net.phase = phase;
        net.since = service::clock::now_s();
        if net.phase != Phase::Off {
            net.off = None;
        }
        self.context.metrics.upstream_moved(Some(before), Some(net.phase_label()));
        self.publish(id);
    }

    pub(super) fn lag(&mut self, id: NetworkId, took: std::time::Duration) {
        let Some(net) = self.networks.get_mut(&id) else { return };
        if net.lag_ms.len() == LAG_SAMPLES {
            net.lag_ms.pop_front();
        }
        net.lag_ms.push_back(u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
        self.publish(id);
    }

    pub(super) fn publish(&self, id: NetworkId) {
        if let Some(net) = self.networks.get(&id) {
            self.resident.board.set_network(net.shown());
        }
    }
}

impl Net {
    /// What is over the plan is what came last.
    fn age(&self) -> (i64, NetworkId) {
        (self.row.created_at_us, self.row.id)
    }
}
