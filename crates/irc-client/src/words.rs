//! What the user is told: what happened, and what to do. One place, so that the tone is one.

use std::error::Error as _;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::config::{ClientConfig, Tls};
use crate::dial::DialError;
use crate::error::{ClientError, ErrorKind};

fn error(kind: ErrorKind, text: String) -> ClientError {
    ClientError { kind, text }
}

fn place(config: &ClientConfig, port: u16) -> String {
    format!("{} ({}:{port})", config.label, config.host)
}

/// No TCP connection.
pub(crate) fn dial(config: &ClientConfig, port: u16, cause: &DialError) -> ClientError {
    match cause {
        DialError::NoSuchHost => error(
            ErrorKind::NoSuchHost,
            format!("There is no host named {}. Check how it is spelled.", config.host),
        ),
        DialError::Forbidden(reason) => error(ErrorKind::Forbidden, reason.clone()),
        DialError::Io(cause) => unreachable(config, port, cause),
    }
}

fn unreachable(config: &ClientConfig, port: u16, cause: &io::Error) -> ClientError {
    let place = place(config, port);
    match cause.kind() {
        io::ErrorKind::ConnectionRefused => error(
            ErrorKind::Unreachable,
            format!("{place} refused the connection. Check the port; if it is right, the server is down."),
        ),
        io::ErrorKind::TimedOut => connect_timeout(config, port),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            error(ErrorKind::Unreachable, format!("{place} cannot be reached from here right now."))
        }
        _ => error(ErrorKind::Unreachable, format!("{place} cannot be reached: {cause}.")),
    }
}

/// Nobody answers.
pub(crate) fn connect_timeout(config: &ClientConfig, port: u16) -> ClientError {
    let text =
        format!("{} does not answer. Check address and port, and whether it wants TLS.", place(config, port));
    error(ErrorKind::TimedOut, text)
}

/// Registration takes too long.
pub(crate) fn registration_timeout(config: &ClientConfig) -> ClientError {
    let text = match config.tls {
        Tls::Off => "It took the connection but never answered. If the port wants TLS, turn TLS on.",
        _ => "It took the connection but never answered. If the port takes no TLS, turn TLS off.",
    };
    error(ErrorKind::TimedOut, format!("{} is silent. {text}", config.label))
}

/// The answer to a PING is missing.
pub(crate) fn silent(config: &ClientConfig) -> ClientError {
    let seconds = config.manners.ping_timeout.as_secs();
    error(ErrorKind::TimedOut, format!("{} has not answered for {seconds} s.", config.label))
}

