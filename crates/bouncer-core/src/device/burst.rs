//! What a device is told when it attaches: who it is, what the network can, and the present state of each channel.

use super::Conn;
use crate::cx::Cx;
use crate::network::channel::Channel;
use crate::network::names::{Names, end_of_names};
use crate::network::{Network, Phase};
use crate::text::iso;
use crate::user::User;
use crate::wire::line;
use crate::{Cap, CapSet, ConnId};

impl User {
    /// Everything from 001 on.
    pub(crate) fn burst(&mut self, id: ConnId) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(conn) = self.conn(id).and_then(|at| self.conns.get(at)) else { return out };
        let network = self.networks.iter().find(|network| Some(network.id) == conn.network);
        let cx = &self.cx;
        let nick = network.map_or(&conn.nick, |network| &network.nick);
        let server = String::from_utf8_lossy(&cx.server).into_owned();
        let welcome = match network {
            Some(network) => {
                format!("Welcome to {} through your bouncer, {}", network.setup.name, cx.username)
            }
            None => format!("Welcome to your bouncer, {}", cx.username),
        };
        let mut say = |numeric: &str, params: &[&[u8]]| {
            let all: Vec<&[u8]> = [&[&nick[..]], params].concat();
            out.extend(line(&cx.server, numeric, &all));
        };
        say("001", &[welcome.as_bytes()]);
        say("002", &[format!("Your host is {server}").as_bytes()]);
        say("003", &[b"It keeps you connected while you are away"]);
        say("004", &[&cx.server, b"irc.now", b"aiwroOs", b"OovbeIklimnpst"]);
        isupport(&mut out, cx, network, conn);
        let mut say = |numeric: &str, params: &[&[u8]]| {
            let all: Vec<&[u8]> = [&[&nick[..]], params].concat();
            out.extend(line(&cx.server, numeric, &all));
        };
        say("375", &[format!("- {server} -").as_bytes()]);
        say("372", &[b"- Your bouncer. For help: /msg BouncerServ help"]);
        say("376", &[b"End of /MOTD command"]);
        if conn.caps.has(Cap::SojuBouncerNetworksNotify) {
            out.extend(crate::bouncer_networks::list(cx, &self.networks, conn.caps, "burst"));
        }
        let Some(network) = network else { return out };
        if !network.modes.is_empty() {
            let modes = [b"+", &network.modes[..]].concat();
            out.extend(line(&network.nick, "MODE", &[&network.nick, &modes]));
        }
        for channel in network.channels.values() {
            join(&mut out, network, conn.caps, channel);
            topic(&mut out, cx, network, channel);
            let names = Names::of(channel, &network.users, &network.support);
            out.extend(channel_end(cx, network, conn.caps, &names));
        }
        out
    }
}

/// Our own JOIN.
fn join(out: &mut Vec<u8>, network: &Network, caps: CapSet, channel: &Channel) {
    let source = network.own_source();
    if !caps.has(Cap::ExtendedJoin) {
        return out.extend(line(&source, "JOIN", &[&channel.name]));
    }
    let me = network.users.find(network.support.casemap, &network.nick);
    let account =
        me.map(|me| network.users.account(me)).filter(|account| !account.is_empty()).unwrap_or(b"*");
    let realname =
        if network.setup.realname.is_empty() { &network.setup.nick } else { &network.setup.realname };
    out.extend(line(&source, "JOIN", &[&channel.name, account, realname.as_bytes()]));
}

/// 332 and 333.
pub(crate) fn topic(out: &mut Vec<u8>, cx: &Cx, network: &Network, channel: &Channel) {
    let Some(topic) = &channel.topic else { return };
    out.extend(line(&cx.server, "332", &[&network.nick, &channel.name, &topic.text]));
    if !topic.set_by.is_empty() {
        let at = topic.set_at.to_string();
        out.extend(line(&cx.server, "333", &[&network.nick, &channel.name, &topic.set_by, at.as_bytes()]));
    }
}

