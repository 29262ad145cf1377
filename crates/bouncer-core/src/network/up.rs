//! A connection to the upstream comes and goes.

use super::gate::Route;
use super::isupport::Isupport;
use super::{Network, Phase};
use crate::cx::Cx;
use crate::encode::Plain;
use crate::text::spoken;
use crate::wire::Line;
use crate::{CapSet, SavedChannel};

/// How long a JOIN line with several channels may get.
const MAX_JOIN: usize = 400;

impl Network {
    /// The upstream is registered.
    pub fn upstream_up(&mut self, cx: &mut Cx, nick: &[u8], caps: CapSet) {
        self.reset();
        self.phase = Phase::Up;
        self.welcoming = true;
        self.caps = caps;
        let old = std::mem::replace(&mut self.nick, nick.into());
        self.last_error = None;
        self.needs_user = false;
        self.backfill_note(cx);
        if *old != *self.nick {
            self.pass(
                Plain {
                    source: old,
                    command: "NICK".into(),
                    params: vec![self.nick.clone()],
                    ts_ms: Some(cx.now_ms),
                    ..Plain::default()
                },
                Route::all(),
            );
        }
        self.tell_state(cx);
    }

    /// Everything an upstream connection taught us is gone with it.
    fn reset(&mut self) {
        let map = self.support.casemap;
        for channel in self.channels.values_mut() {
            channel.clear(&mut self.users, map);
        }
        self.channels.clear();
        self.users = Default::default();
        self.support = Isupport::default();
        self.modes.clear();
        self.replies.clear();
        self.backfill.reset();
        self.regain.reset();
        self.presence.forget_states();
    }

    /// The MOTD is over: now it is our turn.
    pub fn welcome_over(&mut self, cx: &mut Cx) {
        if !std::mem::replace(&mut self.welcoming, false) {
            return;
        }
        for line in self.setup.on_connect.clone() {
            let clean: Vec<u8> = line.bytes().filter(|byte| !matches!(byte, 0 | b'\r' | b'\n')).collect();
            self.send(cx, [&clean[..], b"\r\n"].concat());
        }
        self.presence_restore(cx);
        self.rejoin(cx);
        self.regain_begin(cx);
        self.backfill_begin(cx);
        let text = format!("Connected to {} as {}.", self.setup.name, String::from_utf8_lossy(&self.nick));
        self.notice(cx, &text);
        self.gate.pass(super::gate::Out::Support);
    }

    /// Joins every kept channel, those with keys first, as the grammar of JOIN wants it.
    fn rejoin(&self, cx: &mut Cx) {
        let mut channels: Vec<_> = self.setup.channels.iter().filter(|c| usable(c.name.as_bytes())).collect();
        channels.sort_by_key(|channel| channel.key.is_none());
        let (mut names, mut keys) = (String::new(), String::new());
        let flush = |cx: &mut Cx, names: &mut String, keys: &mut String| {
            if !names.is_empty() {
                let line = if keys.is_empty() {
                    format!("JOIN {names}\r\n")
                } else {
                    format!("JOIN {names} {keys}\r\n")
                };
                self.send(cx, line.into_bytes());
            }
            names.clear();
            keys.clear();
        };
        for channel in channels {
            let key = channel.key.as_deref().filter(|key| usable(key.as_bytes())).unwrap_or_default();
            if names.len() + keys.len() + channel.name.len() + key.len() + 2 > MAX_JOIN {
                flush(cx, &mut names, &mut keys);
            }
            // A channel without a key after one with a key is fine: the keys are a shorter list.
            if !names.is_empty() {
                names.push(',');
            }
            names.push_str(&channel.name);
            if !key.is_empty() {
                if !keys.is_empty() {
                    keys.push(',');
                }
                keys.push_str(key);
            }
        }
        flush(cx, &mut names, &mut keys);
    }

    /// Somebody has changed the list of kept channels: joins what is new and leaves what is gone.
    pub fn follow_channels(&self, cx: &mut Cx, before: &[SavedChannel]) {
        let named = |list: &[SavedChannel], name: &str| {
            list.iter().any(|saved| self.support.casemap.same(saved.name.as_bytes(), name.as_bytes()))
        };
        if self.welcoming {
            return;
        }
        for new in self.setup.channels.iter().filter(|saved| !named(before, &saved.name)) {
            if usable(new.name.as_bytes()) && !self.channels.contains_key(&self.key(new.name.as_bytes())) {
                let key = new.key.as_deref().filter(|key| usable(key.as_bytes()));
                let params: Vec<&[u8]> =
                    [Some(new.name.as_bytes()), key.map(str::as_bytes)].into_iter().flatten().collect();
                self.say(cx, "JOIN", &params);
            }
        }
        for old in before.iter().filter(|saved| !named(&self.setup.channels, &saved.name)) {
            if self.channels.contains_key(&self.key(old.name.as_bytes())) {
                self.say(cx, "PART", &[old.name.as_bytes()]);
            }
        }
    }

