//! A hosted network as its row and its page say it.

use contracts::{HostedAccess, HostedAddress, HostedNetwork, HostedPhase};
use entitlements::Amount;
use service::view::{self, Moment};

use crate::words::sentence;

/// A hosted network, in words.
pub(crate) struct HostedRow {
    pub id: String,
    pub name: String,
    pub hostname: String,
    /// The class of the words and the dot: "ok", "warn", "bad" or "muted".
    pub kind: &'static str,
    /// "Running", "Starting", "Suspended", "It does not start".
    pub phase: &'static str,
    /// Since when.
    pub since: Moment,
    /// "3 of 50 people, 12 channels", while it runs.
    pub used: Option<String>,
    /// What else is to be said.
    pub detail: Option<String>,
    /// What runs it.
    pub software: Option<String>,
    /// Who gets in.
    pub access: &'static str,
    /// Where clients connect.
    pub addresses: Vec<AddressRow>,
    /// Where web clients connect.
    pub websocket: Option<String>,
    /// What a client is told: host and port of the safest address.
    pub command: Option<String>,
    /// What becomes of what was said.
    pub history: Option<&'static str>,
}

/// An address clients connect to.
pub(crate) struct AddressRow {
    pub text: String,
    pub tls: bool,
}

impl HostedRow {
    /// The network at `now`.
    pub fn new(network: &HostedNetwork, now: i64) -> Self {
        let state = &network.state;
        let (kind, phase) = match state.phase {
            HostedPhase::Starting => ("warn", "Starting"),
            HostedPhase::Ready => ("ok", "Running"),
            HostedPhase::Suspended => ("muted", "Suspended"),
            HostedPhase::Failing => ("bad", "It does not run"),
        };
        let runs = state.phase == HostedPhase::Ready;
        Self {
            id: network.id.to_string(),
            name: network.spec.name.clone(),
            hostname: network.hostname.clone(),
            kind,
            phase,
            since: Moment::new(state.since, now),
            used: runs.then(|| used(network)),
            detail: state.detail.as_deref().map(sentence),
            software: state.software.clone(),
            access: match network.spec.access {
                HostedAccess::Open => "Everybody may connect.",
                HostedAccess::AccountsOnly => "Everybody with an account on it may connect.",
                HostedAccess::MembersOnly => "Members of this irc.now may connect, with an app password.",
            },
            addresses: state
                .addresses
                .iter()
                .map(|address| AddressRow { text: text(address), tls: address.tls })
                .collect(),
            websocket: state.websocket.clone(),
            command: state.addresses.first().map(command),
            history: state.keeps_history.map(history),
        }
    }
}

fn used(network: &HostedNetwork) -> String {
    let state = &network.state;
    let people = match network.users_allowed {
        Amount::Unlimited => view::count(state.users, "person", "people"),
        Amount::AtMost(most) => format!("{} of {} people", view::grouped(state.users), view::grouped(most)),
    };
    format!("{people}, {}", view::count(state.channels, "channel", "channels"))
}

fn text(address: &HostedAddress) -> String {
    crate::parts::address(&address.host, address.port)
}

fn history(kept: bool) -> &'static str {
    if kept {
        "What is said in registered channels is kept when the server starts anew."
    } else {
        "What was said is gone when the server stops: it was built without a database for history."
    }
}

/// What is typed into irssi, the client everybody has.
fn command(address: &HostedAddress) -> String {
    let tls = if address.tls { "-tls " } else { "" };
    format!("/connect {tls}{} {}", address.host, address.port)
}

#[cfg(test)]
mod tests {
    use contracts::{HostedId, HostedSpec, HostedState};
    use uuid::Uuid;

    use super::*;

    fn network(phase: HostedPhase, users_allowed: Amount) -> HostedNetwork {
        HostedNetwork {
            id: HostedId(Uuid::nil()),
            spec: HostedSpec {
                name: "pixels".into(),
                access: HostedAccess::Open,
                motd: String::new(),
                operators: Vec::new(),
            },
            hostname: "pixels.net.example".into(),
            suspended: false,
            users_allowed,
            state: HostedState {
                phase,
                since: 0,
                detail: Some("Something to say".into()),
                addresses: vec![HostedAddress { host: "localhost".into(), port: 6697, tls: true }],
                websocket: None,
                users: 3,
                channels: 1,
                software: None,
                keeps_history: None,
            },
            version: 1,
            created_at: 0,
            deleted_at: None,
        }
    }

    #[test]
    fn how_full_it_is_is_said_only_while_it_runs() {
        let row = HostedRow::new(&network(HostedPhase::Ready, Amount::AtMost(50)), 10);
        assert_eq!(row.used.as_deref(), Some("3 of 50 people, 1 channel"));
        assert_eq!(row.command.as_deref(), Some("/connect -tls localhost 6697"));
        let row = HostedRow::new(&network(HostedPhase::Suspended, Amount::Unlimited), 10);
        assert_eq!((row.used, row.detail.as_deref()), (None, Some("Something to say.")));
    }

    #[test]
    fn no_history_is_promised_that_is_not_kept() {
        let mut network = network(HostedPhase::Ready, Amount::Unlimited);
        assert_eq!(HostedRow::new(&network, 10).history, None);
        for (kept, words) in
            [(false, "gone when the server stops"), (true, "kept when the server starts anew")]
        {
            network.state.keeps_history = Some(kept);
            assert!(HostedRow::new(&network, 10).history.is_some_and(|said| said.contains(words)));
        }
    }
}
