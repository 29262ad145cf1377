//! Who was talked with alone: how they write their names, and when that was last.

use std::collections::BTreeMap;

use crate::casemap::Casemap;

/// Conversations remembered; the one that rested longest makes room.
const MOST: usize = 512;
/// A conversation counts as open for so long after its last word, and at most so many do.
const OPEN_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
const MOST_OPEN: usize = 16;

/// Conversations with one other, by key.
#[derive(Debug, Default)]
pub(crate) struct Queries(BTreeMap<Box<[u8]>, Query>);

#[derive(Debug)]
struct Query {
    name: Box<[u8]>,
    last_ms: i64,
}

impl Queries {
    /// What an earlier process left in the log: keys, which stand for the names, and times.
    pub fn begun(kept: Vec<(Vec<u8>, i64)>) -> Self {
        let mut queries = Self::default();
        for (key, last_ms) in kept {
            queries.note(key.clone().into(), &key, last_ms);
        }
        queries
    }

    /// Something was said.
    pub fn note(&mut self, key: Box<[u8]>, name: &[u8], at_ms: i64) {
        if let Some(known) = self.0.get_mut(&key) {
            known.last_ms = known.last_ms.max(at_ms);
            if *known.name != *name {
                known.name = name.into();
            }
            return;
        }
        if self.0.len() >= MOST
            && let Some(oldest) =
                self.0.iter().min_by_key(|(_, query)| query.last_ms).map(|(key, _)| key.clone())
        {
            self.0.remove(&oldest);
        }
        self.0.insert(key, Query { name: name.into(), last_ms: at_ms });
    }

    /// The name as displayed.
    pub fn name(&self, key: &[u8]) -> Option<&[u8]> {
        self.0.get(key).map(|query| &*query.name)
    }

    /// The names of those that are open now, the latest first.
    pub fn open(&self, now_ms: i64) -> Vec<&[u8]> {
        let mut open: Vec<_> = self.0.values().filter(|query| now_ms - query.last_ms <= OPEN_MS).collect();
        open.sort_by_key(|query| std::cmp::Reverse(query.last_ms));
        open.truncate(MOST_OPEN);
        open.into_iter().map(|query| &*query.name).collect()
    }

    /// Names are compared in another way now.
    pub fn reorder(&mut self, map: Casemap) {
        let queries = std::mem::take(&mut self.0).into_values();
        self.0 = queries.map(|query| (map.fold(&query.name), query)).collect();
    }
}
