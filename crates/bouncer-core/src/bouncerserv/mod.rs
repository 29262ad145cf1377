//! `BouncerServ`: the bouncer as somebody to talk to. Commands become wishes to the shell, which answers later.

mod words;

use crate::bouncer_networks::Wish;
use crate::network::{Network, Phase};
use crate::user::User;
use crate::{Cap, ConnId, NetworkChange, Request, SaslChange};
use words::{Arguments, split};

const HELP: [&str; 16] = [
    "I manage your bouncer. What I understand (a word in <> is yours, in [] may be left out):",
    "network status - your networks and how they are",
    "network create -addr <host[:port]> [-name <name>] [-nick <nick>] [-realname <name>] [-pass <password>] \
     [-enabled true|false] [-connect-command <line>] - adds one; write irc+insecure://<host> for no TLS",
    "network update [<name>] [the same options] - changes one",
    "network reconnect [<name>] - connects it anew, now",
    "network delete <name> - takes one away",
    "network quote [<name>] <line> - sends a raw line to its server",
    "channel status [-network <name>] - the channels that are kept",
    "channel create <#channel> [-key <key>] [-network <name>] - keeps and joins one",
    "channel update <#channel> -key <key> [-network <name>] - gives one another key",
    "channel delete <#channel> [-network <name>] - leaves one",
    "sasl status [-network <name>] - how you log in there",
    "sasl set-plain [-network <name>] <account> <password> - logs in with these from now on",
    "sasl reset [-network <name>] - does not log in any more",
    "user status - who you are here",
    "A name may be left out on a connection that is bound to a network.",
];

const NETWORK_OPTIONS: [&str; 8] =
    ["addr", "name", "nick", "username", "realname", "pass", "enabled", "connect-command"];

type Said = Result<Vec<String>, String>;

impl User {
    /// A message to `BouncerServ`.
    pub(crate) fn service(&mut self, conn: ConnId, verb: &[u8], text: &[u8], label: Option<&[u8]>) {
        if verb != b"PRIVMSG" {
            return;
        }
        let caps = self.caps_of(conn);
        let nick = self.nick_of_conn(conn);
        let label = label.filter(|_| caps.has(Cap::LabeledResponse));
        if caps.has(Cap::EchoMessage) || label.is_some() {
            let mut writer = crate::wire::Writer::default();
            if let Some(label) = label {
                writer.tag(b"label", label);
            }
            if caps.has(Cap::EchoMessage) {
                let source = [&nick[..], b"!", &nick, b"@", &self.cx.server].concat();
                writer.command(&source, b"PRIVMSG");
                writer.param(b"BouncerServ");
                writer.last(text);
            } else {
                writer.command(&self.cx.server, b"ACK");
            }
            self.reply(conn, writer.finish());
        }
        let said =
            self.service_command(conn, &String::from_utf8_lossy(text)).unwrap_or_else(|text| vec![text]);
        self.service_says(conn, &said);
    }

    /// What `BouncerServ` says to a connection.
    pub(crate) fn service_says(&mut self, conn: ConnId, lines: &[String]) {
        let nick = self.nick_of_conn(conn);
        let service = self.cx.service();
        let mut out = Vec::new();
        for line in lines {
            out.extend(crate::wire::line(&service, "PRIVMSG", &[&nick, line.as_bytes()]));
        }
        self.reply(conn, out);
    }

    fn service_command(&mut self, conn: ConnId, text: &str) -> Said {
        let mut words = split(text)?.into_iter();
        let first = words.next().unwrap_or_default().to_ascii_lowercase();
        let second = words.next().unwrap_or_default();
        let verb = second.to_ascii_lowercase();
        match (&*first, &*verb) {
            ("help" | "", _) => Ok(HELP.map(str::to_owned).to_vec()),
            ("network", "status" | "list" | "") => Ok(self.network_status()),
            ("network", "create" | "add") => self.network_create(conn, words),
            ("network", "update" | "change") => self.network_update(conn, words),
            ("network", "delete" | "remove") => self.network_delete(conn, words),
            ("network", "reconnect") => self.network_reconnect(conn, words),
            ("network", "quote") => self.network_quote(conn, words),
            ("channel", "status" | "list" | "") => self.channel_status(conn, words),
            ("channel", "create" | "add" | "update") => self.channel_keep(conn, words),
            ("channel", "delete" | "remove") => self.channel_delete(conn, words),
            ("sasl", "status" | "") => self.sasl_status(conn, words),
            ("sasl", "set-plain") => self.sasl_set(conn, words),
            ("sasl", "reset") => self.sasl_reset(conn, words),
            ("user", "status" | "") => Ok(vec![format!(
                "You are {}, with {} networks and {} connections right now. Change your account on your account page.",
                self.cx.username,
                self.networks.len(),
                self.conns.len()
            )]),
            _ => Err(format!("I do not know \"{first} {second}\". Say help for what I understand.")),
        }
    }

