//! What is open for a session right now (event streams), so that it can be closed the moment the session ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The sessions something is open for. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    open: Arc<Mutex<HashMap<Uuid, Open>>>,
}

#[derive(Debug)]
struct Open {
    count: usize,
    end: CancellationToken,
}

impl Live {
    /// Something is open for `session` until what is returned is dropped.
    pub(crate) fn watch(&self, session: Uuid) -> Watch {
        let mut open = self.lock();
        let entry = open.entry(session).or_insert_with(|| Open { count: 0, end: CancellationToken::new() });
        entry.count += 1;
        Watch { live: self.clone(), session, end: entry.end.clone() }
    }

    /// These sessions have ended.
    pub(crate) fn end(&self, sessions: &[Uuid]) {
        let open = self.lock();
        for session in sessions {
            if let Some(entry) = open.get(session) {
                entry.end.cancel();
            }
        }
    }

    /// Whether anything is open at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that is open for a session.
#[derive(Debug)]
pub(crate) struct Watch {
    live: Live,
    session: Uuid,
    end: CancellationToken,
}

impl Watch {
    /// Comes true when the session has ended.
    pub(crate) async fn ended(&self) {
        self.end.cancelled().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut open = self.live.lock();
        if let Some(entry) = open.get_mut(&self.session) {
            entry.count -= 1;
            if entry.count == 0 {
                open.remove(&self.session);
            }
        }
    }
}
