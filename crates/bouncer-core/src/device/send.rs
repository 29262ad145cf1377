//! What a device says to others.

use crate::network::gate::Route;
use crate::user::User;
use crate::wire::{Line, Writer};
use crate::{Cap, ConnId, Kind};

impl User {
    /// PRIVMSG, NOTICE and TAGMSG.
    pub(crate) fn send(&mut self, conn: ConnId, line: &Line<'_>) {
        let verb = line.verb();
        let label = line.tag("label");
        if line.params.len() < 2 && &*verb != b"TAGMSG" || line.params.is_empty() {
            return self.need_more(conn, line);
        }
        for target in line.param(0).split(|byte| *byte == b',').filter(|target| !target.is_empty()) {
            if target.eq_ignore_ascii_case(b"BouncerServ") {
                self.service(conn, &verb, line.param(1), label.as_deref());
                continue;
            }
            self.send_one(conn, line, target, label.as_deref());
        }
    }

    fn send_one(&mut self, conn: ConnId, line: &Line<'_>, target: &[u8], label: Option<&[u8]>) {
        let Some(at) = self.network_of_conn(conn) else { return self.unbound(conn, line) };
        let Some(network) = self.networks.get_mut(at) else { return };
        if !network.is_up() {
            if &*line.verb() == b"TAGMSG" {
                return;
            }
            let text = format!("Not sent: {} is not connected right now", network.setup.name);
            let bytes = crate::wire::line(&self.cx.server, "404", &[&network.nick, target, text.as_bytes()]);
            return self.reply(conn, bytes);
        }
        let verb = line.verb();
        let tags = network.caps.has(Cap::MessageTags);
        if &*verb == b"TAGMSG" && !tags {
            return;
        }
        let echoes = network.caps.has(Cap::EchoMessage);
        let labels = network.caps.has(Cap::LabeledResponse);
        let mut writer = Writer::default();
        if echoes && labels {
            let ours = network.replies.label(self.cx.now_ms, conn, label);
            writer.tag(b"label", ours.as_bytes());
        } else {
            network.replies.ask(self.cx.now_ms, conn, &verb, target);
        }
        if tags {
            for (key, value) in line.tags().filter(|(key, _)| key.first() == Some(&b'+')) {
                writer.tag(key, &value);
            }
        }
        writer.command(b"", &verb);
        writer.param(target);
        if line.params.len() > 1 {
            writer.last(line.param(1));
        }
        network.send(&mut self.cx, writer.finish());
        if !echoes {
            self.made_up_echo(at, conn, line, target, label);
        }
    }

    /// The upstream does not say our own lines back to us: so we do, to every device.
    fn made_up_echo(
        &mut self,
        at: usize,
        conn: ConnId,
        line: &Line<'_>,
        target: &[u8],
        label: Option<&[u8]>,
    ) {
        let Some(network) = self.networks.get_mut(at) else { return };
        let verb = line.verb();
        let mut writer = Writer::default();
        for (key, value) in line.tags().filter(|(key, _)| key.first() == Some(&b'+')) {
            writer.tag(key, &value);
        }
        let source = network.own_source();
        writer.command(&source, &verb);
        writer.param(target);
        if line.params.len() > 1 {
            writer.last(line.param(1));
        }
        let bytes = writer.finish();
        let Some(echo) = Line::parse(&bytes) else { return };
        let label = label.map(|label| (conn, label.into()));
        let route = Route { label, origin: Some(conn), ..Route::all() };
        let kind = match &*verb {
            b"PRIVMSG" => Kind::Privmsg,
            b"NOTICE" => Kind::Notice,
            _ => Kind::Tagmsg,
        };
        network.echo(&mut self.cx, kind, &echo, route);
    }

    /// Sends a command of a device on to its upstream, so that the answer finds the way back.
    pub(crate) fn forward(&mut self, conn: ConnId, line: &Line<'_>) {
        let Some(at) = self.network_of_conn(conn) else { return self.unbound(conn, line) };
        let Some(network) = self.networks.get_mut(at) else { return };
        if !network.is_up() {
            let text = format!("{} is not connected right now.", network.setup.name);
            return self.reply_notice(conn, &text);
        }
        let verb = line.verb();
        let mut writer = Writer::default();
        if network.caps.has(Cap::LabeledResponse) {
            let label = line.tag("label");
            let ours = network.replies.label(self.cx.now_ms, conn, label.as_deref());
            writer.tag(b"label", ours.as_bytes());
        } else {
            let named = match &*verb {
                b"INVITE" | b"KICK" => line.param(1),
                _ => line.param(0),
            };
            let first = named.split(|byte| *byte == b',').next().unwrap_or_default();
            network.replies.ask(self.cx.now_ms, conn, &verb, first);
        }
        if network.caps.has(Cap::MessageTags) {
            for (key, value) in line.tags().filter(|(key, _)| key.first() == Some(&b'+')) {
                writer.tag(key, &value);
            }
        }
        writer.command(b"", &verb);
        if let Some((last, rest)) = line.params.split_last() {
            rest.iter().for_each(|param| writer.param(param));
            writer.last_plain(last);
        }
        network.send(&mut self.cx, writer.finish());
    }

    /// A command that needs a network, from a connection that has none.
    pub(crate) fn unbound(&mut self, conn: ConnId, line: &Line<'_>) {
        let nick = self.nick_of_conn(conn);
        let verb = line.verb();
        let text = &b"This connection is bound to no network"[..];
        let bytes = crate::wire::line(&self.cx.server, "421", &[&nick, &verb, text]);
        self.reply(conn, bytes);
    }

    /// 461.
    pub(crate) fn need_more(&mut self, conn: ConnId, line: &Line<'_>) {
        let nick = self.nick_of_conn(conn);
        let verb = line.verb();
        let bytes = crate::wire::line(&self.cx.server, "461", &[&nick, &verb, b"Not enough parameters"]);
        self.reply(conn, bytes);
    }
}