    fn network_status(&self) -> Vec<String> {
        if self.networks.is_empty() {
            return vec![
                "You have no network yet. Say: network create -addr irc.libera.chat -name libera".to_owned(),
            ];
        }
        self.networks.iter().map(status).collect()
    }

    /// The network of a name, or the one the connection is bound to.
    fn named(&self, conn: ConnId, name: Option<&str>) -> Result<usize, String> {
        let names: Vec<_> = self.networks.iter().map(|network| network.setup.name.as_str()).collect();
        match name {
            Some(name) => names
                .iter()
                .position(|known| known.eq_ignore_ascii_case(name))
                .ok_or_else(|| format!("You have no network {name}. Yours are: {}.", names.join(", "))),
            None => self
                .network_of_conn(conn)
                .or(if names.len() == 1 { Some(0) } else { None })
                .ok_or_else(|| format!("Say which network: {}.", names.join(", "))),
        }
    }

    fn network_create(&mut self, conn: ConnId, words: impl Iterator<Item = String>) -> Said {
        let arguments = Arguments::parse(words, &NETWORK_OPTIONS)?;
        let mut change = change(&arguments)?;
        let Some(host) = change.host.clone() else {
            return Err("-addr is needed: the server's address.".to_owned());
        };
        let name = change.name.get_or_insert_with(|| name_of_host(&host)).clone();
        let done = format!("The network {name} is added. Log in as {}/{name} to use it.", self.cx.username);
        self.wish(Wish::Service { conn, done }, Request::AddNetwork(change));
        Ok(Vec::new())
    }

    fn network_update(&mut self, conn: ConnId, words: impl Iterator<Item = String>) -> Said {
        let arguments = Arguments::parse(words, &NETWORK_OPTIONS)?;
        let at = self.named(conn, arguments.plain.first().map(String::as_str))?;
        let change = change(&arguments)?;
        if change == NetworkChange::default() {
            return Err("There is nothing to change. Say help for the options.".to_owned());
        }
        self.wish_about(conn, at, "is changed", |id| Request::ChangeNetwork(id, change))
    }

    fn network_delete(&mut self, conn: ConnId, mut words: impl Iterator<Item = String>) -> Said {
        let Some(name) = words.next() else {
            return Err("Say which network: network delete <name>".to_owned());
        };
        let at = self.named(conn, Some(&name))?;
        self.wish_about(conn, at, "is deleted", Request::DeleteNetwork)
    }

    fn network_reconnect(&mut self, conn: ConnId, mut words: impl Iterator<Item = String>) -> Said {
        let at = self.named(conn, words.next().as_deref())?;
        self.wish_about(conn, at, "connects anew", Request::Reconnect)
    }

    fn wish_about(
        &mut self,
        conn: ConnId,
        at: usize,
        what: &str,
        request: impl FnOnce(crate::NetworkId) -> Request,
    ) -> Said {
        let Some(network) = self.networks.get(at) else { return Ok(Vec::new()) };
        let (id, done) = (network.id, format!("The network {} {what}.", network.setup.name));
        self.wish(Wish::Service { conn, done }, request(id));
        Ok(Vec::new())
    }

