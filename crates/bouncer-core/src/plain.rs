//! What upstreams say in their words, in plain ones: what happened and what to do.

use crate::wire::Line;

/// What kind of trouble it is: decides how soon to try again and whether only the user can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Closed for no reason we know; try again with the usual back-off.
    Closed,
    /// Connecting too fast or too often; wait at least five minutes.
    Throttled,
    /// Banned; wait at least five minutes, and the user has to do something.
    Banned,
    /// Somebody with the power to do so ended the connection.
    Killed,
    /// The log-in was refused; only the user can mend it.
    Refused,
    /// The server is full or going down; try again later.
    Unavailable,
}

/// Words and what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it is.
    pub trouble: Trouble,
    /// For the user.
    pub text: String,
}

/// The reason of an `ERROR` line. `network` is the user's name for it.
pub fn error(reason: &[u8], network: &str) -> Told {
    let said = clean(reason);
    let lower = said.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let (trouble, text) = if has(&[
        "throttl",
        "too fast",
        "reconnecting",
        "trying to reconnect",
        "connect too",
    ]) {
        (
            Trouble::Throttled,
            format!("{network} asks us to connect less often. The bouncer waits at least five minutes."),
        )
    } else if has(&[
        "k-lined", "k:lined", "g-lined", "g:lined", "z-lined", "z:lined", "d-lined", "banned", "akill",
        "dnsbl",
    ]) {
        let text = format!("{network} does not let us in: this address or account is banned. Ask its staff.");
        (Trouble::Banned, text)
    } else if has(&["too many", "no more connections", "connection limit", "clone", "maximum"]) {
        let text = format!(
            "{network} takes no more connections from our address right now. The bouncer tries again later."
        );
        (Trouble::Throttled, text)
    } else if has(&["sasl", "password", "authenticat", "access denied", "not authorized", "unauthorized"]) {
        (
            Trouble::Refused,
            format!("{network} refused the log-in. Check the account and password of this network."),
        )
    } else if has(&["killed", "ghost"]) {
        (
            Trouble::Killed,
            format!(
                "{network} ended the connection: somebody used KILL or GHOST. The bouncer connects again."
            ),
        )
    } else if has(&["shutting down", "restart", "terminat", "server full"]) {
        (Trouble::Unavailable, format!("{network} is going down or full. The bouncer tries again."))
    } else if has(&["ping timeout", "timed out", "time out"]) {
        (Trouble::Closed, format!("The connection to {network} went silent. The bouncer connects again."))
    } else {
        (Trouble::Closed, format!("{network} closed the connection. The bouncer connects again."))
    };
    let text = if said.is_empty() { text } else { format!("{text} It said: {said}") };
    Told { trouble, text }
}

/// A numeric that refuses something, as a sentence.
pub(crate) fn numeric(numeric: u16, line: &Line<'_>, network: &str) -> String {
    let what = clean(line.param(1));
    let said = clean(line.params.last().copied().unwrap_or_default());
    let text = match numeric {
        403 | 476 => format!("{what} is not a channel on {network}."),
        405 => format!("{network} does not let you be in more channels, so {what} is left out."),
        437 => format!("{what} is not available on {network} right now."),
        471 => format!("{what} is full: it could not be joined. Try /join {what} later."),
        473 => format!("{what} is for invited people only: it could not be joined. Ask for an invitation."),
        474 => format!("You are banned from {what}: it could not be joined. Ask its operators."),
        475 => format!("{what} needs its key: it could not be joined. Type /join {what} <key>."),
        477 => {
            format!("{what} is for people who are logged in: set an account for {network}, then join again.")
        }
        464 => format!("{network} refused the server password. Check it in this network's settings."),
        465 | 466 => format!("{network} has banned us. Ask its staff."),
        _ => format!("{what} could not be joined on {network}."),
    };
    if said.is_empty() { text } else { format!("{text} It said: {said}") }
}

/// What a refused SASL means, by its numeric (902, 904, 905, 906, 908).
pub fn sasl(network: &str, numeric: u16) -> Told {
    let text = match numeric {
        902 => format!("{network} says that the account is locked. Ask its staff."),
        908 => format!("{network} does not know this way to log in. Change the log-in of this network."),
        _ => format!("{network} refused the account or password. Check both in this network's settings."),
    };
    Told { trouble: Trouble::Refused, text }
}

fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|c| !c.is_control()).take(300).collect::<String>().trim().to_owned()
}

/// Whether a message of ours to a service holds a password: such a line is passed on, but never kept.
pub(crate) fn is_secret(target: &[u8], body: &[u8]) -> bool {
    let name = target.split(|byte| *byte == b'@').next().unwrap_or_default();
    let services: [&[u8]; 10] = [
        b"nickserv",
        b"ns",
        b"chanserv",
        b"cs",
        b"authserv",
        b"userserv",
        b"operserv",
        b"x",
        b"q",
        b"bouncerserv",
    ];
    if !services.iter().any(|service| name.eq_ignore_ascii_case(service)) {
        return false;
    }
    let words: [&[u8]; 14] = [
        b"identify",
        b"id",
        b"login",
        b"auth",
        b"register",
        b"ghost",
        b"recover",
        b"release",
        b"regain",
        b"set",
        b"setpass",
        b"newpass",
        b"resetpass",
        b"sasl",
    ];
    let first = body.split(|byte| *byte == b' ').find(|word| !word.is_empty()).unwrap_or_default();
    words.iter().any(|word| first.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_upstreams_say_is_understood() {
        for (said, trouble) in [
            ("Closing Link: 1.2.3.4 (Throttled: Reconnecting too fast)", Trouble::Throttled),
            ("Closing Link: x (K-Lined)", Trouble::Banned),
            ("Closing link: (x) [Z-Lined: spam]", Trouble::Banned),
            ("Closing Link: host (Killed (oper (bye)))", Trouble::Killed),
            ("Closing Link: host (Too many connections from your IP)", Trouble::Throttled),
            ("Closing Link: (Ping timeout: 120 seconds)", Trouble::Closed),
            ("SASL access only", Trouble::Refused),
            ("Server shutting down", Trouble::Unavailable),
            ("", Trouble::Closed),
        ] {
            let told = error(said.as_bytes(), "Libera");
            assert_eq!(told.trouble, trouble, "{said}");
            assert!(told.text.contains("Libera"));
        }
    }

    #[test]
    fn passwords_told_to_services_are_recognised() {
        assert!(is_secret(b"NickServ", b"IDENTIFY hunter2"));
        assert!(is_secret(b"nickserv@services.libera.chat", b"identify x y"));
        assert!(!is_secret(b"NickServ", b"INFO bob"));
        assert!(!is_secret(b"bob", b"identify the bird"));
    }
}
