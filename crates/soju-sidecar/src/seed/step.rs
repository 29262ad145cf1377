//! One thing to be done, and the commands that do it.

use crds::sidecar::{Sealed, SidecarNetwork, SidecarSasl, SidecarUser};

use super::UNFINISHED;
use super::model::Memory;
use crate::admin::{Command, Unspeakable};

/// One thing to be done. What belongs together is one step: it is reported as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Makes a user, without networks.
    CreateUser(SidecarUser),
    /// Changes a user.
    UpdateUser {
        /// Whom.
        username: String,
        /// What.
        change: UserChange,
    },
    /// Sets a user's nick and real name.
    Identify {
        /// Whose.
        username: String,
        /// The nick, where one is wanted.
        nick: Option<String>,
        /// The real name, where one is wanted.
        realname: Option<String>,
    },
    /// Removes a network whose making was interrupted.
    RemoveUnfinished {
        /// Whose.
        username: String,
        /// Its whole name, which begins with [`UNFINISHED`].
        name: String,
    },
    /// Makes a network with its login and channels: under another name and unconnected, until it is whole.
    CreateNetwork {
        /// Whose.
        username: String,
        /// What.
        network: SidecarNetwork,
    },
    /// Changes a network. soju connects it anew, whatever was changed.
    UpdateNetwork {
        /// Whose.
        username: String,
        /// What.
        change: Box<NetworkChange>,
        /// What it is afterwards.
        network: SidecarNetwork,
    },
    /// Joins a channel.
    CreateChannel {
        /// Whose.
        username: String,
        /// Where.
        network: String,
        /// Which.
        channel: String,
        /// Whether it is detached.
        detached: bool,
    },
    /// Detaches a channel, or attaches it.
    UpdateChannel {
        /// Whose.
        username: String,
        /// Where.
        network: String,
        /// Which.
        channel: String,
        /// Whether it is detached.
        detached: bool,
    },
}

/// What changes about a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Whether they administer the bouncer.
    pub admin: Option<bool>,
    /// Whether their networks are connected.
    pub enabled: Option<bool>,
    /// The most networks; `Some(None)` is the bouncer's own limit.
    pub max_networks: Option<Option<u32>>,
    /// The password; `Some(None)` takes it away.
    pub password: Option<Option<Sealed>>,
}

/// What changes about a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkChange {
    /// Where it is.
    pub address: Option<String>,
    /// The nickname.
    pub nick: Option<String>,
    /// The user name.
    pub username: Option<String>,
    /// The real name.
    pub realname: Option<String>,
    /// The server's password.
    pub server_password: Option<Sealed>,
    /// The certificate's fingerprint.
    pub fingerprint: Option<String>,
    /// Lines sent after connecting: all of them.
    pub connect_commands: Option<Vec<String>>,
    /// Whether the user is shown as away while no client is there.
    pub auto_away: Option<bool>,
    /// Whether it is connected.
    pub enabled: Option<bool>,
    /// The login at its services.
    pub sasl: Option<SidecarSasl>,
}

impl Step {
    /// Whose it is.
    pub fn username(&self) -> &str {
        match self {
            Self::CreateUser(user) => &user.username,
            Self::UpdateUser { username, .. }
            | Self::Identify { username, .. }
            | Self::RemoveUnfinished { username, .. }
            | Self::CreateNetwork { username, .. }
            | Self::UpdateNetwork { username, .. }
            | Self::CreateChannel { username, .. }
            | Self::UpdateChannel { username, .. } => username,
        }
    }

    /// What it is about, in words.
    pub fn subject(&self) -> String {
        match self {
            Self::CreateUser(user) => format!("user {}", user.username),
            Self::UpdateUser { username, .. } | Self::Identify { username, .. } => format!("user {username}"),
            Self::RemoveUnfinished { username, name } => format!("network {name} of {username}"),
            Self::CreateNetwork { username, network } | Self::UpdateNetwork { username, network, .. } => {
                format!("network {} of {username}", network.name)
            }
            Self::CreateChannel { username, network, channel, .. }
            | Self::UpdateChannel { username, network, channel, .. } => {
                format!("channel {channel} on {network} of {username}")
            }
        }
    }

    /// What is done to it, as a participle.
    pub fn deed(&self) -> &'static str {
        match self {
            Self::CreateUser(_) | Self::CreateNetwork { .. } | Self::CreateChannel { .. } => "made",
            Self::UpdateUser { .. }
            | Self::Identify { .. }
            | Self::UpdateNetwork { .. }
            | Self::UpdateChannel { .. } => "put back",
            Self::RemoveUnfinished { .. } => "removed",
        }
    }

    /// The commands, in order.
    pub fn commands(&self) -> Result<Vec<Command>, Unspeakable> {
        match self {
            Self::CreateUser(user) => Ok(vec![create_user(user)?]),
            Self::UpdateUser { username, change } => Ok(vec![update_user(username, change)?]),
            Self::Identify { username, nick, realname } => {
                let command = Command::run_as(username, "user update")?
                    .maybe("nick", nick.as_deref())?
                    .maybe("realname", realname.as_deref())?;
                Ok(vec![command])
            }
            Self::RemoveUnfinished { username, name } => {
                Ok(vec![Command::run_as(username, "network delete")?.word(name)?])
            }
            Self::CreateNetwork { username, network } => create_network(username, network),
            Self::UpdateNetwork { username, change, network } => {
                update_network(username, change, &network.name)
            }
            Self::CreateChannel { username, network, channel, detached } => {
                create_channel(username, network, channel, *detached)
            }
            Self::UpdateChannel { username, network, channel, detached } => {
                Ok(vec![detach(username, network, channel, *detached)?])
            }
        }
    }

    /// Notes that it was done.
    pub fn note(&self, memory: &mut Memory) {
        match self {
            Self::CreateUser(user) => {
                memory.sent_password(&user.username, user.password.as_ref());
                memory.sent_identity(&user.username, user.nick.as_deref(), user.realname.as_deref());
            }
            Self::UpdateUser { username, change } => {
                if let Some(password) = &change.password {
                    memory.sent_password(username, password.as_ref());
                }
            }
            Self::Identify { username, nick, realname } => {
                memory.sent_identity(username, nick.as_deref(), realname.as_deref());
            }
            Self::CreateNetwork { username, network } | Self::UpdateNetwork { username, network, .. } => {
                memory.sent_network(username, network);
            }
            Self::RemoveUnfinished { .. } | Self::CreateChannel { .. } | Self::UpdateChannel { .. } => {}
        }
    }
}