    fn network_quote(&mut self, conn: ConnId, words: impl Iterator<Item = String>) -> Said {
        let words: Vec<String> = words.collect();
        let (at, line) = match &words[..] {
            [line] => (self.named(conn, None)?, line),
            [name, line] => (self.named(conn, Some(name))?, line),
            _ => return Err("Say: network quote [<name>] \"<line>\" (the line in quotes).".to_owned()),
        };
        let Some(network) = self.networks.get(at) else { return Ok(Vec::new()) };
        if !network.is_up() {
            return Err(format!("{} is not connected right now.", network.setup.name));
        }
        let clean: Vec<u8> = line.bytes().filter(|byte| !matches!(byte, 0 | b'\r' | b'\n')).collect();
        network.send(&mut self.cx, [&clean[..], b"\r\n"].concat());
        Ok(vec![format!("Sent to {}.", network.setup.name)])
    }

    fn channel_status(&mut self, conn: ConnId, words: impl Iterator<Item = String>) -> Said {
        let arguments = Arguments::parse(words, &["network"])?;
        let at = self.named(conn, arguments.option("network"))?;
        let Some(network) = self.networks.get(at) else { return Ok(Vec::new()) };
        let name = &network.setup.name;
        if network.setup.channels.is_empty() {
            return Ok(vec![format!("No channel is kept on {name}. Join one, and it is.")]);
        }
        let line = |saved: &crate::SavedChannel| {
            let joined = network.channels.contains_key(&network.key(saved.name.as_bytes()));
            let key = if saved.key.is_some() { ", with a key" } else { "" };
            format!("{} [{}{key}]", saved.name, if joined { "joined" } else { "not joined" })
        };
        Ok(network.setup.channels.iter().map(line).collect())
    }

    fn channel_keep(&mut self, conn: ConnId, words: impl Iterator<Item = String>) -> Said {
        let arguments = Arguments::parse(words, &["network", "key"])?;
        let at = self.named(conn, arguments.option("network"))?;
        let Some(name) = arguments.plain.first() else { return Err("Say which channel.".to_owned()) };
        let Some(network) = self.networks.get_mut(at) else { return Ok(Vec::new()) };
        if !network.support.is_channel(name.as_bytes()) || name.contains([' ', ',', '\x07', '\r', '\n']) {
            return Err(format!("{name} is not a channel's name."));
        }
        let key = arguments.option("key").map(str::as_bytes);
        network.keep_channel(&mut self.cx, name.as_bytes(), key);
        let params: Vec<&[u8]> = [Some(name.as_bytes()), key].into_iter().flatten().collect();
        if !network.channels.contains_key(&network.key(name.as_bytes())) {
            network.say(&mut self.cx, "JOIN", &params);
        }
        Ok(vec![format!("{name} is kept on {}.", network.setup.name)])
    }

    fn channel_delete(&mut self, conn: ConnId, words: impl Iterator<Item = String>) -> Said {
        let arguments = Arguments::parse(words, &["network"])?;
        let at = self.named(conn, arguments.option("network"))?;
        let Some(name) = arguments.plain.first() else { return Err("Say which channel.".to_owned()) };
        let Some(network) = self.networks.get_mut(at) else { return Ok(Vec::new()) };
        network.drop_channel(&mut self.cx, name.as_bytes());
        if network.channels.contains_key(&network.key(name.as_bytes())) {
            network.say(&mut self.cx, "PART", &[name.as_bytes()]);
        }
        Ok(vec![format!("{name} is no longer kept on {}.", network.setup.name)])
    }

    fn sasl_status(&mut self, conn: ConnId, words: impl Iterator<Item = String>) -> Said {
        let arguments = Arguments::parse(words, &["network"])?;
        let at = self.named(conn, arguments.option("network"))?;
        let Some(network) = self.networks.get(at) else { return Ok(Vec::new()) };
        let name = &network.setup.name;
        Ok(vec![match &network.setup.sasl_account {
            Some(account) => format!("You log in on {name} as {account}."),
            None => format!("You do not log in on {name}. Say: sasl set-plain <account> <password>"),
        }])
    }

    fn sasl_set(&mut self, conn: ConnId, words: impl Iterator<Item = String>) -> Said {
        let arguments = Arguments::parse(words, &["network"])?;
        let at = self.named(conn, arguments.option("network"))?;
        let [account, password] = &arguments.plain[..] else {
            return Err("Say: sasl set-plain <account> <password>".to_owned());
        };
        let sasl = SaslChange::Plain { account: account.clone(), password: password.clone() };
        let change = NetworkChange { sasl: Some(sasl), ..NetworkChange::default() };
        self.wish_about(conn, at, "logs in with that account from now on", |id| {
            Request::ChangeNetwork(id, change)
        })
    }

