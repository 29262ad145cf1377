//! Children as they lie in memory: tens of thousands, so nothing is kept twice.
//!
//! The children of one resource are a family. What is the same for most of them, namespace and owner, is the family's and
//! only kept for a child that differs.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::Arc;

use uuid::Uuid;

use super::{Children, RootKey};
use crate::child::{ChildKey, Seen};
use crate::kind::{Facts, Kind};

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Families {
    families: HashMap<Arc<RootKey>, Family>,
    /// Whose a child is: the hash of its key, and the family. Two of one hash are told apart by looking into the family.
    owners: BTreeSet<(u64, Arc<RootKey>)>,
    hasher: RandomState,
    count: usize,
}

#[derive(Debug)]
struct Family {
    root: Arc<RootKey>,
    /// The UID of the resource, as its first child says it.
    owner_uid: Box<str>,
    children: Vec<Child>,
}

#[derive(Debug)]
struct Child {
    kind: &'static Kind,
    name: Box<str>,
    /// Where it is, if not where the resource is.
    namespace: Option<Box<str>>,
    /// Whose it says it is, if not what the family says.
    owner_uid: Option<Box<str>>,
    uid: Uid,
    hash: u64,
    fields: u64,
    version: u64,
    facts: Facts,
    deleting: bool,
}

/// A UID: sixteen bytes, unless somebody wrote one in a way of their own.
#[derive(Debug, PartialEq, Eq)]
enum Uid {
    Uuid(Uuid),
    Text(Box<str>),
}

impl Uid {
    fn of(text: Box<str>) -> Self {
        let uuid = Uuid::parse_str(&text).ok();
        let uuid = uuid.filter(|uuid| *uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *text);
        uuid.map_or(Self::Text(text), Self::Uuid)
    }

    fn text(&self) -> Box<str> {
        match self {
            Self::Uuid(uuid) => uuid.hyphenated().to_string().into(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Family {
    fn find(&self, key: &ChildKey) -> Option<usize> {
        let home = &self.root.namespace;
        self.children.iter().position(|child| {
            child.kind == key.kind
                && child.name == key.name
                && child.namespace.as_ref().unwrap_or(home) == &key.namespace
        })
    }

    fn child(&self, key: ChildKey, seen: Seen) -> Child {
        Child {
            kind: key.kind,
            name: key.name,
            namespace: (key.namespace != self.root.namespace).then_some(key.namespace),
            owner_uid: (seen.owner_uid != self.owner_uid).then_some(seen.owner_uid),
            uid: Uid::of(seen.uid),
            hash: seen.hash,
            fields: seen.fields,
            version: seen.version,
            facts: seen.facts,
            deleting: seen.deleting,
        }
    }

    fn key(&self, child: &Child) -> ChildKey {
        let namespace = child.namespace.as_ref().unwrap_or(&self.root.namespace);
        ChildKey { kind: child.kind, namespace: namespace.clone(), name: child.name.clone() }
    }

    fn seen(&self, child: &Child) -> Seen {
        Seen {
            uid: child.uid.text(),
            owner_uid: child.owner_uid.as_ref().unwrap_or(&self.owner_uid).clone(),
            hash: child.hash,
            fields: child.fields,
            deleting: child.deleting,
            version: child.version,
            facts: child.facts.clone(),
        }
    }
}

impl Child {
    /// Whether two sightings say the same, whenever they were.
    fn says_the_same(&self, other: &Self) -> bool {
        let Self {
            kind: _,
            name: _,
            namespace: _,
            owner_uid,
            uid,
            hash,
            fields,
            version: _,
            facts,
            deleting,
        } = self;
        (owner_uid, uid, hash, fields, facts, deleting)
            == (&other.owner_uid, &other.uid, &other.hash, &other.fields, &other.facts, &other.deleting)
    }
}

impl Families {
    /// How many children there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The children of a resource.
    pub fn of(&self, root: &RootKey) -> Children {
        let family = self.families.get(root);
        let children = |family: &Family| {
            family.children.iter().map(|child| (family.key(child), family.seen(child))).collect()
        };
        family.map(children).unwrap_or_default()
    }

    /// Keeps a child, unless a newer sighting is kept already. Returns the resources whose children changed.
    pub fn put(&mut self, root: RootKey, key: ChildKey, seen: Seen) -> Vec<RootKey> {
        let mut changed = Vec::new();
        if let Some(before) = self.owner(&key)
            && *before != root
        {
            self.take(&before, &key);
            changed.push((*before).clone());
        }
        let hash = self.hasher.hash_one(&key);
        let family = match self.families.get_mut(&root) {
            Some(family) => family,
            None => {
                let root = Arc::new(root.clone());
                let owner_uid = seen.owner_uid.clone();
                let family = Family { root: Arc::clone(&root), owner_uid, children: Vec::new() };
                self.families.entry(root).or_insert(family)
            }
        };
        match family.find(&key) {
            Some(at) if family.children[at].version > seen.version => {}
            Some(at) => {
                let child = family.child(key, seen);
                if !family.children[at].says_the_same(&child) {
                    changed.push(root);
                }
                family.children[at] = child;
            }
            None => {
                let child = family.child(key, seen);
                // A family is complete soon: room for more would stay empty.
                family.children.reserve_exact(1);
                family.children.push(child);
                self.owners.insert((hash, Arc::clone(&family.root)));
                self.count += 1;
                changed.push(root);
            }
        }
        changed
    }

    /// Forgets a child, if it still is the one with this UID. Returns whose it was.
    pub fn remove(&mut self, key: &ChildKey, uid: &str) -> Option<RootKey> {
        let owner = self.owner(key)?;
        let family = self.families.get(&owner)?;
        if *family.children[family.find(key)?].uid.text() != *uid {
            return None;
        }
        self.take(&owner, key);
        Some((*owner).clone())
    }

    /// Forgets children of a kind that are not named. Returns whose they were.
    pub fn retain(&mut self, kind: &'static Kind, named: &HashSet<ChildKey>) -> Vec<RootKey> {
        let of_kind = |family: &Family| {
            let children = family.children.iter().filter(|child| child.kind == kind);
            let keys = children.map(|child| family.key(child)).filter(|key| !named.contains(key));
            keys.map(|key| (Arc::clone(&family.root), key)).collect::<Vec<_>>()
        };
        let gone: Vec<_> = self.families.values().flat_map(of_kind).collect();
        for (root, key) in &gone {
            self.take(root, key);
        }
        gone.into_iter().map(|(root, _)| (*root).clone()).collect()
    }

    /// Whose a child is.
    fn owner(&self, key: &ChildKey) -> Option<Arc<RootKey>> {
        let hash = self.hasher.hash_one(key);
        let first = (hash, Arc::new(RootKey::new("", "")));
        let alike = self.owners.range(first..).take_while(|(of, _)| *of == hash).map(|(_, root)| root);
        let has = |root: &&Arc<RootKey>| self.families.get(*root).is_some_and(|of| of.find(key).is_some());
        alike.into_iter().find(has).cloned()
    }

    fn take(&mut self, root: &Arc<RootKey>, key: &ChildKey) {
        let Some(family) = self.families.get_mut(root) else { return };
        let Some(at) = family.find(key) else { return };
        family.children.remove(at);
        self.count -= 1;
        let hash = self.hasher.hash_one(key);
        let is_last = !family.children.iter().any(|child| self.hasher.hash_one(family.key(child)) == hash);
        if is_last {
            self.owners.remove(&(hash, Arc::clone(root)));
        }
        if family.children.is_empty() {
            self.families.remove(root);
        }
    }
}
