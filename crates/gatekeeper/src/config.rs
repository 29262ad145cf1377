//! What an operator can say about identity.

use service::config::ConfigValue;

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Everybody.
    Open,
    /// Who has an invitation (`ircnow admin invite`).
    Invitation,
    /// Nobody.
    Closed,
}

impl ConfigValue for Registration {
    fn kind() -> String {
        "open, invitation or closed".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "open" => Ok(Self::Open),
            "invitation" => Ok(Self::Invitation),
            "closed" => Ok(Self::Closed),
            other => Err(format!("`{other}` is none of them")),
        }
    }
}

service::config! {
    /// Identity: who may come in, and how.
    pub struct Config in "gatekeeper" {
        /// The database (`sqlite:/path/file.db` or `postgres://…`); a file in the data folder where none is named.
        pub database: Option<service::secrecy::SecretString>,
        /// Who may make an account: open, invitation or closed.
        pub registration: Registration = "open",
        /// The plan a new account is on; its name stands in the table of plans.
        pub new_account_plan: String = "free",
        /// How many accounts one address (a /32 or a /64) may make a day.
        pub sign_ups_per_day: u32 = "10",
        /// How many passwords are hashed at once. Each takes `hash_memory_kib` of memory and a core.
        pub hashes_at_once: usize = "2",
        /// The memory one password hash takes, in KiB (argon2id, two passes).
        pub hash_memory_kib: u32 = "19456",
        /// Proxies whose `X-Forwarded-For` is believed on the pages of the auth site (`10.0.0.0/8`).
        pub trusted_proxies: Vec<service::web::Cidr>,
        /// How long a browser stays signed in.
        pub session_lifetime: std::time::Duration = "30d",
        /// Where mail is handed in (`smtps://user:password@mail.example:465`). Without one, links are written to the log
        /// and no address needs to be verified.
        pub smtp_url: Option<service::secrecy::SecretString>,
        /// Whom mail is from (`irc.now <no-reply@irc.now>`).
        pub mail_from: Option<String>,
        /// The secret with which IRC servers of your own (soju, Ergo) ask what a token is worth (RFC 7662), as the client
        /// `irc-server`. Without one they may not.
        pub introspection_secret: Option<service::secrecy::SecretString>,
        /// What the client secrets of dedicated bouncers and hosted networks are derived from: the `client_secret` of the
        /// operators in the cluster. Without one, none of them may ask anything.
        pub client_secret: Option<service::secrecy::SecretString>,
        /// The issuer of a Keycloak realm people log in through (`https://id.example/realms/ircnow`), instead of with passwords of ours.
        pub keycloak_issuer: Option<url::Url>,
        /// Our client id at the upstream issuer.
        pub keycloak_client_id: String = "gatekeeper",
        /// Our client secret at the upstream issuer.
        pub keycloak_secret: Option<service::secrecy::SecretString>,
        /// What the upstream issuer is called on our pages.
        pub keycloak_name: String = "Keycloak",
    }
}
