//! What a device says to the bouncer or, through it, to its upstream.

use super::{Reading, burst};
use crate::network::names::Names;
use crate::user::User;
use crate::wire::Line;
use crate::{Cap, ConnId};

impl User {
    /// A line from a connection.
    pub(crate) fn device_line(&mut self, conn: ConnId, raw: &[u8]) {
        let Some(found) = self.conn(conn).and_then(|at| self.conns.get(at)) else { return };
        let Some(line) = Line::parse(raw) else { return };
        let leaving = matches!(found.reading, Reading::Leaving { .. });
        match &*line.verb() {
            b"PONG" => self.ponged(conn, &line.params),
            _ if leaving => {}
            b"QUIT" => self.leave(conn),
            b"PING" => {
                let bytes =
                    crate::wire::line(&self.cx.server, "PONG", &[&self.cx.server.clone(), line.param(0)]);
                self.reply(conn, bytes);
            }
            b"CAP" | b"AUTHENTICATE" => {}
            b"USER" | b"PASS" => {
                let nick = self.nick_of_conn(conn);
                let bytes =
                    crate::wire::line(&self.cx.server, "462", &[&nick, b"You are registered already"]);
                self.reply(conn, bytes);
            }
            b"BOUNCER" => self.bouncer_command(conn, &line),
            b"CHATHISTORY" => self.chathistory(conn, &line),
            b"SEARCH" => self.search(conn, &line),
            b"MARKREAD" => self.markread(conn, &line, "MARKREAD"),
            b"READ" => self.markread(conn, &line, "READ"),
            b"PRIVMSG" | b"NOTICE" | b"TAGMSG" => self.send(conn, &line),
            b"AWAY" => self.away_command(conn, &line),
            b"NICK" => self.nick_command(conn, &line),
            b"JOIN" => self.join_command(conn, &line),
            b"PART" => self.part_command(conn, &line),
            b"MONITOR" => self.monitor_command(conn, &line),
            b"NAMES" => self.names_command(conn, &line),
            b"MODE" => self.mode_command(conn, &line),
            b"TOPIC" => self.topic_command(conn, &line),
            b"MOTD" => {
                let nick = self.nick_of_conn(conn);
                let bytes =
                    crate::wire::line(&self.cx.server, "422", &[&nick, b"For help: /msg BouncerServ help"]);
                self.reply(conn, bytes);
            }
            _ => self.forward(conn, &line),
        }
    }

    fn away_command(&mut self, id: ConnId, line: &Line<'_>) {
        let Some(at) = self.conn(id) else { return };
        let nick = self.nick_of_conn(id);
        let Some(conn) = self.conns.get_mut(at) else { return };
        let text = line.param(0);
        let (numeric, words) = match text {
            b"" => ("305", &b"You are no longer marked as being away"[..]),
            _ => ("306", &b"You have been marked as being away"[..]),
        };
        conn.away = match text {
            b"" => None,
            b"*" => Some(crate::user::ABSENT.into()),
            text => Some(text.into()),
        };
        let network = conn.network;
        let bytes = crate::wire::line(&self.cx.server, numeric, &[&nick, words]);
        self.reply(id, bytes);
        self.away_of(network);
    }

    fn nick_command(&mut self, id: ConnId, line: &Line<'_>) {
        let nick = line.param(0);
        if nick.is_empty() {
            let have = self.nick_of_conn(id);
            let bytes = crate::wire::line(&self.cx.server, "431", &[&have, b"No nickname given"]);
            return self.reply(id, bytes);
        }
        let old = self.nick_of_conn(id);
        if let Some(at) = self.network_of_conn(id) {
            let Some(network) = self.networks.get_mut(at) else { return };
            if network.is_up() {
                network.regain.choose_nick(nick);
                return self.forward(id, line);
            }
            let text =
                format!("{} is not connected right now: change the nick once it is.", network.setup.name);
            return self.reply_notice(id, &text);
        }
        if let Some(conn) = self.conn(id).and_then(|at| self.conns.get_mut(at)) {
            conn.nick = nick.into();
            self.reply(id, burst::plain_line(&old, "NICK", &[nick]));
        }
    }

