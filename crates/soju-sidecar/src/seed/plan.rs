//! From what is wanted and what is seen to what is to be done.

use std::collections::BTreeSet;

use crds::sidecar::{SidecarNetwork, SidecarUser};
use crds::soju::SeedPolicy;

use super::UNFINISHED;
use super::model::{Memory, Seen, SeenNetwork, SeenUser};
use super::step::{NetworkChange, Step, UserChange};

/// By which rules it is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether what exists is left alone or put back.
    pub policy: SeedPolicy,
    /// Whether soju itself puts inactive users to sleep (`disable-inactive-user`). Then a sleeping user is not woken:
    /// the next login does it.
    pub users_may_sleep: bool,
}

/// What is to be done, and what cannot be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order. A user's steps follow each other.
    pub steps: Vec<Step>,
    /// What soju could never take, one sentence each.
    pub impossible: Vec<String>,
}

/// Plans. What the resource leaves open (`None`, an empty list) is never touched; networks and channels it does not name
/// aren't either. Once the steps are done, planning again gives none.
pub fn plan(rules: Rules, wanted: &[SidecarUser], seen: &Seen, memory: &Memory) -> Plan {
    let mut plan = Plan::default();
    let mut names = BTreeSet::new();
    for user in wanted {
        if !plain(&user.username) {
            plan.impossible.push(format!(
                "user {}: a name must not hold spaces, `/` or `@`: soju reads them as user/network@client",
                user.username
            ));
        } else if !names.insert(&user.username) {
            plan.impossible.push(format!("user {}: listed twice", user.username));
        } else {
            plan_user(&mut plan, rules, user, seen.users.get(&user.username), memory);
        }
    }
    plan
}

fn plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@'))
}

fn plan_user(plan: &mut Plan, rules: Rules, user: &SidecarUser, seen: Option<&SeenUser>, memory: &Memory) {
    let Some(seen) = seen else {
        plan.steps.push(Step::CreateUser(SidecarUser { networks: Vec::new(), ..user.clone() }));
        plan_networks(plan, rules, user, None, memory);
        return;
    };
    if rules.policy == SeedPolicy::Enforce {
        let change = user_change(rules, user, seen, memory);
        if change != UserChange::default() {
            plan.steps.push(Step::UpdateUser { username: user.username.clone(), change });
        }
        if let Some(step) = identity(user, seen, memory) {
            plan.steps.push(step);
        }
    }
    plan_networks(plan, rules, user, Some(seen), memory);
}

fn user_change(rules: Rules, user: &SidecarUser, seen: &SeenUser, memory: &Memory) -> UserChange {
    let row = seen.row.as_ref();
    let password_holds = match &user.password {
        Some(_) => memory.holds_password(user, seen),
        None => match row {
            Some(row) => row.password_hash.is_none(),
            None => memory.holds_password(user, seen),
        },
    };
    let asleep = rules.users_may_sleep && user.enabled && !seen.enabled;
    UserChange {
        admin: (user.admin != seen.admin).then_some(user.admin),
        enabled: (user.enabled != seen.enabled && !asleep).then_some(user.enabled),
        max_networks: (user.max_networks != seen.max_networks).then_some(user.max_networks),
        password: (!password_holds).then(|| user.password.clone()),
    }
}

fn identity(user: &SidecarUser, seen: &SeenUser, memory: &Memory) -> Option<Step> {
    let holds = match &seen.row {
        Some(row) => {
            said(&user.nick).is_none_or(|nick| row.nick.as_deref() == Some(nick))
                && said(&user.realname).is_none_or(|name| row.realname.as_deref() == Some(name))
        }
        None => said(&user.nick).is_none() && said(&user.realname).is_none() || memory.holds_identity(user),
    };
    (!holds).then(|| Step::Identify {
        username: user.username.clone(),
        nick: user.nick.clone(),
        realname: user.realname.clone(),
    })
}

fn said(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|value| !value.is_empty())
}

fn plan_networks(
    plan: &mut Plan,
    rules: Rules,
    user: &SidecarUser,
    seen: Option<&SeenUser>,
    memory: &Memory,
) {
    let username = &user.username;
    for name in seen.iter().flat_map(|user| user.networks.keys()).filter(|name| name.starts_with(UNFINISHED))
    {
        plan.steps.push(Step::RemoveUnfinished { username: username.clone(), name: name.clone() });
    }
    let own = Own::of(user, seen);
    let mut names = BTreeSet::new();
    for network in &user.networks {
        if !plain(&network.name) || network.name.starts_with(UNFINISHED) {
            plan.impossible.push(format!(
                "network {} of {username}: a name must not hold spaces, `/` or `@`, nor begin with `-` or `{UNFINISHED}`",
                network.name
            ));
            continue;
        }
        if !names.insert(&network.name) {
            plan.impossible.push(format!("network {} of {username}: listed twice", network.name));
            continue;
        }
        let network = &without_strange_channels(plan, username, network);
        match seen.and_then(|user| user.networks.get(&network.name)) {
            None => {
                plan.steps.push(Step::CreateNetwork { username: username.clone(), network: network.clone() })
            }
            Some(seen) if rules.policy == SeedPolicy::Enforce => {
                plan_network(plan, username, network, seen, &own, memory);
            }
            Some(_) => {}
        }
    }
}

