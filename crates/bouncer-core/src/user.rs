//! One account: its networks, its devices, and what goes between them.

use crate::{Effect, Input, NetworkSetup, Profile};

/// The state of one account.
pub struct User {
    _profile: Profile,
    _networks: Vec<NetworkSetup>,
}

impl User {
    /// An account with its networks, none connected, no device attached.
    pub fn new(profile: Profile, networks: Vec<NetworkSetup>, _now_ms: i64) -> Self {
        Self { _profile: profile, _networks: networks }
    }

    /// Takes what happened at `now_ms` (milliseconds since 1970; never goes back) and appends what is to be done to
    /// `effects`, in the order it is to be done. Never panics, whatever the bytes are.
    pub fn handle(&mut self, _now_ms: i64, _input: Input<'_>, _effects: &mut Vec<Effect>) {}
}
