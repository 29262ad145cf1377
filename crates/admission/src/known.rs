//! What is known of every bouncer and every network: only what the rules ask for.

use std::collections::{BTreeSet, HashMap, HashSet};

use kube::core::DynamicObject;
use serde_json::Value;

/// Which kind a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `SojuBouncer`.
    Bouncer,
    /// `ErgoNetwork`.
    Network,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Bouncer, Self::Network];

    /// As the API server writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bouncer => "SojuBouncer",
            Self::Network => "ErgoNetwork",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Which resource: there may be a bouncer and a network of one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Id {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What is known of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The account it belongs to.
    pub owner: Option<String>,
    /// The host names it asks for, and those it holds.
    pub hostnames: BTreeSet<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
}

impl Known {
    /// Reduces a resource. Nothing is expected of it: what cannot be read is not known.
    pub fn of(object: &DynamicObject) -> Self {
        let text = |pointer: &str| object.data.pointer(pointer).and_then(Value::as_str);
        let held = object.data.pointer("/status/hostnames").and_then(Value::as_array);
        let held = held.into_iter().flatten().filter_map(Value::as_str);
        let asked = [text("/spec/hostname"), text("/spec/expose/webHostname")].into_iter().flatten();
        Self {
            owner: text("/spec/owner/sub").map(str::to_owned),
            hostnames: asked.chain(held).map(str::to_owned).collect(),
            deleting: object.metadata.deletion_timestamp.is_some(),
        }
    }
}

/// Everything that is known.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    all: HashMap<Id, Known>,
    listed: HashSet<Kind>,
}

impl Catalog {
    /// Keeps a resource as it is now.
    pub fn put(&mut self, id: Id, known: Known) {
        self.all.insert(id, known);
    }

    /// Forgets a resource.
    pub fn remove(&mut self, id: &Id) {
        self.all.remove(id);
    }

    /// A kind was listed whole: what the list did not name is gone.
    pub fn listed(&mut self, kind: Kind, named: &HashSet<Id>) {
        self.all.retain(|id, _| id.kind != kind || named.contains(id));
        self.listed.insert(kind);
    }

    /// Whether both kinds were listed. Before that, nothing can be said about others.
    pub fn is_whole(&self) -> bool {
        Kind::ALL.iter().all(|kind| self.listed.contains(kind))
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Another resource that asks for a host name or holds it.
    pub fn other_with(&self, hostname: &str, me: &Id) -> Option<&Known> {
        let mut others =
            self.all.iter().filter(|(id, known)| *id != me && known.hostnames.contains(hostname));
        // One that stays is worth more words than one that goes.
        others.clone().find(|(_, known)| !known.deleting).or_else(|| others.next()).map(|(_, known)| known)
    }

    /// How many other resources of a kind an account has.
    pub fn others_of(&self, owner: &str, me: &Id) -> usize {
        let theirs = |(id, known): &(&Id, &Known)| {
            id.kind == me.kind && *id != me && !known.deleting && known.owner.as_deref() == Some(owner)
        };
        self.all.iter().filter(theirs).count()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn id(kind: Kind, name: &str) -> Id {
        Id { kind, namespace: "home".into(), name: name.into() }
    }

    #[test]
    fn a_resource_is_known_by_the_names_it_asks_for_and_those_it_still_serves() {
        let object = serde_json::from_value(json!({
            "metadata": { "name": "a", "deletionTimestamp": "2026-11-21T00:00:00Z" },
            "spec": { "hostname": "new.example.org", "expose": { "webHostname": "web.example.org" }, "owner": { "sub": "s" } },
            "status": { "hostnames": ["old.example.org", 7] },
        }));
        let known = Known::of(&object.unwrap());
        let names: Vec<&str> = known.hostnames.iter().map(String::as_str).collect();
        assert_eq!(names, ["new.example.org", "old.example.org", "web.example.org"]);
        assert_eq!((known.owner.as_deref(), known.deleting), (Some("s"), true));
    }

    #[test]
    fn what_a_list_does_not_name_is_gone_and_the_other_kind_stays() {
        let mut catalog = Catalog::default();
        for id in [id(Kind::Bouncer, "a"), id(Kind::Bouncer, "b"), id(Kind::Network, "a")] {
            catalog.put(id, Known::default());
        }
        catalog.listed(Kind::Bouncer, &[id(Kind::Bouncer, "b")].into());
        assert_eq!(catalog.len(), 2);
        assert!(!catalog.is_whole());
        catalog.listed(Kind::Network, &HashSet::new());
        assert!(catalog.is_whole());
        assert_eq!(catalog.len(), 1);
    }
}
