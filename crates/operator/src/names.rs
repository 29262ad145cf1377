//! What the objects of a resource are called. Names inside its namespace come from its name, names outside from its UID.

/// The names of one resource's objects. A kind uses those it has objects for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Workload, Service, NetworkPolicy, disruption budget, monitor, certificate.
    pub main: String,
    /// The load balancer, where it is a Service of its own.
    pub public: String,
    /// The Secret (and the ConfigMap) with the configuration.
    pub config: String,
    /// The Secret with the certificate.
    pub tls: String,
    /// What stands in front of the WebSocket, and its certificate.
    pub web: String,
    /// The Secret with the WebSocket's certificate, where its host name has one of its own.
    pub web_tls: String,
    /// The job that moves an account, and its NetworkPolicy.
    pub moving: String,
    /// The Secret with the database's password.
    pub database: String,
    /// The volume. The UID is in it: a namesake made later never gets the data of one that is gone.
    pub volume: String,
    /// The last snapshot.
    pub last: String,
    /// What the names of scheduled snapshots begin with.
    pub snapshots: String,
    /// Database, role, their Secret and the last backup in the cluster's namespace.
    pub outside: String,
    /// The database's and the role's name in PostgreSQL.
    pub postgres: String,
}

impl Names {
    /// The names of the resource `name` with this UID. `prefix` says outside its namespace what it is: `bouncer`.
    pub fn of(prefix: &str, name: &str, uid: &str) -> Self {
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
            moving: format!("{name}-move"),
            database: format!("{name}-database"),
            volume: format!("{name}-data-{short}"),
            last: format!("{name}-last-{short}"),
            snapshots: format!("{name}-{short}-"),
            outside: format!("{prefix}-{uid}"),
            postgres: format!("{prefix}_{uid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_leaves_room_for_every_ending() {
        let names = Names::of("bouncer", &"a".repeat(40), "5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11");
        let Names {
            main,
            public,
            config,
            tls,
            web,
            web_tls,
            moving,
            database,
            volume,
            last,
            snapshots,
            outside,
            postgres,
        } = &names;
        for name in
            [main, public, config, tls, web, web_tls, moving, database, volume, last, outside, postgres]
        {
            assert!(name.len() <= 63, "{name}");
        }
        // The minute it was due in follows.
        assert!(snapshots.len() + 12 <= 63, "{snapshots}");
    }

    #[test]
    fn a_namesake_made_later_has_another_volume_and_another_database() {
        let of = |uid| Names::of("bouncer", "alice", uid);
        let (gone, new) =
            (of("5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11"), of("6b0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11"));
        assert_ne!(gone.volume, new.volume);
        assert_ne!(gone.postgres, new.postgres);
        assert_ne!(gone.outside, new.outside);
    }
}
