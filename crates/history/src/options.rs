//! How a store is opened.

use std::sync::Arc;
use std::time::Duration;

/// Milliseconds since 1970.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How a store is opened. The defaults suit a process with a few thousand streams.
#[derive(Clone)]
pub struct Options {
    /// How many entries (and other writes) may wait for a commit before [`crate::Error::Busy`].
    pub queue_entries: usize,
    /// How long a call waits for its answer before [`crate::Error::Unavailable`].
    pub patience: Duration,
    /// Threads that serve pages and cursors (SQLite), or connections for them (PostgreSQL).
    pub readers: usize,
    /// How long committed text may wait for the search index. Searches see it all the same.
    pub index_delay: Duration,
    /// How many entries one search looks at before it is given up with what it has (SQLite; PostgreSQL gives up by
    /// its statement timeout).
    pub search_looks: u64,
    /// The clock, milliseconds since 1970.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue_entries: 20_000,
            patience: Duration::from_secs(5),
            readers: 2,
            index_delay: Duration::from_secs(1),
            search_looks: 500_000,
            clock: Arc::new(now_ms),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("queue_entries", &self.queue_entries)
            .field("patience", &self.patience)
            .field("readers", &self.readers)
            .field("index_delay", &self.index_delay)
            .field("search_looks", &self.search_looks)
            .finish_non_exhaustive()
    }
}

fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
