//! The form of a network, both ways: what was typed into a spec, and a spec into the form.

use contracts::{NetworkSpec, Sasl, SavedChannel, Tls, WellKnownNetwork};
use service::view::Form;

use crate::pages::passwords::fingerprint;

/// The form's fields that a refusal may be about.
pub(crate) const FIELDS: [&str; 14] = [
    "name",
    "host",
    "port",
    "tls",
    "fingerprint",
    "nick",
    "realname",
    "sasl",
    "account",
    "password",
    "server_password",
    "channels",
    "on_connect",
    "enabled",
];

/// The choices of `tls`.
pub(crate) const TLS: [(&str, &str); 4] = [
    ("verified", "TLS, certificate verified"),
    ("pinned", "TLS, this one certificate"),
    ("unverified", "TLS, whoever answers (not safe)"),
    ("off", "No TLS: everybody on the way can read it"),
];

/// The choices of `sasl`.
pub(crate) const SASL: [(&str, &str); 3] = [
    ("none", "Without an account"),
    ("password", "With an account name and password"),
    ("external", "With a certificate the bouncer makes"),
];

/// The form of a network that is there.
pub(crate) fn filled(spec: &NetworkSpec) -> Form {
    let (tls, fingerprint) = tls_words(&spec.tls);
    let mut form = Form::new()
        .with("name", spec.name.as_str())
        .with("host", spec.host.as_str())
        .with("port", spec.port.to_string())
        .with("tls", tls)
        .with("fingerprint", fingerprint)
        .with("nick", spec.nick.as_str())
        .with("realname", spec.realname.as_str())
        .with("channels", channels_text(&spec.channels))
        .with("on_connect", spec.on_connect.join("\n"));
    if spec.enabled {
        form = form.with("enabled", "on");
    }
    match &spec.sasl {
        Sasl::None => form.with("sasl", "none"),
        Sasl::Password { account, .. } => form.with("sasl", "password").with("account", account.as_str()),
        Sasl::External { .. } => form.with("sasl", "external"),
    }
}

/// The form of a new network, with what the operator offers under that name.
pub(crate) fn proposed(offer: Option<&WellKnownNetwork>, nick: &str) -> Form {
    let form = Form::new().with("nick", nick).with("enabled", "on").with("sasl", "none");
    match offer {
        Some(offer) => {
            let (tls, fingerprint) = tls_words(&offer.tls);
            form.with("name", network_name(&offer.name))
                .with("host", offer.host.as_str())
                .with("port", offer.port.to_string())
                .with("tls", tls)
                .with("fingerprint", fingerprint)
        }
        None => form.with("port", "6697").with("tls", "verified"),
    }
}

/// Lays the offer under what was typed: name, host, port and TLS come from it, everything else stays.
pub(crate) fn picked(form: Form, offer: &WellKnownNetwork) -> Form {
    let (tls, fingerprint) = tls_words(&offer.tls);
    let name = match form.trimmed("name") {
        "" => network_name(&offer.name),
        typed => typed.to_owned(),
    };
    form.with("name", name)
        .with("host", offer.host.as_str())
        .with("port", offer.port.to_string())
        .with("tls", tls)
        .with("fingerprint", fingerprint)
        .with("enabled", "on")
}

/// A spec as the form says it. `before` is what is kept where the form leaves something out: secrets that were not
/// typed again. `None` if something is wrong; then the form says what.
pub(crate) fn spec(form: &mut Form, before: Option<&NetworkSpec>) -> Option<NetworkSpec> {
    let name = form.trimmed("name").to_owned();
    if !valid_name(&name) {
        form.refuse("name", "A name begins with a letter or digit and has up to 32 letters, digits, dots, dashes or underscores.");
    }
    let host = form.trimmed("host").trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() {
        form.refuse("host", "Which server? For example irc.libera.chat.");
    } else if host.len() > 253 || host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
        form.refuse("host", "A host name has no spaces or slashes, for example irc.libera.chat.");
    }
    let port = form.trimmed("port").parse::<u16>().ok().filter(|port| *port != 0);
    if port.is_none() {
        form.refuse("port", "A port is a number from 1 to 65535; 6697 is usual with TLS.");
    }
    let tls = match form.value("tls") {
        "" | "verified" => Some(Tls::Verified),
        "unverified" => Some(Tls::Unverified),
        "off" => Some(Tls::Off),
        "pinned" => fingerprint(form.value("fingerprint")).map(|fingerprint| Tls::Pinned { fingerprint }),
        _ => None,
    };
    if tls.is_none() {
        form.refuse(
            "fingerprint",
            "The SHA-256 fingerprint of the server's certificate: 64 hexadecimal digits.",
        );
    }
    let nick = form.trimmed("nick").to_owned();
    if nick.is_empty() {
        form.refuse("nick", "What do you want to be called there?");
    } else if nick
        .contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | ':' | '!' | '@' | '#'))
    {
        form.refuse("nick", "A nick has no spaces and none of , : ! @ #");
    }
    let sasl = sasl(form, before);
    let channels = channels(form);
    let on_connect =
        one_line(form.value("on_connect").lines().map(str::trim).filter(|line| !line.is_empty()));
    let server_password =
        Some(form.value("server_password")).filter(|text| !text.is_empty()).map(str::to_owned);
    if !form.is_fine() {
        return None;
    }
    Some(NetworkSpec {
        name,
        host,
        port: port?,
        tls: tls?,
        nick,
        realname: form.trimmed("realname").to_owned(),
        server_password,
        sasl: sasl?,
        channels,
        on_connect,
        enabled: form.is_on("enabled"),
    })
}

