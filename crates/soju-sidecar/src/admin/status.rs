//! What soju says in words about users, networks and channels, as values. soju has no other form of it.

/// `server status`: `1/2 users, 0 downstreams, 3 upstreams, 4 networks, 5 channels`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStatus {
    /// Users whose networks are connected.
    pub active_users: u64,
    /// Users.
    pub users: u64,
    /// Connected clients.
    pub downstreams: u64,
    /// Connected networks.
    pub upstreams: u64,
    /// Networks.
    pub networks: u64,
    /// Channels.
    pub channels: u64,
}

/// Reads the line of `server status`. What a later soju adds to it is passed over.
pub fn server(line: &str) -> Option<ServerStatus> {
    let mut status = ServerStatus::default();
    for part in line.split(", ") {
        let (number, noun) = part.trim().split_once(' ')?;
        match noun {
            "users" => {
                let (active, all) = number.split_once('/')?;
                (status.active_users, status.users) = (active.parse().ok()?, all.parse().ok()?);
            }
            "downstreams" => status.downstreams = number.parse().ok()?,
            "upstreams" => status.upstreams = number.parse().ok()?,
            "networks" => status.networks = number.parse().ok()?,
            "channels" => status.channels = number.parse().ok()?,
            _ => {}
        }
    }
    Some(status)
}

/// A line of `user status`: `alice (admin, disabled): 3 networks (5 max)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserStatus {
    /// The name.
    pub username: String,
    /// Whether they administer the bouncer.
    pub admin: bool,
    /// Whether their networks are connected.
    pub enabled: bool,
    /// The most networks they may have, where it is not the bouncer's own limit.
    pub max_networks: Option<u32>,
}

/// Reads a line of `user status`. `None` for a line that is about no user (`… and 3 more`).
pub fn user(line: &str) -> Option<UserStatus> {
    let (head, tail) = line.rsplit_once(": ")?;
    let (username, marks) = match head.rsplit_once(" (") {
        Some((username, marks)) => (username, marks.strip_suffix(')')?),
        None => (head, ""),
    };
    let mut marks = marks.split(", ").collect::<Vec<_>>();
    marks.retain(|mark| !mark.is_empty());
    let mut words = tail.split(' ');
    words.next()?.parse::<u64>().ok()?;
    words.next().filter(|noun| noun.starts_with("network"))?;
    let max_networks = tail.rsplit_once('(').and_then(|(_, most)| most.strip_suffix(" max)")?.parse().ok());
    Some(UserStatus {
        username: username.to_owned(),
        admin: marks.contains(&"admin"),
        enabled: !marks.contains(&"disabled"),
        max_networks,
    })
}

/// How a network stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetworkState {
    /// Connected.
    Connected,
    /// Not connected, and tried again.
    Disconnected,
    /// Not to be connected.
    Disabled,
}

/// A line of `network status`: `libera (ircs://irc.libera.chat) [connected]: 2 channels`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkStatus {
    /// What the user calls it.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// How it stands.
    pub state: NetworkState,
}

/// Reads a line of `network status`. `None` for a line that is about no network.
pub fn network(line: &str) -> Option<NetworkStatus> {
    // The state is the first `[…]` after the address; an error in the tail may hold brackets of its own.
    let open = line.find(") [").map(|at| at + 2).or_else(|| line.find(" [").map(|at| at + 1))?;
    let (head, tail) = (line[..open].trim_end(), &line[open + 1..]);
    let words = &tail[..tail.find(']')?];
    let (name, address) = match head.strip_suffix(')').and_then(|head| head.rsplit_once(" (")) {
        Some(pair) => pair,
        // A network without a name goes by its address.
        None => (head, head),
    };
    let state = words.split(", ").find_map(|word| match word {
        "connected" => Some(NetworkState::Connected),
        "disabled" => Some(NetworkState::Disabled),
        word if word.starts_with("disconnected") => Some(NetworkState::Disconnected),
        _ => None,
    })?;
    Some(NetworkStatus { name: name.to_owned(), address: address.to_owned(), state })
}

/// A line of `channel status -network …`: `#rust [joined, detached]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Its name.
    pub name: String,
    /// Whether clients are kept out of it.
    pub detached: bool,
}

/// Reads a line of `channel status -network …`. `None` for a line that is about no channel.
pub fn channel(line: &str) -> Option<ChannelStatus> {
    let (name, tail) = line.split_once(" [")?;
    let words = &tail[..tail.find(']')?];
    let known = words.split(", ").any(|word| matches!(word, "joined" | "parted" | "disconnected"));
    known.then(|| ChannelStatus {
        name: name.to_owned(),
        detached: words.split(", ").any(|word| word == "detached"),
    })
}

/// The account of `sasl status`: `SASL PLAIN enabled with username "acc"`.
pub fn sasl_account(lines: &[String]) -> Option<String> {
    let account = lines.iter().find_map(|line| line.strip_prefix("SASL PLAIN enabled with username \""))?;
    Some(account.strip_suffix('"')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_soju_said_are_understood() {
        assert_eq!(
            server("1/2 users, 0 downstreams, 3 upstreams, 4 networks, 5 channels"),
            Some(ServerStatus {
                active_users: 1,
                users: 2,
                downstreams: 0,
                upstreams: 3,
                networks: 4,
                channels: 5
            })
        );
        let of = |username: &str, admin, enabled, max_networks| {
            Some(UserStatus { username: username.to_owned(), admin, enabled, max_networks })
        };
        assert_eq!(user("alice: 3 networks"), of("alice", false, true, None));
        assert_eq!(user("bob (admin, disabled): 0 networks (3 max)"), of("bob", true, false, Some(3)));
        assert_eq!(user("... and 3 more"), None);
        let at = |name: &str, address: &str, state| {
            Some(NetworkStatus { name: name.to_owned(), address: address.to_owned(), state })
        };
        assert_eq!(
            network("stub (irc+insecure://127.0.0.1:36001) [connected]: 2 channels"),
            at("stub", "irc+insecure://127.0.0.1:36001", NetworkState::Connected)
        );
        assert_eq!(
            network("lib (ircs://h) [disconnected]: connection error: dial tcp [::1]:1: connection refused"),
            at("lib", "ircs://h", NetworkState::Disconnected)
        );
        assert_eq!(
            network("dis (irc://[::1]:2) [disabled]"),
            at("dis", "irc://[::1]:2", NetworkState::Disabled)
        );
        assert_eq!(network("No network configured, add one with \"network create\"."), None);
        let here = |name: &str, detached| Some(ChannelStatus { name: name.to_owned(), detached });
        assert_eq!(channel("#d [joined, detached]"), here("#d", true));
        assert_eq!(channel("#e [disconnected]"), here("#e", false));
        assert_eq!(channel("No channel configured."), None);
    }

    #[test]
    fn the_account_is_read_from_the_status_of_sasl() {
        let lines = |first: &str| vec![first.to_owned(), "Disconnected from upstream network".to_owned()];
        assert_eq!(
            sasl_account(&lines("SASL PLAIN enabled with username \"-acc\"")),
            Some("-acc".to_owned())
        );
        assert_eq!(sasl_account(&lines("SASL is disabled")), None);
    }
}