    fn join_command(&mut self, id: ConnId, line: &Line<'_>) {
        if line.params.is_empty() {
            return self.need_more(id, line);
        }
        let Some(at) = self.network_of_conn(id) else { return self.unbound(id, line) };
        let Some(network) = self.networks.get_mut(at) else { return };
        let mut keys = line.param(1).split(|byte| *byte == b',');
        for name in line.param(0).split(|byte| *byte == b',') {
            let key = keys.next().unwrap_or_default();
            if !network.support.is_channel(name) {
                continue;
            }
            if !network.is_up() {
                // It will be joined once the network is connected.
                network.keep_channel(&mut self.cx, name, (!key.is_empty()).then_some(key));
            } else if !key.is_empty() {
                let folded = network.key(name);
                network.regain.join_key(folded, key);
            }
        }
        if network.is_up() {
            self.forward(id, line);
        } else {
            let text = format!(
                "{} is not connected right now: the channels are joined once it is.",
                network.setup.name
            );
            self.reply_notice(id, &text);
        }
    }

    fn part_command(&mut self, id: ConnId, line: &Line<'_>) {
        if line.params.is_empty() {
            return self.need_more(id, line);
        }
        let Some(at) = self.network_of_conn(id) else { return self.unbound(id, line) };
        let Some(network) = self.networks.get_mut(at) else { return };
        let mut left = Vec::new();
        let mut joined = false;
        for name in line.param(0).split(|byte| *byte == b',') {
            let key = network.key(name);
            if network.channels.contains_key(&key) {
                joined = true;
            } else if !name.is_empty() {
                network.drop_channel(&mut self.cx, name);
                left.extend(burst::plain_line(&network.own_source(), "PART", &[name]));
            }
        }
        if joined {
            return self.forward(id, line);
        }
        self.reply(id, left);
    }

    fn monitor_command(&mut self, id: ConnId, line: &Line<'_>) {
        let Some(at) = self.network_of_conn(id) else { return self.unbound(id, line) };
        let Some(network) = self.networks.get_mut(at) else { return };
        let names: Vec<&[u8]> =
            line.param(1).split(|byte| *byte == b',').filter(|name| !name.is_empty()).collect();
        let mut out = Vec::new();
        match line.param(0) {
            b"+" => {
                let full = network.watch(&mut self.cx, id, &names);
                for (numeric, masks) in [("730", true), ("731", false)] {
                    let states = network.presence.states(id);
                    let states = if masks { states.0 } else { states.1 };
                    let wanted = states.into_iter().filter(|mask| {
                        let nick = crate::wire::nick_of(mask);
                        names.iter().any(|name| network.support.casemap.same(name, nick))
                    });
                    for some in wanted.collect::<Vec<_>>().chunks(8) {
                        out.extend(crate::wire::line(
                            &self.cx.server,
                            numeric,
                            &[&network.nick, &some.join(&b","[..])],
                        ));
                    }
                }
                if !full.is_empty() {
                    let limit = network.support.monitor.unwrap_or(0).min(100).to_string();
                    let params: [&[u8]; 4] =
                        [&network.nick, limit.as_bytes(), &full.join(&b","[..]), b"Monitor list is full"];
                    out.extend(crate::wire::line(&self.cx.server, "734", &params));
                }
            }
            b"-" => network.unwatch(&mut self.cx, id, Some(&names)),
            b"C" | b"c" => network.unwatch(&mut self.cx, id, None),
            b"L" | b"l" => {
                for some in network.presence.watched_by(id).chunks(16) {
                    out.extend(crate::wire::line(
                        &self.cx.server,
                        "732",
                        &[&network.nick, &some.join(&b","[..])],
                    ));
                }
                out.extend(crate::wire::line(
                    &self.cx.server,
                    "733",
                    &[&network.nick, b"End of MONITOR list"],
                ));
            }
            b"S" | b"s" => burst::monitor_states(&mut out, &self.cx, network, id),
            _ => return self.need_more(id, line),
        }
        self.reply(id, out);
    }