fn yes_no(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// soju's word for "the bouncer's own limit".
fn most(networks: Option<u32>) -> String {
    networks.map_or_else(|| "-1".to_owned(), |most| most.to_string())
}

fn password(command: Command, password: Option<&Sealed>) -> Result<Command, Unspeakable> {
    match password {
        Some(password) => command.flag("password", password.expose()),
        None => command.flag("disable-password", "true"),
    }
}

fn create_user(user: &SidecarUser) -> Result<Command, Unspeakable> {
    let command = Command::new("user create").flag("username", &user.username)?;
    password(command, user.password.as_ref())?
        .flag("admin", yes_no(user.admin))?
        .flag("enabled", yes_no(user.enabled))?
        .flag("max-networks", &most(user.max_networks))?
        .maybe("nick", user.nick.as_deref())?
        .maybe("realname", user.realname.as_deref())
}

fn update_user(username: &str, change: &UserChange) -> Result<Command, Unspeakable> {
    let mut command = Command::new("user update").word(username)?;
    if let Some(wanted) = &change.password {
        command = password(command, wanted.as_ref())?;
    }
    command
        .maybe("admin", change.admin.map(yes_no))?
        .maybe("enabled", change.enabled.map(yes_no))?
        .maybe("max-networks", change.max_networks.map(most).as_deref())
}

fn create_network(username: &str, network: &SidecarNetwork) -> Result<Vec<Command>, Unspeakable> {
    let unfinished = format!("{UNFINISHED}{}", network.name);
    let mut create = Command::run_as(username, "network create")?
        .flag("ignore-limit", "true")?
        .flag("addr", &network.address)?
        .flag("name", &unfinished)?
        .flag("enabled", "false")?
        .flag("auto-away", yes_no(network.auto_away))?
        .maybe("nick", network.nick.as_deref())?
        .maybe("username", network.username.as_deref())?
        .maybe("realname", network.realname.as_deref())?
        .maybe("pass", network.server_password.as_ref().map(Sealed::expose))?
        .maybe("certfp", network.fingerprint.as_deref())?;
    for line in &network.connect_commands {
        create = create.flag("connect-command", line)?;
    }
    let mut commands = vec![create];
    if let Some(sasl) = &network.sasl {
        commands.push(set_sasl(username, &unfinished, sasl)?);
    }
    for (channel, detached) in &network.channels {
        commands.extend(create_channel(username, &unfinished, channel, *detached)?);
    }
    commands.push(
        Command::run_as(username, "network update")?
            .word(&unfinished)?
            .flag("ignore-limit", "true")?
            .flag("name", &network.name)?
            .flag("enabled", yes_no(network.enabled))?,
    );
    Ok(commands)
}

fn update_network(username: &str, change: &NetworkChange, name: &str) -> Result<Vec<Command>, Unspeakable> {
    let mut commands = Vec::new();
    if let Some(sasl) = &change.sasl {
        commands.push(set_sasl(username, name, sasl)?);
    }
    let mut update = Command::run_as(username, "network update")?
        .word(name)?
        .flag("ignore-limit", "true")?
        .maybe("addr", change.address.as_deref())?
        .maybe("nick", change.nick.as_deref())?
        .maybe("username", change.username.as_deref())?
        .maybe("realname", change.realname.as_deref())?
        .maybe("pass", change.server_password.as_ref().map(Sealed::expose))?
        .maybe("certfp", change.fingerprint.as_deref())?
        .maybe("auto-away", change.auto_away.map(yes_no))?
        .maybe("enabled", change.enabled.map(yes_no))?;
    for line in change.connect_commands.iter().flatten() {
        update = update.flag("connect-command", line)?;
    }
    commands.push(update);
    Ok(commands)
}

fn set_sasl(username: &str, network: &str, sasl: &SidecarSasl) -> Result<Command, Unspeakable> {
    Command::run_as(username, "sasl set-plain")?
        .flag("network", network)?
        .end_of_flags()
        .word(&sasl.username)?
        .word(sasl.password.expose())
}

/// soju forgets `-detached` where a channel is made, so that is a command of its own.
fn create_channel(
    username: &str,
    network: &str,
    channel: &str,
    detached: bool,
) -> Result<Vec<Command>, Unspeakable> {
    let create = Command::run_as(username, "channel create")?.word(&format!("{channel}/{network}"))?;
    let mut commands = vec![create];
    if detached {
        commands.push(detach(username, network, channel, true)?);
    }
    Ok(commands)
}

fn detach(username: &str, network: &str, channel: &str, detached: bool) -> Result<Command, Unspeakable> {
    Command::run_as(username, "channel update")?
        .word(&format!("{channel}/{network}"))?
        .flag("detached", yes_no(detached))
}