    /// A kept channel does not take us back.
    pub fn rejoin_refused(&mut self, cx: &mut Cx, numeric: u16, line: &Line<'_>) {
        let text = crate::plain::numeric(numeric, line, &self.setup.name);
        self.notice(cx, &text);
    }

    /// The upstream is gone, or an attempt failed.
    pub fn upstream_down(&mut self, cx: &mut Cx, reason: &str, needs_user: bool) {
        let was_up = self.is_up();
        self.phase = Phase::Down;
        self.welcoming = false;
        self.caps = CapSet::EMPTY;
        let said = self.last_error.take().filter(|_| was_up && reason.is_empty());
        let reason = said.unwrap_or_else(|| reason.to_owned());
        if was_up {
            self.backfill.down_since(cx.now_ms, self.newest_ms);
        }
        // The same trouble again and again is told once.
        if was_up || self.last_error.as_deref() != Some(&*reason) {
            let text = match reason.is_empty() {
                true => format!("Disconnected from {}. Trying again.", self.setup.name),
                false if was_up => format!("Disconnected from {}: {reason}", self.setup.name),
                false => format!("Cannot connect to {}: {reason}", self.setup.name),
            };
            self.notice(cx, &text);
        }
        self.reset();
        self.last_error = (!reason.is_empty()).then_some(reason);
        self.needs_user = needs_user;
        self.tell_state(cx);
    }

    /// Says something to every device of the network, in its turn.
    pub fn notice(&mut self, cx: &mut Cx, text: &str) {
        self.notice_to(cx, Route::all(), text);
    }

    /// Says something to some of them.
    pub fn notice_to(&mut self, cx: &mut Cx, route: Route, text: &str) {
        let plain = Plain {
            source: cx.service().into(),
            command: "NOTICE".into(),
            params: vec![self.nick.clone(), text.as_bytes().into()],
            ts_ms: Some(cx.now_ms),
            ..Plain::default()
        };
        self.pass(plain, route);
    }

    /// Looks at the clock.
    pub fn tick(&mut self, cx: &mut Cx) {
        self.gate.tick(cx.now_ms);
        self.keep_log(cx);
        self.regain_tick(cx);
        self.backfill_tick(cx);
    }

    /// Tries the store again, and says what has to be said while it does not keep the stream.
    pub fn keep_log(&mut self, cx: &mut Cx) {
        let from = spoken(self.newest_ms.unwrap_or(cx.now_ms));
        let now_ms = cx.now_ms;
        let marker = (self.gate.lost() > 0).then(|| {
            let text = format!(
                "{} lines from {from} on could not be stored: they are not in the history.",
                self.gate.lost()
            );
            self.gap(cx, now_ms, text, self.marked_names(now_ms))
        });
        for store in self.gate.retry(now_ms, marker) {
            self.to_store(cx, store);
        }
    }

    /// When to look at the clock again.
    pub fn wake_at(&self) -> Option<i64> {
        [self.gate.wake_at(), self.regain.wake_at(), self.backfill.wake_at()].into_iter().flatten().min()
    }

    /// A sentence for a device that attaches while there is no connection.
    pub fn offline_text(&self) -> Option<String> {
        let name = &self.setup.name;
        match self.phase {
            Phase::Up => None,
            Phase::Connecting => Some(format!("Connecting to {name}.")),
            Phase::Down if !self.setup.enabled => {
                Some(format!("{name} is switched off. Switch it on to connect."))
            }
            Phase::Down => Some(match &self.last_error {
                Some(error) => format!("{name} is not connected: {error}"),
                None => format!("{name} is not connected yet."),
            }),
        }
    }
}

/// Whether a name or key can stand in a JOIN.
fn usable(name: &[u8]) -> bool {
    !name.is_empty()
        && name.first() != Some(&b':')
        && !name.iter().any(|b| matches!(b, 0 | b'\r' | b'\n' | b' ' | b','))
}