/// On the admin socket a channel is `channel/network`, and soju takes the first `/` for the border.
fn without_strange_channels(plan: &mut Plan, username: &str, network: &SidecarNetwork) -> SidecarNetwork {
    let mut network = network.clone();
    let (channels, strange) = std::mem::take(&mut network.channels)
        .into_iter()
        .partition(|(channel, _)| !channel.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ',')));
    network.channels = channels;
    for channel in std::collections::BTreeMap::<String, bool>::into_keys(strange) {
        plan.impossible.push(format!(
            "channel {channel} on {} of {username}: soju cannot be told of a channel with `/`, `,` or a space in its name: join it with a client",
            network.name
        ));
    }
    network
}

fn plan_network(
    plan: &mut Plan,
    username: &str,
    network: &SidecarNetwork,
    seen: &SeenNetwork,
    own: &Own<'_>,
    memory: &Memory,
) {
    let change = network_change(network, seen, own, memory.network(username, &network.name));
    if change != NetworkChange::default() {
        plan.steps.push(Step::UpdateNetwork {
            username: username.to_owned(),
            change: Box::new(change),
            network: network.clone(),
        });
    }
    for (channel, &detached) in &network.channels {
        let (username, network, channel) = (username.to_owned(), network.name.clone(), channel.clone());
        match find_channel(seen, &channel) {
            None => plan.steps.push(Step::CreateChannel { username, network, channel, detached }),
            Some(now) if now != detached => {
                plan.steps.push(Step::UpdateChannel { username, network, channel, detached });
            }
            Some(_) => {}
        }
    }
}

/// Networks fold case, and none of their foldings tells two channels apart that ASCII takes for one.
fn find_channel(seen: &SeenNetwork, name: &str) -> Option<bool> {
    seen.channels.iter().find(|(there, _)| there.eq_ignore_ascii_case(name)).map(|(_, detached)| *detached)
}

/// What a user is called wherever a network says nothing else, once this plan is carried out. soju keeps nothing of a
/// network that says the same.
struct Own<'a> {
    nick: Option<&'a str>,
    realname: Option<&'a str>,
}

impl<'a> Own<'a> {
    fn of(user: &'a SidecarUser, seen: Option<&'a SeenUser>) -> Self {
        let row = seen.and_then(|user| user.row.as_ref());
        Self {
            nick: said(&user.nick).or(row.and_then(|row| row.nick.as_deref())),
            realname: said(&user.realname).or(row.and_then(|row| row.realname.as_deref())),
        }
    }
}

fn network_change(
    network: &SidecarNetwork,
    seen: &SeenNetwork,
    own: &Own<'_>,
    sent: Option<&SidecarNetwork>,
) -> NetworkChange {
    let mut change = NetworkChange {
        address: (canonical(&network.address) != canonical(&seen.address)).then(|| network.address.clone()),
        enabled: (network.enabled != seen.enabled).then_some(network.enabled),
        ..NetworkChange::default()
    };
    let commands = (!network.connect_commands.is_empty()).then(|| network.connect_commands.clone());
    let account_drifted = network
        .sasl
        .as_ref()
        .is_some_and(|sasl| seen.sasl_account.as_deref() != Some(sasl.username.as_str()));
    match &seen.row {
        Some(row) => {
            let differs = |wanted: &Option<String>, is: &Option<String>, own: Option<&str>| {
                said(wanted).filter(|wanted| is.as_deref().or(own) != Some(*wanted)).map(str::to_owned)
            };
            change.nick = differs(&network.nick, &row.nick, own.nick);
            change.username = differs(&network.username, &row.username, None);
            change.realname = differs(&network.realname, &row.realname, own.realname);
            change.server_password =
                network.server_password.clone().filter(|wanted| row.server_password.as_ref() != Some(wanted));
            change.fingerprint = network
                .fingerprint
                .clone()
                .filter(|wanted| row.fingerprint.as_deref().map(hex) != Some(hex(wanted)));
            change.connect_commands = commands.filter(|wanted| row.connect_commands != *wanted);
            change.auto_away = (network.auto_away != row.auto_away).then_some(network.auto_away);
            change.sasl = network
                .sasl
                .clone()
                .filter(|sasl| account_drifted || row.sasl_password.as_ref() != Some(&sasl.password));
        }
        None if sent != Some(network) => {
            change.nick = said(&network.nick).map(str::to_owned);
            change.username = said(&network.username).map(str::to_owned);
            change.realname = said(&network.realname).map(str::to_owned);
            change.server_password.clone_from(&network.server_password);
            change.fingerprint.clone_from(&network.fingerprint);
            change.connect_commands = commands;
            change.auto_away = Some(network.auto_away);
            change.sasl.clone_from(&network.sasl);
        }
        None => change.sasl = network.sasl.clone().filter(|_| account_drifted),
    }
    change
}

/// An address as soju means it: TLS and its port where nothing else is said.
fn canonical(address: &str) -> String {
    let address = if address.contains("://") { address.to_owned() } else { format!("ircs://{address}") };
    let address = address.trim_end_matches('/').to_ascii_lowercase();
    match address.strip_prefix("ircs://") {
        Some(host) if host.ends_with(":6697") => address[..address.len() - ":6697".len()].to_owned(),
        _ => address,
    }
}

fn hex(fingerprint: &str) -> String {
    let digits = fingerprint.strip_prefix("sha-256:").unwrap_or(fingerprint);
    digits.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect()
}
