//! What the upstream says: the state it changes, and whom it is for.

use super::channel::Channel;
use super::gate::{Out, Route, To};
use super::log::{Buffers, is_react};
use super::replies::Batch;
use super::{Network, channel::Topic};
use crate::cx::Cx;
use crate::encode::{Fact, Plain};
use crate::wire::{Line, host_of, nick_of};
use crate::{Cap, CapSet, ConnId, Kind, NO_BUFFER};

/// The most channels kept of one network.
const MAX_CHANNELS: usize = 2_000;

impl Network {
    /// A line from the upstream.
    pub fn line(&mut self, cx: &mut Cx, raw: &[u8]) {
        let Some(line) = Line::parse(raw) else { return };
        let mut route = Route::all();
        let mut asker = None;
        if let Some(label) = line.tag("label") {
            if let Some((conn, theirs)) = self.replies.labelled(&label) {
                asker = Some(conn);
                route.label = theirs.map(|theirs| (conn, theirs));
            }
        } else if let Some(batch) = line.tag("batch") {
            match self.replies.batch(&batch) {
                Some(Batch::Answer { conn, theirs, name }) => {
                    asker = Some(*conn);
                    route.batch = theirs.as_ref().map(|_| (*conn, name.clone()));
                }
                Some(Batch::History { target }) if line.command != b"BATCH" => {
                    let target = target.clone();
                    return self.backfilled(cx, &line, &target);
                }
                Some(Batch::Targets) if line.command != b"BATCH" => return self.backfill_target(cx, &line),
                _ => {}
            }
        }
        if let Some(numeric) = line.numeric() {
            return self.numeric(cx, numeric, &line, asker, route);
        }
        match &*line.verb() {
            b"PRIVMSG" => self.message(cx, Kind::Privmsg, &line, asker, route),
            b"NOTICE" => self.message(cx, Kind::Notice, &line, asker, route),
            b"TAGMSG" => self.message(cx, Kind::Tagmsg, &line, asker, route),
            b"JOIN" => self.join(cx, &line, route),
            b"PART" => self.part(cx, &line, Kind::Part, line.nick(), route),
            b"KICK" => self.part(cx, &line, Kind::Kick, line.param(1), route),
            b"QUIT" => self.quit(cx, &line, route),
            b"NICK" => self.nick_change(cx, &line, asker.is_some(), route),
            b"MODE" => self.mode(cx, &line, route),
            b"TOPIC" => self.topic(cx, &line, route),
            b"REDACT" => {
                let buffers = self.message_buffer(cx, &line, self.is_me(line.nick()));
                let entry = self.entry(cx, Kind::Redact, &line, buffers);
                self.log(cx, entry, route);
            }
            b"BATCH" => self.batch(cx, &line, asker, route),
            b"ACK" => {
                if route.label.is_some() {
                    let plain = Plain {
                        needs: CapSet::of(&[Cap::LabeledResponse]),
                        ..self.plain(&line, CapSet::EMPTY)
                    };
                    self.answer(plain, asker, route);
                }
            }
            b"AWAY" => self.fact(&line, Fact::Away, Cap::AwayNotify),
            b"ACCOUNT" => self.fact(&line, Fact::Account, Cap::AccountNotify),
            b"CHGHOST" => self.fact(&line, Fact::Host, Cap::Chghost),
            b"SETNAME" => {
                let plain = self.plain(&line, CapSet::of(&[Cap::Setname]));
                self.pass(self.to_those_who_watch(line.nick(), plain), route);
            }
            b"INVITE" => {
                let needs =
                    if self.is_me(line.param(0)) { CapSet::EMPTY } else { CapSet::of(&[Cap::InviteNotify]) };
                let plain = self.plain(&line, needs);
                self.pass(plain, route);
            }
            b"FAIL" | b"WARN" | b"NOTE" => {
                let asker = asker.or_else(|| self.replies.standard(line.param(0)));
                if self.backfill_failed(cx, &line) {
                    return;
                }
                let plain = self.plain(&line, CapSet::EMPTY);
                self.answer(plain, asker, route);
            }
            b"ERROR" => self.last_error = Some(crate::plain::error(line.param(0), &self.setup.name).text),
            b"CAP" => self.caps_changed(&line),
            b"PING" | b"PONG" | b"AUTHENTICATE" => {}
            _ => {
                let plain = self.plain(&line, CapSet::EMPTY);
                self.answer(plain, asker, route);
            }
        }
    }