/// What ends the state of a channel: the read marker, then the names.
pub(crate) fn channel_end(cx: &Cx, network: &Network, caps: CapSet, names: &Names) -> Vec<u8> {
    let mut out = Vec::new();
    let marker = network.markers.get(&network.key(&names.channel)).copied();
    read_marker(&mut out, cx, network, caps, &names.channel, marker);
    if !crate::caps::no_implicit_names(caps) {
        names.render(&mut out, &cx.server, &network.nick, caps, None);
    }
    out
}

/// MARKREAD and READ, to a device that has negotiated them.
pub(crate) fn read_marker(
    out: &mut Vec<u8>,
    cx: &Cx,
    network: &Network,
    caps: CapSet,
    target: &[u8],
    marker: Option<i64>,
) {
    let stamp = marker.map_or_else(|| "*".to_owned(), |at| format!("timestamp={}", iso(at)));
    if caps.has(Cap::DraftReadMarker) {
        out.extend(plain_line(&cx.server, "MARKREAD", &[target, stamp.as_bytes()]));
    }
    if caps.has(Cap::SojuRead) {
        out.extend(plain_line(&network.own_source(), "READ", &[target, stamp.as_bytes()]));
    }
}

/// A line without a colon before its last parameter where it needs none.
pub(crate) fn plain_line(source: &[u8], command: &str, params: &[&[u8]]) -> Vec<u8> {
    let mut writer = crate::wire::Writer::default();
    writer.command(source, command.as_bytes());
    if let Some((last, rest)) = params.split_last() {
        rest.iter().for_each(|param| writer.param(param));
        writer.last_plain(last);
    }
    writer.finish()
}

/// 366 for a channel we are not in.
pub(crate) fn no_names(cx: &Cx, nick: &[u8], channel: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    end_of_names(&mut out, &cx.server, nick, channel, None);
    out
}

/// 005: what the upstream said, and what is ours to say.
pub(crate) fn isupport(out: &mut Vec<u8>, cx: &Cx, network: Option<&Network>, conn: &Conn) {
    let Some(network) = network else {
        let own = irc::Isupport::new()
            .with("CASEMAPPING", "ascii")
            .with("NETWORK", "irc.now")
            .with("BOUNCER_NETID", "");
        return own
            .lines(&cx.server, &conn.nick)
            .iter()
            .for_each(|line| out.extend_from_slice(&line.to_bytes()));
    };
    let mut tokens = network.support.passed();
    if network.support.is_empty() {
        tokens = tokens.with("CASEMAPPING", "rfc1459").with("CHANTYPES", "#&").with("PREFIX", "(ov)@+");
    }
    if !tokens.has("NETWORK") {
        tokens.set("NETWORK", &network.setup.name);
    }
    if network.support.monitor.is_some() {
        tokens.set("MONITOR", "100");
    }
    if network.phase == Phase::Up && !network.caps.has(Cap::MessageTags) {
        tokens.set("CLIENTTAGDENY", "*");
    } else if let Some(deny) = network.support.value("CLIENTTAGDENY") {
        tokens.set("CLIENTTAGDENY", deny);
    }
    tokens.set("BOUNCER_NETID", network.id.to_string());
    tokens.set("CHATHISTORY", cx.page_limit.to_string());
    tokens.set("MSGREFTYPES", "msgid,timestamp");
    for line in tokens.lines(&cx.server, &network.nick) {
        out.extend_from_slice(&line.to_bytes());
    }
}

/// 730 and 731 for what a connection watches, as far as it is known.
pub(crate) fn monitor_states(out: &mut Vec<u8>, cx: &Cx, network: &Network, conn: ConnId) {
    let (online, offline) = network.presence.states(conn);
    for (numeric, masks) in [("730", online), ("731", offline)] {
        for some in masks.chunks(8) {
            out.extend(line(&cx.server, numeric, &[&network.nick, &some.join(&b","[..])]));
        }
    }
}
