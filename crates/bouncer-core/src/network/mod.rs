//! One network: what the upstream has shown us ([`track`]), what its stream holds back ([`gate`]), who asked what
//! ([`replies`]), and what is to be kept.

pub(crate) mod backfill;
pub(crate) mod channel;
pub(crate) mod gate;
pub(crate) mod isupport;
pub(crate) mod log;
pub(crate) mod names;
pub(crate) mod nick;
pub(crate) mod numeric;
pub(crate) mod presence;
pub(crate) mod queries;
pub(crate) mod replies;
pub(crate) mod track;
pub(crate) mod up;
pub(crate) mod users;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::cx::Cx;
use crate::{CapSet, Effect, NetworkId, NetworkSetup, SavedChannel, UpstreamState};
use backfill::Backfill;
use channel::Channel;
use gate::Gate;
use isupport::Isupport;
use nick::Regain;
use presence::Presence;
use queries::Queries;
use replies::Replies;
use users::Users;

/// Where the connection is, as the core knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No connection.
    Down,
    /// Dialing or registering.
    Connecting,
    /// Registered.
    Up,
}

/// One network.
#[derive(Debug)]
pub(crate) struct Network {
    pub id: NetworkId,
    pub setup: NetworkSetup,
    pub gate: Gate,
    pub phase: Phase,
    /// Between registration and the end of the MOTD: what is said then is not for devices.
    pub welcoming: bool,
    pub caps: CapSet,
    /// What the upstream calls itself.
    pub server: Box<[u8]>,
    /// The nick we have (or had last).
    pub nick: Box<[u8]>,
    /// Our own `user@host`, once known.
    pub host: Box<[u8]>,
    /// Our own modes, as letters.
    pub modes: Vec<u8>,
    pub support: Isupport,
    pub users: Users,
    /// By key.
    pub channels: BTreeMap<Box<[u8]>, Channel>,
    pub replies: Replies,
    pub regain: Regain,
    pub presence: Presence,
    pub backfill: Backfill,
    /// Read markers by buffer key.
    pub markers: BTreeMap<Box<[u8]>, i64>,
    pub queries: Queries,
    pub last_error: Option<String>,
    pub needs_user: bool,
    /// The newest time in the log.
    pub newest_ms: Option<i64>,
    /// What the portal was told last.
    told: Option<UpstreamState>,
}

impl Network {
    /// A network that is not connected yet.
    pub fn new(mut setup: NetworkSetup) -> Self {
        let mut gate = Gate::default();
        let newest = setup.newest.take();
        gate.delivered = newest.unwrap_or_default();
        let markers = std::mem::take(&mut setup.markers).into_iter();
        Self {
            id: setup.id,
            gate,
            phase: Phase::Down,
            welcoming: false,
            caps: CapSet::EMPTY,
            server: Box::default(),
            nick: setup.nick.as_bytes().into(),
            host: Box::default(),
            modes: Vec::new(),
            support: Isupport::default(),
            users: Users::default(),
            channels: BTreeMap::new(),
            replies: Replies::default(),
            regain: Regain::default(),
            presence: Presence::default(),
            backfill: Backfill::begun(setup.missing_since_ms.or(newest.map(|cursor| cursor.ts_ms))),
            markers: markers.map(|(key, ts)| (key.into_boxed_slice(), ts)).collect(),
            queries: Queries::begun(std::mem::take(&mut setup.queries)),
            last_error: None,
            needs_user: false,
            newest_ms: newest.map(|cursor| cursor.ts_ms),
            told: None,
            setup,
        }
    }

    /// The key of a name.
    pub fn key(&self, name: &[u8]) -> Box<[u8]> {
        self.support.casemap.fold(name)
    }

    /// Whether this is our own nick.
    pub fn is_me(&self, nick: &[u8]) -> bool {
        self.support.casemap.same(&self.nick, nick)
    }

    /// `nick!user@host` of ourselves, as far as it is known.
    pub fn own_source(&self) -> Vec<u8> {
        match self.host.is_empty() {
            true => [&self.nick[..], b"!", &self.nick, b"@", self.setup.host.as_bytes()].concat(),
            false => [&self.nick[..], b"!", &self.host].concat(),
        }
    }

    /// Whether it is registered.
    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Sends a line upstream.
    pub fn send(&self, cx: &mut Cx, line: Vec<u8>) {
        if self.is_up() {
            cx.push(Effect::Upstream { network: self.id, bytes: Bytes::from(line) });
        }
    }

    /// Sends a line made of parts upstream; the last parameter gets a colon.
    pub fn say(&self, cx: &mut Cx, command: &str, params: &[&[u8]]) {
        self.send(cx, crate::wire::line(b"", command, params));
    }

    /// The name of a buffer as displayed.
    pub fn display<'a>(&'a self, key: &'a [u8]) -> &'a [u8] {
        if let Some(channel) = self.channels.get(key) {
            return &channel.name;
        }
        if let Some(user) = self.users.find(self.support.casemap, key) {
            return self.users.nick(user);
        }
        let saved = self.setup.channels.iter().find(|saved| *self.key(saved.name.as_bytes()) == *key);
        match saved {
            Some(saved) => saved.name.as_bytes(),
            None => self.queries.name(key).unwrap_or(key),
        }
    }

    /// Keeps a channel, with its key if one is given.
    pub fn keep_channel(&mut self, cx: &mut Cx, name: &[u8], key: Option<&[u8]>) {
        let Ok(name) = std::str::from_utf8(name) else { return };
        let key = key.and_then(|key| std::str::from_utf8(key).ok()).map(str::to_owned);
        let map = self.support.casemap;
        let channels = &mut self.setup.channels;
        match channels.iter_mut().find(|saved| map.same(saved.name.as_bytes(), name.as_bytes())) {
            Some(saved) if key.is_none() || saved.key == key => return,
            Some(saved) => saved.key = key,
            None => channels.push(SavedChannel { name: name.to_owned(), key }),
        }
        self.save_channels(cx);
    }

    /// Keeps a channel no longer.
    pub fn drop_channel(&mut self, cx: &mut Cx, name: &[u8]) {
        let map = self.support.casemap;
        let before = self.setup.channels.len();
        self.setup.channels.retain(|saved| !map.same(saved.name.as_bytes(), name));
        if self.setup.channels.len() != before {
            self.save_channels(cx);
        }
    }

    fn save_channels(&self, cx: &mut Cx) {
        cx.push(Effect::SaveChannels { network: self.id, channels: self.setup.channels.clone() });
    }

    /// Tells the portal, if something it shows has changed.
    pub fn tell_state(&mut self, cx: &mut Cx) {
        let state = UpstreamState {
            nick: self.is_up().then(|| String::from_utf8_lossy(&self.nick).into_owned()),
            channels: u32::try_from(self.channels.len()).unwrap_or(u32::MAX),
            last_error: self.last_error.clone(),
            needs_user: self.needs_user,
        };
        if self.told.as_ref() != Some(&state) {
            self.told = Some(state.clone());
            cx.push(Effect::State { network: self.id, state });
        }
    }
}