    fn sasl_reset(&mut self, conn: ConnId, words: impl Iterator<Item = String>) -> Said {
        let arguments = Arguments::parse(words, &["network"])?;
        let at = self.named(conn, arguments.option("network"))?;
        let change = NetworkChange { sasl: Some(SaslChange::Off), ..NetworkChange::default() };
        self.wish_about(conn, at, "does not log in any more", |id| Request::ChangeNetwork(id, change))
    }
}

fn status(network: &Network) -> String {
    let setup = &network.setup;
    let state = match network.phase {
        Phase::Up => format!("connected as {}", String::from_utf8_lossy(&network.nick)),
        Phase::Connecting => "connecting".to_owned(),
        Phase::Down if !setup.enabled => "switched off".to_owned(),
        Phase::Down => "not connected".to_owned(),
    };
    let security = if setup.tls { "TLS" } else { "no TLS" };
    let mut text = format!("{} ({}:{}, {security}): {state}", setup.name, setup.host, setup.port);
    if network.phase == Phase::Up {
        text.push_str(&format!(", {} channels", network.channels.len()));
    }
    if let Some(error) = &network.last_error {
        text.push_str(&format!(". {error}"));
    }
    text
}

fn change(arguments: &Arguments) -> Result<NetworkChange, String> {
    let text = |name| arguments.option(name).map(str::to_owned);
    let mut change = NetworkChange {
        name: text("name"),
        nick: text("nick"),
        username: text("username"),
        realname: text("realname"),
        pass: text("pass"),
        enabled: arguments.switch("enabled")?,
        ..NetworkChange::default()
    };
    let commands = arguments.all("connect-command");
    if !commands.is_empty() {
        change.on_connect = Some(commands);
    }
    if let Some(address) = arguments.option("addr") {
        let (host, port, tls) = address_of(address)?;
        (change.host, change.port, change.tls) = (Some(host), port, Some(tls));
    }
    Ok(change)
}

/// `[ircs://|irc+insecure://]host[:port]`.
fn address_of(text: &str) -> Result<(String, Option<u16>, bool), String> {
    let (tls, rest) = match text.split_once("://") {
        None => (true, text),
        Some(("ircs", rest)) => (true, rest),
        Some(("irc+insecure" | "irc", rest)) => (false, rest),
        Some((scheme, _)) => {
            return Err(format!("I do not know {scheme}://. There is ircs:// and irc+insecure://."));
        }
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            let port = port.parse().ok().filter(|port| *port > 0);
            (host, Some(port.ok_or_else(|| format!("{rest} has no valid port."))?))
        }
        _ => (rest, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err("-addr needs a host.".to_owned());
    }
    Ok((host.to_owned(), port, tls))
}

/// A network's name out of its host: `irc.libera.chat` is `libera`.
pub(crate) fn name_of_host(host: &str) -> String {
    let labels: Vec<_> = host.split('.').filter(|label| !label.is_empty()).collect();
    let name = match labels[..] {
        [.., name, _] if host.parse::<std::net::IpAddr>().is_err() => name,
        _ => host,
    };
    let clean: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
    clean.trim_matches('-').chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(address_of("irc.libera.chat").unwrap(), ("irc.libera.chat".into(), None, true));
        assert_eq!(address_of("ircs://h:7000").unwrap(), ("h".into(), Some(7000), true));
        assert_eq!(address_of("irc+insecure://h:6667").unwrap(), ("h".into(), Some(6667), false));
        assert_eq!(address_of("[::1]:6697").unwrap(), ("::1".into(), Some(6697), true));
        assert_eq!(address_of("::1").unwrap(), ("::1".into(), None, true));
        for wrong in ["", "h:0", "h:x", "http://h", "a b"] {
            assert!(address_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_host_gives_a_name() {
        assert_eq!(name_of_host("irc.libera.chat"), "libera");
        assert_eq!(name_of_host("localhost"), "localhost");
        assert_eq!(name_of_host("127.0.0.1"), "127-0-0-1");
    }
}
