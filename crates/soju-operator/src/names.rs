//! What the objects of a bouncer are called. Names inside its namespace come from its name, names outside from its UID.

/// The names of one bouncer's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Deployment, Service, NetworkPolicy, disruption budget, monitor, certificate.
    pub main: String,
    /// The Secret with the configuration.
    pub config: String,
    /// The Secret with the certificate.
    pub tls: String,
    /// The Secret with the database's password.
    pub database: String,
    /// What stands in front of the WebSocket.
    pub web: String,
    /// The volume. The UID is in it: a namesake made later never gets the data of one that is gone.
    pub volume: String,
    /// The last snapshot.
    pub last: String,
    /// Database, role and their Secret in the cluster's namespace.
    pub outside: String,
    /// The database's and the role's name in PostgreSQL.
    pub postgres: String,
}

impl Names {
    /// The names of the bouncer `name` with this UID.
    pub fn of(name: &str, uid: &str) -> Self {
        let uid: String =
            uid.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        let short: String = uid.chars().take(8).collect();
        Self {
            main: name.to_owned(),
            config: format!("{name}-config"),
            tls: format!("{name}-tls"),
            database: format!("{name}-database"),
            web: format!("{name}-web"),
            volume: format!("{name}-data-{short}"),
            last: format!("{name}-last-{short}"),
            outside: format!("bouncer-{uid}"),
            postgres: format!("bouncer_{uid}"),
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
            &names.tls,
            &names.database,
            &names.web,
            &names.volume,
            &names.last,
            &names.outside,
        ] {
            assert!(name.len() <= 63, "{name}");
        }
        assert!(names.postgres.len() <= 63);
    }
}
