//! The numerics of the upstream: what they teach us, and whom they are for.

use super::Network;
use super::channel::Topic;
use super::gate::Route;
use crate::cx::Cx;
use crate::wire::Line;
use crate::{CapSet, ConnId};

/// What an upstream says at registration by itself.
fn is_welcome(numeric: u16) -> bool {
    matches!(numeric, 1..=5 | 15 | 20 | 42 | 250..=266 | 372 | 375 | 376 | 396 | 422 | 900..=908)
}

impl Network {
    /// A numeric from the upstream.
    pub fn numeric(
        &mut self,
        cx: &mut Cx,
        numeric: u16,
        line: &Line<'_>,
        asker: Option<ConnId>,
        route: Route,
    ) {
        self.learn(cx, numeric, line);
        if self.welcoming && is_welcome(numeric) {
            if matches!(numeric, 376 | 422) {
                self.welcome_over(cx);
            }
            return;
        }
        let map = self.support.casemap;
        let asker = asker.or_else(|| self.replies.numeric(map, numeric, &line.params));
        let key = self.key(line.param(1));
        let joining = self.channels.get(&key).is_some_and(|channel| channel.joining);
        match numeric {
            // Answered from what we know, so nobody asked the upstream.
            353 if self.channels.contains_key(&self.key(line.param(2))) => {}
            366 if self.channels.contains_key(&key) => self.names_complete(cx, &key),
            331..=333 | 328 if joining => self.pass_all(line, route),
            305 | 306 | 900..=903 | 1..=4 => {}
            324 | 329 | 331..=333 if asker.is_none() => {}
            730 | 731 => self.monitor_reply(cx, numeric == 730, line),
            732 | 733 => {}
            303 if asker.is_none() => self.ison_reply(cx, line),
            401 | 433 | 436 | 437 | 432 | 438 if asker.is_none() && self.regain.asked() => {
                self.regain.refused(cx.now_ms)
            }
            403 | 405 | 437 | 471 | 473..=477 | 485 | 489 | 495 | 520 if asker.is_none() => {
                self.rejoin_refused(cx, numeric, line)
            }
            464..=466 => {
                self.last_error = Some(crate::plain::numeric(numeric, line, &self.setup.name));
                self.needs_user = true;
                self.tell_state(cx);
                self.pass_all(line, route);
            }
            _ => {
                let plain = self.plain(line, CapSet::EMPTY);
                self.answer(plain, asker, route);
            }
        }
    }

    fn pass_all(&mut self, line: &Line<'_>, route: Route) {
        let plain = self.plain(line, CapSet::EMPTY);
        self.pass(plain, route);
    }

    /// What a numeric teaches, whoever asked for it.
    fn learn(&mut self, cx: &mut Cx, numeric: u16, line: &Line<'_>) {
        match numeric {
            1 => {
                self.server = line.source.into();
                if !line.param(0).is_empty() && line.param(0) != b"*" {
                    self.nick = line.param(0).into();
                }
            }
            5 => self.learn_support(line),
            221 => self.set_own_modes(line.param(1)),
            324 => {
                let key = self.key(line.param(1));
                if let Some(channel) = self.channels.get_mut(&key) {
                    channel.set_modes(&self.support, line.params.get(2..).unwrap_or_default());
                }
            }
            329 => {
                let key = self.key(line.param(1));
                if let Some(channel) = self.channels.get_mut(&key) {
                    channel.created = number(line.param(2));
                }
            }
            331 | 332 => {
                let key = self.key(line.param(1));
                if let Some(channel) = self.channels.get_mut(&key) {
                    let topic = Topic { text: line.param(2).into(), ..Topic::default() };
                    channel.topic = (numeric == 332).then(|| Box::new(topic));
                }
            }
            333 => {
                let key = self.key(line.param(1));
                if let Some(topic) = self.channels.get_mut(&key).and_then(|channel| channel.topic.as_mut()) {
                    topic.set_by = line.param(2).into();
                    topic.set_at = number(line.param(3)).unwrap_or_default();
                }
            }
            353 => {
                let key = self.key(line.param(2));
                let map = self.support.casemap;
                if let Some(channel) = self.channels.get_mut(&key) {
                    channel.symbol = line.param(1).first().copied().unwrap_or(b'=');
                    for name in line.param(3).split(|byte| *byte == b' ').filter(|name| !name.is_empty()) {
                        channel.named(&mut self.users, map, &self.support, name);
                    }
                }
            }
            352 => {
                if let Some(user) = self.users.find(self.support.casemap, line.param(5)) {
                    let host = [line.param(2), b"@", line.param(3)].concat();
                    self.users.set_host(user, &host);
                    self.users.set_away(user, line.param(6).first() == Some(&b'G'));
                }
            }
            // The full mask some networks give in 001's text is no contract; 396 and our own lines are.
            396 if !self.host.is_empty() && !line.param(1).is_empty() => {
                let user = self.host.split(|byte| *byte == b'@').next().unwrap_or_default();
                let host = line.param(1);
                self.host =
                    if host.contains(&b'@') { host.into() } else { [user, b"@", host].concat().into() };
            }
            433 | 437 | 432 | 436 => self.regain.refused(cx.now_ms),
            302 => {
                // `nick[*]=[+-]user@host` of ourselves.
                for reply in line.param(1).split(|byte| *byte == b' ') {
                    let Some(at) = reply.iter().position(|byte| *byte == b'=') else { continue };
                    let nick = reply[..at].strip_suffix(b"*").unwrap_or(&reply[..at]);
                    if self.is_me(nick) && reply.len() > at + 2 {
                        self.host = reply[at + 2..].into();
                    }
                }
            }
            _ => {}
        }
    }

    fn learn_support(&mut self, line: &Line<'_>) {
        let before = self.support.casemap;
        let tokens = line.params.get(1..line.params.len().saturating_sub(1)).unwrap_or_default();
        tokens.iter().for_each(|token| self.support.take(token));
        if before != self.support.casemap {
            let map = self.support.casemap;
            self.users.reorder(map);
            let channels = std::mem::take(&mut self.channels);
            self.channels =
                channels.into_values().map(|channel| (map.fold(&channel.name), channel)).collect();
            let markers = std::mem::take(&mut self.markers);
            self.markers = markers.into_iter().map(|(key, at)| (map.fold(&key), at)).collect();
            self.queries.reorder(map);
        }
    }
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