fn sasl(form: &mut Form, before: Option<&NetworkSpec>) -> Option<Sasl> {
    match form.value("sasl") {
        "external" => Some(Sasl::External { fingerprint: None }),
        "password" => {
            let account = form.trimmed("account").to_owned();
            let password = Some(form.value("password").to_owned()).filter(|password| !password.is_empty());
            let kept = before.is_some_and(
                |spec| matches!(&spec.sasl, Sasl::Password { account: had, .. } if *had == account),
            );
            if account.is_empty() {
                form.refuse("account", "Which account? Usually it is your registered nick.");
            }
            if password.is_none() && !kept {
                form.refuse("password", "Which password? It is kept sealed, and never shown again.");
            }
            Some(Sasl::Password { account, password })
        }
        _ => Some(Sasl::None),
    }
}

fn channels(form: &mut Form) -> Vec<SavedChannel> {
    let mut channels: Vec<SavedChannel> = Vec::new();
    let mut wrong = None;
    for line in form.value("channels").lines() {
        let mut words = line.split([' ', ',', '\t']).filter(|word| !word.is_empty());
        let Some(name) = words.next() else { continue };
        if !name.starts_with(['#', '&', '+', '!']) || words.clone().count() > 1 {
            wrong = Some(line.trim().to_owned());
            continue;
        }
        if channels.iter().any(|channel| channel.name.eq_ignore_ascii_case(name)) {
            continue;
        }
        channels.push(SavedChannel { name: name.to_owned(), key: words.next().map(str::to_owned) });
    }
    if let Some(line) = wrong {
        form.refuse(
            "channels",
            format!("\"{line}\" is no channel: one a line, #name, and its key after a space."),
        );
    }
    channels
}

fn channels_text(channels: &[SavedChannel]) -> String {
    channels
        .iter()
        .map(|channel| match &channel.key {
            Some(key) => format!("{} {key}", channel.name),
            None => channel.name.clone(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn one_line<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    lines.map(|line| line.trim_start_matches('/').to_owned()).collect()
}

fn tls_words(tls: &Tls) -> (&'static str, &str) {
    match tls {
        Tls::Verified => ("verified", ""),
        Tls::Pinned { fingerprint } => ("pinned", fingerprint),
        Tls::Unverified => ("unverified", ""),
        Tls::Off => ("off", ""),
    }
}

/// A name by the rules of `NetworkSpec::name`, made of what a network calls itself.
pub(crate) fn network_name(offered: &str) -> String {
    let name: String = offered
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
        .take(32)
        .collect();
    if valid_name(&name) { name } else { "network".to_owned() }
}

fn valid_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn typed() -> Form {
        proposed(None, "alice").with("name", "libera").with("host", "irc.libera.chat")
    }

    #[test]
    fn a_form_and_its_spec_are_the_same_thing() {
        let mut form =
            typed().with("channels", "#rust\n#ops s3cret\n\n#rust").with("on_connect", "/umode2 +x");
        let made = spec(&mut form, None).unwrap();
        assert_eq!(made.channels.len(), 2);
        assert_eq!(made.channels[1].key.as_deref(), Some("s3cret"));
        assert_eq!(made.on_connect, ["umode2 +x"]);
        assert_eq!(spec(&mut filled(&made), None).unwrap(), made);
    }

    #[test]
    fn each_mistake_is_told_beside_its_field() {
        let mut form = typed()
            .with("name", "-x")
            .with("host", "a b")
            .with("port", "0")
            .with("nick", "a b")
            .with("tls", "pinned")
            .with("channels", "rust")
            .with("sasl", "password");
        assert!(spec(&mut form, None).is_none());
        for field in ["name", "host", "port", "nick", "fingerprint", "channels", "account", "password"] {
            assert!(form.error(field).is_some(), "{field}");
        }
        assert_eq!(form.value("host"), "a b");
    }

    #[test]
    fn a_password_that_is_not_typed_again_is_kept_for_the_same_account_only() {
        let mut form = typed().with("sasl", "password").with("account", "alice").with("password", "hunter2");
        let before = spec(&mut form, None).unwrap();
        let mut same = filled(&before);
        assert_eq!(
            spec(&mut same, Some(&before)).unwrap().sasl,
            Sasl::Password { account: "alice".into(), password: None }
        );
        let mut other = filled(&before).with("account", "bob");
        assert!(spec(&mut other, Some(&before)).is_none());
    }

    #[test]
    fn an_offered_name_becomes_one_that_fits_into_a_login() {
        assert_eq!(network_name("Libera.Chat"), "Libera.Chat");
        assert_eq!(network_name("My Net"), "My-Net");
        assert_eq!(network_name("…"), "network");
    }
}