    /// `CAP ACK` and `CAP DEL` after registration: the client session has asked, here it is only noted.
    fn caps_changed(&mut self, line: &Line<'_>) {
        let names = line.params.last().copied().unwrap_or_default();
        for name in names.split(|byte| *byte == b' ') {
            let (name, on) = match name.strip_prefix(b"-") {
                Some(name) => (name, false),
                None => (name, line.param(1).eq_ignore_ascii_case(b"ACK")),
            };
            let Some(cap) = Cap::from_name(name) else { continue };
            if on {
                self.caps = self.caps.with(cap);
            } else if matches!(&line.param(1).to_ascii_uppercase()[..], b"ACK" | b"DEL") {
                self.caps = self.caps.without(cap);
            }
        }
    }

    /// Passes a line on to whoever asked, or to everybody.
    pub fn answer(&mut self, plain: Plain, asker: Option<ConnId>, mut route: Route) {
        if let Some(conn) = asker {
            route.to = To::Only(conn);
        }
        self.pass(plain, route);
    }

    fn batch(&mut self, cx: &mut Cx, line: &Line<'_>, asker: Option<ConnId>, route: Route) {
        let Some((sign, name)) = line.param(0).split_first() else { return };
        let source = line.source;
        let bare = |params: Vec<Box<[u8]>>| Plain {
            source: source.into(),
            command: "BATCH".into(),
            params,
            needs: CapSet::of(&[Cap::Batch, Cap::LabeledResponse]),
            ..Plain::default()
        };
        if *sign == b'-' {
            match self.replies.close(name) {
                Some(Batch::Answer { conn, theirs: Some(_), name }) => {
                    self.pass(bare(vec![format!("-{name}").into_bytes().into()]), Route::only(conn));
                }
                Some(Batch::History { target }) => self.backfill_page_end(cx, &target),
                Some(Batch::Targets) => self.backfill_page_end(cx, b""),
                _ => {}
            }
            return;
        }
        let batch = match line.param(1) {
            b"labeled-response" => match asker {
                Some(conn) => {
                    let ours: Box<str> = cx.ids.token().into();
                    let theirs = route.label.as_ref().map(|(_, theirs)| theirs.clone());
                    if theirs.is_some() {
                        let opening = bare(vec![
                            format!("+{ours}").into_bytes().into(),
                            b"labeled-response"[..].into(),
                        ]);
                        self.pass(opening, Route { to: To::Only(conn), ..route });
                    }
                    Batch::Answer { conn, theirs, name: ours }
                }
                None => Batch::Other,
            },
            b"chathistory" => Batch::History { target: line.param(2).into() },
            b"draft/chathistory-targets" => Batch::Targets,
            _ => Batch::Other,
        };
        self.replies.open(name, batch);
    }

    /// Where a message belongs: its channel, or the other one of a pair.
    pub fn message_buffer(&mut self, cx: &Cx, line: &Line<'_>, own: bool) -> Buffers {
        let target = line.param(0);
        if let Some(channel) = self.support.channel_of(target) {
            return self.buffer(channel);
        }
        let is_user = line.source.contains(&b'!') || !line.source.contains(&b'.');
        let other = if own && !target.is_empty() {
            target
        } else if is_user && self.is_me(target) && !line.nick().is_empty() {
            line.nick()
        } else {
            return Buffers::from_iter([NO_BUFFER.into()]);
        };
        self.queries.note(self.support.casemap.fold(other), other, self.when(cx, line));
        self.buffer(other)
    }

    fn message(&mut self, cx: &mut Cx, kind: Kind, line: &Line<'_>, asker: Option<ConnId>, mut route: Route) {
        let own = self.is_me(line.nick()) && line.source.contains(&b'!');
        if own {
            self.learn_own_host(line.source);
            route.origin =
                asker.or_else(|| self.replies.take(self.support.casemap, &line.verb(), line.param(0)));
        } else {
            self.learn_host(line.source);
        }
        // To nobody, or with nothing in it: that is no message.
        if line.param(0).is_empty() || kind != Kind::Tagmsg && line.params.len() < 2 {
            return;
        }
        let body = line.param(1);
        let ctcp = body.first() == Some(&1) && !body.starts_with(b"\x01ACTION");
        let logged = match kind {
            Kind::Tagmsg => line.tags().any(|(key, _)| is_react(key)),
            _ => !(ctcp || own && crate::plain::is_secret(line.param(0), body)),
        };
        if logged {
            let buffers = self.message_buffer(cx, line, own);
            let mut entry = self.entry(cx, kind, line, buffers);
            if let Some(conn) = route.origin {
                super::log::sign(&mut entry, conn);
            }
            self.log(cx, entry, route);
        } else {
            let needs = if kind == Kind::Tagmsg { CapSet::of(&[Cap::MessageTags]) } else { CapSet::EMPTY };
            let mut plain = self.plain(line, needs);
            plain.ts_ms = Some(self.when(cx, line));
            plain.msgid = line.tag("msgid").and_then(|id| String::from_utf8(id).ok()).map(Into::into);
            plain.droppable = kind == Kind::Tagmsg;
            self.pass(plain, route);
        }
    }

