//! What soju holds, as far as it can be seen.

use std::collections::BTreeMap;

use crds::sidecar::{Sealed, SidecarNetwork, SidecarUser};

/// Users by name: those that are wanted and exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Users by name.
    pub users: BTreeMap<String, SeenUser>,
}

/// A user, as the admin socket tells of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenUser {
    /// Whether they administer the bouncer.
    pub admin: bool,
    /// Whether their networks are connected.
    pub enabled: bool,
    /// The most networks they may have, where it is not the bouncer's own limit.
    pub max_networks: Option<u32>,
    /// What only the database tells.
    pub row: Option<UserRow>,
    /// Networks by name.
    pub networks: BTreeMap<String, SeenNetwork>,
}

/// What only the database tells of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRow {
    /// The nickname.
    pub nick: Option<String>,
    /// The real name.
    pub realname: Option<String>,
    /// The password's hash: opaque, but it changes when the password does.
    pub password_hash: Option<Sealed>,
}

/// A network, as the admin socket tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenNetwork {
    /// Where it is.
    pub address: String,
    /// Whether it is to be connected.
    pub enabled: bool,
    /// The account at its services.
    pub sasl_account: Option<String>,
    /// Channels, and whether they are detached.
    pub channels: BTreeMap<String, bool>,
    /// What only the database tells.
    pub row: Option<NetworkRow>,
}

/// What only the database tells of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkRow {
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
    /// Lines sent after connecting.
    pub connect_commands: Vec<String>,
    /// Whether the user is shown as away while no client is there.
    pub auto_away: bool,
    /// The password at its services.
    pub sasl_password: Option<Sealed>,
}

/// What was sent since the sidecar started. It stands in for what cannot be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    passwords: BTreeMap<String, (Option<Sealed>, Mark)>,
    identities: BTreeMap<String, (Option<String>, Option<String>)>,
    networks: BTreeMap<(String, String), SidecarNetwork>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mark {
    /// Not looked at since it was sent.
    Fresh,
    /// The hash it had then; `None` where the database cannot be read.
    Seen(Option<Sealed>),
}

impl Memory {
    /// Notes the hashes of passwords that were sent since the last look.
    pub fn settle(&mut self, seen: &Seen) {
        for (username, (_, mark)) in &mut self.passwords {
            if *mark == Mark::Fresh
                && let Some(user) = seen.users.get(username)
            {
                *mark = Mark::Seen(user.row.as_ref().and_then(|row| row.password_hash.clone()));
            }
        }
    }

    /// Whether this password was sent and has not been changed since, as far as can be seen.
    pub(super) fn holds_password(&self, user: &SidecarUser, seen: &SeenUser) -> bool {
        match self.passwords.get(&user.username) {
            Some((sent, _)) if *sent != user.password => false,
            Some((_, Mark::Fresh)) => true,
            Some((_, Mark::Seen(then))) => seen.row.as_ref().is_none_or(|now| now.password_hash == *then),
            None => false,
        }
    }

    /// Whether nick and real name were sent as they are wanted.
    pub(super) fn holds_identity(&self, user: &SidecarUser) -> bool {
        self.identities
            .get(&user.username)
            .is_some_and(|(nick, realname)| (nick, realname) == (&user.nick, &user.realname))
    }

    /// The network as it was sent last.
    pub(super) fn network(&self, username: &str, name: &str) -> Option<&SidecarNetwork> {
        self.networks.get(&(username.to_owned(), name.to_owned()))
    }

    /// Notes a user's password as sent.
    pub fn sent_password(&mut self, username: &str, password: Option<&Sealed>) {
        self.passwords.insert(username.to_owned(), (password.cloned(), Mark::Fresh));
    }

    /// Notes a user's nick and real name as sent.
    pub fn sent_identity(&mut self, username: &str, nick: Option<&str>, realname: Option<&str>) {
        let identity = (nick.map(str::to_owned), realname.map(str::to_owned));
        self.identities.insert(username.to_owned(), identity);
    }

    /// Notes a network as sent.
    pub fn sent_network(&mut self, username: &str, network: &SidecarNetwork) {
        self.networks.insert((username.to_owned(), network.name.clone()), network.clone());
    }
}
