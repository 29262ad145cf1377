//! What every rule needs at hand: the time, the way out, and where ids come from.

use bytes::Bytes;

use crate::text::Ids;
use crate::{ConnId, Effect, QueryId, RequestId};

/// The surroundings of one call.
pub(crate) struct Cx {
    pub now_ms: i64,
    pub effects: Vec<Effect>,
    pub ids: Ids,
    /// What this server calls itself.
    pub server: Box<[u8]>,
    pub username: Box<str>,
    pub page_limit: u32,
    last_id: u64,
}

impl Cx {
    pub fn new(profile: &crate::Profile, now_ms: i64) -> Self {
        Self {
            now_ms,
            effects: Vec::new(),
            ids: Ids::new(profile.seed),
            server: profile.server.as_bytes().into(),
            username: profile.username.as_str().into(),
            page_limit: profile.page_limit.max(1),
            last_id: 0,
        }
    }

    pub fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Bytes for a connection.
    pub fn device(&mut self, conn: ConnId, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            self.effects.push(Effect::Device { conn, bytes });
        }
    }

    pub fn query_id(&mut self) -> QueryId {
        self.last_id += 1;
        QueryId(self.last_id)
    }

    pub fn request_id(&mut self) -> RequestId {
        self.last_id += 1;
        RequestId(self.last_id)
    }

    /// The source of what the bouncer says by itself.
    pub fn service(&self) -> Vec<u8> {
        [&b"BouncerServ!BouncerServ@"[..], &self.server].concat()
    }
}