/// TLS failed. `seen` is the fingerprint of the certificate it showed, if it came so far.
pub(crate) fn tls(config: &ClientConfig, port: u16, cause: &io::Error, seen: Option<&str>) -> ClientError {
    let place = place(config, port);
    let inner = cause.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    let certificate = |what: String| {
        let pin =
            seen.map(|seen| format!(" If you know that it is right, pin its SHA-256 fingerprint: {seen}"));
        error(ErrorKind::Certificate, format!("{what}{}", pin.unwrap_or_default()))
    };
    match inner {
        Some(TlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            certificate(format!("{place} shows another certificate than the pinned one."))
        }
        Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            certificate(format!("{place} shows a certificate that no known authority has signed."))
        }
        Some(TlsError::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => certificate(format!("The certificate of {place} has run out.")),
        Some(TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => certificate(format!("The certificate of {place} is made out to another name.")),
        Some(TlsError::InvalidCertificate(_)) => {
            certificate(format!("The certificate of {place} is not valid."))
        }
        Some(TlsError::InvalidMessage(_)) => error(
            ErrorKind::Tls,
            format!("{place} does not speak TLS on this port. Use its TLS port, or turn TLS off."),
        ),
        Some(TlsError::AlertReceived(
            AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion,
        )) => error(ErrorKind::Tls, format!("{place} speaks only versions of TLS that are too old.")),
        Some(other) => error(ErrorKind::Tls, format!("TLS with {place} failed: {other}.")),
        None if cause.kind() == io::ErrorKind::UnexpectedEof => error(
            ErrorKind::Tls,
            format!("{place} hung up during the TLS handshake. It may take no TLS on this port."),
        ),
        None => error(ErrorKind::Tls, format!("TLS with {place} failed: {cause}.")),
    }
}

/// The WebSocket could not be opened.
pub(crate) fn websocket(config: &ClientConfig, port: u16, cause: &dyn std::fmt::Display) -> ClientError {
    let text = format!("{} took no WebSocket: {cause}. Check the path.", place(config, port));
    error(ErrorKind::Protocol, text)
}

/// The connection broke.
pub(crate) fn lost(config: &ClientConfig, cause: Option<&io::Error>) -> ClientError {
    let text = match cause {
        Some(cause) if cause.kind() == io::ErrorKind::ConnectionReset => {
            format!("The connection to {} was cut.", config.label)
        }
        Some(cause) => {
            let source = cause.source().map(|source| format!(" ({source})")).unwrap_or_default();
            format!("The connection to {} broke: {cause}{source}.", config.label)
        }
        None => format!("{} closed the connection without a word.", config.label),
    };
    error(ErrorKind::Lost, text)
}

/// 904 and its like.
pub(crate) fn sasl_refused(config: &ClientConfig, account: &str, said: &str) -> ClientError {
    let label = &config.label;
    let text = if account.is_empty() {
        format!(
            "{label} does not know the certificate. Add its fingerprint to your account there (NickServ CERT ADD)."
        )
    } else {
        format!(
            "{label} refused the password for {account}. Check both there (NickServ) and change them here.{}",
            quote(said)
        )
    };
    error(ErrorKind::SaslRefused, text)
}

/// 902.
pub(crate) fn sasl_locked(config: &ClientConfig, account: &str, said: &str) -> ClientError {
    let text = format!(
        "{} does not let {account} log in right now. Ask the staff of the network.{}",
        config.label,
        quote(said)
    );
    error(ErrorKind::SaslRefused, text)
}

/// SASL is wanted and cannot be.
pub(crate) fn sasl_unavailable(config: &ClientConfig, what: &str) -> ClientError {
    let text = format!(
        "{} {what}, so logging in is not possible. Its services may be away for the moment; if not, turn the login \
         off here.",
        config.label
    );
    error(ErrorKind::SaslUnavailable, text)
}

/// The password would travel in the clear.
pub(crate) fn insecure(config: &ClientConfig) -> ClientError {
    let text = format!("The password for {} would travel in the clear. Turn TLS on.", config.label);
    error(ErrorKind::Insecure, text)
}

/// 464.
pub(crate) fn server_password(config: &ClientConfig) -> ClientError {
    let text = match config.server_password {
        Some(_) => format!("{} refused the server password. Check it.", config.label),
        None => format!("{} wants a server password. Fill it in.", config.label),
    };
    error(ErrorKind::ServerPassword, text)
}

/// No nick will do.
pub(crate) fn nick(config: &ClientConfig, said: &str) -> ClientError {
    let text = format!(
        "{} does not take the nick {}. Choose another one.{}",
        config.label,
        config.nick,
        quote(said)
    );
    error(ErrorKind::Nick, text)
}

/// The upstream said ERROR, or 465 before it.
pub(crate) fn closed(config: &ClientConfig, said: &str) -> ClientError {
    let label = &config.label;
    match farewell(said) {
        ErrorKind::Throttled => error(
            ErrorKind::Throttled,
            format!(
                "{label} asks for fewer connections. The next try is minutes away on purpose.{}",
                quote(said)
            ),
        ),
        ErrorKind::Banned => error(
            ErrorKind::Banned,
            format!("{label} has banned this connection. Ask the staff of the network.{}", quote(said)),
        ),
        kind => error(kind, format!("{label} closed the connection.{}", quote(said))),
    }
}

/// Registration ended in a way no text fits.
pub(crate) fn protocol(config: &ClientConfig, what: &str) -> ClientError {
    error(ErrorKind::Protocol, format!("{} does not answer like an IRC server: {what}.", config.label))
}

fn quote(said: &str) -> String {
    let said: String = said.chars().filter(|c| !c.is_control()).take(300).collect();
    if said.is_empty() { String::new() } else { format!(" It said: {said}") }
}

/// What a farewell means for the next try.
pub(crate) fn farewell(said: &str) -> ErrorKind {
    let said = said.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&[
        "throttl",
        "too fast",
        "too many",
        "too quickly",
        "reconnect later",
        "try again later",
        "session limit",
        "connection limit",
        "no more connections",
    ]) {
        ErrorKind::Throttled
    } else if says(&[
        "banned",
        "k-line",
        "kline",
        "g-line",
        "gline",
        "z-line",
        "zline",
        "d-line",
        "dline",
        "akill",
        "autokill",
        "dnsbl",
        "blacklist",
        "blocklist",
        "open proxy",
        "not welcome",
    ]) {
        ErrorKind::Banned
    } else {
        ErrorKind::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ClientConfig {
        ClientConfig::new("Libera.Chat", "irc.libera.chat", 6697, "alice")
    }

    #[test]
    fn farewells_are_understood() {
        for (said, kind) in [
            ("Closing Link: 192.0.2.1 (Throttled: Reconnecting too fast)", ErrorKind::Throttled),
            ("Trying to reconnect too fast.", ErrorKind::Throttled),
            ("Your host is trying to (re)connect too fast -- throttled", ErrorKind::Throttled),
            ("Too many user connections (global)", ErrorKind::Throttled),
            ("Closing Link: 192.0.2.1 (K-Lined)", ErrorKind::Banned),
            ("Closing link: (a@b) [G-Lined: spam]", ErrorKind::Banned),
            ("You are banned from this server", ErrorKind::Banned),
            ("Closing Link: localhost (Killed (op (bye)))", ErrorKind::Closed),
            ("Closing Link: Server shutdown", ErrorKind::Closed),
        ] {
            assert_eq!(farewell(said), kind, "{said}");
        }
    }

    #[test]
    fn the_user_reads_what_happened_and_what_to_do() {
        let text = sasl_refused(&config(), "alice", "SASL authentication failed").text;
        assert!(text.starts_with("Libera.Chat refused the password for alice. Check"), "{text}");
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let text = dial(&config(), 6697, &refused.into()).text;
        assert!(text.contains("irc.libera.chat:6697") && text.contains("Check the port"), "{text}");
    }

    #[test]
    fn what_an_upstream_says_cannot_smuggle_control_characters() {
        assert!(!closed(&config(), "bye\u{1b}[31m\u{3}4").text.contains(['\u{1b}', '\u{3}']));
    }
}