    /// NAMES of a joined channel is answered from what we know.
    fn names_command(&mut self, id: ConnId, line: &Line<'_>) {
        let Some(at) = self.network_of_conn(id) else { return self.unbound(id, line) };
        let caps = self.caps_of(id);
        let Some(network) = self.networks.get_mut(at) else { return };
        let name = line.param(0);
        if name.is_empty() {
            let bytes = burst::no_names(&self.cx, &network.nick, b"*");
            return self.reply(id, bytes);
        }
        let Some(channel) = network.channels.get(&network.key(name)).filter(|channel| !channel.joining)
        else {
            return self.forward(id, line);
        };
        let names = Names::of(channel, &network.users, &network.support);
        let mut out = Vec::new();
        let label = line.tag("label").filter(|_| caps.has(Cap::LabeledResponse) && caps.has(Cap::Batch));
        match label {
            Some(label) => {
                let batch = self.cx.ids.token();
                let mut opening = crate::wire::Writer::default();
                opening.tag(b"label", &label);
                opening.command(&self.cx.server, b"BATCH");
                opening.param(format!("+{batch}").as_bytes());
                opening.param(b"labeled-response");
                out.extend(opening.finish());
                names.render(
                    &mut out,
                    &self.cx.server,
                    &network.nick,
                    caps,
                    Some(("batch", batch.as_bytes())),
                );
                out.extend(burst::plain_line(&self.cx.server, "BATCH", &[format!("-{batch}").as_bytes()]));
            }
            None => names.render(&mut out, &self.cx.server, &network.nick, caps, None),
        }
        self.reply(id, out);
    }

    /// MODE of a channel we know the modes of, and of ourselves, is answered from what we know.
    fn mode_command(&mut self, id: ConnId, line: &Line<'_>) {
        let Some(at) = self.network_of_conn(id) else { return self.unbound(id, line) };
        let Some(network) = self.networks.get(at) else { return };
        let name = line.param(0);
        let plain = line.params.len() == 1 && line.tag("label").is_none();
        if plain && network.is_me(name) {
            let modes = [b"+", &network.modes[..]].concat();
            let bytes = burst::plain_line(&self.cx.server, "221", &[&network.nick, &modes]);
            return self.reply(id, bytes);
        }
        let channel = network.channels.get(&network.key(name)).filter(|_| plain);
        let Some((channel, modes)) = channel.and_then(|channel| Some((channel, channel.mode_line()?))) else {
            return self.forward(id, line);
        };
        let mut params: Vec<&[u8]> = vec![&network.nick, &channel.name];
        params.extend(modes.split(|byte| *byte == b' '));
        let mut out = burst::plain_line(&self.cx.server, "324", &params);
        if let Some(created) = channel.created {
            let created = created.to_string();
            out.extend(burst::plain_line(
                &self.cx.server,
                "329",
                &[&network.nick, &channel.name, created.as_bytes()],
            ));
        }
        self.reply(id, out);
    }

    /// TOPIC of a joined channel is answered from what we know.
    fn topic_command(&mut self, id: ConnId, line: &Line<'_>) {
        let Some(at) = self.network_of_conn(id) else { return self.unbound(id, line) };
        let Some(network) = self.networks.get(at) else { return };
        let plain = line.params.len() == 1 && line.tag("label").is_none();
        let Some(channel) = network.channels.get(&network.key(line.param(0))).filter(|_| plain) else {
            return self.forward(id, line);
        };
        let mut out = Vec::new();
        match channel.topic {
            Some(_) => burst::topic(&mut out, &self.cx, network, channel),
            None => {
                let params: [&[u8]; 3] = [&network.nick, &channel.name, b"No topic is set"];
                out = crate::wire::line(&self.cx.server, "331", &params);
            }
        }
        self.reply(id, out);
    }
}
