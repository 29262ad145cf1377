//! What is read often stays in memory: rows and their colours, within so many bytes.
//!
//! On SQLite this process is the only one that changes a row, and it tells the cache. On PostgreSQL another replica may,
//! so a row is believed for a second only; its colours stay for as long as it has not changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use share::ShortId;

use crate::render::Coloured;
use crate::store::PasteRow;

/// A row as last read, with its colours where they are known.
#[derive(Clone, Debug)]
pub struct Known {
    pub row: Arc<PasteRow>,
    pub coloured: Option<Arc<Painted>>,
}

/// The lines of a paste as its page shows them.
#[derive(Debug)]
pub struct Painted {
    /// Each line on its own.
    pub lines: Coloured,
    /// All of them, as the page holds them.
    pub page: String,
}

struct Entry {
    known: Known,
    read_at: Instant,
    used: u64,
}

impl Entry {
    fn weight(&self) -> usize {
        let coloured = self.known.coloured.as_ref();
        512 + self.known.row.body.len()
            + coloured.map_or(0, |painted| painted.lines.weight() + painted.page.len())
    }
}

#[derive(Default)]
struct Inner {
    entries: HashMap<ShortId, Entry>,
    by_use: BTreeMap<u64, ShortId>,
    clock: u64,
    weight: usize,
}

/// The cache.
pub struct Cache {
    most: usize,
    believed: Option<Duration>,
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("most", &self.most).finish_non_exhaustive()
    }
}

impl Cache {
    /// A cache of `most` bytes; rows are believed so long, or for ever.
    pub fn new(most: usize, believed: Option<Duration>) -> Self {
        Self { most, believed, inner: Mutex::default() }
    }

    /// The paste, if it is known, not over and still believed.
    pub fn get(&self, id: ShortId, now_us: i64) -> Option<Known> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let entry = inner.entries.get_mut(&id)?;
        if entry.known.row.is_over(now_us) || self.believed.is_some_and(|long| entry.read_at.elapsed() > long)
        {
            return None;
        }
        inner.by_use.remove(&entry.used);
        inner.clock += 1;
        entry.used = inner.clock;
        inner.by_use.insert(entry.used, id);
        Some(entry.known.clone())
    }

    /// Keeps a row as read just now. Its colours stay if it is what it was.
    pub fn put(&self, row: PasteRow) -> Known {
        let row = Arc::new(row);
        let mut inner = self.lock();
        let before = inner.entries.get(&row.id).map(|entry| &entry.known);
        let same = before.filter(|known| known.row.revision == row.revision && known.row.hash == row.hash);
        let known = Known { coloured: same.and_then(|known| known.coloured.clone()), row };
        self.insert(&mut inner, known.clone());
        known
    }

    /// Keeps the colours of a row, if it is still the one they were made for.
    pub fn paint(&self, row: &Arc<PasteRow>, painted: Arc<Painted>) {
        let mut inner = self.lock();
        let there = inner.entries.get(&row.id).is_some_and(|entry| entry.known.row.revision == row.revision);
        if there {
            self.insert(&mut inner, Known { row: Arc::clone(row), coloured: Some(painted) });
        }
    }

    /// Forgets a paste.
    pub fn forget(&self, id: ShortId) {
        remove(&mut self.lock(), id);
    }

    /// Forgets what is over.
    pub fn sweep(&self, now_us: i64) {
        let mut inner = self.lock();
        let over = inner.entries.values().filter(|entry| entry.known.row.is_over(now_us));
        let over: Vec<ShortId> = over.map(|entry| entry.known.row.id).collect();
        for id in over {
            remove(&mut inner, id);
        }
    }

    /// How many pastes and bytes are remembered.
    pub fn size(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.entries.len(), inner.weight)
    }

    fn insert(&self, inner: &mut Inner, known: Known) {
        let id = known.row.id;
        remove(inner, id);
        inner.clock += 1;
        let entry = Entry { known, read_at: Instant::now(), used: inner.clock };
        if entry.weight() > self.most / 4 {
            return;
        }
        inner.weight += entry.weight();
        inner.by_use.insert(entry.used, id);
        inner.entries.insert(id, entry);
        while inner.weight > self.most
            && let Some((_, oldest)) = inner.by_use.first_key_value()
        {
            let oldest = *oldest;
            remove(inner, oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(inner: &mut Inner, id: ShortId) {
    if let Some(entry) = inner.entries.remove(&id) {
        inner.weight -= entry.weight();
        inner.by_use.remove(&entry.used);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::render;
    use crate::store::Seal;

    fn row(text: &str, expires_us: Option<i64>) -> PasteRow {
        PasteRow {
            id: ShortId::random().unwrap(),
            owner: vec![1; 16],
            manage: None,
            title: String::new(),
            language: "Rust".to_owned(),
            body: text.to_owned().into(),
            size: 1,
            hash: vec![0; 32],
            seal: Seal::None,
            salt: None,
            burn: false,
            parent: None,
            revision: 1,
            created_us: 0,
            changed_us: 0,
            expires_us,
        }
    }

    fn painted() -> Arc<Painted> {
        Arc::new(Painted { lines: render::plain("x"), page: "x".repeat(100) })
    }

    #[test]
    fn what_is_over_is_gone_from_the_cache_too() {
        let cache = Cache::new(1 << 20, None);
        let over = cache.put(row("x", Some(10))).row;
        cache.put(row("y", None));
        assert!(cache.get(over.id, 9).is_some());
        assert!(cache.get(over.id, 10).is_none());
        cache.sweep(10);
        assert_eq!(cache.size().0, 1);
    }

    #[test]
    fn it_never_holds_more_than_it_may_and_keeps_what_was_used_last() {
        let cache = Cache::new(10_000, None);
        let first = cache.put(row(&"x".repeat(1_000), None)).row;
        let second = cache.put(row(&"x".repeat(1_000), None)).row;
        for _ in 0..50 {
            assert!(cache.get(first.id, 0).is_some(), "what is used stays");
            cache.put(row(&"x".repeat(1_000), None));
            assert!(cache.size().1 <= 10_000);
        }
        assert!(cache.get(second.id, 0).is_none());
        let big = cache.put(row(&"x".repeat(5_000), None)).row;
        assert!(cache.get(big.id, 0).is_none(), "one that would push out most others is not kept");
    }

    #[test]
    fn colours_go_with_a_change_and_stay_without_one() {
        let cache = Cache::new(1 << 20, Some(Duration::ZERO));
        let known = cache.put(row("x", None));
        cache.paint(&known.row, painted());
        assert!(cache.get(known.row.id, 0).is_none(), "not believed any more");
        assert!(cache.put((*known.row).clone()).coloured.is_some());
        let changed = PasteRow { revision: 2, hash: vec![1; 32], ..(*known.row).clone() };
        assert!(cache.put(changed).coloured.is_none());
        cache.paint(&known.row, painted());
        assert!(
            cache.put(PasteRow { revision: 2, hash: vec![1; 32], ..(*known.row).clone() }).coloured.is_none()
        );
        cache.forget(known.row.id);
        assert_eq!(cache.size(), (0, 0));
    }
}
