//! What the watches have seen: the resources themselves, and their children reduced to a few words.
//!
//! While a watch lists anew, what was known stays; what the new list did not name goes when it is complete. So a
//! decision is never made on half a list.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use crate::child::{self, ChildKey, Seen};
use crate::kind::Kind;

/// Which resource: namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootKey {
    /// Where it is.
    pub namespace: Box<str>,
    /// What it is called.
    pub name: Box<str>,
}

impl RootKey {
    /// Names a resource.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The children of one resource.
pub type Children = BTreeMap<ChildKey, Seen>;

/// Everything the watches have seen. Cheap to clone; all clones are one.
#[derive(Debug)]
pub struct Store<K> {
    inner: Arc<RwLock<Inner<K>>>,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

#[derive(Debug)]
struct Inner<K> {
    roots: HashMap<RootKey, Arc<K>>,
    children: HashMap<RootKey, Children>,
    owners: HashMap<ChildKey, RootKey>,
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self {
            inner: Arc::new(RwLock::new(Inner {
                roots: HashMap::new(),
                children: HashMap::new(),
                owners: HashMap::new(),
            })),
        }
    }
}

impl<K> Store<K> {
    /// A resource.
    pub fn root(&self, key: &RootKey) -> Option<Arc<K>> {
        self.read().roots.get(key).cloned()
    }

    /// Every resource.
    pub fn roots(&self) -> Vec<(RootKey, Arc<K>)> {
        self.read().roots.iter().map(|(key, root)| (key.clone(), Arc::clone(root))).collect()
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.read().roots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many children there are.
    pub fn children_len(&self) -> usize {
        self.read().owners.len()
    }

    /// The children of a resource, as they are now.
    pub fn children(&self, of: &RootKey) -> Children {
        self.read().children.get(of).cloned().unwrap_or_default()
    }

    /// Keeps a resource, unless a newer one is kept already. Returns whether it was news.
    pub fn put_root(&self, key: RootKey, root: K) -> bool
    where
        K: kube::Resource,
    {
        let mut inner = self.write();
        let version = child::version(root.meta());
        if let Some(known) = inner.roots.get(&key)
            && known.meta().uid == root.meta().uid
            && child::version(known.meta()) >= version
        {
            return false;
        }
        inner.roots.insert(key, Arc::new(root));
        true
    }

    /// Forgets a resource.
    pub fn remove_root(&self, key: &RootKey) {
        self.write().roots.remove(key);
    }

    /// Forgets resources that a complete list did not name, and returns them.
    pub fn retain_roots(&self, named: &HashSet<RootKey>) -> Vec<RootKey> {
        let mut inner = self.write();
        let gone: Vec<RootKey> = inner.roots.keys().filter(|key| !named.contains(key)).cloned().collect();
        for key in &gone {
            inner.roots.remove(key);
        }
        gone
    }

    /// Keeps a child, unless a newer sighting is kept already. Returns the resources whose children changed: one, or two
    /// if it was somebody else's before.
    pub fn put_child(&self, root: RootKey, key: ChildKey, seen: Seen) -> Vec<RootKey> {
        let mut inner = self.write();
        let mut changed = Vec::new();
        if let Some(before) = inner.owners.insert(key.clone(), root.clone())
            && before != root
        {
            inner.forget(&before, &key);
            changed.push(before);
        }
        let children = inner.children.entry(root.clone()).or_default();
        match children.get_mut(&key) {
            Some(known) if known.version > seen.version => {}
            Some(known) => {
                if !known.says_the_same(&seen) {
                    changed.push(root);
                }
                *known = seen;
            }
            None => {
                children.insert(key, seen);
                changed.push(root);
            }
        }
        changed
    }

    /// Forgets a child, if it still is the one with this UID. Returns whose it was.
    pub fn remove_child(&self, key: &ChildKey, uid: &str) -> Option<RootKey> {
        let mut inner = self.write();
        let root = inner.owners.get(key)?.clone();
        if inner.children.get(&root)?.get(key)?.uid.as_ref() != uid {
            return None;
        }
        inner.owners.remove(key);
        inner.forget(&root, key);
        Some(root)
    }

    /// Forgets children of a kind that a complete list did not name. Returns whose they were.
    pub fn retain_children(&self, kind: &'static Kind, named: &HashSet<ChildKey>) -> Vec<RootKey> {
        let gone: Vec<ChildKey> = self
            .read()
            .owners
            .keys()
            .filter(|key| key.kind == kind && !named.contains(key))
            .cloned()
            .collect();
        let mut inner = self.write();
        gone.iter()
            .filter_map(|key| {
                let root = inner.owners.remove(key)?;
                inner.forget(&root, key);
                Some(root)
            })
            .collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner<K>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner<K>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Inner<K> {
    fn forget(&mut self, root: &RootKey, key: &ChildKey) {
        if let Some(children) = self.children.get_mut(root) {
            children.remove(key);
            if children.is_empty() {
                self.children.remove(root);
            }
        }
    }
}
