//! Everybody the upstream has shown us, each kept once however many channels they share with us.

use std::cmp::Ordering;

use crate::casemap::Casemap;

/// A user's place in the table. Valid while somebody holds a reference on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UserKey(u32);

/// The table: entries in slots, and the slots in the order of their folded nicks.
#[derive(Debug, Default)]
pub(crate) struct Users {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_nick: Vec<u32>,
    /// Bytes of all texts, and references on all users: both are bounded, because an upstream can make up any number.
    bytes: usize,
    references: usize,
}

/// One user. Nick, `user@host` and account lie in one allocation.
#[derive(Debug, Default)]
struct Slot {
    text: Box<[u8]>,
    nick_end: u16,
    host_end: u16,
    references: u16,
    away: bool,
}

const MAX_FIELD: usize = 512;
/// The most bytes of nicks, hosts and accounts of one network, and the most memberships. What is over is left out.
const MAX_BYTES: usize = 16 * 1024 * 1024;
const MAX_REFERENCES: usize = 500_000;
/// What a user costs beside the text.
const SLOT: usize = 48;

impl Slot {
    fn set(&mut self, nick: &[u8], host: &[u8], account: &[u8]) {
        let cut = |field: &'_ [u8]| field.len().min(MAX_FIELD);
        let (nick, host, account) = (&nick[..cut(nick)], &host[..cut(host)], &account[..cut(account)]);
        self.text = [nick, host, account].concat().into_boxed_slice();
        self.nick_end = nick.len() as u16;
        self.host_end = (nick.len() + host.len()) as u16;
    }

    fn nick(&self) -> &[u8] {
        self.text.get(..usize::from(self.nick_end)).unwrap_or_default()
    }

    fn host(&self) -> &[u8] {
        self.text.get(usize::from(self.nick_end)..usize::from(self.host_end)).unwrap_or_default()
    }

    fn account(&self) -> &[u8] {
        self.text.get(usize::from(self.host_end)..).unwrap_or_default()
    }
}

impl Users {
    fn slot(&self, key: UserKey) -> Option<&Slot> {
        self.slots.get(key.0 as usize)
    }

    fn place(&self, map: Casemap, nick: &[u8]) -> Result<usize, usize> {
        self.by_nick.binary_search_by(|slot| match self.slots.get(*slot as usize) {
            Some(slot) => map.compare(slot.nick(), nick),
            None => Ordering::Less,
        })
    }

    /// The user with that nick.
    pub fn find(&self, map: Casemap, nick: &[u8]) -> Option<UserKey> {
        let at = self.place(map, nick).ok()?;
        self.by_nick.get(at).copied().map(UserKey)
    }

    /// The user with that nick, made if unknown, with one more reference on it. `None` if there are too many.
    pub fn hold(&mut self, map: Casemap, nick: &[u8]) -> Option<UserKey> {
        if self.references >= MAX_REFERENCES {
            return None;
        }
        let nick = &nick[..nick.len().min(MAX_FIELD)];
        let key = match self.place(map, nick) {
            Ok(at) => UserKey(self.by_nick[at]),
            Err(_) if self.bytes + SLOT + nick.len() > MAX_BYTES => return None,
            Err(at) => {
                self.bytes += SLOT + nick.len();
                let mut slot = Slot::default();
                slot.set(nick, b"", b"");
                let index = match self.free.pop() {
                    Some(index) => {
                        self.slots[index as usize] = slot;
                        index
                    }
                    None => {
                        self.slots.push(slot);
                        (self.slots.len() - 1) as u32
                    }
                };
                self.by_nick.insert(at, index);
                UserKey(index)
            }
        };
        if let Some(slot) = self.slots.get_mut(key.0 as usize) {
            slot.references = slot.references.saturating_add(1);
            self.references += 1;
        }
        Some(key)
    }

    /// Takes one reference back; the last one forgets the user.
    pub fn release(&mut self, map: Casemap, key: UserKey) {
        let Some(slot) = self.slots.get_mut(key.0 as usize) else { return };
        slot.references = slot.references.saturating_sub(1);
        self.references = self.references.saturating_sub(1);
        if slot.references > 0 {
            return;
        }
        let text = std::mem::take(&mut slot.text);
        let nick = text.get(..usize::from(slot.nick_end)).unwrap_or_default();
        // The order needs the text in place while it is searched.
        let nick = nick.to_vec();
        self.bytes = self.bytes.saturating_sub(SLOT + text.len());
        slot.text = text;
        if let Ok(at) = self.place(map, &nick)
            && self.by_nick[at] == key.0
        {
            self.by_nick.remove(at);
        }
        self.slots[key.0 as usize] = Slot::default();
        self.free.push(key.0);
    }

    /// Gives a user another nick. Whoever has it already (a line was missed) loses it in the order, not in the slots.
    pub fn rename(&mut self, map: Casemap, key: UserKey, nick: &[u8]) {
        let Some(slot) = self.slot(key) else { return };
        let (old, host, account) = (slot.nick().to_vec(), slot.host().to_vec(), slot.account().to_vec());
        if let Ok(at) = self.place(map, &old)
            && self.by_nick[at] == key.0
        {
            self.by_nick.remove(at);
        }
        if let Some(slot) = self.slots.get_mut(key.0 as usize) {
            let before = slot.text.len();
            slot.set(nick, &host, &account);
            self.bytes = (self.bytes + slot.text.len()).saturating_sub(before);
        }
        let nick = nick.get(..nick.len().min(MAX_FIELD)).unwrap_or_default();
        match self.place(map, nick) {
            Ok(at) => self.by_nick[at] = key.0,
            Err(at) => self.by_nick.insert(at, key.0),
        }
    }

