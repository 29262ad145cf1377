//! What the objects of a network are called. Names inside its namespace come from its name, names outside from its UID.

/// The names of one network's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// StatefulSet, Service, NetworkPolicy, disruption budget, monitor, certificate.
    pub main: String,
    /// The load balancer.
    pub public: String,
    /// The Secret and the ConfigMap with the configuration.
    pub config: String,
    /// The Secret with the certificate.
    pub tls: String,
    /// What stands in front of the WebSocket, and its certificate.
    pub web: String,
    /// The Secret with the WebSocket's certificate, where its host name is another.
    pub web_tls: String,
    /// The volume. The UID is in it: a namesake made later never gets the data of one that is gone.
    pub volume: String,
    /// The last snapshot.
    pub last: String,
    /// What the names of scheduled snapshots begin with.
    pub snapshots: String,
    /// Database, role and their Secret in the cluster's namespace.
    pub outside: String,
    /// The database's and the role's name in PostgreSQL.
    pub postgres: String,
}

impl Names {
    /// The names of the network `name` with this UID.
    pub fn of(name: &str, uid: &str) -> Self {
        let uid: String =
            uid.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        let short: String = uid.chars().take(8).collect();
        Self {
            main: name.to_owned(),
            public: format!("{name}-public"),
            config: format!("{name}-config"),
            tls: format!("{name}-tls"),
            web: format!("{name}-web"),
            web_tls: format!("{name}-web-tls"),
            volume: format!("{name}-data-{short}"),
            last: format!("{name}-last-{short}"),
            snapshots: format!("{name}-{short}-"),
            outside: format!("network-{uid}"),
            postgres: format!("network_{uid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_leaves_room_for_every_ending() {
        let names = Names::of(&"a".repeat(40), "5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11");
        for name in [
            &names.config,
            &names.public,
            &names.tls,
            &names.web_tls,
            &names.volume,
            &names.last,
            &names.outside,
            &names.postgres,
        ] {
            assert!(name.len() <= 63, "{name}");
        }
        assert!(names.snapshots.len() + 12 <= 63);
    }
}
