//! Who is there: our own AWAY as all devices together have it, and MONITOR as the union of what they watch.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::Network;
use super::gate::Route;
use crate::ConnId;
use crate::cx::Cx;
use crate::encode::Plain;
use crate::wire::{Line, Text, nick_of};

/// The most nicks watched on one network.
const MAX_WATCHED: usize = 500;
/// The most nicks in one MONITOR line.
const MAX_IN_LINE: usize = 20;

#[derive(Debug)]
struct Watch {
    name: Box<[u8]>,
    by: SmallVec<[ConnId; 2]>,
    /// The mask while online, empty while offline, `None` while unknown.
    state: Option<Box<[u8]>>,
}

/// What the devices want to know and say.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    watched: BTreeMap<Box<[u8]>, Watch>,
    /// The wanted nick, watched for ourselves.
    own_watch: bool,
    away: Option<Box<[u8]>>,
}

impl Presence {
    /// Who watches a nick.
    pub fn watches(&self, key: &[u8], conn: ConnId) -> bool {
        self.watched.get(key).is_some_and(|watch| watch.by.contains(&conn))
    }

    pub fn forget_states(&mut self) {
        self.watched.values_mut().for_each(|watch| watch.state = None);
        self.own_watch = false;
    }

    /// The nicks a connection watches.
    pub fn watched_by(&self, conn: ConnId) -> Vec<Box<[u8]>> {
        self.watched
            .values()
            .filter(|watch| watch.by.contains(&conn))
            .map(|watch| watch.name.clone())
            .collect()
    }

    /// The masks of those who are online (and the nicks of those who are not) among what a connection watches.
    pub fn states(&self, conn: ConnId) -> (Vec<Text>, Vec<Text>) {
        let (mut online, mut offline) = (Vec::new(), Vec::new());
        for watch in self.watched.values().filter(|watch| watch.by.contains(&conn)) {
            match &watch.state {
                Some(mask) if mask.is_empty() => offline.push(watch.name.clone()),
                Some(mask) => online.push(mask.clone()),
                None => {}
            }
        }
        (online, offline)
    }
}

impl Network {
    /// We are away, with these words, or here.
    pub fn set_away(&mut self, cx: &mut Cx, away: Option<Box<[u8]>>) {
        if self.presence.away == away {
            return;
        }
        self.presence.away = away;
        if !self.welcoming {
            self.send_away(cx);
        }
    }

    fn send_away(&self, cx: &mut Cx) {
        match &self.presence.away {
            Some(text) => self.say(cx, "AWAY", &[text]),
            None => self.say(cx, "AWAY", &[]),
        }
    }

    /// After registration: what the upstream has to be told again.
    pub fn presence_restore(&mut self, cx: &mut Cx) {
        if self.presence.away.is_some() {
            self.send_away(cx);
        }
        if self.support.monitor.is_some() {
            let names: Vec<_> = self.presence.watched.values().map(|watch| watch.name.clone()).collect();
            self.send_monitor(cx, b'+', &names);
        }
    }

    fn send_monitor(&self, cx: &mut Cx, sign: u8, names: &[Box<[u8]>]) {
        for some in names.chunks(MAX_IN_LINE) {
            self.say(cx, "MONITOR", &[&[sign], &some.join(&b","[..])]);
        }
    }

    /// A connection watches more nicks. Returns those there was no room for.
    pub fn watch(&mut self, cx: &mut Cx, conn: ConnId, names: &[&[u8]]) -> Vec<Box<[u8]>> {
        let limit = self.support.monitor.unwrap_or(0).min(MAX_WATCHED);
        let (mut fresh, mut full) = (Vec::new(), Vec::new());
        for name in names.iter().filter(|name| !name.is_empty()) {
            let key = self.key(name);
            let count = self.presence.watched.len();
            match self.presence.watched.get_mut(&key) {
                Some(watch) if watch.by.contains(&conn) => {}
                Some(watch) => watch.by.push(conn),
                None if count >= limit => full.push((*name).into()),
                None => {
                    fresh.push((*name).into());
                    let watch =
                        Watch { name: (*name).into(), by: SmallVec::from_slice(&[conn]), state: None };
                    self.presence.watched.insert(key, watch);
                }
            }
        }
        self.send_monitor(cx, b'+', &fresh);
        full
    }

    /// A connection watches some nicks no longer; `None` is all.
    pub fn unwatch(&mut self, cx: &mut Cx, conn: ConnId, names: Option<&[&[u8]]>) {
        let keys: Option<Vec<_>> = names.map(|names| names.iter().map(|name| self.key(name)).collect());
        let mut gone = Vec::new();
        self.presence.watched.retain(|key, watch| {
            if keys.as_ref().is_none_or(|keys| keys.contains(key)) {
                watch.by.retain(|by| *by != conn);
            }
            if watch.by.is_empty() {
                gone.push(watch.name.clone());
            }
            !watch.by.is_empty()
        });
        if self.support.monitor.is_some() {
            self.send_monitor(cx, b'-', &gone);
        }
    }

    /// Watches the wanted nick while somebody else has it.
    pub fn monitor_wanted_nick(&mut self, cx: &mut Cx, on: bool) {
        if self.support.monitor.is_none() || self.presence.own_watch == on {
            return;
        }
        self.presence.own_watch = on;
        let key = self.key(self.setup.nick.as_bytes());
        if !self.presence.watched.contains_key(&key) {
            let sign = if on { b'+' } else { b'-' };
            self.send_monitor(cx, sign, &[self.setup.nick.as_bytes().into()]);
        }
    }

    /// 730 and 731.
    pub fn monitor_reply(&mut self, cx: &mut Cx, online: bool, line: &Line<'_>) {
        for mask in line.param(1).split(|byte| *byte == b',').filter(|mask| !mask.is_empty()) {
            let key = self.key(nick_of(mask));
            if let Some(watch) = self.presence.watched.get_mut(&key) {
                watch.state = Some(if online { mask.into() } else { Box::default() });
            }
            let plain = Plain {
                source: line.source.into(),
                command: if online { "730".into() } else { "731".into() },
                params: vec![self.nick.clone(), mask.into()],
                watched: Some(key),
                ..Plain::default()
            };
            self.pass(plain, Route::all());
            if !online {
                self.regain_on_gone(cx, nick_of(mask));
            }
        }
    }
}
