//! One channel as the upstream has shown it.

use super::isupport::{Isupport, ModeKind};
use super::users::{UserKey, Users};
use crate::casemap::Casemap;

/// A member: who, and which prefixes (bit 0 is the highest, as PREFIX orders them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub user: UserKey,
    pub prefixes: u16,
}

/// A topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topic {
    pub text: Box<[u8]>,
    /// Who set it and when (seconds), where the upstream said so.
    pub set_by: Box<[u8]>,
    pub set_at: i64,
}

/// A channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub name: Box<[u8]>,
    pub topic: Option<Box<Topic>>,
    /// Sorted by user.
    members: Vec<Member>,
    /// What 324 said, kept up by MODE; `None` until then.
    pub modes: Option<Vec<(u8, Box<[u8]>)>>,
    pub created: Option<i64>,
    /// `=`, `@` or `*`, as in 353.
    pub symbol: u8,
    /// Since our JOIN, until 366: the replies of the upstream belong to everybody.
    pub joining: bool,
    /// Whether the members seen so far are those of this 353 run: the first of a run clears the old ones.
    names_running: bool,
}

/// The most members kept of one channel; more are left out (bounded memory for garbage).
const MAX_MEMBERS: usize = 100_000;

impl Channel {
    pub fn new(name: &[u8]) -> Self {
        Self {
            name: name.into(),
            topic: None,
            members: Vec::new(),
            modes: None,
            created: None,
            symbol: b'=',
            joining: true,
            names_running: false,
        }
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    pub fn has(&self, user: UserKey) -> bool {
        self.members.binary_search_by_key(&user, |member| member.user).is_ok()
    }

    fn member_mut(&mut self, user: UserKey) -> Option<&mut Member> {
        let at = self.members.binary_search_by_key(&user, |member| member.user).ok()?;
        self.members.get_mut(at)
    }

    /// Takes somebody in, or adds prefixes to who is in.
    pub fn add(&mut self, users: &mut Users, map: Casemap, nick: &[u8], prefixes: u16) -> Option<UserKey> {
        let key = users.hold(map, nick)?;
        match self.members.binary_search_by_key(&key, |member| member.user) {
            Ok(at) => {
                self.members[at].prefixes |= prefixes;
                users.release(map, key);
            }
            Err(_) if self.members.len() >= MAX_MEMBERS => {
                users.release(map, key);
                return None;
            }
            Err(at) => self.members.insert(at, Member { user: key, prefixes }),
        }
        Some(key)
    }

    /// Lets somebody go. Whether they were in.
    pub fn remove(&mut self, users: &mut Users, map: Casemap, key: UserKey) -> bool {
        let Ok(at) = self.members.binary_search_by_key(&key, |member| member.user) else { return false };
        self.members.remove(at);
        users.release(map, key);
        true
    }

    /// Lets everybody go.
    pub fn clear(&mut self, users: &mut Users, map: Casemap) {
        for member in std::mem::take(&mut self.members) {
            users.release(map, member.user);
        }
    }

    /// One name of a 353: prefixes, nick, and `!user@host` with userhost-in-names.
    pub fn named(&mut self, users: &mut Users, map: Casemap, support: &Isupport, name: &[u8]) {
        if !std::mem::replace(&mut self.names_running, true) {
            self.clear(users, map);
        }
        let mut prefixes = 0;
        let mut rest = name;
        while let [symbol, tail @ ..] = rest
            && let Some(bit) = support.prefix_bit(*symbol)
        {
            prefixes |= bit;
            rest = tail;
        }
        let (nick, host) = match rest.iter().position(|byte| *byte == b'!') {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &b""[..]),
        };
        if nick.is_empty() {
            return;
        }
        if let Some(key) = self.add(users, map, nick, prefixes) {
            users.set_host(key, host);
        }
    }

    /// 366: the list is whole.
    pub fn names_end(&mut self) {
        self.names_running = false;
        self.joining = false;
        self.members.shrink_to_fit();
    }

    /// A MODE of this channel.
    pub fn mode(&mut self, users: &Users, map: Casemap, support: &Isupport, params: &[&[u8]]) {
        for change in support.changes(params) {
            match change.kind {
                ModeKind::Prefix(bit) => {
                    let member = users.find(map, change.param).and_then(|key| self.member_mut(key));
                    if let Some(member) = member {
                        if change.adding {
                            member.prefixes |= bit;
                        } else {
                            member.prefixes &= !bit;
                        }
                    }
                }
                ModeKind::List => {}
                ModeKind::Setting => {
                    let Some(modes) = &mut self.modes else { continue };
                    modes.retain(|(mode, _)| *mode != change.mode);
                    if change.adding && modes.len() < 64 {
                        modes.push((change.mode, change.param.into()));
                    }
                }
            }
        }
    }

    /// 324: all settings at once.
    pub fn set_modes(&mut self, support: &Isupport, params: &[&[u8]]) {
        let settings = support
            .changes(params)
            .into_iter()
            .filter(|change| change.adding && change.kind == ModeKind::Setting);
        self.modes = Some(settings.take(64).map(|change| (change.mode, change.param.into())).collect());
    }

    /// `+ntk key` as 324 says it, where known.
    pub fn mode_line(&self) -> Option<Vec<u8>> {
        let modes = self.modes.as_ref()?;
        let mut line = vec![b'+'];
        line.extend(modes.iter().map(|(mode, _)| *mode));
        for (_, param) in modes.iter().filter(|(_, param)| !param.is_empty()) {
            line.push(b' ');
            line.extend_from_slice(param);
        }
        Some(line)
    }
}