    /// Notes `user@host`.
    pub fn set_host(&mut self, key: UserKey, host: &[u8]) {
        let Some(slot) = self.slots.get_mut(key.0 as usize) else { return };
        let host = if self.bytes < MAX_BYTES { host } else { b"" };
        if slot.host() != host && !host.is_empty() {
            let (before, nick, account) = (slot.text.len(), slot.nick().to_vec(), slot.account().to_vec());
            slot.set(&nick, host, &account);
            self.bytes = (self.bytes + slot.text.len()).saturating_sub(before);
        }
    }

    /// Notes the account; empty is logged out.
    pub fn set_account(&mut self, key: UserKey, account: &[u8]) {
        let Some(slot) = self.slots.get_mut(key.0 as usize) else { return };
        if slot.account() != account && (account.is_empty() || self.bytes < MAX_BYTES) {
            let (before, nick, host) = (slot.text.len(), slot.nick().to_vec(), slot.host().to_vec());
            slot.set(&nick, &host, account);
            self.bytes = (self.bytes + slot.text.len()).saturating_sub(before);
        }
    }

    /// Notes whether the user is away.
    pub fn set_away(&mut self, key: UserKey, away: bool) {
        if let Some(slot) = self.slots.get_mut(key.0 as usize) {
            slot.away = away;
        }
    }

    /// The nick as displayed.
    pub fn nick(&self, key: UserKey) -> &[u8] {
        self.slot(key).map(Slot::nick).unwrap_or_default()
    }

    /// `user@host`, empty while unknown.
    pub fn host(&self, key: UserKey) -> &[u8] {
        self.slot(key).map(Slot::host).unwrap_or_default()
    }

    /// The account, empty while unknown or logged out.
    pub fn account(&self, key: UserKey) -> &[u8] {
        self.slot(key).map(Slot::account).unwrap_or_default()
    }

    /// Whether the user is away.
    pub fn away(&self, key: UserKey) -> bool {
        self.slot(key).is_some_and(|slot| slot.away)
    }

    /// Puts the order right after another casemapping came.
    pub fn reorder(&mut self, map: Casemap) {
        let slots = &self.slots;
        self.by_nick.sort_by(|a, b| match (slots.get(*a as usize), slots.get(*b as usize)) {
            (Some(a), Some(b)) => map.compare(a.nick(), b.nick()),
            _ => Ordering::Equal,
        });
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.by_nick.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const MAP: Casemap = Casemap(irc::Casemapping::Rfc1459);

    #[test]
    fn a_user_is_kept_once_and_forgotten_with_the_last_reference() {
        let mut users = Users::default();
        let a = users.hold(MAP, b"Bob[x]").unwrap();
        assert_eq!(users.hold(MAP, b"bob{X}"), Some(a));
        users.set_host(a, b"b@host");
        users.set_account(a, b"bobby");
        users.rename(MAP, a, b"Rob");
        assert_eq!(
            (users.nick(a), users.host(a), users.account(a)),
            (&b"Rob"[..], &b"b@host"[..], &b"bobby"[..])
        );
        assert_eq!(users.find(MAP, b"bob[x]"), None);
        users.release(MAP, a);
        assert_eq!(users.find(MAP, b"rob"), Some(a));
        users.release(MAP, a);
        assert_eq!(users.find(MAP, b"rob"), None);
        assert_eq!((users.len(), users.bytes, users.references), (0, 0, 0));
    }

    #[test]
    fn an_upstream_that_makes_people_up_is_not_believed_for_ever() {
        let mut users = Users::default();
        let host = [b'h'; MAX_FIELD];
        let mut held = Vec::new();
        while let Some(key) = users.hold(MAP, format!("nobody{:08}", held.len()).as_bytes()) {
            users.set_host(key, &host);
            held.push(key);
        }
        let text: usize = users.slots.iter().map(|slot| slot.text.len()).sum();
        assert!(held.len() > 10_000 && text <= MAX_BYTES);
        held.into_iter().for_each(|key| users.release(MAP, key));
        assert_eq!((users.len(), users.bytes, users.references), (0, 0, 0));
        assert!(users.hold(MAP, b"somebody").is_some());
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_a_plain_map(steps in prop::collection::vec(("[a-dA-D]{1,2}", 0u8..3), 0..200)) {
            let mut users = Users::default();
            let mut model: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
            for (nick, step) in steps {
                let folded = MAP.fold(nick.as_bytes());
                if step < 2 {
                    users.hold(MAP, nick.as_bytes());
                    *model.entry(folded.to_vec()).or_default() += 1;
                } else if let Some(key) = users.find(MAP, nick.as_bytes()) {
                    users.release(MAP, key);
                    let count = model.get_mut(&*folded).unwrap();
                    *count -= 1;
                    if *count == 0 {
                        model.remove(&*folded);
                    }
                }
                prop_assert_eq!(users.len(), model.len());
                for nick in model.keys() {
                    prop_assert!(users.find(MAP, nick).is_some());
                }
            }
        }
    }
}
