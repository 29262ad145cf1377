//! The nick: kept over reconnects, and taken back when whoever has it lets go.

use super::Network;
use crate::cx::Cx;
use crate::wire::{Line, Text};

/// How often the nick is asked for where the upstream has no MONITOR.
const ASK_EVERY_MS: i64 = 60_000;

/// What is being done to have the wanted nick again.
#[derive(Debug, Default)]
pub(crate) struct Regain {
    /// Whether the nick we have is not the one wanted.
    wanting: bool,
    next_ms: Option<i64>,
    /// NICK went out and is not answered.
    under_way: bool,
    /// The nick a device asked for, until it is answered.
    chosen: Option<Box<[u8]>>,
    /// Keys devices joined with, until the JOIN is seen.
    join_keys: Vec<(Text, Text)>,
}

impl Regain {
    /// Forgets what a connection was about.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether a NICK of ours is unanswered.
    pub fn asked(&self) -> bool {
        self.under_way
    }

    /// The upstream said no.
    pub fn refused(&mut self, now_ms: i64) {
        if std::mem::take(&mut self.under_way) {
            self.next_ms = Some(now_ms + ASK_EVERY_MS);
        }
    }

    pub fn wake_at(&self) -> Option<i64> {
        self.next_ms.filter(|_| self.wanting)
    }

    /// A device asks for another nick. If the upstream gives it, it is the one wanted from now on.
    pub fn choose_nick(&mut self, nick: &[u8]) {
        self.chosen = Some(nick.into());
    }

    /// Notes the key of a JOIN that goes upstream.
    pub fn join_key(&mut self, channel: Box<[u8]>, key: &[u8]) {
        self.join_keys.retain(|(known, _)| *known != channel);
        if self.join_keys.len() < 64 {
            self.join_keys.push((channel, key.into()));
        }
    }

    /// The key of a JOIN that worked.
    pub fn take_join_key(&mut self, channel: &[u8]) -> Option<Box<[u8]>> {
        let at = self.join_keys.iter().position(|(known, _)| **known == *channel)?;
        Some(self.join_keys.remove(at).1)
    }
}

impl Network {
    /// After registration: is it the nick we want?
    pub fn regain_begin(&mut self, cx: &mut Cx) {
        self.regain.wanting = !self.is_me(self.setup.nick.as_bytes());
        if self.regain.wanting {
            self.regain.next_ms = Some(cx.now_ms + ASK_EVERY_MS);
            let text = format!(
                "The nick {} is taken on {}: you are {} until it is free.",
                self.setup.nick,
                self.setup.name,
                String::from_utf8_lossy(&self.nick)
            );
            self.notice(cx, &text);
        }
        self.monitor_wanted_nick(cx, self.regain.wanting);
    }

    /// Somebody left or changed the nick: was it ours?
    pub fn regain_on_gone(&mut self, cx: &mut Cx, nick: &[u8]) {
        if self.regain.wanting && self.support.casemap.same(nick, self.setup.nick.as_bytes()) {
            self.regain_now(cx);
        }
    }

    /// Takes it.
    pub fn regain_now(&mut self, cx: &mut Cx) {
        if self.regain.wanting && !self.regain.under_way {
            self.regain.under_way = true;
            self.say(cx, "NICK", &[self.setup.nick.clone().as_bytes()]);
        }
    }

    pub fn regain_tick(&mut self, cx: &mut Cx) {
        if !self.regain.wanting || self.regain.next_ms.is_none_or(|at| cx.now_ms < at) {
            return;
        }
        self.regain.next_ms = Some(cx.now_ms + ASK_EVERY_MS);
        self.regain.under_way = false;
        if self.support.monitor.is_none() {
            self.say(cx, "ISON", &[self.setup.nick.clone().as_bytes()]);
        } else {
            self.monitor_wanted_nick(cx, true);
        }
    }

    /// 303 to our own question: an empty one means the nick is free.
    pub fn ison_reply(&mut self, cx: &mut Cx, line: &Line<'_>) {
        let map = self.support.casemap;
        let taken =
            line.param(1).split(|b| *b == b' ').any(|nick| map.same(nick, self.setup.nick.as_bytes()));
        if !taken {
            self.regain_now(cx);
        }
    }

    /// Our nick is another one now.
    pub fn own_nick_changed(&mut self, cx: &mut Cx) {
        self.regain.under_way = false;
        let chosen = self.regain.chosen.take().filter(|chosen| self.is_me(chosen));
        if chosen.is_some()
            && let Ok(nick) = std::str::from_utf8(&self.nick)
            && nick != self.setup.nick
        {
            self.setup.nick = nick.to_owned();
            cx.push(crate::Effect::SaveNick { network: self.id, nick: nick.to_owned() });
        }
        let wanting = !self.is_me(self.setup.nick.as_bytes());
        if self.regain.wanting && !wanting {
            self.monitor_wanted_nick(cx, false);
        } else if wanting && !self.regain.wanting {
            // Not our wish: staff or services did it. Taking it back at once would only begin a quarrel.
            let text = format!(
                "{} has changed your nick to {}. The bouncer asks for {} again in a minute.",
                self.setup.name,
                String::from_utf8_lossy(&self.nick),
                self.setup.nick
            );
            self.notice(cx, &text);
        }
        self.regain.wanting = wanting;
        if wanting {
            self.regain.next_ms = Some(cx.now_ms + ASK_EVERY_MS);
        }
        self.tell_state(cx);
    }
}
