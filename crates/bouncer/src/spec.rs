//! What a network's spec must hold, said in words the user can act on.

use std::collections::HashSet;
use std::net::IpAddr;

use contracts::{CallError, NetworkSpec, Sasl, SavedChannel, Tls};

const MAX_CHANNELS: usize = 500;
const MAX_ON_CONNECT: usize = 20;
const MAX_LINE: usize = 510;
const MAX_SECRET: usize = 400;
const MAX_REALNAME: usize = 200;
const MAX_NICK: usize = 64;

/// The spec as it is kept: trimmed, host in lower case, fingerprint without colons, channels once each. Names the
/// first field that is wrong. `trusted` says whether the operator vouches for this `host:port`, so that a password
/// may travel to it in the clear (the local network of `ircnow up`).
pub fn checked(mut spec: NetworkSpec, trusted: impl Fn(&str, u16) -> bool) -> Result<NetworkSpec, CallError> {
    name(&spec.name)?;
    spec.host = host(&spec.host)?;
    if spec.port == 0 {
        return Err(CallError::invalid("port", "Give a port from 1 to 65535. With TLS it is usually 6697."));
    }
    if let Tls::Pinned { fingerprint: pin } = &mut spec.tls {
        *pin = fingerprint(pin)?;
    }
    spec.nick = nick(&spec.nick)?;
    spec.realname = realname(&spec.realname)?;
    // An empty one takes away the one there was.
    if let Some(password) = spec.server_password.as_deref().filter(|password| !password.is_empty()) {
        secret("server_password", "server password", password)?;
    }
    let in_the_clear = spec.tls == Tls::Off && !trusted(&spec.host, spec.port);
    sasl(&mut spec.sasl, in_the_clear)?;
    spec.channels = channels(std::mem::take(&mut spec.channels))?;
    spec.on_connect = on_connect(std::mem::take(&mut spec.on_connect))?;
    Ok(spec)
}

fn name(name: &str) -> Result<(), CallError> {
    let first_fits = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest_fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if first_fits && rest_fits && name.len() <= 32 {
        return Ok(());
    }
    Err(CallError::invalid(
        "name",
        "Give the network a name of up to 32 letters, digits, dots, dashes or underscores, starting with a letter or digit.",
    ))
}

fn host(text: &str) -> Result<String, CallError> {
    let bare = text.trim().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let host = bare.to_ascii_lowercase();
    if host.parse::<IpAddr>().is_ok() {
        return Ok(host);
    }
    let label_fits = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if host.len() <= 253 && host.split('.').all(label_fits) {
        return Ok(host);
    }
    Err(CallError::invalid(
        "host",
        "Give a host name such as irc.libera.chat, without ircs:// and without a port.",
    ))
}

fn fingerprint(text: &str) -> Result<String, CallError> {
    let hex: String =
        text.chars().filter(|c| !matches!(c, ':' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(hex);
    }
    Err(CallError::invalid(
        "fingerprint",
        "Give the certificate's SHA-256 fingerprint: 64 hexadecimal digits.",
    ))
}

fn nick(text: &str) -> Result<String, CallError> {
    let nick = text.trim();
    let fits = |c: char| !c.is_control() && !c.is_whitespace() && !"!@:,*?#&.$%+".contains(c);
    let starts = |c: char| !c.is_ascii_digit() && c != '-';
    if !nick.is_empty() && nick.len() <= MAX_NICK && nick.chars().all(fits) && nick.starts_with(starts) {
        return Ok(nick.to_owned());
    }
    Err(CallError::invalid(
        "nick",
        "Give a nick that starts with a letter and holds letters, digits or any of - _ [ ] \\ ` ^ { | }.",
    ))
}

fn realname(text: &str) -> Result<String, CallError> {
    let realname = text.trim();
    if realname.len() <= MAX_REALNAME && !realname.contains(['\r', '\n', '\0']) {
        return Ok(realname.to_owned());
    }
    Err(CallError::invalid(
        "realname",
        "Give a real name of one line, at most 200 characters, or leave it empty.",
    ))
}

fn secret(field: &str, what: &str, text: &str) -> Result<(), CallError> {
    if !text.is_empty() && text.len() <= MAX_SECRET && !text.contains(['\r', '\n', '\0']) {
        return Ok(());
    }
    Err(CallError::invalid(field, format!("Give a {what} of one line, at most {MAX_SECRET} characters.")))
}

fn sasl(sasl: &mut Sasl, in_the_clear: bool) -> Result<(), CallError> {
    match sasl {
        Sasl::None => Ok(()),
        Sasl::Password { account, password } => {
            *account = account.trim().to_owned();
            let account_fits = !account.is_empty()
                && account.len() <= MAX_SECRET
                && !account.contains(|c: char| c.is_control() || c == ' ');
            if !account_fits {
                return Err(CallError::invalid("account", "Give the name of your account on that network."));
            }
            if let Some(password) = password {
                secret("password", "password for your account on that network", password)?;
            }
            if in_the_clear {
                return Err(CallError::invalid(
                    "sasl",
                    "A password is only sent over TLS. Switch TLS on, or log in without a password.",
                ));
            }
            Ok(())
        }
        Sasl::External { .. } if in_the_clear => {
            Err(CallError::invalid("sasl", "A certificate can only be shown over TLS. Switch TLS on."))
        }
        Sasl::External { .. } => Ok(()),
    }
}

fn channels(channels: Vec<SavedChannel>) -> Result<Vec<SavedChannel>, CallError> {
    if channels.len() > MAX_CHANNELS {
        return Err(CallError::invalid("channels", format!("Give at most {MAX_CHANNELS} channels.")));
    }
    let mut seen = HashSet::new();
    let mut kept = Vec::with_capacity(channels.len());
    for channel in channels {
        let channel = SavedChannel {
            name: channel.name.trim().to_owned(),
            key: channel.key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()),
        };
        let one_word = |text: &str| !text.contains(|c: char| c.is_control() || c == ' ' || c == ',');
        let named = channel.name.starts_with(['#', '&', '+', '!'])
            && (2..=200).contains(&channel.name.len())
            && one_word(&channel.name);
        if !named {
            let shown: String = channel.name.chars().take(60).collect();
            return Err(CallError::invalid(
                "channels",
                format!("\"{shown}\" is no channel name. They start with #, and hold no space and no comma."),
            ));
        }
        if channel.key.as_deref().is_some_and(|key| !one_word(key) || key.len() > 100) {
            return Err(CallError::invalid(
                "channels",
                format!("The key of {} may hold no space and no comma.", channel.name),
            ));
        }
        if seen.insert(channel.name.to_lowercase()) {
            kept.push(channel);
        }
    }
    Ok(kept)
}

