//! A soju of maps: what the steps mean, told apart from the code that plans them.

use std::collections::BTreeMap;

use crds::sidecar::{Sealed, SidecarNetwork, SidecarUser};
use soju_sidecar::seed::{NetworkRow, Seen, SeenNetwork, SeenUser, Step, UserRow};

pub fn user(username: &str) -> SidecarUser {
    SidecarUser {
        username: username.to_owned(),
        admin: false,
        enabled: true,
        password: None,
        nick: None,
        realname: None,
        max_networks: None,
        networks: Vec::new(),
    }
}

pub fn network(name: &str, address: &str) -> SidecarNetwork {
    SidecarNetwork {
        name: name.to_owned(),
        address: address.to_owned(),
        nick: None,
        username: None,
        realname: None,
        server_password: None,
        sasl: None,
        fingerprint: None,
        connect_commands: Vec::new(),
        auto_away: true,
        enabled: true,
        channels: BTreeMap::new(),
    }
}

#[derive(Clone, Debug)]
pub struct World {
    /// With everything the database tells.
    pub users: BTreeMap<String, SeenUser>,
    rows: bool,
    passwords: u32,
}

impl World {
    /// With or without a database that can be read.
    pub fn new(rows: bool) -> Self {
        Self { users: BTreeMap::new(), rows, passwords: 0 }
    }

    /// What a look shows.
    pub fn seen(&self, wanted: &[SidecarUser]) -> Seen {
        let mut users = self.users.clone();
        users.retain(|name, _| wanted.iter().any(|user| user.username == *name));
        if !self.rows {
            for user in users.values_mut() {
                user.row = None;
                user.networks.values_mut().for_each(|network| network.row = None);
            }
        }
        Seen { users }
    }

    fn hash(&mut self, password: Option<&Sealed>) -> Option<Sealed> {
        self.passwords += 1;
        password.map(|_| Sealed::new(format!("hash {}", self.passwords)))
    }

    pub fn carry_out(&mut self, step: &Step) {
        match step {
            Step::CreateUser(user) => {
                let row = UserRow {
                    nick: user.nick.clone(),
                    realname: user.realname.clone(),
                    password_hash: self.hash(user.password.as_ref()),
                };
                let made = SeenUser {
                    admin: user.admin,
                    enabled: user.enabled,
                    max_networks: user.max_networks,
                    row: Some(row),
                    networks: BTreeMap::new(),
                };
                assert!(self.users.insert(user.username.clone(), made).is_none(), "made twice");
            }
            Step::UpdateUser { username, change } => {
                let hash = change.password.as_ref().map(|password| self.hash(password.as_ref()));
                let user = self.users.get_mut(username).unwrap();
                user.admin = change.admin.unwrap_or(user.admin);
                user.enabled = change.enabled.unwrap_or(user.enabled);
                user.max_networks = change.max_networks.unwrap_or(user.max_networks);
                if let Some(hash) = hash {
                    user.row.as_mut().unwrap().password_hash = hash;
                }
            }
            Step::Identify { username, nick, realname } => {
                let row = self.users.get_mut(username).unwrap().row.as_mut().unwrap();
                row.nick = nick.clone().or(row.nick.take());
                row.realname = realname.clone().or(row.realname.take());
            }
            Step::RemoveUnfinished { username, name } => {
                assert!(self.users.get_mut(username).unwrap().networks.remove(name).is_some());
            }
            Step::CreateNetwork { username, network } => {
                let made = seen_network(network);
                let networks = &mut self.users.get_mut(username).unwrap().networks;
                assert!(networks.insert(network.name.clone(), made).is_none(), "made twice");
                self.forget_own_names(username, &network.name);
            }
            Step::UpdateNetwork { username, change, network } => {
                let there = self.network(username, &network.name);
                there.address = change.address.clone().unwrap_or(there.address.clone());
                there.enabled = change.enabled.unwrap_or(there.enabled);
                let row = there.row.as_mut().unwrap();
                row.nick = change.nick.clone().or(row.nick.take());
                row.username = change.username.clone().or(row.username.take());
                row.realname = change.realname.clone().or(row.realname.take());
                row.server_password = change.server_password.clone().or(row.server_password.take());
                row.fingerprint = change.fingerprint.clone().or(row.fingerprint.take());
                row.auto_away = change.auto_away.unwrap_or(row.auto_away);
                if let Some(lines) = &change.connect_commands {
                    row.connect_commands.clone_from(lines);
                }
                if let Some(sasl) = &change.sasl {
                    row.sasl_password = Some(sasl.password.clone());
                    there.sasl_account = Some(sasl.username.clone());
                }
                self.forget_own_names(username, &network.name);
            }
            Step::CreateChannel { username, network, channel, detached } => {
                let channels = &mut self.network(username, network).channels;
                assert!(channels.insert(channel.clone(), *detached).is_none(), "made twice");
            }
            Step::UpdateChannel { username, network, channel, detached } => {
                *self.network(username, network).channels.get_mut(channel).unwrap() = *detached;
            }
        }
    }

