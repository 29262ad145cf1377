//! Whether a process is ready to be asked, and what is missing where it is not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a process needs before it serves. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    parts: Arc<Mutex<BTreeMap<&'static str, Option<String>>>>,
}

impl Readiness {
    /// Nothing is needed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A part that is missing until it says [`Part::ready`].
    pub fn part(&self, name: &'static str) -> Part {
        self.set(name, Some("starting".to_owned()));
        Part { readiness: self.clone(), name }
    }

    /// What is missing, with the reason, by name. Empty means ready.
    pub fn missing(&self) -> Vec<(&'static str, String)> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().filter_map(|(name, reason)| Some((*name, reason.clone()?))).collect()
    }

    /// Whether nothing is missing.
    pub fn is_ready(&self) -> bool {
        self.missing().is_empty()
    }

    fn set(&self, name: &'static str, reason: Option<String>) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).insert(name, reason);
    }
}

/// One thing a process needs.
#[derive(Clone, Debug)]
pub struct Part {
    readiness: Readiness,
    name: &'static str,
}

impl Part {
    /// It is there.
    pub fn ready(&self) {
        self.readiness.set(self.name, None);
    }

    /// It is missing, and why.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.readiness.set(self.name, Some(reason.into()));
    }
}