fn on_connect(lines: Vec<String>) -> Result<Vec<String>, CallError> {
    let lines: Vec<String> =
        lines.into_iter().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    if lines.len() > MAX_ON_CONNECT {
        return Err(CallError::invalid(
            "on_connect",
            format!("Give at most {MAX_ON_CONNECT} lines to send after connecting."),
        ));
    }
    let wrong = lines.iter().any(|line| line.len() > MAX_LINE || line.contains(['\r', '\n', '\0']));
    if wrong {
        return Err(CallError::invalid(
            "on_connect",
            format!("Each line to send after connecting is one IRC line of at most {MAX_LINE} bytes."),
        ));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> NetworkSpec {
        NetworkSpec {
            name: "libera".into(),
            host: "irc.libera.chat".into(),
            port: 6697,
            tls: Tls::Verified,
            nick: "alice".into(),
            realname: String::new(),
            server_password: None,
            sasl: Sasl::None,
            channels: Vec::new(),
            on_connect: Vec::new(),
            enabled: true,
        }
    }

    fn field_refused(change: impl FnOnce(&mut NetworkSpec)) -> String {
        let mut spec = spec();
        change(&mut spec);
        match checked(spec, |_, _| false) {
            Err(CallError::Invalid { field, .. }) => field,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_plain_spec_is_kept_as_it_is() {
        assert_eq!(checked(spec(), |_, _| false).map(|s| s.host), Ok("irc.libera.chat".into()));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        assert_eq!(field_refused(|s| s.name = "my net".into()), "name");
        assert_eq!(field_refused(|s| s.name = String::new()), "name");
        assert_eq!(field_refused(|s| s.host = "ircs://irc.libera.chat".into()), "host");
        assert_eq!(field_refused(|s| s.host = "irc.libera.chat:6697".into()), "host");
        assert_eq!(field_refused(|s| s.port = 0), "port");
        assert_eq!(field_refused(|s| s.nick = "two words".into()), "nick");
        assert_eq!(field_refused(|s| s.nick = "9lives".into()), "nick");
        assert_eq!(field_refused(|s| s.realname = "a\r\nQUIT".into()), "realname");
        assert_eq!(field_refused(|s| s.server_password = Some("a\nb".into())), "server_password");
        assert_eq!(field_refused(|s| s.on_connect = vec!["MODE x +i\r\nQUIT".into()]), "on_connect");
        assert_eq!(field_refused(|s| s.tls = Tls::Pinned { fingerprint: "abc".into() }), "fingerprint");
        let channel = |name: &str| vec![SavedChannel { name: name.into(), key: None }];
        assert_eq!(field_refused(|s| s.channels = channel("rust")), "channels");
        assert_eq!(field_refused(|s| s.channels = channel("#a,#b")), "channels");
    }

    #[test]
    fn a_password_never_travels_in_the_clear_except_where_the_operator_vouches() {
        let mut spec = spec();
        spec.tls = Tls::Off;
        spec.sasl = Sasl::Password { account: "alice".into(), password: Some("secret".into()) };
        assert!(
            matches!(checked(spec.clone(), |_, _| false), Err(CallError::Invalid { field, .. }) if field == "sasl")
        );
        assert!(checked(spec, |host, port| (host, port) == ("irc.libera.chat", 6697)).is_ok());
    }

    #[test]
    fn fingerprints_hosts_and_channels_are_brought_to_one_form() -> Result<(), CallError> {
        let mut spec = spec();
        spec.host = " IRC.Libera.Chat. ".into();
        spec.tls = Tls::Pinned { fingerprint: "AB:".repeat(31) + "AB" };
        spec.channels = ["#Rust", "#rust", "#tokio"]
            .map(|name| SavedChannel { name: name.into(), key: Some(String::new()) })
            .into();
        let kept = checked(spec, |_, _| false)?;
        assert_eq!(kept.host, "irc.libera.chat");
        assert_eq!(kept.tls, Tls::Pinned { fingerprint: "ab".repeat(32) });
        let names: Vec<_> = kept.channels.iter().map(|c| (c.name.as_str(), c.key.as_deref())).collect();
        assert_eq!(names, [("#Rust", None), ("#tokio", None)]);
        Ok(())
    }

    #[test]
    fn an_ipv6_address_may_wear_its_brackets() {
        let mut spec = spec();
        spec.host = "[2001:db8::1]".into();
        assert_eq!(checked(spec, |_, _| false).map(|s| s.host), Ok("2001:db8::1".into()));
    }
}