    /// soju keeps nothing of a network where it says what its user says.
    fn forget_own_names(&mut self, username: &str, network: &str) {
        let own = self.users[username].row.clone().unwrap();
        let row = self.network(username, network).row.as_mut().unwrap();
        row.nick.take_if(|nick| own.nick.as_ref() == Some(nick));
        row.realname.take_if(|realname| own.realname.as_ref() == Some(realname));
    }

    fn network(&mut self, username: &str, name: &str) -> &mut SeenNetwork {
        self.users.get_mut(username).unwrap().networks.get_mut(name).unwrap()
    }

    /// Everything the wanted ones say is so.
    pub fn assert_holds(&self, wanted: &[SidecarUser]) {
        for user in wanted {
            let seen = &self.users[&user.username];
            assert_eq!(
                (seen.admin, seen.enabled, seen.max_networks),
                (user.admin, user.enabled, user.max_networks)
            );
            assert!(user.nick.is_none() || seen.row.as_ref().unwrap().nick == user.nick);
            for network in &user.networks {
                let (is, should) = (&seen.networks[&network.name], seen_network(network));
                assert_eq!((&is.address, is.enabled), (&should.address, should.enabled));
                let (is_row, row) = (is.row.as_ref().unwrap(), should.row.unwrap());
                let own = seen.row.as_ref().unwrap();
                let nick = is_row.nick.as_ref().or(own.nick.as_ref());
                assert!(row.nick.is_none() || nick == row.nick.as_ref());
                let realname = is_row.realname.as_ref().or(own.realname.as_ref());
                assert!(row.realname.is_none() || realname == row.realname.as_ref());
                assert!(row.server_password.is_none() || is_row.server_password == row.server_password);
                assert!(row.sasl_password.is_none() || is_row.sasl_password == row.sasl_password);
                assert!(row.connect_commands.is_empty() || is_row.connect_commands == row.connect_commands);
                assert_eq!(is_row.auto_away, row.auto_away);
                assert!(
                    network.channels.iter().all(|(name, detached)| is.channels.get(name) == Some(detached))
                );
            }
        }
    }

    /// What was there is there, unchanged.
    pub fn assert_contains(&self, there: &Self) {
        for (name, before) in &there.users {
            let mut now = self.users[name].clone();
            now.networks.retain(|network, _| before.networks.contains_key(network));
            assert_eq!(now, *before);
        }
    }
}

fn seen_network(network: &SidecarNetwork) -> SeenNetwork {
    SeenNetwork {
        address: network.address.clone(),
        enabled: network.enabled,
        sasl_account: network.sasl.as_ref().map(|sasl| sasl.username.clone()),
        channels: network.channels.clone(),
        row: Some(NetworkRow {
            nick: network.nick.clone(),
            username: network.username.clone(),
            realname: network.realname.clone(),
            server_password: network.server_password.clone(),
            fingerprint: network.fingerprint.clone(),
            connect_commands: network.connect_commands.clone(),
            auto_away: network.auto_away,
            sasl_password: network.sasl.as_ref().map(|sasl| sasl.password.clone()),
        }),
    }
}
