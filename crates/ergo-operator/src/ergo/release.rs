//! What a release of Ergo can be told. Everything that depends on the version is asked here.

use crds::text::Version;

/// A release of Ergo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    major: u16,
    minor: u16,
    patch: u16,
}

impl Release {
    /// Reads a version: `2.19.1`.
    pub fn parse(version: &Version) -> Option<Self> {
        let mut parts = version.as_str().split('.').map(|part| part.parse().ok());
        let (major, minor, patch) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
        parts.next().is_none().then_some(Self { major, minor, patch })
    }

    fn at_least(self, minor: u16) -> bool {
        (self.major, self.minor) >= (2, minor)
    }

    /// Whether it is one we know how to configure.
    pub fn is_known(self) -> bool {
        self.major == 2 && self.at_least(15)
    }

    /// Whether it has the HTTP API. Before, it is told things by an operator's connection.
    pub fn has_api(self) -> bool {
        self.at_least(16)
    }

    /// Whether it keeps history in SQLite or PostgreSQL.
    pub fn has_sql_history(self) -> bool {
        self.at_least(18)
    }

    /// Whether scripts may be asked through a socket. Before, a command is started for each question.
    pub fn has_script_sockets(self) -> bool {
        self.at_least(19)
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_a_release_knows_grows_with_it() {
        let of = |text: &str| {
            let release = Release::parse(&text.into()).unwrap();
            (release.has_api(), release.has_sql_history(), release.has_script_sockets())
        };
        assert_eq!(of("2.15.0"), (false, false, false));
        assert_eq!(of("2.16"), (true, false, false));
        assert_eq!(of("2.18.0"), (true, true, false));
        assert_eq!(of("2.19.1"), (true, true, true));
        assert!(!Release::parse(&"1.2.0".into()).unwrap().is_known());
        assert_eq!(Release::parse(&"2.19.1.4".into()), None);
        assert_eq!(Release::parse(&"two".into()), None);
    }
}
