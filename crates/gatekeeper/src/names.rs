//! What a username may be: it is shown everywhere, becomes a host name, and is never given twice.

use std::fmt;

/// A username that keeps the rules: `^[a-z][a-z0-9_-]{0,30}$` and not reserved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Username(String);

/// Why a name is not given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was typed.
    #[error("Choose a username.")]
    Empty,
    /// It does not keep the grammar.
    #[error(
        "A username begins with a letter and holds up to 31 small letters, digits, hyphens and underscores."
    )]
    Grammar,
    /// It belongs to the platform.
    #[error("This username is reserved. Choose another.")]
    Reserved,
}

impl Username {
    /// Checks what somebody typed. Capitals are made small, because that is what was meant.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = text.trim().to_ascii_lowercase();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if !fits_grammar(&name) {
            return Err(NameError::Grammar);
        }
        if is_reserved(&name) {
            return Err(NameError::Reserved);
        }
        Ok(Self(name))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name by our rules that comes close to what another provider calls the user.
    pub fn suggest(text: &str) -> Option<Self> {
        let kept: String = text
            .to_ascii_lowercase()
            .chars()
            .map(|c| if c == '.' || c == ' ' { '-' } else { c })
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            .skip_while(|c| !c.is_ascii_alphabetic())
            .take(MAX_LENGTH)
            .collect();
        Self::parse(&kept).ok()
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const MAX_LENGTH: usize = 31;

fn fits_grammar(name: &str) -> bool {
    name.len() <= MAX_LENGTH
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

fn is_reserved(name: &str) -> bool {
    // Internationalised host names begin so; no user may look like one.
    name.starts_with("xn--") || RESERVED.binary_search(&name).is_ok()
}

/// Names of the platform's hosts, of mailboxes RFC 2142 promises, of IRC services and of roles. Sorted.
const RESERVED: &[&str] = &[
    "abuse",
    "account",
    "accounts",
    "admin",
    "administrator",
    "all",
    "anonymous",
    "api",
    "app",
    "apps",
    "assets",
    "auth",
    "autoconfig",
    "autodiscover",
    "billing",
    "blog",
    "bncserv",
    "bot",
    "bots",
    "botserv",
    "bouncer",
    "bouncers",
    "bouncerserv",
    "cdn",
    "chanserv",
    "chat",
    "ci",
    "contact",
    "dashboard",
    "design",
    "dev",
    "dns",
    "docs",
    "download",
    "downloads",
    "email",
    "everyone",
    "example",
    "faq",
    "feedback",
    "ftp",
    "gatekeeper",
    "git",
    "global",
    "grpc",
    "guest",
    "health",
    "healthz",
    "help",
    "helpserv",
    "here",
    "hostmaster",
    "hostserv",
    "i",
    "image",
    "images",
    "imap",
    "img",
    "info",
    "internal",
    "irc",
    "irc-now",
    "ircd",
    "ircnow",
    "ircs",
    "jobs",
    "kirc",
    "legal",
    "list",
    "lists",
    "local",
    "localhost",
    "localnet",
    "login",
    "logout",
    "mail",
    "mailer-daemon",
    "marketing",
    "me",
    "media",
    "memoserv",
    "metrics",
    "mx",
    "my",
    "network",
    "networks",
    "news",
    "nickserv",
    "no-reply",
    "nobody",
    "noc",
    "none",
    "noreply",
    "ns",
    "ns1",
    "ns2",
    "null",
    "oauth",
    "official",
    "openid",
    "oper",
    "operator",
    "operserv",
    "owner",
    "payments",
    "photos",
    "pic",
    "pics",
    "pop",
    "pop3",
    "portal",
    "postmaster",
    "presence",
    "privacy",
    "pro",
    "raw",
    "readyz",
    "register",
    "root",
    "sales",
    "saslserv",
    "search",
    "security",
    "self",
    "server",
    "service",
    "services",
    "settings",
    "shop",
    "sign-in",
    "sign-up",
    "signin",
    "signup",
    "smtp",
    "soju",
    "ssh",
    "ssl",
    "staff",
    "staging",
    "static",
    "stats",
    "statserv",
    "status",
    "store",
    "stripe",
    "support",
    "switchboard",
    "sysadmin",
    "system",
    "team",
    "terms",
    "test",
    "tls",
    "txt",
    "undefined",
    "unknown",
    "upload",
    "uploads",
    "usenet",
    "user",
    "username",
    "users",
    "uucp",
    "webhook",
    "webhooks",
    "webmail",
    "webmaster",
    "wpad",
    "ws",
    "wss",
    "www",
    "you",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_reserved_list_is_sorted_because_it_is_searched_by_halves() {
        assert!(RESERVED.is_sorted(), "{:?}", RESERVED.windows(2).find(|w| w[0] > w[1]));
    }

    #[test]
    fn names_of_the_platform_are_nobodys() {
        for name in ["my", "auth", "Admin", "nickserv", "xn--abc", "www"] {
            assert_eq!(Username::parse(name), Err(NameError::Reserved), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_no_host_label_is_refused() {
        for name in ["1a", "-a", "_a", "a b", "a.b", "ä", "a/b", "a@b", &"a".repeat(32)] {
            assert_eq!(Username::parse(name), Err(NameError::Grammar), "{name}");
        }
        assert!(Username::parse(&"a".repeat(31)).is_ok());
        assert_eq!(Username::parse(" Alice ").map(|n| n.to_string()), Ok("alice".to_owned()));
    }

    #[test]
    fn another_providers_name_becomes_one_of_ours() {
        let suggested = |text| Username::suggest(text).map(|n| n.to_string());
        assert_eq!(suggested("Alice.Smith"), Some("alice-smith".to_owned()));
        assert_eq!(suggested("42"), None);
        assert_eq!(suggested("admin"), None);
    }

    proptest! {
        #[test]
        fn whatever_is_typed_a_name_keeps_the_grammar(text in "\\PC{0,40}") {
            if let Ok(name) = Username::parse(&text) {
                prop_assert!(fits_grammar(name.as_str()));
                prop_assert!(!is_reserved(name.as_str()));
            }
            if let Some(name) = Username::suggest(&text) {
                prop_assert!(fits_grammar(name.as_str()));
            }
        }
    }
}
