//! A kind of object that an operator makes or looks at.

use kube::core::ApiResource;
use serde_json::Value;

/// A kind of object that an operator makes or looks at. Kinds are statics and are told apart by group and name.
#[derive(Debug)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// Versions we can write, the best first; the first one the API server serves is used.
    pub versions: &'static [&'static str],
    /// The name: `Deployment`.
    pub kind: &'static str,
    /// Whether a cluster may do without it.
    pub optional: bool,
    /// Whether it is only looked at: somebody else makes and deletes it.
    pub observed: bool,
    /// Whether it may hold data: it is deleted only by name, never as an orphan.
    pub precious: bool,
    /// Whether only its metadata is read: nothing of the rest is kept, and secrets never get here.
    pub metadata_only: bool,
    /// What is kept of an object: a few words.
    pub reduce: fn(&Value) -> Facts,
}

impl Kind {
    /// `group/Kind`, or `Kind` of the core group.
    pub fn id(&self) -> String {
        if self.group.is_empty() { self.kind.to_owned() } else { format!("{}/{}", self.group, self.kind) }
    }

    /// `group/version`, or `version` of the core group.
    pub fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.group == other.group
    }
}

impl Eq for Kind {}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kind {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.kind, self.group).cmp(&(other.kind, other.group))
    }
}

impl std::hash::Hash for Kind {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.kind, self.group).hash(state);
    }
}

/// A kind as this API server serves it.
#[derive(Clone, Debug)]
pub struct Served {
    /// Where it is found.
    pub resource: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// The few words that are kept of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(Box<[(&'static str, Box<str>)]>);

impl Facts {
    /// Keeps nothing.
    pub fn none(_: &Value) -> Self {
        Self::default()
    }

    /// Keeps these, leaving out what is empty.
    pub fn of<const N: usize>(facts: [(&'static str, Option<String>); N]) -> Self {
        Self(
            facts
                .into_iter()
                .filter_map(|(name, text)| {
                    Some((name, text.filter(|text| !text.is_empty())?.into_boxed_str()))
                })
                .collect(),
        )
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, text)| &**text)
    }

    /// One of them as a number; 0 where it is not there.
    pub fn number(&self, name: &str) -> i64 {
        self.get(name).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// Whether one of them says `True` (conditions) or `true`.
    pub fn holds(&self, name: &str) -> bool {
        self.get(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
}