    /// A line of our own that the upstream will not say back.
    pub fn echo(&mut self, cx: &mut Cx, kind: Kind, line: &Line<'_>, route: Route) {
        let sender = route.origin;
        self.message(cx, kind, line, sender, route);
    }

    /// Notes the `user@host` of somebody we share a channel with.
    fn learn_host(&mut self, source: &[u8]) {
        if let Some(user) = self.users.find(self.support.casemap, nick_of(source)) {
            self.users.set_host(user, host_of(source));
        }
    }

    fn learn_own_host(&mut self, source: &[u8]) {
        let host = host_of(source);
        if !host.is_empty() && *host != *self.host {
            self.host = host.into();
        }
        self.learn_host(source);
    }

    fn join(&mut self, cx: &mut Cx, line: &Line<'_>, route: Route) {
        let (name, map) = (line.param(0), self.support.casemap);
        let key = self.key(name);
        if self.is_me(line.nick()) {
            self.learn_own_host(line.source);
            if self.channels.len() >= MAX_CHANNELS && !self.channels.contains_key(&key) {
                return;
            }
            if let Some(mut old) = self.channels.insert(key.clone(), Channel::new(name)) {
                old.clear(&mut self.users, map);
            }
            let password = self.regain.take_join_key(&key);
            self.keep_channel(cx, name, password.as_deref());
        }
        let Some(channel) = self.channels.get_mut(&key) else { return };
        if let Some(user) = channel.add(&mut self.users, map, line.nick(), 0) {
            self.users.set_host(user, host_of(line.source));
            let account = match line.param(1) {
                b"" => line.tag("account").unwrap_or_default(),
                b"*" => Vec::new(),
                account => account.to_vec(),
            };
            if line.params.len() > 1 || !account.is_empty() {
                self.users.set_account(user, &account);
            }
        }
        let buffers = self.buffer(name);
        let entry = self.entry(cx, Kind::Join, line, buffers);
        self.log(cx, entry, route);
    }

    fn part(&mut self, cx: &mut Cx, line: &Line<'_>, kind: Kind, who: &[u8], route: Route) {
        let (name, map) = (line.param(0), self.support.casemap);
        let key = self.key(name);
        let Some(channel) = self.channels.get_mut(&key) else { return };
        let known = self.users.find(map, who);
        if self.support.casemap.same(&self.nick, who) {
            if let Some(mut channel) = self.channels.remove(&key) {
                channel.clear(&mut self.users, map);
            }
            if kind == Kind::Part {
                self.drop_channel(cx, name);
            }
        } else if let Some(user) = known {
            channel.remove(&mut self.users, map, user);
        }
        let buffers = self.buffer(name);
        let entry = self.entry(cx, kind, line, buffers);
        self.log(cx, entry, route);
        if kind == Kind::Kick && self.is_me(who) {
            self.kicked(cx, line);
        }
        self.regain_on_gone(cx, who);
    }

    /// We were removed from a channel. It stays kept: the next connection joins it again.
    fn kicked(&mut self, cx: &mut Cx, line: &Line<'_>) {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (channel, reason) = (shown(line.param(0)), shown(line.param(2)));
        let said = if reason.is_empty() { String::new() } else { format!(" They said: {reason}") };
        let text = format!(
            "{} has removed you from {channel} on {}. To go back: /join {channel}.{said}",
            shown(line.nick()),
            self.setup.name
        );
        self.notice(cx, &text);
    }

    /// The keys of the channels somebody is in.
    fn shared(&self, nick: &[u8]) -> Buffers {
        let Some(user) = self.users.find(self.support.casemap, nick) else { return Buffers::new() };
        self.channels.iter().filter(|(_, channel)| channel.has(user)).map(|(key, _)| key.clone()).collect()
    }

    fn quit(&mut self, cx: &mut Cx, line: &Line<'_>, route: Route) {
        let map = self.support.casemap;
        if self.is_me(line.nick()) {
            return;
        }
        let buffers = self.shared(line.nick());
        if let Some(user) = self.users.find(map, line.nick()) {
            for channel in self.channels.values_mut() {
                channel.remove(&mut self.users, map, user);
            }
        }
        let entry = self.entry(cx, Kind::Quit, line, buffers);
        self.log(cx, entry, route);
        self.regain_on_gone(cx, line.nick());
    }

    /// `asked`: it answers a command of ours. InspIRCd 3 writes such a line with the new nick as its source too.
    fn nick_change(&mut self, cx: &mut Cx, line: &Line<'_>, asked: bool, route: Route) {
        let (mut old, new, map) = (line.nick(), line.param(0), self.support.casemap);
        if new.is_empty() {
            return;
        }
        let before =
            (asked && old == new && !self.is_me(old)).then(|| (self.nick.clone(), self.own_source()));
        if let Some((nick, _)) = &before {
            old = nick;
        }
        let own = self.is_me(old);
        let buffers = if own { self.channels.keys().cloned().collect() } else { self.shared(old) };
        if let Some(user) = self.users.find(map, old) {
            self.users.rename(map, user, new);
        }
        if own {
            self.nick = new.into();
        }
        let mut entry = self.entry(cx, Kind::Nick, line, buffers);
        if let Some((_, source)) = &before {
            entry.from = source.clone().into();
        }
        self.log(cx, entry, route);
        // After the line, because of what is said about it.
        if own {
            self.own_nick_changed(cx);
        } else {
            self.regain_on_gone(cx, old);
        }
    }

    fn mode(&mut self, cx: &mut Cx, line: &Line<'_>, route: Route) {
        let target = line.param(0);
        let rest = line.params.get(1..).unwrap_or_default();
        let buffers = if self.support.is_channel(target) {
            let (key, map) = (self.key(target), self.support.casemap);
            if let Some(channel) = self.channels.get_mut(&key) {
                channel.mode(&self.users, map, &self.support, rest);
            }
            Buffers::from_iter([key])
        } else {
            if self.is_me(target) {
                self.own_modes(line.param(1));
            }
            Buffers::new()
        };
        let entry = self.entry(cx, Kind::Mode, line, buffers);
        self.log(cx, entry, route);
    }

    fn own_modes(&mut self, letters: &[u8]) {
        let mut adding = true;
        for letter in letters {
            match letter {
                b'+' => adding = true,
                b'-' => adding = false,
                letter => {
                    self.modes.retain(|known| known != letter);
                    if adding && self.modes.len() < 64 {
                        self.modes.push(*letter);
                    }
                }
            }
        }
    }

    /// 221: our modes, all of them.
    pub fn set_own_modes(&mut self, letters: &[u8]) {
        self.modes.clear();
        self.own_modes(letters);
    }

    fn topic(&mut self, cx: &mut Cx, line: &Line<'_>, route: Route) {
        let (name, text) = (line.param(0), line.param(1));
        let set_at = self.when(cx, line) / 1_000;
        let key = self.key(name);
        if let Some(channel) = self.channels.get_mut(&key) {
            let topic = Topic { text: text.into(), set_by: line.source.into(), set_at };
            channel.topic = (!text.is_empty()).then(|| Box::new(topic));
        }
        let buffers = self.buffer(name);
        let entry = self.entry(cx, Kind::Topic, line, buffers);
        self.log(cx, entry, route);
    }

    fn fact(&mut self, line: &Line<'_>, fact: Fact, needs: Cap) {
        if let Some(user) = self.users.find(self.support.casemap, line.nick()) {
            match fact {
                Fact::Away => self.users.set_away(user, !line.param(0).is_empty()),
                Fact::Account => {
                    let account = line.param(0);
                    self.users.set_account(user, if account == b"*" { b"" } else { account });
                }
                Fact::Host => {
                    let host = [line.param(0), b"@", line.param(1)].concat();
                    self.users.set_host(user, &host);
                }
            }
        }
        if fact == Fact::Host && self.is_me(line.nick()) {
            self.host = [line.param(0), b"@", line.param(1)].concat().into();
        }
        let mut plain = self.plain(line, CapSet::of(&[needs]));
        plain.about = Some((fact, line.nick().into()));
        self.pass(self.to_those_who_watch(line.nick(), plain), Route::all());
    }

    /// What is told of somebody we share no channel with comes by extended-monitor: it is for the devices that watch them
    /// and know of it.
    fn to_those_who_watch(&self, nick: &[u8], plain: Plain) -> Plain {
        if self.is_me(nick) || self.users.find(self.support.casemap, nick).is_some() {
            return plain;
        }
        Plain { needs: plain.needs.with(Cap::ExtendedMonitor), watched: Some(self.key(nick)), ..plain }
    }

    /// A joined channel's members are whole: everybody is told.
    pub fn names_complete(&mut self, cx: &mut Cx, key: &[u8]) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let joined = channel.joining;
        channel.names_end();
        if joined {
            let names = super::names::Names::of(channel, &self.users, &self.support);
            self.gate.pass(Out::Names(Box::new(names)));
            self.backfill_channel(cx, key);
            self.tell_state(cx);
        }
    }
}
